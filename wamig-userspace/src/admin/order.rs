//! What `POST /v1/order` takes and answers.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::migration::order::{Order, Verb, Verdict};

/// An operator's order, the body of the request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRequest {
    /// `freeze`, `unfreeze`, `prepare` or `unprepare`.
    pub verb: String,
    /// The server's IPv4 address.
    pub address: String,
    /// A site's name, with verbs that have one.
    #[serde(default)]
    pub to: Option<String>,
    /// Why; recorded in the audit log.
    pub reason: String,
    /// Tell what would be done, and do nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// The request is no order.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadOrder {
    /// No such verb.
    #[error("{0:?} is no order; there are freeze, unfreeze, prepare, unprepare")]
    Verb(String),
    /// No IPv4 address.
    #[error("{0:?} is no IPv4 address")]
    Address(String),
    /// The verb needs a site, or has none.
    #[error("{verb} {}", if *.needed { "needs a site" } else { "goes without a site" })]
    Site {
        /// Which verb.
        verb: String,
        /// Whether it needs one.
        needed: bool,
    },
}

impl OrderRequest {
    /// The order as the state machines know it.
    ///
    /// # Errors
    /// [`BadOrder`], with what is wrong.
    pub fn order(&self) -> Result<Order, BadOrder> {
        let site = |needed| BadOrder::Site { verb: self.verb.clone(), needed };
        let verb = match (self.verb.as_str(), &self.to) {
            ("freeze", None) => Verb::Freeze,
            ("prepare", Some(to)) => Verb::Prepare { to: to.clone() },
            ("prepare", None) => return Err(site(true)),
            ("unprepare", None) => Verb::Unprepare,
            ("freeze" | "unprepare", Some(_)) => return Err(site(false)),
            ("unfreeze", to) => Verb::Unfreeze { to: to.clone() },
            _ => return Err(BadOrder::Verb(self.verb.clone())),
        };
        let address: Ipv4Addr = self.address.parse().map_err(|_| BadOrder::Address(self.address.clone()))?;
        Ok(Order { verb, address, reason: self.reason.clone(), dry_run: self.dry_run })
    }
}

/// What became of an order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OrderAnswer {
    /// The site that answers.
    pub site: String,
    /// Nothing was done; it was only asked.
    pub dry_run: bool,
    /// For each address. Keys are only ever added.
    pub results: Vec<OrderResult>,
}

/// What became of an order for one address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OrderResult {
    /// The server's IPv4 address.
    pub address: String,
    /// What is done, or would be, in order; empty when it is refused.
    pub steps: Vec<String>,
    /// Why it is refused.
    pub refused: Option<String>,
    /// What to do about that.
    pub remedy: Option<String>,
}

impl From<Verdict> for OrderResult {
    fn from(verdict: Verdict) -> Self {
        let address = verdict.address.to_string();
        match verdict.plan {
            Ok(steps) => Self { address, steps, refused: None, remedy: None },
            Err(no) => Self { address, steps: Vec::new(), refused: Some(no.text), remedy: Some(no.remedy) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(verb: &str, address: &str, to: Option<&str>) -> OrderRequest {
        let (verb, address, to) = (verb.to_owned(), address.to_owned(), to.map(str::to_owned));
        OrderRequest { verb, address, to, reason: "maintenance".to_owned(), dry_run: true }
    }

    #[test]
    fn an_order_says_all_that_it_needs_and_nothing_else() {
        let order = request("unfreeze", "192.0.2.53", Some("dc1")).order().unwrap();
        assert_eq!((order.verb, order.dry_run), (Verb::Unfreeze { to: Some("dc1".to_owned()) }, true));
        let order = request("prepare", "192.0.2.53", Some("dc2")).order().unwrap();
        assert_eq!(order.verb, Verb::Prepare { to: "dc2".to_owned() });
        assert_eq!(request("unprepare", "192.0.2.53", None).order().unwrap().verb, Verb::Unprepare);
        let bad = |r: OrderRequest| r.order().unwrap_err().to_string();
        let verbs = "freeze, unfreeze, prepare, unprepare";
        assert_eq!(bad(request("fly", "192.0.2.53", None)), format!("\"fly\" is no order; there are {verbs}"));
        assert_eq!(bad(request("prepare", "192.0.2.53", None)), "prepare needs a site");
        assert_eq!(bad(request("unprepare", "192.0.2.53", Some("dc2"))), "unprepare goes without a site");
        assert_eq!(bad(request("freeze", "server", None)), "\"server\" is no IPv4 address");
        assert_eq!(bad(request("freeze", "192.0.2.53", Some("dc2"))), "freeze goes without a site");
    }
}
