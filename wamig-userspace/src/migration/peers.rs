//! Which peers can be talked to.

use std::collections::BTreeMap;

/// How the reason of [`super::io::Input::PeerDown`] begins when a certificate was not
/// accepted, by either side.
pub const REFUSED: &str = "refused";

/// The sessions' state; a peer that was never up is down.
#[derive(Debug, Default)]
pub(super) struct Peers {
    up: BTreeMap<String, bool>,
    why: BTreeMap<String, String>,
}

impl Peers {
    pub(super) fn set_up(&mut self, peer: &str) {
        self.up.insert(peer.to_owned(), true);
        self.why.remove(peer);
    }

    pub(super) fn set_down(&mut self, peer: &str, why: &str) {
        self.up.insert(peer.to_owned(), false);
        self.why.insert(peer.to_owned(), why.to_owned());
    }

    pub(super) fn is_up(&self, peer: &str) -> bool {
        self.up.get(peer).copied().unwrap_or(false)
    }

    /// Whether the session is down for want of an accepted certificate.
    pub(super) fn is_refused(&self, peer: &str) -> bool {
        self.why.get(peer).is_some_and(|w| w.starts_with(REFUSED))
    }
}
