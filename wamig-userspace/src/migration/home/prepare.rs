//! A planned move: an operator says that the server is about to go to a peer, which keeps a
//! transfer address for it and may then take it over without a search for it here.
//!
//! ```text
//!          prepare                  Claim, Ready of that peer
//!   HOME ───────────► PREPARED ─────────────────────────────► CLAIMED
//!    ▲                   │ unprepare, freeze, window over, the peer cannot,
//!    └───────────────────┘ another peer's claim is granted
//! ```
//! The preparation has an epoch of its own, always the address's highest: whatever ends it
//! raises that, and tells the peer by Revoke, so that nobody can act on it any more.

use std::net::IpAddr;
use std::time::Instant;

use super::claim::Claim;
use super::{HomeServer, Phase};
use crate::migration::context::Context;
use crate::migration::io::event;
use crate::migration::order::{Plan, Refusal};
use crate::migration::planned::Planned;
use crate::migration::prefix::Family;
use crate::migration::record::Placement;
use crate::migration::status::{Reason, State, reason};
use crate::peer::message::{Epoch, Message, NackReason};

/// A preparation while it lasts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Preparation {
    planned: Planned,
    /// Kept by the peer; `None` = it has not answered in this session.
    transfer: Option<IpAddr>,
    until: Instant,
    /// When to ask the peer (again); `None` = it has answered, or waits for its session.
    next: Option<Instant>,
}

impl Preparation {
    pub(super) fn resume(now: Instant, until: Instant, planned: Planned) -> Self {
        Self { planned, transfer: None, until, next: Some(now) }
    }

    pub(super) fn planned(&self) -> &Planned {
        &self.planned
    }

    pub(super) fn peer(&self) -> &str {
        &self.planned.peer
    }

    pub(super) fn transfer(&self) -> Option<IpAddr> {
        self.transfer
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Instant {
        self.next.map_or(self.until, |at| at.min(self.until))
    }
}

impl HomeServer {
    pub(super) fn plan_prepare(&self, cx: &Context<'_>, to: &str) -> Plan {
        let address = self.address();
        let refuse = |text: String, remedy: String| Err(Refusal::new(text, remedy));
        if self.frozen.is_some() {
            let remedy = format!("`wamig unfreeze {address} --reason TEXT` first.");
            return refuse("it is frozen".to_owned(), remedy);
        }
        if !self.server.hosts.iter().any(|h| h == to) {
            let hosts = self.server.hosts.join(", ");
            return refuse(format!("{to} is not among its hosts"), format!("Its hosts are {hosts}."));
        }
        if let Some(p) = &self.prepared {
            let text = format!("it is prepared for {} already: {}", p.peer(), p.planned.reason);
            return refuse(text, format!("`wamig unprepare {address} --reason TEXT` first."));
        }
        match &self.phase {
            Phase::Home => {}
            Phase::Away { placement, .. } if placement.peer == to => {
                return refuse(format!("it is at {to} already"), "Nothing is to be done.".to_owned());
            }
            Phase::Away { placement, .. } => {
                let remedy = format!("Move it to {to}: while it is away, a claim is granted without a search for it.");
                return refuse(format!("it is away, at {}", placement.peer), remedy);
            }
            Phase::Probing { .. } | Phase::Claimed { .. } | Phase::Returning { .. } => {
                let remedy = "Wait until `wamig status` shows it as HOME or AWAY, a few seconds.".to_owned();
                return refuse("it is being moved".to_owned(), remedy);
            }
        }
        if let Some(said) = cx.peers.assumed_dead(to) {
            let remedy = format!("It ends by itself when a session with {to} is up again.");
            return refuse(format!("{to} is assumed dead: {said}"), remedy);
        }
        if !cx.peers.is_up(to) {
            return refuse(format!("{to} is down"), format!("Restore the session to {to}: see `wamig status`."));
        }
        if !cx.peers.plans(to) {
            let text = format!("wamig at {to} is older and knows no planned moves");
            return refuse(text, format!("Upgrade it, or move the server without: {to} claims it when it is heard."));
        }
        if !cx.peers.speaks(to, Family::of(address)) {
            let text = format!("wamig at {to} is older and knows no IPv6");
            return refuse(text, format!("Upgrade wamig at {to}."));
        }
        if cx.gateway(address).is_none() {
            let text = "the own router's MAC address is not known yet".to_owned();
            return refuse(text, cx.gateway_remedy(address));
        }
        let window = cx.config.timers.prepared.as_secs();
        Ok(vec![
            format!("{to} keeps a transfer address for it; no traffic moves yet"),
            format!("within {window} s {to} takes it over when it is heard there, without a search for it here"),
            format!("after that, or by `wamig unprepare {address}`, it is as before"),
        ])
    }

    pub(super) fn plan_unprepare(&self) -> Plan {
        match &self.prepared {
            Some(p) => Ok(vec![format!("{} gives the transfer address back; the server stays here", p.peer())]),
            None => Err(Refusal::new("no move of it is prepared", "Nothing is to be done.")),
        }
    }

    pub(super) fn prepare(&mut self, cx: &mut Context<'_>, to: &str, reason: &str) {
        let from = self.state();
        self.epoch = self.epoch.next();
        let planned = Planned { peer: to.to_owned(), reason: reason.to_owned() };
        let until = cx.now + cx.config.timers.prepared;
        self.prepared = Some(Preparation { planned, transfer: None, until, next: Some(cx.now) });
        self.persist(cx, None);
        self.since = cx.now;
        self.tell(cx, from, self.state(), &format!("its move to {to} is planned: {reason}"));
    }

    pub(super) fn unprepare(&mut self, cx: &mut Context<'_>, reason: &str) {
        self.end_preparation(cx, reason);
    }

    /// It is as if nothing had been planned; the peer is told.
    pub(super) fn end_preparation(&mut self, cx: &mut Context<'_>, why: &str) {
        let from = self.state();
        let Some(ended) = self.prepared.take() else { return };
        self.epoch = self.epoch.next();
        self.persist(cx, None);
        self.revokes.add(cx, self.server.address, ended.peer(), self.epoch, false);
        if from != self.state() {
            self.since = cx.now;
        }
        self.tell(cx, from, self.state(), why);
    }

    /// Whether the server may go to `peer` without a search.
    pub(super) fn is_prepared_for(&self, peer: &str) -> bool {
        self.prepared.as_ref().is_some_and(|p| p.peer() == peer)
    }

    // ---- what is said to the peer, and what it says -----------------------------------

    /// A new session knows nothing of what was answered in the last.
    pub(super) fn prepare_anew(&mut self, cx: &Context<'_>, peer: &str) {
        if let Some(p) = self.prepared.as_mut().filter(|p| p.peer() == peer) {
            (p.transfer, p.next) = (None, Some(cx.now));
        }
    }

    pub(super) fn preparation_on_time(&mut self, cx: &mut Context<'_>) {
        let Some(p) = &mut self.prepared else { return };
        let (peer, window) = (p.planned.peer.clone(), p.until.saturating_duration_since(cx.now));
        if window.is_zero() {
            let why = format!("{peer} has not heard it within {} s", cx.config.timers.prepared.as_secs());
            cx.out.alert(Some(self.server.address), format!("its planned move ends: {why}"));
            self.end_preparation(cx, &why);
            return;
        }
        if p.next.is_none_or(|at| at > cx.now) {
            return;
        }
        let up = cx.peers.is_up(&peer);
        p.next = up.then(|| cx.now + cx.config.timers.ready_retry);
        let (true, Some(gateway_mac)) = (up, cx.gateway(self.server.address)) else { return };
        let (address, epoch, mac) = (self.server.address, self.epoch, self.server.mac);
        let (lease, profile) = (Self::lease(cx), self.profile(cx, gateway_mac));
        let window = u16::try_from(window.as_secs().max(1)).unwrap_or(u16::MAX);
        cx.out.note(address, event::PREPARE_SENT, format!("to {peer}, epoch {epoch}, for {window} s"));
        cx.out.send(&peer, Message::Prepare { address, epoch, mac, lease, window, profile });
    }

    /// `usable`: packets for the server can be sent to `transfer`.
    pub(in crate::migration) fn on_prepare_ack(
        &mut self,
        cx: &mut Context<'_>,
        peer: &str,
        epoch: Epoch,
        transfer: IpAddr,
        usable: bool,
    ) {
        if !self.is_prepared_for(peer) || epoch != self.epoch {
            return;
        }
        if !usable {
            let why = format!("{peer} offers {transfer}, which cannot be a transfer address");
            cx.out.alert(Some(self.server.address), format!("its planned move ends: {why}"));
            self.end_preparation(cx, &why);
            return;
        }
        let Some(p) = self.prepared.as_mut().filter(|p| p.transfer.is_none()) else { return };
        (p.transfer, p.next) = (Some(transfer), None);
        // What it claimed before it knew of the plan is undone by it.
        self.known.insert(peer.to_owned(), epoch);
        cx.out.note(self.server.address, event::PREPARE_ACK_RECEIVED, format!("from {peer}, it keeps {transfer}"));
    }

    pub(in crate::migration) fn on_prepare_nack(
        &mut self,
        cx: &mut Context<'_>,
        peer: &str,
        epoch: Epoch,
        reason: NackReason,
        last_epoch: Epoch,
    ) {
        if !self.is_prepared_for(peer) || epoch != self.epoch {
            return;
        }
        let why = match reason {
            NackReason::Unable => format!("{peer} has no room for it: see `wamig status` there"),
            NackReason::Stale => format!("{peer} knows a newer epoch of it, {last_epoch}; prepare it again"),
            NackReason::Unauthorised | NackReason::NotHome | NackReason::AliveAtHome | NackReason::Frozen => {
                format!("{peer} is not configured to host it")
            }
        };
        cx.out.alert(Some(self.server.address), format!("its planned move ends: {why}"));
        if last_epoch > self.epoch {
            self.lost_log(cx, last_epoch, peer);
        }
        self.end_preparation(cx, &why);
    }

    // ---- the server goes ----------------------------------------------------------------

    /// The peer has it: granted without a search; and, when the peer acts on the preparation
    /// itself, under that epoch, so that its Ready may follow at once.
    pub(super) fn take_over(&mut self, cx: &mut Context<'_>, peer: &str, claim: &Claim) {
        let (Some(gateway_mac), Some(p)) = (cx.gateway(self.server.address), &self.prepared) else {
            self.nack(cx, peer, NackReason::Stale, "the own router's MAC address is not known yet");
            return;
        };
        let (transfer, evidence) = (claim.transfer, claim.evidence.as_str());
        let plan = format!("as planned ({}), evidence {evidence}", p.planned.reason);
        let same = p.transfer.is_none_or(|kept| kept == transfer);
        cx.out.note(self.server.address, event::CLAIM_RECEIVED, format!("{peer} has it, by {transfer}, {plan}"));
        if claim.token && claim.last_epoch == self.epoch && same {
            let (peer, epoch) = (peer.to_owned(), self.epoch);
            let grant = Placement { peer, transfer, epoch, gateway_mac };
            self.stop_looking(cx, &grant.peer);
            let from = self.state();
            self.prepared = None;
            self.ack(cx, &grant);
            self.promise(cx, from, grant, None, Some(plan));
        } else {
            self.stop_looking(cx, peer);
            self.grant(cx, peer, transfer, None, Some(plan));
        }
    }

    /// The peer's Ready has overtaken its claim, or the claim is lost.
    pub(super) fn take_over_unclaimed(&mut self, cx: &mut Context<'_>, peer: &str, epoch: Epoch) {
        if !self.is_prepared_for(peer) || epoch != self.epoch {
            return;
        }
        let (Some(gateway_mac), Some(p)) = (cx.gateway(self.server.address), &self.prepared) else { return };
        let Some(transfer) = p.transfer else { return };
        let plan = format!("as planned ({}), its claim is not here", p.planned.reason);
        self.stop_looking(cx, peer);
        let from = self.state();
        self.prepared = None;
        let grant = Placement { peer: peer.to_owned(), transfer, epoch, gateway_mac };
        self.promise(cx, from, grant, None, Some(plan));
    }

    /// Another peer's claim that is being looked into is over.
    fn stop_looking(&mut self, cx: &mut Context<'_>, peer: &str) {
        let Phase::Probing { peer: other, .. } = &mut self.phase else { return };
        let other = std::mem::take(other);
        self.phase = Phase::Home;
        if other != peer {
            self.nack(cx, &other, NackReason::Stale, &format!("it goes to {peer} as planned"));
        }
    }

    /// What is planned and what to do next, for `wamig status`.
    pub(super) fn prepared_reason(&self) -> Option<Reason> {
        let p = self.prepared.as_ref().filter(|_| self.state() == State::Prepared)?;
        let (address, peer) = (self.address(), p.peer());
        Some(if p.transfer.is_some() {
            let remedy = format!(
                "Move it to {peer} now (the operator said: {}); `wamig unprepare {address} --reason TEXT` if it is not to go.",
                p.planned.reason
            );
            Reason { text: reason::PREPARED, remedy }
        } else {
            let remedy =
                format!("Wait for {peer}'s answer before you move it; if none comes, see `wamig status` there.");
            Reason { text: reason::PREPARING, remedy }
        })
    }
}
