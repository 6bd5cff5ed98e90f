//! What `POST /v1/order` takes and answers.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::migration::order::{Order, Plan, Verb, Verdict};
use crate::migration::site_order::{SiteOrder, SiteVerb, SiteVerdict};

/// An operator's order, the body of the request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRequest {
    /// `freeze`, `unfreeze`, `prepare`, `unprepare` or `return`, about a server; `assume-dead`, about a site.
    pub verb: String,
    /// The server's IP address, with verbs about one.
    #[serde(default)]
    pub address: Option<String>,
    /// A site's name, with verbs that have one beside the address.
    #[serde(default)]
    pub to: Option<String>,
    /// The site's name, with verbs about one.
    #[serde(default)]
    pub site: Option<String>,
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
    #[error("{0:?} is no order; there are freeze, unfreeze, prepare, unprepare, return, assume-dead")]
    Verb(String),
    /// No IP address.
    #[error("{0:?} is no IP address")]
    Address(String),
    /// The verb is about something else.
    #[error("{verb} is about {about}, and only that is to be named")]
    Subject {
        /// Which verb.
        verb: String,
        /// What it is about: a server, or a site.
        about: &'static str,
    },
    /// The verb needs a site, or has none.
    #[error("{verb} {}", if *.needed { "needs a site" } else { "goes without a site" })]
    Site {
        /// Which verb.
        verb: String,
        /// Whether it needs one.
        needed: bool,
    },
}

/// An order as the state machines know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Parsed {
    /// About a server.
    Server(Order),
    /// About a site.
    Site(SiteOrder),
}

impl OrderRequest {
    /// The order as the state machines know it.
    ///
    /// # Errors
    /// [`BadOrder`], with what is wrong.
    pub fn order(&self) -> Result<Parsed, BadOrder> {
        let (reason, dry_run) = (self.reason.clone(), self.dry_run);
        let about = |about| BadOrder::Subject { verb: self.verb.clone(), about };
        if self.verb == SiteVerb::AssumeDead.as_str() {
            let (Some(site), None, None) = (self.site.clone(), &self.address, &self.to) else {
                return Err(about("a site"));
            };
            return Ok(Parsed::Site(SiteOrder { verb: SiteVerb::AssumeDead, site, reason, dry_run }));
        }
        let site = |needed| BadOrder::Site { verb: self.verb.clone(), needed };
        let verb = match (self.verb.as_str(), &self.to) {
            ("freeze", None) => Verb::Freeze,
            ("prepare", Some(to)) => Verb::Prepare { to: to.clone() },
            ("prepare", None) => return Err(site(true)),
            ("unprepare", None) => Verb::Unprepare,
            ("return", None) => Verb::Return,
            ("freeze" | "unprepare" | "return", Some(_)) => return Err(site(false)),
            ("unfreeze", to) => Verb::Unfreeze { to: to.clone() },
            _ => return Err(BadOrder::Verb(self.verb.clone())),
        };
        let (Some(address), None) = (&self.address, &self.site) else { return Err(about("a server")) };
        let address: IpAddr = address.parse().map_err(|_| BadOrder::Address(address.clone()))?;
        Ok(Parsed::Server(Order { verb, address, reason, dry_run }))
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
    /// The server's IP address; `-` = a site as a whole.
    pub address: String,
    /// Which site, if it is about one as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// What is done, or would be, in order; empty when it is refused.
    pub steps: Vec<String>,
    /// Why it is refused.
    pub refused: Option<String>,
    /// What to do about that.
    pub remedy: Option<String>,
}

impl OrderResult {
    fn new(address: String, site: Option<String>, plan: Plan) -> Self {
        match plan {
            Ok(steps) => Self { address, site, steps, refused: None, remedy: None },
            Err(no) => Self { address, site, steps: Vec::new(), refused: Some(no.text), remedy: Some(no.remedy) },
        }
    }

    /// The site first, then its servers.
    pub fn of_site(verdict: SiteVerdict) -> Vec<Self> {
        let site = Self::new("-".to_owned(), Some(verdict.site), verdict.plan);
        std::iter::once(site).chain(verdict.servers.into_iter().map(Self::from)).collect()
    }
}

impl From<Verdict> for OrderResult {
    fn from(verdict: Verdict) -> Self {
        Self::new(verdict.address.to_string(), None, verdict.plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(verb: &str, address: &str, to: Option<&str>) -> OrderRequest {
        let (verb, address, to) = (verb.to_owned(), Some(address.to_owned()), to.map(str::to_owned));
        OrderRequest { verb, address, to, site: None, reason: "maintenance".to_owned(), dry_run: true }
    }

    fn about_server(request: &OrderRequest) -> Order {
        match request.order().unwrap() {
            Parsed::Server(order) => order,
            Parsed::Site(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_order_says_all_that_it_needs_and_nothing_else() {
        let order = about_server(&request("unfreeze", "192.0.2.53", Some("dc1")));
        assert_eq!((order.verb, order.dry_run), (Verb::Unfreeze { to: Some("dc1".to_owned()) }, true));
        let prepare = request("prepare", "192.0.2.53", Some("dc2"));
        assert_eq!(about_server(&prepare).verb, Verb::Prepare { to: "dc2".to_owned() });
        assert_eq!(about_server(&request("unprepare", "192.0.2.53", None)).verb, Verb::Unprepare);
        assert_eq!(about_server(&request("return", "192.0.2.53", None)).verb, Verb::Return);
        let bad = |r: OrderRequest| r.order().unwrap_err().to_string();
        let verbs = "freeze, unfreeze, prepare, unprepare, return, assume-dead";
        assert_eq!(bad(request("fly", "192.0.2.53", None)), format!("\"fly\" is no order; there are {verbs}"));
        assert_eq!(bad(request("prepare", "192.0.2.53", None)), "prepare needs a site");
        assert_eq!(bad(request("unprepare", "192.0.2.53", Some("dc2"))), "unprepare goes without a site");
        assert_eq!(bad(request("freeze", "server", None)), "\"server\" is no IP address");
        assert_eq!(bad(request("freeze", "192.0.2.53", Some("dc2"))), "freeze goes without a site");
        assert_eq!(bad(request("return", "192.0.2.53", Some("dc2"))), "return goes without a site");
    }

    #[test]
    fn an_order_about_a_site_names_no_server() {
        let dead = OrderRequest { address: None, site: Some("dc2".to_owned()), ..request("assume-dead", "", None) };
        let Parsed::Site(order) = dead.order().unwrap() else { panic!("it is about a site") };
        assert_eq!((order.verb, order.site.as_str(), order.dry_run), (SiteVerb::AssumeDead, "dc2", true));
        let bad = |r: OrderRequest| r.order().unwrap_err().to_string();
        let server = "assume-dead is about a site, and only that is to be named";
        assert_eq!(bad(request("assume-dead", "192.0.2.53", None)), server);
        assert_eq!(bad(OrderRequest { to: Some("dc1".to_owned()), ..dead.clone() }), server);
        let both = OrderRequest { site: Some("dc2".to_owned()), ..request("freeze", "192.0.2.53", None) };
        assert_eq!(bad(both), "freeze is about a server, and only that is to be named");
        let neither = OrderRequest { verb: "freeze".to_owned(), site: None, ..dead };
        assert_eq!(bad(neither), "freeze is about a server, and only that is to be named");
    }
}
