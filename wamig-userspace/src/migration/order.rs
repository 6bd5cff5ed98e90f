//! What an operator orders, and what becomes of it. Every order says why, for the audit log,
//! and can be given as a question: then it is told what would be done, and nothing is.

use std::net::IpAddr;
use std::time::Instant;

use super::Migration;
use super::home::HomeServer;
use super::io::Effect;

/// Most octets of a reason.
pub const LONGEST_REASON: usize = 500;

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verb {
    /// No trigger moves the address any more.
    Freeze,
    /// Triggers move it again; `to` names the site where it is to be.
    Unfreeze {
        /// This site, or the one that hosts it; `None` = where it is.
        to: Option<String>,
    },
    /// The server is about to move to a peer, which may take it over without a search here.
    Prepare {
        /// The peer.
        to: String,
    },
    /// It is not about to move after all.
    Unprepare,
    /// It is to be at home, from where it is away: its host is not asked, and fences its copy.
    Return,
}

impl Verb {
    /// As on the command line and in the audit log.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Freeze => "freeze",
            Self::Unfreeze { .. } => "unfreeze",
            Self::Prepare { .. } => "prepare",
            Self::Unprepare => "unprepare",
            Self::Return => "return",
        }
    }
}

/// An operator's order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// What.
    pub verb: Verb,
    /// With which server, whose home must be here.
    pub address: IpAddr,
    /// Why, at most [`LONGEST_REASON`] octets.
    pub reason: String,
    /// Only tell what would be done.
    pub dry_run: bool,
}

/// Why an order is not carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// What stands in the way.
    pub text: String,
    /// What to do about it.
    pub remedy: String,
}

impl Refusal {
    pub(super) fn new(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { text: text.into(), remedy: remedy.into() }
    }
}

/// What is done for an address: sentences in their order; or why nothing is.
pub type Plan = Result<Vec<String>, Refusal>;

/// What becomes of an order for one address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// The server's address.
    pub address: IpAddr,
    /// What is done, or would be.
    pub plan: Plan,
}

impl Migration {
    /// Takes an order: tells what becomes of it, and what is to be done, in order.
    pub fn order(&mut self, now: Instant, order: &Order) -> (Vec<Verdict>, Vec<Effect>) {
        let plan = self.plan(now, order);
        if plan.is_ok() && !order.dry_run {
            let (mut cx, home, _) = self.split(now);
            cx.verb = order.verb.as_str();
            if let Some(server) = home.get_mut(&order.address) {
                server.obey(&mut cx, order);
            }
            self.on_time(now);
        }
        (vec![Verdict { address: order.address, plan }], self.out.take())
    }

    fn plan(&mut self, now: Instant, order: &Order) -> Plan {
        check_reason(&order.reason)?;
        let (cx, home, host) = self.split(now);
        match home.get(&order.address) {
            Some(server) => HomeServer::plan(server, &cx, &order.verb),
            None => Err(host.peer_of(order.address).map_or_else(
                || {
                    let remedy = format!("Its home must be {}: see [[server]] in the configuration.", cx.config.site);
                    Refusal::new("this site is not its home", remedy)
                },
                |peer| Refusal::new(format!("its home is {peer}"), format!("Give the order at {peer}.")),
            )),
        }
    }
}

/// Every order says why.
pub(super) fn check_reason(reason: &str) -> Result<(), Refusal> {
    let octets = reason.trim().len();
    if (1..=LONGEST_REASON).contains(&octets) {
        return Ok(());
    }
    let remedy = format!("Give a reason of 1 to {LONGEST_REASON} octets; it is recorded.");
    Err(Refusal::new(format!("the reason has {octets} octets"), remedy))
}
