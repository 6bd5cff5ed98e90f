//! Duplicates, restarts and the order of events, without any session.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::peer::message::Epoch;

const CROSSING: Duration = Duration::from_secs(5);

fn certificate() -> Fingerprint {
    Fingerprint::of_der(b"of the peer")
}

/// A session's far end: what the tasks of a real one hold.
struct Far {
    id: SessionId,
    outgoing: mpsc::Receiver<Message>,
    stopped: oneshot::Receiver<()>,
}

impl Far {
    fn is_retired(&mut self) -> bool {
        matches!(self.outgoing.try_recv(), Err(mpsc::error::TryRecvError::Disconnected))
            && self.stopped.try_recv() != Ok(())
    }

    fn is_stopped(&mut self) -> bool {
        self.stopped.try_recv() == Ok(())
    }
}

fn message() -> Message {
    Message::Ready { address: IpAddr::V4(Ipv4Addr::LOCALHOST), epoch: Epoch::default() }
}

fn registry(site: &str, peer: &str) -> (Registry, watch::Receiver<bool>) {
    let mut registry = Registry::new(site.to_owned(), CROSSING);
    let up = registry.add(peer.to_owned(), certificate());
    (registry, up)
}

/// Brings up a session with the registry's peer.
fn establish(registry: &mut Registry, number: u64, dialled: bool, boot_id: u64, since: Instant) -> Far {
    let site = registry.peers.keys().next().expect("one peer").clone();
    let (queue, outgoing) = mpsc::channel(2);
    let (stop, stopped) = oneshot::channel();
    let id = SessionId(number);
    let link = Link { id, certificate: certificate(), dialled, boot_id, version: 0x0101, since, queue, stop };
    registry.note(Note::Established { site, link });
    Far { id, outgoing, stopped }
}

/// The events so far, in short.
fn events(registry: &mut Registry) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(event) = registry.next_event() {
        seen.push(match event {
            PeerEvent::Up { site, .. } => format!("up {site}"),
            PeerEvent::Down { site, reason, .. } => format!("down {site} {}", reason.as_str()),
            PeerEvent::Message { site, .. } => format!("message {site}"),
            PeerEvent::Refused { reason, .. } => format!("refused {reason}"),
        });
    }
    seen
}

fn say(registry: &mut Registry, far: &Far) {
    let site = registry.peers.keys().next().expect("one peer").clone();
    registry.note(Note::Message { site, id: far.id, message: message() });
}

fn end(registry: &mut Registry, far: &Far, reason: DownReason) {
    let site = registry.peers.keys().next().expect("one peer").clone();
    registry.note(Note::Ended { site, id: far.id, end: Failure::new(reason, "") });
}

#[test]
fn crossed_sessions_are_settled_alike_at_both_sites() {
    let now = Instant::now();
    // In either order of arrival, at either site, dc1's is kept: dc1 < dc2.
    for (site, peer) in [("dc1", "dc2"), ("dc2", "dc1")] {
        for kept_first in [true, false] {
            let (mut registry, up) = registry(site, peer);
            let dialled_by_lower = site == "dc1";
            let mut first = establish(&mut registry, 1, dialled_by_lower == kept_first, 7, now);
            let mut second = establish(&mut registry, 2, dialled_by_lower != kept_first, 7, now + CROSSING / 2);
            let (kept, retired) = if kept_first { (&mut first, &mut second) } else { (&mut second, &mut first) };
            assert!(retired.is_retired() && !kept.is_retired() && !kept.is_stopped(), "{site} {kept_first}");
            registry.send(peer, message());
            assert!(kept.outgoing.try_recv().is_ok());
            say(&mut registry, retired);
            say(&mut registry, kept);
            end(&mut registry, retired, DownReason::Replaced);
            let said = format!("message {peer}");
            assert_eq!(events(&mut registry), [format!("up {peer}"), said.clone(), said], "{site} {kept_first}");
            assert!(*up.borrow());
        }
    }
}

#[test]
fn newer_session_replaces_one_the_peer_has_lost() {
    let now = Instant::now();
    // (dialled, boot id, later): a restarted peer, a peer that redials, one that redials late.
    for (dialled, boot_id, later) in
        [(true, 8, Duration::ZERO), (false, 8, Duration::ZERO), (true, 7, Duration::ZERO), (false, 7, CROSSING)]
    {
        let (mut registry, up) = registry("dc1", "dc2");
        let mut older = establish(&mut registry, 1, true, 7, now);
        let newer = establish(&mut registry, 2, dialled, boot_id, now + later);
        assert!(older.is_stopped());
        say(&mut registry, &older);
        end(&mut registry, &older, DownReason::Closed);
        say(&mut registry, &newer);
        assert_eq!(events(&mut registry), ["up dc2", "down dc2 replaced", "up dc2", "message dc2"]);
        assert!(*up.borrow());
    }
}

#[test]
fn no_message_comes_while_the_peer_is_down() {
    let now = Instant::now();
    let (mut registry, up) = registry("dc1", "dc2");
    let kept = establish(&mut registry, 1, true, 7, now);
    let retired = establish(&mut registry, 2, false, 7, now);
    end(&mut registry, &kept, DownReason::Silent);
    say(&mut registry, &kept);
    say(&mut registry, &retired);
    assert_eq!(events(&mut registry), ["up dc2", "down dc2 silent"]);
    assert!(!*up.borrow());
}

#[test]
fn why_a_peer_is_down_is_said_when_it_changes() {
    let (mut registry, _up) = registry("dc1", "dc2");
    let mut fail = |reason| {
        registry.note(Note::Failed { site: "dc2".to_owned(), failure: Failure::new(reason, "") });
        events(&mut registry)
    };
    assert_eq!(fail(DownReason::ConnectionRefused), ["down dc2 connection-refused"]);
    assert!(fail(DownReason::ConnectionRefused).is_empty());
    assert_eq!(fail(DownReason::RefusedCertificate), ["down dc2 our-certificate-refused"]);
    let session = establish(&mut registry, 1, true, 7, Instant::now());
    registry.note(Note::Failed { site: "dc2".to_owned(), failure: Failure::new(DownReason::WrongSite, "") });
    end(&mut registry, &session, DownReason::RefusedCertificate);
    assert_eq!(events(&mut registry), ["up dc2", "down dc2 our-certificate-refused"]);
}

#[test]
fn peer_that_does_not_take_its_messages_loses_its_session() {
    let (mut registry, up) = registry("dc1", "dc2");
    let mut session = establish(&mut registry, 1, true, 7, Instant::now());
    assert_eq!(registry.send("dc2", message()), None);
    assert_eq!(registry.send("dc2", message()), None);
    assert_eq!(registry.send("dc2", message()), Some(Refusal::SlowPeer));
    assert!(session.is_stopped());
    assert!(!*up.borrow());
    assert_eq!(registry.send("dc2", message()), None);
    say(&mut registry, &session);
    end(&mut registry, &session, DownReason::Replaced);
    assert_eq!(events(&mut registry), ["up dc2", "down dc2 slow"]);
}

#[test]
fn strangers_are_no_peers() {
    let (mut registry, _up) = registry("dc1", "dc2");
    assert_eq!(registry.send("dc9", message()), None);
    registry.note(Note::Failed { site: "dc9".to_owned(), failure: Failure::new(DownReason::Closed, "") });
    registry.note(Note::Message { site: "dc9".to_owned(), id: SessionId(1), message: message() });
    assert!(events(&mut registry).is_empty());
}

#[test]
fn every_reason_has_a_name_of_its_own_and_a_remedy() {
    let reasons = [
        DownReason::ConnectionRefused,
        DownReason::Unreachable,
        DownReason::Unresolvable,
        DownReason::RefusedCertificate,
        DownReason::WrongCertificate,
        DownReason::WrongSite,
        DownReason::WrongVersion,
        DownReason::NotWamig,
        DownReason::Protocol,
        DownReason::Silent,
        DownReason::Slow,
        DownReason::Closed,
        DownReason::Replaced,
    ];
    let names: HashSet<_> = reasons.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(names.len(), reasons.len());
    for reason in reasons {
        assert!(reason.remedy().ends_with('.'), "{reason:?}");
    }
    assert!(DownReason::WrongCertificate.is_unauthorised() && !DownReason::ConnectionRefused.is_unauthorised());
}
