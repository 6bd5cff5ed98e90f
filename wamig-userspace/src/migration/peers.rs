//! Which peers can be talked to.

use std::collections::BTreeMap;

use super::prefix::Family;

/// How the reason of [`super::io::Input::PeerDown`] begins when a certificate was not
/// accepted, by either side.
pub const REFUSED: &str = "refused";

/// The first version of the protocol that has planned moves.
const PLANS: u16 = 0x0101;
/// The first one that has IPv6 addresses.
const IPV6: u16 = 0x0102;

/// The sessions' state; a peer that was never up is down.
#[derive(Debug, Default)]
pub(super) struct Peers {
    /// The version that each peer speaks, of those that are up.
    up: BTreeMap<String, u16>,
    why: BTreeMap<String, String>,
    /// Why an operator has called peers dead since their last session began.
    assumed: BTreeMap<String, String>,
}

impl Peers {
    /// Gives why it was assumed dead, if it was: that is over.
    pub(super) fn set_up(&mut self, peer: &str, version: u16) -> Option<String> {
        self.up.insert(peer.to_owned(), version);
        self.why.remove(peer);
        self.assumed.remove(peer)
    }

    /// Until its next session.
    pub(super) fn assume_dead(&mut self, peer: &str, reason: &str) {
        self.assumed.insert(peer.to_owned(), reason.to_owned());
    }

    /// Why an operator has called it dead.
    pub(super) fn assumed_dead(&self, peer: &str) -> Option<&str> {
        self.assumed.get(peer).map(String::as_str)
    }

    /// All that are assumed dead, and why.
    pub(super) fn assumed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.assumed.iter().map(|(peer, why)| (peer.as_str(), why.as_str()))
    }

    pub(super) fn set_down(&mut self, peer: &str, why: &str) {
        self.up.remove(peer);
        self.why.insert(peer.to_owned(), why.to_owned());
    }

    pub(super) fn is_up(&self, peer: &str) -> bool {
        self.up.contains_key(peer)
    }

    /// Whether a peer that is up knows planned moves.
    pub(super) fn plans(&self, peer: &str) -> bool {
        self.up.get(peer).is_some_and(|version| *version >= PLANS)
    }

    /// Whether a peer that is up can be told of addresses of a family.
    pub(super) fn speaks(&self, peer: &str, family: Family) -> bool {
        family == Family::V4 || self.up.get(peer).is_some_and(|version| *version >= IPV6)
    }

    /// Whether the session is down for want of an accepted certificate.
    pub(super) fn is_refused(&self, peer: &str) -> bool {
        self.why.get(peer).is_some_and(|w| w.starts_with(REFUSED))
    }
}
