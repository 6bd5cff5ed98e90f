//! One server whose home is this site: where it is, and who may say so.
//!
//! The home is the only writer of the address's epoch. It gives a new one with every grant
//! and with every return, and makes it durable before it tells anyone.
//!
//! ```text
//!          Claim, silent here        Ready, barrier
//!   HOME ───────────────────► CLAIMED ─────────────► AWAY ◄──► STALE
//!    ▲ ▲        timeout          │                    │ evidence  │
//!    │ └─────────────────────────┘                    ▼           │
//!    └─────────── flows out, frame re-injected ── RETURNING ◄─────┘
//! ```
//! HOME, AWAY and STALE are shown as FROZEN while nothing may move it, HOME as PREPARED while
//! its move is planned.

mod assumed;
mod claim;
mod comeback;
mod freeze;
mod order;
mod prepare;
mod reload;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use wamig_openflow::{FlowMod, MacAddr, PortNo};

use super::config::{Family, Server, Timers};
use super::context::Context;
use super::cookie::{self, Role};
use super::damping::Moves;
use super::flows;
use super::io::{BatchId, Change};
use super::peers::Peers;
use super::planned::Planned;
use super::record::{Freeze, Placement, Record};
use super::revoke::Revokes;
use super::status::{self, AddressStatus, Reason, State, reason};
use crate::peer::message::{Epoch, Message, NackReason, Renewal};
pub(super) use claim::Claim;
use prepare::Preparation;

/// A frame that waits for the flows to be gone.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Held {
    in_port: PortNo,
    data: Bytes,
}

/// Why an away server's flows go out.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Why {
    /// It is back; `fence`: but its copy is alive as well.
    Seen { fence: bool },
    /// An operator said so; `fence`: its copy may be alive.
    Ordered { fence: bool },
    /// Its host released it.
    Released(Epoch),
}

/// How far a return is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// The host is being asked whether its copy is alive.
    Query { resend: Instant, deadline: Instant },
    /// The flows are going out.
    Removing { batch: BatchId },
    /// The switch did not remove them; once more.
    Again { at: Instant },
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Phase {
    Home,
    /// A claim came; the server is looked for here before it is granted. Shown as HOME.
    Probing {
        peer: String,
        transfer: IpAddr,
        left: u8,
        next: Instant,
        until: Instant,
    },
    Claimed {
        grant: Placement,
        previous: Option<Placement>,
        deadline: Instant,
        switching: Option<BatchId>,
        /// An operator had ordered it.
        planned: bool,
    },
    Away {
        placement: Placement,
        lease_until: Instant,
        stale: bool,
        /// While stale: when to ask the host next whether it holds the placement.
        ask: Option<Instant>,
    },
    Returning {
        placement: Placement,
        others: Vec<String>,
        held: Vec<Held>,
        why: Why,
        step: Step,
    },
}

/// One server of ours.
#[derive(Debug)]
pub(super) struct HomeServer {
    server: Server,
    /// Highest epoch given out.
    epoch: Epoch,
    phase: Phase,
    since: Instant,
    revokes: Revokes,
    /// The newest epoch that each peer has shown to know in its present session: a claim
    /// that knows less was overtaken by what it would undo.
    known: BTreeMap<String, Epoch>,
    stranger: Option<Instant>,
    /// No trigger moves it.
    frozen: Option<Freeze>,
    /// Its move is planned: only in the phases Home and Probing, and never while it is frozen.
    prepared: Option<Preparation>,
    moves: Moves,
    /// A copy at home is not let in until then; its every sign makes it later.
    shut_out: Option<Instant>,
    /// When it was last told that it is heard where it may not be.
    unwelcome: Option<Instant>,
    /// What the switch said when it refused the flows of the last change.
    switch_refused: Option<String>,
}

impl HomeServer {
    /// A server at home of which nothing is remembered.
    pub(super) fn new(server: Server, now: Instant) -> Self {
        Self {
            server,
            epoch: Epoch { incarnation: 1, counter: 0 },
            phase: Phase::Home,
            since: now,
            revokes: Revokes::default(),
            known: BTreeMap::new(),
            stranger: None,
            frozen: None,
            prepared: None,
            moves: Moves::default(),
            shut_out: None,
            unwelcome: None,
            switch_refused: None,
        }
    }

    /// Takes up what was recorded: an away server stays away, a frozen one frozen, and a planned
    /// move may take as long as if it had just been ordered.
    pub(super) fn resume(
        &mut self,
        now: Instant,
        timers: &Timers,
        epoch: Epoch,
        placement: Option<Placement>,
        frozen: Option<Freeze>,
        planned: Option<Planned>,
    ) {
        self.epoch = epoch;
        self.frozen = frozen;
        if let Some(placement) = placement {
            let lease_until = now + timers.lease;
            self.phase = Phase::Away { placement, lease_until, stale: false, ask: None };
        } else if let Some(planned) = planned.filter(|p| self.server.hosts.contains(&p.peer)) {
            self.prepared = Some(Preparation::resume(now, now + timers.prepared, planned));
        }
    }

    fn address(&self) -> IpAddr {
        self.server.address
    }

    pub(super) fn family(&self) -> Family {
        Family::of(self.address())
    }

    pub(super) fn mac(&self) -> MacAddr {
        self.server.mac
    }

    pub(super) fn is(&self, address: IpAddr) -> bool {
        self.server.address == address
    }

    /// The transfer address that this server's flows lead to or will lead to.
    pub(super) fn uses(&self, transfer: IpAddr) -> bool {
        let kept = self.prepared.as_ref().and_then(Preparation::transfer) == Some(transfer);
        match &self.phase {
            Phase::Home => kept,
            Phase::Probing { transfer: t, .. } => kept || *t == transfer,
            Phase::Claimed { grant, previous, .. } => {
                grant.transfer == transfer || previous.as_ref().is_some_and(|p| p.transfer == transfer)
            }
            Phase::Away { placement, .. } | Phase::Returning { placement, .. } => placement.transfer == transfer,
        }
    }

    pub(super) fn state(&self) -> State {
        match &self.phase {
            Phase::Home | Phase::Probing { .. } | Phase::Away { .. } if self.frozen.is_some() => State::Frozen,
            Phase::Home | Phase::Probing { .. } if self.prepared.is_some() => State::Prepared,
            Phase::Home | Phase::Probing { .. } => State::Home,
            Phase::Claimed { .. } => State::Claimed,
            Phase::Away { stale: false, .. } => State::Away,
            Phase::Away { stale: true, .. } => State::Stale,
            Phase::Returning { .. } => State::Returning,
        }
    }

    fn enter(&mut self, cx: &mut Context<'_>, phase: Phase, why: &str) {
        self.enter_from(cx, self.state(), phase, why);
    }

    /// `from`: the state before what belongs to it was taken away.
    fn enter_from(&mut self, cx: &mut Context<'_>, from: State, phase: Phase, why: &str) {
        if !matches!(phase, Phase::Away { .. }) {
            (self.shut_out, self.unwelcome) = (None, None);
        }
        self.phase = phase;
        let to = self.state();
        if from != to {
            self.since = cx.now;
            self.tell(cx, from, to, why);
        }
    }

    fn tell(&self, cx: &mut Context<'_>, from: State, to: State, why: &str) {
        let epoch = self.placed().map_or(self.epoch, |p| p.epoch);
        let (verb, role, from, to) = (cx.verb, status::Role::Home, from.as_str(), to.as_str());
        cx.out.change(self.address(), Change { verb, role, from, to, epoch, why: why.to_owned() });
    }

    /// The placement that it is at, going to or coming from.
    fn placed(&self) -> Option<&Placement> {
        match &self.phase {
            Phase::Home | Phase::Probing { .. } => None,
            Phase::Claimed { grant: p, .. }
            | Phase::Away { placement: p, .. }
            | Phase::Returning { placement: p, .. } => Some(p),
        }
    }

    fn persist(&self, cx: &mut Context<'_>, placement: Option<&Placement>) {
        let (address, epoch, frozen) = (self.address(), self.epoch, self.frozen.clone());
        let (placement, planned) = (placement.cloned(), self.prepared.as_ref().map(|p| p.planned().clone()));
        cx.out.persist(Record::Home { address, epoch, placement, frozen, planned });
    }

    // ---- leases and sessions ------------------------------------------------------------

    /// A renewal; true when it is granted. One that does not fit is answered by a revoke.
    pub(super) fn on_renewal(&mut self, cx: &mut Context<'_>, peer: &str, renewal: Renewal) -> bool {
        let fits = |p: &Placement| p.peer == peer && p.epoch == renewal.epoch;
        let from = self.state();
        match &mut self.phase {
            Phase::Away { placement, lease_until, stale, ask } if fits(placement) => {
                *lease_until = cx.now + cx.config.timers.lease;
                *ask = None;
                *stale = false;
                if from != self.state() {
                    self.since = cx.now;
                    self.tell(cx, from, State::Away, &format!("{peer} renewed it"));
                }
                return true;
            }
            Phase::Claimed { grant, previous, .. } if fits(grant) || previous.as_ref().is_some_and(fits) => {
                return true;
            }
            // The revoke comes once the return is done.
            Phase::Returning { placement, step, .. } if fits(placement) => return matches!(step, Step::Query { .. }),
            _ => {}
        }
        if !self.server.hosts.iter().any(|h| h == peer) {
            self.nack(cx, peer, NackReason::Unauthorised, &format!("{peer} is not among its hosts"));
            return false;
        }
        if renewal.epoch >= self.epoch {
            self.lost_log(cx, renewal.epoch, peer);
        }
        self.revokes.add(cx, self.server.address, peer, self.epoch, false);
        false
    }

    pub(super) fn on_peer_up(&mut self, cx: &mut Context<'_>, peer: &str) {
        self.known.remove(peer);
        self.revokes.on_peer_up(cx, self.server.address, peer);
        self.prepare_anew(cx, peer);
        if matches!(&self.phase, Phase::Away { placement, stale: true, .. } if placement.peer == peer) {
            self.ask(cx);
        }
    }

    pub(super) fn on_peer_down(&mut self, cx: &mut Context<'_>, peer: &str) {
        match &mut self.phase {
            Phase::Probing { peer: p, .. } if p == peer => self.phase = Phase::Home,
            Phase::Claimed { grant, switching: None, .. } if grant.peer == peer => {
                self.abort(cx, false, &format!("{peer} is down"));
            }
            Phase::Away { placement, stale: false, .. } if placement.peer == peer => {
                self.go_stale(cx, &format!("{peer} is down; its flows stay"));
            }
            Phase::Returning { placement, step: Step::Query { .. }, .. } if placement.peer == peer => {
                self.go_home(cx, false, &format!("{peer} is down"));
            }
            _ => {}
        }
    }

    fn go_stale(&mut self, cx: &mut Context<'_>, why: &str) {
        let Phase::Away { placement, lease_until, .. } = &self.phase else { return };
        let (placement, lease_until) = (placement.clone(), *lease_until);
        cx.out.alert(Some(self.server.address), format!("stale: {why}"));
        self.enter(cx, Phase::Away { placement, lease_until, stale: true, ask: None }, why);
        self.ask(cx);
    }

    /// A stale placement that its host has let go of ends by the host's Release: it is asked
    /// as soon as it can be, and at every renewal's time.
    fn ask(&mut self, cx: &mut Context<'_>) {
        let Phase::Away { placement, stale: true, ask, .. } = &mut self.phase else { return };
        *ask = cx.peers.is_up(&placement.peer).then(|| cx.now + cx.config.timers.renew);
        if ask.is_some() {
            let query = Message::Query { address: self.server.address, epoch: placement.epoch };
            cx.out.send(&placement.peer, query);
        }
    }

    // ---- time and the switch ------------------------------------------------------------

    pub(super) fn deadline(&self) -> Option<Instant> {
        let own = match &self.phase {
            Phase::Home => None,
            Phase::Probing { next, .. } => Some(*next),
            Phase::Claimed { deadline, switching, .. } => switching.is_none().then_some(*deadline),
            Phase::Away { stale: true, ask, .. } => *ask,
            Phase::Away { lease_until, .. } => Some(*lease_until),
            Phase::Returning { step, .. } => match step {
                Step::Query { resend, deadline } => Some(*resend.min(deadline)),
                Step::Removing { .. } => None,
                Step::Again { at } => Some(*at),
            },
        };
        let prepared = self.prepared.as_ref().map(Preparation::deadline);
        [own, prepared, self.revokes.deadline()].into_iter().flatten().min()
    }

    pub(super) fn on_time(&mut self, cx: &mut Context<'_>) {
        let (now, timers) = (cx.now, &cx.config.timers);
        self.revokes.on_time(cx, self.server.address);
        self.preparation_on_time(cx);
        let again = matches!(&self.phase, Phase::Returning { step: Step::Again { at }, .. } if *at <= now);
        match &mut self.phase {
            Phase::Probing { next, .. } if *next <= now => self.probe(cx),
            Phase::Claimed { deadline, switching: None, grant, .. } if *deadline <= now => {
                let why = format!("{} did not get ready in time", grant.peer);
                self.abort(cx, false, &why);
            }
            Phase::Away { stale: true, ask: Some(at), .. } if *at <= now => self.ask(cx),
            Phase::Away { placement, lease_until, stale: false, .. } if *lease_until <= now => {
                let why = format!("{} has not renewed it for a lease's time; its flows stay", placement.peer);
                self.go_stale(cx, &why);
            }
            Phase::Returning { placement, step: Step::Query { resend, deadline }, .. } => {
                if *deadline <= now {
                    let why = format!("{} does not answer for its copy", placement.peer);
                    self.go_home(cx, false, &why);
                } else if *resend <= now {
                    *resend = now + timers.query_retry;
                    let query = Message::Query { address: self.server.address, epoch: placement.epoch };
                    cx.out.send(&placement.peer, query);
                }
            }
            Phase::Returning { step: step @ Step::Again { .. }, .. } if again => {
                let batch = cx.out.program(vec![cookie::delete(Role::Away, self.server.address)]);
                *step = Step::Removing { batch };
            }
            _ => {}
        }
    }

    /// The own router has another MAC address.
    pub(super) fn on_gateway(&mut self, cx: &mut Context<'_>, mac: MacAddr) {
        let Phase::Away { placement, .. } = &mut self.phase else { return };
        if placement.gateway_mac != mac {
            placement.gateway_mac = mac;
            let placement = placement.clone();
            cx.out.program(flows::away(&cx.config.lan, &self.server, &placement));
            self.persist(cx, Some(&placement));
        }
    }

    /// The flows that the switch shall have.
    pub(super) fn flows(&self, cx: &Context<'_>) -> Vec<FlowMod> {
        let placement = match &self.phase {
            Phase::Home | Phase::Probing { .. } => None,
            Phase::Claimed { grant, switching: Some(_), .. } => Some(grant),
            Phase::Claimed { previous, .. } => previous.as_ref(),
            Phase::Away { placement, .. } => Some(placement),
            Phase::Returning { placement, step, .. } => matches!(step, Step::Query { .. }).then_some(placement),
        };
        placement.map_or_else(Vec::new, |p| flows::away(&cx.config.lan, &self.server, p))
    }

    /// `batch` brings the switch to [`HomeServer::flows`]: whatever was awaited is in it.
    pub(super) fn resync(&mut self, batch: BatchId) {
        match &mut self.phase {
            Phase::Claimed { switching: Some(awaited), .. } => *awaited = batch,
            Phase::Returning { step: step @ (Step::Removing { .. } | Step::Again { .. }), .. } => {
                *step = Step::Removing { batch };
            }
            _ => {}
        }
    }

    pub(super) fn status(&self, peers: &Peers) -> AddressStatus {
        let prepared = self.prepared.as_ref().filter(|_| self.state() == State::Prepared);
        let (peer, transfer, epoch) = match (self.placed(), prepared) {
            (Some(p), _) => (Some(p.peer.clone()), Some(p.transfer), p.epoch),
            (None, Some(p)) => (Some(p.peer().to_owned()), p.transfer(), self.epoch),
            (None, None) => (None, None, self.epoch),
        };
        let stale = || {
            (self.state() == State::Stale).then(|| Reason {
                text: reason::PEER_SILENT,
                remedy: format!(
                    "Restore the session to {}; its flows stay as they are, and the server may be started at home at any time.",
                    peer.as_deref().unwrap_or("the host")
                ),
            })
        };
        let refused = || {
            self.switch_refused.as_ref().map(|said| Reason {
                text: reason::SWITCH_REFUSED,
                remedy: format!(
                    "Make room or take out what stands in the way there; it is tried again by itself. {said}."
                ),
            })
        };
        let why = self.frozen_reason().or_else(|| self.shut_out_reason()).or_else(|| self.prepared_reason());
        let why = why.or_else(refused).or_else(|| self.assumed_reason(peers)).or_else(stale);
        let since_unix_ms =
            self.frozen.as_ref().filter(|_| self.state() == State::Frozen).and_then(|f| f.since_unix_ms);
        AddressStatus {
            address: self.server.address,
            mac: self.server.mac,
            role: status::Role::Home,
            state: self.state(),
            since: self.since,
            since_unix_ms,
            peer,
            transfer,
            epoch,
            reason: why.as_ref().map(|w| w.text),
            remedy: why.map(|w| w.remedy),
        }
    }
}
