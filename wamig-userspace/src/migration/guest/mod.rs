//! One server of a peer that shows up on a hosting port.
//!
//! Its first ARP is held: the guest gets no answer before both sites are ready (paper §4.2,
//! step 5), so that its first packet already finds the whole path.
//!
//! ```text
//!          T ready, home up        ClaimAck         barrier, Ready, Active
//!   SEEN ─────────────────► CLAIMING ──────► READY ───────────────► HOSTING ◄──► STALE
//!    ▲      no answer, Nack    │               │                       │ Revoke
//!    └─────────────────────────┴───────────────┘       gone ◄── DRAINING
//!                           FENCED: alive at home as well
//! ```
//! PREPARED comes before all of these when its home has announced it: heard then, it is READY
//! at once.

mod claim;
mod leave;
mod prepare;
mod reload;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use wamig_openflow::{FlowMod, MacAddr, PortNo};

use super::config::{Family, Timers};
use super::context::Context;
use super::cookie::{self, Role};
use super::flows;
use super::io::{BatchId, Change, event};
use super::planned::Permit;
use super::record::Binding;
use super::resolution::{self, Resolution};
use super::status::{self, AddressStatus, Reason, State, reason};
use crate::peer::message::{Epoch, Evidence, Message};
pub(super) use prepare::Announcement;

/// Questions of the guest that are kept to be answered.
const HELD: usize = 4;
/// A disturbance that does not come again for so long is over.
const CALM: Duration = Duration::from_mins(1);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Phase {
    /// Not served; the reason says why.
    Seen {
        retry: Instant,
    },
    /// Its home has announced it, and it was not heard since.
    Prepared {
        permit: Permit,
        until: Instant,
    },
    Claiming {
        tries: u8,
        next: Instant,
    },
    /// `flows` names the batch while the switch works on it.
    Ready {
        binding: Binding,
        flows: Option<BatchId>,
        next: Instant,
    },
    Hosting {
        binding: Binding,
        lease_until: Instant,
        stale: bool,
    },
    Draining {
        binding: Binding,
        until: Instant,
        removing: Option<BatchId>,
    },
    Fenced {
        probe: Instant,
    },
    /// To be forgotten by [`super::host::Host`].
    Gone,
}

/// The home asks whether the guest is alive.
#[derive(Clone, Copy, Debug)]
struct Check {
    epoch: Epoch,
    left: u8,
    next: Instant,
}

/// One guest.
#[derive(Debug)]
pub(super) struct Guest {
    address: IpAddr,
    mac: MacAddr,
    /// [`PortNo::ANY`] = it was never heard, but announced.
    port: PortNo,
    /// Its home; `None` when no policy allows the address.
    peer: Option<String>,
    /// Highest epoch heard of.
    epoch: Epoch,
    transfer: Option<IpAddr>,
    phase: Phase,
    since: Instant,
    reason: Option<Reason>,
    /// Targets of its unanswered questions, latest last.
    held: Vec<IpAddr>,
    evidence: Evidence,
    heard: Instant,
    /// When somebody else was last heard with one of its addresses.
    disturbed: Option<Instant>,
    backoff: Duration,
    /// How long a renewal lasts, by the home's word.
    lease: Duration,
    check: Option<Check>,
    /// A placement that this site gave up by itself, of which the home has to be told.
    release: Option<Epoch>,
}

impl Guest {
    /// A guest that was just heard.
    pub(super) fn new(
        now: Instant,
        address: IpAddr,
        mac: MacAddr,
        port: PortNo,
        peer: Option<String>,
        epoch: Epoch,
    ) -> Self {
        Self {
            address,
            mac,
            port,
            peer,
            epoch,
            transfer: None,
            phase: Phase::Seen { retry: now },
            since: now,
            reason: None,
            held: Vec::new(),
            evidence: Evidence::ArpRequest,
            heard: now,
            disturbed: None,
            backoff: Duration::ZERO,
            lease: Duration::ZERO,
            check: None,
            release: None,
        }
    }

    /// A guest that was served before a restart.
    pub(super) fn resume(now: Instant, address: IpAddr, epoch: Epoch, lease: Duration, binding: Binding) -> Self {
        let mut guest = Self::new(now, address, binding.mac, binding.port, Some(binding.peer.clone()), epoch);
        guest.transfer = Some(binding.transfer);
        guest.lease = lease;
        guest.phase = if binding.active {
            Phase::Hosting { binding, lease_until: now + lease, stale: false }
        } else {
            // Ready is said once the switch has been brought up to date.
            Phase::Ready { binding, flows: Some(BatchId(0)), next: now }
        };
        guest
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Takes the placement that its home has to be told is given up.
    pub(super) fn take_release(&mut self) -> Option<Epoch> {
        self.release.take()
    }

    pub(super) fn peer(&self) -> Option<&str> {
        self.peer.as_deref()
    }

    pub(super) fn family(&self) -> Family {
        Family::of(self.address)
    }

    pub(super) fn mac(&self) -> MacAddr {
        self.mac
    }

    pub(super) fn port(&self) -> PortNo {
        self.port
    }

    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    pub(super) fn is_gone(&self) -> bool {
        self.phase == Phase::Gone
    }

    pub(super) fn is_seen(&self) -> bool {
        matches!(self.phase, Phase::Seen { .. })
    }

    /// Whether it waits for what `text` names.
    pub(super) fn waits_for(&self, text: &str) -> bool {
        self.is_seen() && self.reason.as_ref().is_some_and(|r| r.text == text)
    }

    /// Its epoch, if it is to be renewed.
    pub(super) fn renewable(&self) -> Option<Epoch> {
        match &self.phase {
            Phase::Hosting { binding, .. } => Some(binding.epoch),
            _ => None,
        }
    }

    pub(super) fn state(&self) -> State {
        match &self.phase {
            Phase::Seen { .. } | Phase::Gone => State::Seen,
            Phase::Prepared { .. } => State::Prepared,
            // A claim that failed before is repeated in the background: its reason stays in view.
            Phase::Claiming { .. } if self.reason.is_some() => State::Seen,
            Phase::Claiming { .. } => State::Claiming,
            Phase::Ready { .. } => State::Ready,
            Phase::Hosting { stale: false, .. } => State::Hosting,
            Phase::Hosting { stale: true, .. } => State::Stale,
            Phase::Draining { .. } => State::Draining,
            Phase::Fenced { .. } => State::Fenced,
        }
    }

    fn enter(&mut self, cx: &mut Context<'_>, phase: Phase, reason: Option<Reason>, why: &str) {
        let (from, because) = (self.state(), self.reason.take());
        self.phase = phase;
        self.reason = reason;
        let to = if self.is_gone() { "NONE" } else { self.state().as_str() };
        if from.as_str() != to || because.map(|r| r.text) != self.reason.as_ref().map(|r| r.text) {
            self.since = cx.now;
            self.tell(cx, from, to, why);
        }
    }

    fn tell(&self, cx: &mut Context<'_>, from: State, to: &'static str, why: &str) {
        let (verb, role, from, epoch) = (cx.verb, status::Role::Host, from.as_str(), self.epoch);
        cx.out.change(self.address, Change { verb, role, from, to, epoch, why: why.to_owned() });
    }

    // ---- what the guest says ------------------------------------------------------------

    /// The guest was heard on its port. `target` is what it asks for, if it asks.
    pub(super) fn on_evidence(&mut self, cx: &mut Context<'_>, evidence: Evidence, target: Option<IpAddr>) {
        self.heard = cx.now;
        self.evidence = evidence;
        if let Some(target) = target.filter(|t| *t != self.address) {
            self.held.retain(|t| *t != target);
            self.held.push(target);
            if self.held.len() > HELD {
                self.held.remove(0);
            }
        }
        match &self.phase {
            Phase::Seen { retry } if *retry <= cx.now => {
                self.note_heard(cx, target);
                self.claim(cx);
            }
            Phase::Prepared { .. } => {
                self.note_heard(cx, target);
                self.arrive(cx);
            }
            // A question that was on its way here when the flows came in.
            Phase::Hosting { .. } => self.answer_held(cx),
            _ => {}
        }
    }

    fn note_heard(&self, cx: &mut Context<'_>, target: Option<IpAddr>) {
        let asks = target.map_or(String::new(), |t| format!(" asks for {t}"));
        let (event, what) = match self.evidence {
            Evidence::Data => (event::GUEST_SEEN, ": its packet is held"),
            Evidence::Rarp => (event::GUEST_SEEN, ": its hypervisor's RARP is held"),
            Evidence::ArpRequest | Evidence::ArpProbe | Evidence::ArpAnnounce => (event::ARP_SEEN, "; it is held"),
            Evidence::NdSolicit | Evidence::NdProbe | Evidence::NdAdvert => (event::ND_SEEN, "; it is held"),
            Evidence::NdRouterSolicit => (event::ND_SEEN, ": its search for a router is held"),
        };
        cx.out.note(self.address, event, format!("{} on port {}{asks}{what}", self.mac, self.port));
    }

    /// The guest answered a probe of ours.
    pub(super) fn on_answer(&mut self, cx: &mut Context<'_>) {
        self.heard = cx.now;
        if let (Some(check), Some(peer)) = (self.check.take(), &self.peer) {
            cx.out.send(peer, Message::QueryAck { address: self.address, epoch: check.epoch, alive: true });
        }
    }

    /// Another MAC address talks from the guest's.
    pub(super) fn on_stranger(&mut self, cx: &mut Context<'_>, port: PortNo, mac: MacAddr) {
        cx.refuse("evidence-from-foreign-mac");
        self.disturbed = Some(cx.now);
        if self.reason.as_ref().is_none_or(|r| r.text == reason::ANNOUNCED) {
            let own = self.mac;
            cx.out
                .alert(Some(self.address), format!("{mac} on port {port} talks from its address; it is {own}'s here"));
            self.reason = Some(Reason {
                text: reason::FOREIGN_MAC,
                remedy: format!("Unplug {mac} on port {port}; nothing of it is forwarded."),
            });
        }
    }

    /// Another host of the LAN talks from its transfer address.
    pub(super) fn on_conflict(&mut self, cx: &mut Context<'_>, by: MacAddr) {
        let Some(transfer) = self.transfer else { return };
        self.disturbed = Some(cx.now);
        if self.reason.as_ref().is_some_and(|r| r.text == reason::TRANSFER_CONFLICT) {
            return;
        }
        let address = self.address;
        cx.out.alert(Some(address), format!("{by} in the LAN uses its transfer address {transfer}"));
        // RFC 5227 §2.4 (b): defend once.
        cx.out.emit(resolution::announcement(cx.config.lan.mac, transfer), [cx.config.lan.uplink]);
        self.reason = Some(Reason {
            text: reason::TRANSFER_CONFLICT,
            remedy: format!(
                "Give {by} another address, or take {transfer} out of hosting.pool and move the server anew."
            ),
        });
    }

    /// Somebody of the LAN asks for its transfer address. ARP is answered by a flow.
    pub(super) fn on_asked_for(&self, cx: &mut Context<'_>, in_port: PortNo, heard: &Resolution) {
        let served = matches!(self.phase, Phase::Ready { .. } | Phase::Hosting { .. } | Phase::Draining { .. });
        if served && heard.target.is_ipv6() && self.transfer == Some(heard.target) {
            let answer = resolution::answer(cx.config.lan.mac, heard.target, heard.mac, heard.sender, false);
            cx.out.emit(answer, [in_port]);
        }
    }

    // ---- queries, leases and sessions ---------------------------------------------------

    /// The home asks whether the guest answers here. Only a guest that is served can: of any
    /// other the home is told that the placement is over, however loud the guest is.
    pub(super) fn on_query(&mut self, cx: &mut Context<'_>, epoch: Epoch) {
        let Some(peer) = &self.peer else { return };
        match &self.phase {
            Phase::Ready { .. } | Phase::Hosting { .. } => {
                if self.check.is_none() {
                    self.check = Some(Check { epoch, left: cx.config.timers.alive_probes, next: cx.now });
                }
            }
            // The claim that is under way may be granted that very placement again.
            Phase::Claiming { .. } => {
                cx.out.send(peer, Message::QueryAck { address: self.address, epoch, alive: false });
            }
            Phase::Seen { .. }
            | Phase::Prepared { .. }
            | Phase::Draining { .. }
            | Phase::Fenced { .. }
            | Phase::Gone => {
                cx.out.send(peer, Message::Release { address: self.address, epoch });
            }
        }
    }

    /// Whether it was heard within `span`.
    pub(super) fn is_alive(&self, now: Instant, span: Duration) -> bool {
        now.saturating_duration_since(self.heard) <= span
    }

    /// Asks the guest whether it is there; the answer is [`Guest::on_answer`].
    pub(super) fn probe(&self, cx: &mut Context<'_>) {
        cx.out.emit(resolution::ask(cx.config.lan.mac, self.address), [self.port]);
    }

    pub(super) fn on_renewed(&mut self, cx: &mut Context<'_>, epoch: Epoch) {
        let Phase::Hosting { binding, lease_until, stale } = &mut self.phase else { return };
        if binding.epoch == epoch {
            *lease_until = cx.now + self.lease;
            if std::mem::take(stale) {
                self.since = cx.now;
                self.reason = None;
                let why = format!("{} renewed it", binding.peer);
                self.tell(cx, State::Stale, State::Hosting.as_str(), &why);
            }
            if self.disturbed.is_some_and(|at| cx.now >= at + CALM) {
                self.disturbed = None;
                self.reason = None;
            }
        }
    }

    fn go_stale(&mut self, cx: &mut Context<'_>, why: &str) {
        let Phase::Hosting { binding, lease_until, stale: false } = &self.phase else { return };
        let (binding, lease_until) = (binding.clone(), *lease_until);
        let remedy = format!("Restore the session to {}; the server is served on as it was.", binding.peer);
        cx.out.alert(Some(self.address), format!("stale: {why}"));
        let reason = Reason { text: reason::PEER_SILENT, remedy };
        self.enter(cx, Phase::Hosting { binding, lease_until, stale: true }, Some(reason), why);
    }

    pub(super) fn on_peer_up(&mut self, cx: &mut Context<'_>) {
        self.retry(cx);
        self.send_ready(cx);
        if matches!(self.phase, Phase::Ready { .. }) {
            self.reason = None;
        }
    }

    pub(super) fn on_peer_down(&mut self, cx: &mut Context<'_>) {
        self.check = None;
        match &self.phase {
            Phase::Claiming { .. } => self.claim(cx),
            Phase::Ready { binding, .. } => {
                let remedy = claim::unreachable(&binding.peer);
                self.reason = Some(Reason { text: reason::HOME_UNREACHABLE, remedy });
            }
            Phase::Hosting { .. } => self.go_stale(cx, "the session to its home is down; its flows stay"),
            _ => {}
        }
    }

    // ---- time and the switch ------------------------------------------------------------

    pub(super) fn deadline(&self, timers: &Timers) -> Option<Instant> {
        let own = match &self.phase {
            Phase::Seen { retry } => {
                let forget = self.heard + timers.forget;
                if self.retries_by_itself() { Some(forget.min(*retry)) } else { Some(forget) }
            }
            Phase::Prepared { until, .. } => Some(*until),
            Phase::Claiming { next, .. } => Some(*next),
            Phase::Ready { flows, next, .. } => flows.is_none().then_some(*next),
            Phase::Hosting { lease_until, stale, .. } => (!stale).then_some(*lease_until),
            Phase::Draining { until, removing, .. } => removing.is_none().then_some(*until),
            Phase::Fenced { probe } => Some((*probe).min(self.heard + timers.fence_silence)),
            Phase::Gone => None,
        };
        [own, self.check.map(|c| c.next)].into_iter().flatten().min()
    }

    /// Whether a failed claim is repeated without new evidence.
    fn retries_by_itself(&self) -> bool {
        self.reason.as_ref().is_some_and(|r| r.text != reason::UNAUTHORISED)
    }

    pub(super) fn on_time(&mut self, cx: &mut Context<'_>) {
        let now = cx.now;
        let timers = &cx.config.timers;
        self.check_on_time(cx);
        match &mut self.phase {
            Phase::Seen { retry } => {
                let retry = *retry <= now;
                if now >= self.heard + timers.forget {
                    self.forget(cx);
                } else if retry && self.retries_by_itself() {
                    self.claim(cx);
                }
            }
            Phase::Prepared { until, .. } if *until <= now => self.withdraw(cx, "it did not come in time"),
            Phase::Claiming { tries, next } if *next <= now => {
                if *tries >= timers.claim_tries {
                    let peer = self.peer.clone().unwrap_or_default();
                    self.seen(cx, reason::HOME_UNREACHABLE, claim::unreachable(&peer));
                    return;
                }
                *tries += 1;
                *next = now + timers.claim_retry;
                if let Some(transfer) = self.transfer {
                    self.send_claim(cx, transfer, false);
                }
            }
            Phase::Ready { flows: None, next, .. } if *next <= now => self.send_ready(cx),
            Phase::Hosting { lease_until, stale: false, .. } if *lease_until <= now => {
                self.go_stale(cx, "its home has not renewed it for a lease's time; its flows stay");
            }
            Phase::Draining { until, removing: removing @ None, .. } if *until <= now => {
                *removing = Some(cx.out.program(vec![cookie::delete(Role::Hosting, self.address)]));
            }
            Phase::Fenced { probe } => {
                if now >= self.heard + timers.fence_silence {
                    cx.out.program(vec![cookie::delete(Role::Fence, self.address)]);
                    self.enter(cx, Phase::Gone, None, "the copy is silent; the fence is open");
                } else if *probe <= now {
                    *probe = now + timers.fence_silence / 3;
                    self.probe(cx);
                }
            }
            _ => {}
        }
    }

    fn check_on_time(&mut self, cx: &mut Context<'_>) {
        let Some(check) = &mut self.check else { return };
        if check.next > cx.now {
            return;
        }
        check.next = cx.now + cx.config.timers.alive_probe;
        if check.left > 0 {
            check.left -= 1;
            self.probe(cx);
            return;
        }
        let epoch = check.epoch;
        self.check = None;
        if let Some(peer) = &self.peer {
            cx.out.send(peer, Message::QueryAck { address: self.address, epoch, alive: false });
        }
    }

    /// The own router has another MAC address.
    pub(super) fn on_gateway(&mut self, cx: &mut Context<'_>, mac: MacAddr) {
        let (Phase::Ready { binding, .. } | Phase::Hosting { binding, .. }) = &mut self.phase else { return };
        if binding.gateway_mac != mac {
            binding.gateway_mac = mac;
            let binding = binding.clone();
            cx.out.program(flows::hosting(&cx.config.lan, self.address, &binding));
            self.persist(cx, Some(&binding));
        }
    }

    /// The flows that the switch shall have.
    pub(super) fn flows(&self, cx: &Context<'_>) -> Vec<FlowMod> {
        let lan = &cx.config.lan;
        match &self.phase {
            Phase::Ready { binding, .. } | Phase::Hosting { binding, .. } => flows::hosting(lan, self.address, binding),
            Phase::Draining { binding, removing: None, .. } => {
                let mut mods = flows::hosting(lan, self.address, binding);
                mods.extend(flows::draining(lan, self.address, binding));
                mods
            }
            Phase::Fenced { .. } => flows::fence(self.address, self.port, self.mac),
            Phase::Seen { .. }
            | Phase::Prepared { .. }
            | Phase::Claiming { .. }
            | Phase::Draining { .. }
            | Phase::Gone => Vec::new(),
        }
    }

    /// `batch` brings the switch to [`Guest::flows`]: whatever was awaited is in it.
    pub(super) fn resync(&mut self, batch: BatchId) {
        match &mut self.phase {
            Phase::Ready { flows, .. } => *flows = Some(batch),
            Phase::Draining { removing: Some(removing), .. } => *removing = batch,
            _ => {}
        }
    }

    pub(super) fn status(&self) -> AddressStatus {
        AddressStatus {
            address: self.address,
            mac: self.mac,
            role: status::Role::Host,
            state: self.state(),
            since: self.since,
            since_unix_ms: None,
            peer: self.peer.clone(),
            transfer: self.transfer,
            epoch: self.epoch,
            reason: self.reason.as_ref().map(|r| r.text),
            remedy: self.reason.as_ref().map(|r| r.remedy.clone()),
        }
    }
}
