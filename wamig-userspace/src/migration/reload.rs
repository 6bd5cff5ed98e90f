//! Another configuration while the site runs. First it is asked what stands in its way, then the
//! switch is told what differs ([`flows::rebase`]), then it is in force: as a whole, or not at all.
//! Addresses that it says nothing new of, and their flows, are left as they are.

use std::net::IpAddr;
use std::time::Instant;

use wamig_openflow::FlowMod;

use super::Migration;
use super::config::SiteConfig;
use super::flows;
use super::home::HomeServer;
use super::io::{Effect, event};
use super::order::Refusal;
use super::record::Record;
use super::status::reason;

/// The part of a configuration that something is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum About {
    /// A server whose home is here.
    Server(IpAddr),
    /// Who may come.
    Guests,
    /// The transfer addresses.
    Pool,
}

impl Migration {
    /// What stands in the way of another configuration, whose LAN and hosting ports are those in
    /// force; empty = nothing.
    pub fn objections(&self, to: &SiteConfig) -> Vec<(About, Refusal)> {
        let mut found = Vec::new();
        for (address, server) in &self.home {
            let kept = to.servers.iter().find(|s| s.address == *address);
            found.extend(server.objection(kept).map(|no| (About::Server(*address), no)));
        }
        found.extend(self.host.objections(&to.hosting).map(|no| (About::Guests, no)));
        for (transfer, guest) in self.pool.in_use() {
            let lends = |hosting: &super::config::Hosting| hosting.pool.iter().any(|r| r.contains(transfer));
            if lends(&self.config.hosting) && !lends(&to.hosting) {
                let text = format!("{transfer} is in use for {guest} and cannot go out of the pool");
                found
                    .push((About::Pool, Refusal::new(text, format!("Wait until {guest} has left and it has rested."))));
            }
        }
        found
    }

    /// What the switch has to be told before another configuration is in force.
    pub fn rebase(&self, to: &SiteConfig) -> Vec<FlowMod> {
        flows::rebase(&self.config, to)
    }

    /// The configuration is in force from now on; nothing stood in its way. `records` are all
    /// that were made durable: a server that comes back goes on from its own.
    pub fn adopt(&mut self, now: Instant, to: SiteConfig, records: Vec<Record>) -> Vec<Effect> {
        let is_new = |s: &&super::config::Server| !self.home.contains_key(&s.address);
        let added: Vec<_> = to.servers.iter().filter(is_new).map(|s| s.address).collect();
        self.home.retain(|address, _| to.servers.iter().any(|s| s.address == *address));
        for server in &to.servers {
            match self.home.get_mut(&server.address) {
                Some(known) => known.adopt(server.clone()),
                None => drop(self.home.insert(server.address, HomeServer::new(server.clone(), now))),
            }
        }
        self.pool.adopt(&to);
        self.config = to;
        for record in records {
            if let Record::Home { address, epoch, placement, frozen, planned } = record
                && added.contains(&address)
                && let Some(server) = self.home.get_mut(&address)
            {
                server.resume(now, &self.config.timers, epoch, placement, frozen, planned);
                self.out.note(address, event::STATE, format!("{}, as recorded", server.state().as_str()));
            }
        }
        let (mut cx, home, host) = self.split(now);
        let theirs: Vec<_> = added.iter().filter_map(|a| home.get(a)).flat_map(|s| s.flows(&cx)).collect();
        if !theirs.is_empty() {
            cx.out.program(theirs);
        }
        host.adopt(&mut cx);
        host.retry(&mut cx, reason::GUEST_LIMIT);
        self.on_time(now);
        self.out.take()
    }
}
