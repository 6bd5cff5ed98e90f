//! What a state machine may look at and write to while it handles one input.

use std::collections::BTreeMap;
use std::time::Instant;

use wamig_openflow::MacAddr;

use super::config::SiteConfig;
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
    /// The own router's MAC address, once it has answered.
    pub(super) gateway: Option<MacAddr>,
    pub(super) peers: &'a Peers,
    pub(super) pool: &'a mut Pool,
    pub(super) out: &'a mut Outbox,
    /// What was refused, by fixed name.
    pub(super) refused: &'a mut BTreeMap<&'static str, u64>,
}

impl Context<'_> {
    /// Counts a refusal.
    pub(super) fn refuse(&mut self, name: &'static str) {
        *self.refused.entry(name).or_default() += 1;
    }
}
