//! Revokes that a host has not acknowledged yet: repeated until it does, however long its
//! session is down.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::context::Context;
use super::io::event;
use crate::peer::message::{Epoch, Message};

/// Repetitions come no rarer than this while the session is up.
const SLOWEST: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Pending {
    epoch: Epoch,
    fence: bool,
    pause: Duration,
    /// `None` = waits for the session.
    next: Option<Instant>,
}

/// One address's open revokes, at most one a peer.
#[derive(Debug, Default)]
pub(super) struct Revokes {
    pending: BTreeMap<String, Pending>,
}

impl Revokes {
    /// Tells `peer` that `epoch` replaces its placement, until it acknowledges.
    pub(super) fn add(&mut self, cx: &mut Context<'_>, address: IpAddr, peer: &str, epoch: Epoch, fence: bool) {
        if self.pending.get(peer).is_some_and(|p| p.epoch >= epoch) {
            return;
        }
        let pause = cx.config.timers.revoke_retry;
        self.pending.insert(peer.to_owned(), Pending { epoch, fence, pause, next: None });
        let how = if fence { ", to fence its copy" } else { "" };
        cx.out.note(address, event::REVOKE_SENT, format!("to {peer}, epoch {epoch}{how}"));
        self.on_peer_up(cx, address, peer);
    }

    /// A newer grant to `peer` makes its revoke moot.
    pub(super) fn forget(&mut self, peer: &str) {
        self.pending.remove(peer);
    }

    pub(super) fn on_ack(&mut self, peer: &str, epoch: Epoch) {
        if self.pending.get(peer).is_some_and(|p| epoch >= p.epoch) {
            self.pending.remove(peer);
        }
    }

    pub(super) fn on_peer_up(&mut self, cx: &mut Context<'_>, address: IpAddr, peer: &str) {
        if let Some(pending) = self.pending.get_mut(peer) {
            pending.pause = cx.config.timers.revoke_retry;
            pending.send(cx, address, peer);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.pending.values().filter_map(|p| p.next).min()
    }

    pub(super) fn on_time(&mut self, cx: &mut Context<'_>, address: IpAddr) {
        for (peer, pending) in &mut self.pending {
            if pending.next.is_some_and(|at| at <= cx.now) {
                pending.pause = (pending.pause * 2).min(SLOWEST);
                pending.send(cx, address, peer);
            }
        }
    }
}

impl Pending {
    fn send(&mut self, cx: &mut Context<'_>, address: IpAddr, peer: &str) {
        if !cx.peers.is_up(peer) {
            self.next = None;
            return;
        }
        let drain = cx.config.timers.drain.as_millis().div_ceil(1000);
        let drain = u16::try_from(drain).unwrap_or(u16::MAX);
        cx.out.send(peer, Message::Revoke { address, epoch: self.epoch, fence: self.fence, drain });
        self.next = Some(cx.now + self.pause);
    }
}
