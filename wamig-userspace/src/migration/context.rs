//! What a state machine may look at and write to while it handles one input.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use wamig_openflow::MacAddr;

use super::config::{Family, SiteConfig};
use super::neighbour::Neighbour;
use super::outbox::Outbox;
use super::peers::Peers;
use super::pool::Pool;

/// Lent to a machine for the time of one call.
pub(super) struct Context<'a> {
    /// The time of the input.
    pub(super) now: Instant,
    /// The same by the wall clock, in milliseconds since 1970, if that is known.
    pub(super) unix_ms: Option<u64>,
    /// Whose word it is: the operator's verb, or [`super::io::AUTOMATIC`].
    pub(super) verb: &'static str,
    pub(super) config: &'a SiteConfig,
    /// The own router, in each family of the LAN.
    pub(super) gateways: &'a [Neighbour],
    pub(super) peers: &'a Peers,
    pub(super) pool: &'a mut Pool,
    pub(super) out: &'a mut Outbox,
    /// What was refused, by fixed name.
    pub(super) refused: &'a mut BTreeMap<&'static str, u64>,
}

impl Context<'_> {
    /// The own router's MAC address, as it has answered in the family of `address`.
    pub(super) fn gateway(&self, address: IpAddr) -> Option<MacAddr> {
        self.gateways.iter().find(|g| g.family() == Family::of(address)).and_then(Neighbour::mac)
    }

    /// Why there is no such MAC address.
    pub(super) fn gateway_remedy(&self, address: IpAddr) -> String {
        let family = Family::of(address);
        match self.config.lan.subnet(family) {
            None => format!("This site's [lan] has no {family}: give it prefix and gateway of that family."),
            Some(subnet) => {
                let key = if family == Family::V4 { "lan.gateway" } else { "lan.gateway6" };
                format!("Check {key} ({}) and the uplink of this site.", subnet.gateway)
            }
        }
    }

    /// Counts a refusal.
    pub(super) fn refuse(&mut self, name: &'static str) {
        *self.refused.entry(name).or_default() += 1;
    }
}
