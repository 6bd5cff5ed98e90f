//! What an operator orders about another site as a whole, and what becomes of it.
//!
//! A site is *assumed dead* until a session with it is up again. Nothing waits for its word meanwhile: a server that
//! was there and is heard here is at home at once, without the question whether its copy is alive; grants that the site
//! has not acted on are taken back, and planned moves to it end. Servers that are there stay there until they are heard
//! here or claimed by another host: their flows lead nowhere worse. It needs no record: after a restart of the daemon
//! every site is without a session, and nobody is asked who has none.

use std::time::Instant;

use super::Migration;
use super::home::HomeServer;
use super::io::Effect;
use super::order::{Plan, Refusal, Verdict, check_reason};

/// What is to be done about the site.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SiteVerb {
    /// It is taken as gone, until a session with it is up again.
    AssumeDead,
}

impl SiteVerb {
    /// As on the command line and in the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AssumeDead => "assume-dead",
        }
    }
}

/// An operator's order about another site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SiteOrder {
    /// What.
    pub verb: SiteVerb,
    /// Which site: one that may host servers whose home is here.
    pub site: String,
    /// Why, at most [`super::order::LONGEST_REASON`] octets.
    pub reason: String,
    /// Only tell what would be done.
    pub dry_run: bool,
}

/// What becomes of an order about a site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SiteVerdict {
    /// The site.
    pub site: String,
    /// What is done about it as a whole, or why nothing is.
    pub plan: Plan,
    /// What is done for servers that are there or going there, by their addresses.
    pub servers: Vec<Verdict>,
}

impl Migration {
    /// Takes an order about a site: tells what becomes of it, and what is to be done, in order.
    pub fn order_site(&mut self, now: Instant, order: &SiteOrder) -> (SiteVerdict, Vec<Effect>) {
        let plan = self.plan_site(order);
        let mut servers = Vec::new();
        if plan.is_ok() {
            let own = &self.config.site;
            let steps = |s: &HomeServer| s.plan_assume_dead(own, &order.site);
            let concerned = self.home.iter().filter_map(|(address, s)| Some((*address, steps(s)?)));
            servers = concerned.map(|(address, steps)| Verdict { address, plan: Ok(steps) }).collect();
        }
        if plan.is_ok() && !order.dry_run {
            let reason = order.reason.trim();
            self.peers.assume_dead(&order.site, reason);
            let (mut cx, home, _) = self.split(now);
            cx.verb = order.verb.as_str();
            for server in home.values_mut() {
                server.assume_dead(&mut cx, &order.site, reason);
            }
            self.on_time(now);
        }
        (SiteVerdict { site: order.site.clone(), plan, servers }, self.out.take())
    }

    /// The peers that an operator has called dead since their last session began, and why.
    pub fn assumed_dead(&self) -> impl Iterator<Item = (&str, &str)> {
        self.peers.assumed()
    }

    fn plan_site(&self, order: &SiteOrder) -> Plan {
        check_reason(&order.reason)?;
        let site = &order.site;
        let hosts = |s: &super::config::Server| s.hosts.iter().any(|h| h == site);
        if !self.config.servers.iter().any(hosts) {
            let mut all: Vec<_> = self.config.servers.iter().flat_map(|s| &s.hosts).map(String::as_str).collect();
            all.sort_unstable();
            all.dedup();
            let remedy = format!("Their hosts are {}: see hosts of [[server]] in the configuration.", all.join(", "));
            return Err(Refusal::new(format!("no server whose home is here may be at {site}"), remedy));
        }
        if let Some(reason) = self.peers.assumed_dead(site) {
            let remedy = format!("It ends by itself when a session with {site} is up again.");
            return Err(Refusal::new(format!("it is assumed dead already: {reason}"), remedy));
        }
        let mut steps = Vec::new();
        if self.peers.is_up(site) {
            steps.push(format!("the session with it is up all the same: a copy that talks at {site} is fenced"));
        }
        steps.push(format!("no server that is heard here waits for {site}'s word, until a new session with it is up"));
        Ok(steps)
    }
}
