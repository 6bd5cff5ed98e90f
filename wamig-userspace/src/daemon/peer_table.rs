//! How the sessions with the peers are doing, for `wamig status`.

use std::collections::BTreeMap;

use crate::admin::status::Peer;
use crate::peer::DownReason;

/// Names of the states.
const UP: &str = "up";
const DOWN: &str = "down";
const REFUSED: &str = "refused";

/// Every configured peer.
#[derive(Debug)]
pub struct PeerTable {
    peers: BTreeMap<String, Peer>,
}

impl PeerTable {
    /// Peers with which there is no session yet.
    pub fn new(names: impl IntoIterator<Item = String>, now_unix_ms: u64) -> Self {
        Self { peers: names.into_iter().map(|n| (n.clone(), fresh(n, now_unix_ms))).collect() }
    }

    /// These are the peers from now on; those that were before are as they were.
    pub fn configure(&mut self, names: impl IntoIterator<Item = String>, now_unix_ms: u64) {
        let before = std::mem::take(&mut self.peers);
        let kept = |n: String| before.get(&n).cloned().unwrap_or_else(|| fresh(n, now_unix_ms));
        self.peers = names.into_iter().map(kept).map(|p| (p.name.clone(), p)).collect();
    }

    /// How many there are sessions with, and how many there are.
    pub fn count(&self) -> (usize, usize) {
        (self.peers.values().filter(|p| p.state == UP).count(), self.peers.len())
    }

    /// There is a session.
    pub fn up(&mut self, name: &str, now_unix_ms: u64) {
        self.set(name, UP, now_unix_ms, None, None);
    }

    /// There is none.
    pub fn down(&mut self, name: &str, now_unix_ms: u64, reason: DownReason, detail: &str) {
        let state = if reason.is_unauthorised() { REFUSED } else { DOWN };
        let text =
            if detail.is_empty() { reason.as_str().to_owned() } else { format!("{}: {detail}", reason.as_str()) };
        self.set(name, state, now_unix_ms, Some(text), Some(reason.remedy().to_owned()));
    }

    fn set(&mut self, name: &str, state: &str, now: u64, reason: Option<String>, remedy: Option<String>) {
        let Some(peer) = self.peers.get_mut(name) else { return };
        if peer.state != state {
            peer.since_unix_ms = now;
            state.clone_into(&mut peer.state);
        }
        peer.reason = reason;
        peer.remedy = remedy;
    }

    /// By name.
    pub fn list(&self) -> Vec<Peer> {
        self.peers.values().cloned().collect()
    }
}

fn fresh(name: String, now_unix_ms: u64) -> Peer {
    Peer {
        name,
        state: DOWN.to_owned(),
        since_unix_ms: now_unix_ms,
        reason: Some("not reached yet".to_owned()),
        remedy: Some("Wait a moment; if it stays, the reason will be told here.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_that_stay_keep_their_state() {
        let mut table = PeerTable::new(["dc2".to_owned(), "dc3".to_owned()], 5);
        table.up("dc2", 10);
        table.configure(["dc2".to_owned(), "dc4".to_owned()], 20);
        let list: Vec<_> = table.list().into_iter().map(|p| (p.name, p.state, p.since_unix_ms)).collect();
        assert_eq!(list, [("dc2".to_owned(), UP.to_owned(), 10), ("dc4".to_owned(), DOWN.to_owned(), 20)]);
        assert_eq!(table.count(), (1, 2));
    }

    #[test]
    fn a_state_counts_from_its_first_moment_and_names_the_latest_reason() {
        let mut table = PeerTable::new(["dc2".to_owned()], 5);
        table.down("dc2", 10, DownReason::ConnectionRefused, "10.255.2.2:7946");
        let peer = table.list().remove(0);
        assert_eq!((peer.state.as_str(), peer.since_unix_ms), (DOWN, 5));
        assert_eq!(peer.reason.as_deref(), Some("connection-refused: 10.255.2.2:7946"));
        table.down("dc2", 20, DownReason::RefusedCertificate, "");
        let peer = table.list().remove(0);
        assert_eq!((peer.state.as_str(), peer.since_unix_ms), (REFUSED, 20));
        assert_eq!(peer.remedy.as_deref(), Some(DownReason::RefusedCertificate.remedy()));
        table.up("dc2", 30);
        table.up("stranger", 30);
        let peer = table.list().remove(0);
        assert_eq!((peer.state.as_str(), peer.since_unix_ms, peer.reason), (UP, 30, None));
    }
}
