//! Which session is *the* session with each peer. Does no IO and reads no clock: notes from
//! the tasks and messages from the daemon go in, events and queued messages come out.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::event::{DownReason, PeerEvent};
use super::fingerprint::Fingerprint;
use super::greeting::Failure;
use super::message::Message;
use super::refusal::Refusal;

/// Names a session among all of this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct SessionId(pub(super) u64);

/// The registry's end of a session. Dropping `queue` retires the session: nothing more is
/// sent, and it ends by itself after it has been read a little longer.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: SessionId,
    /// The peer's.
    pub(super) certificate: Fingerprint,
    /// Whether this side dialled.
    pub(super) dialled: bool,
    /// The peer's.
    pub(super) boot_id: u64,
    /// The peer's, of the protocol.
    pub(super) version: u16,
    /// When the greeting was over.
    pub(super) since: Instant,
    pub(super) queue: mpsc::Sender<Message>,
    /// Ends the session at once.
    pub(super) stop: oneshot::Sender<()>,
}

/// What the tasks tell the registry.
#[derive(Debug)]
pub(super) enum Note {
    /// A session stands.
    Established { site: String, link: Link },
    /// A peer says.
    Message { site: String, id: SessionId, message: Message },
    /// A session is over.
    Ended { site: String, id: SessionId, end: Failure },
    /// An attempt at a session failed.
    Failed { site: String, failure: Failure },
    /// For the daemon as it is.
    Event(PeerEvent),
}

/// One peer.
#[derive(Debug)]
struct Slot {
    /// Sessions with any other are of a former configuration.
    certificate: Fingerprint,
    current: Option<Link>,
    /// Retired sessions that are still read.
    retired: HashSet<SessionId>,
    /// Why it is down, as last reported.
    reported: Option<DownReason>,
    /// Tells the dialler.
    up: watch::Sender<bool>,
}

/// What becomes of two sessions with one peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// Both stand; the older is the one to keep.
    RetireNewer,
    /// Both stand; the newer is the one to keep.
    RetireOlder,
    /// The peer no longer has the older.
    ReplaceOlder,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Registry {
    site: String,
    peers: BTreeMap<String, Slot>,
    /// Two sessions opened within this time may have crossed on the way.
    crossing: Duration,
    pending: VecDeque<PeerEvent>,
}

impl Registry {
    /// A registry of no peers, for the site with this name.
    pub(super) fn new(site: String, crossing: Duration) -> Self {
        Self { site, peers: BTreeMap::new(), crossing, pending: VecDeque::new() }
    }

    /// Adds a peer; the answer tells whether there is a session with it.
    pub(super) fn add(&mut self, peer: String, certificate: Fingerprint) -> watch::Receiver<bool> {
        let (up, watched) = watch::channel(false);
        self.peers.insert(peer, Slot { certificate, current: None, retired: HashSet::new(), reported: None, up });
        watched
    }

    /// Ends what there is with a peer, and knows it no more.
    pub(super) fn remove(&mut self, peer: &str) {
        let Some(link) = self.peers.remove(peer).and_then(|slot| slot.current) else { return };
        // An error means that the session has just ended by itself.
        let _ = link.stop.send(());
        let (reason, detail) = (DownReason::Reconfigured, "by this site's configuration".to_owned());
        self.pending.push_back(PeerEvent::Down { site: peer.to_owned(), reason, detail });
    }

    /// Takes the oldest event the daemon has not seen.
    pub(super) fn next_event(&mut self) -> Option<PeerEvent> {
        self.pending.pop_front()
    }

    /// How many events the daemon has not seen.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Takes a note.
    pub(super) fn note(&mut self, note: Note) {
        match note {
            Note::Established { site, link } => self.on_established(site, link),
            Note::Message { site, id, message } => self.on_message(site, id, message),
            Note::Ended { site, id, end } => self.on_ended(site, id, end),
            Note::Failed { site, failure } => self.on_failed(site, failure),
            Note::Event(event) => self.pending.push_back(event),
        }
    }

    /// Queues a message. It is lost when there is no session: at-least-once is the sender's
    /// business. A peer whose queue is full loses its session: `Some` tells which refusal to count.
    pub(super) fn send(&mut self, site: &str, message: Message) -> Option<Refusal> {
        let slot = self.peers.get_mut(site)?;
        let queued = slot.current.as_ref()?.queue.try_send(message);
        if !matches!(queued, Err(TrySendError::Full(_))) {
            // Closed: the session's end is on its way here as a note.
            return None;
        }
        if let Some(link) = slot.current.take() {
            // An error means that the session has just ended by itself.
            let _ = link.stop.send(());
        }
        slot.up.send_replace(false);
        let failure = Failure::new(DownReason::Slow, "too many messages wait to be sent");
        self.on_failed(site.to_owned(), failure);
        Some(Refusal::SlowPeer)
    }

    fn on_established(&mut self, site: String, link: Link) {
        // Dropping the link of any other retires its session; and one may be over by now without
        // a word, with the dialler of a former configuration.
        let Some(slot) = self.peers.get_mut(&site).filter(|slot| slot.certificate == link.certificate) else { return };
        if link.stop.is_closed() {
            return;
        }
        let version = link.version;
        let Some(older) = slot.current.take() else {
            slot.current = Some(link);
            slot.reported = None;
            slot.up.send_replace(true);
            self.pending.push_back(PeerEvent::Up { site, version });
            return;
        };
        match verdict(&self.site, &site, self.crossing, &older, &link) {
            Verdict::RetireNewer => {
                slot.retired.insert(link.id);
                slot.current = Some(older);
            }
            Verdict::RetireOlder => {
                slot.retired.insert(older.id);
                slot.current = Some(link);
            }
            Verdict::ReplaceOlder => {
                // An error means that the older session has just ended by itself.
                let _ = older.stop.send(());
                slot.current = Some(link);
                let reason = DownReason::Replaced;
                let detail = "the peer opened a new session".to_owned();
                self.pending.push_back(PeerEvent::Down { site: site.clone(), reason, detail });
                self.pending.push_back(PeerEvent::Up { site, version });
            }
        }
    }

    fn on_message(&mut self, site: String, id: SessionId, message: Message) {
        let Some(slot) = self.peers.get(&site) else { return };
        let is_current = slot.current.as_ref().is_some_and(|link| link.id == id);
        // What a retired session still brings is heard as long as the peer is up.
        if is_current || (slot.current.is_some() && slot.retired.contains(&id)) {
            self.pending.push_back(PeerEvent::Message { site, message });
        }
    }

    fn on_ended(&mut self, site: String, id: SessionId, end: Failure) {
        let Some(slot) = self.peers.get_mut(&site) else { return };
        slot.retired.remove(&id);
        if slot.current.as_ref().is_some_and(|link| link.id == id) {
            slot.current = None;
            slot.up.send_replace(false);
            self.on_failed(site, end);
        }
    }

    fn on_failed(&mut self, site: String, failure: Failure) {
        let Some(slot) = self.peers.get_mut(&site) else { return };
        if slot.current.is_some() || slot.reported == Some(failure.reason) {
            return;
        }
        slot.reported = Some(failure.reason);
        let Failure { reason, detail } = failure;
        self.pending.push_back(PeerEvent::Down { site, reason, detail });
    }
}

/// Both sites come to the same answer, since both see the same directions and boot ids.
fn verdict(site: &str, peer: &str, crossing: Duration, older: &Link, newer: &Link) -> Verdict {
    let crossed = older.boot_id == newer.boot_id
        && older.dialled != newer.dialled
        && newer.since.saturating_duration_since(older.since) < crossing;
    if !crossed {
        return Verdict::ReplaceOlder;
    }
    // The one that the site with the lower name has dialled.
    let newer_wins = newer.dialled == (site < peer);
    if newer_wins { Verdict::RetireOlder } else { Verdict::RetireNewer }
}

#[cfg(test)]
mod tests;
