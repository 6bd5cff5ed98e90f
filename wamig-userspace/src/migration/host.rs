//! Every guest of this site, and what is said to their homes on behalf of all of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use wamig_openflow::{FlowMod, MacAddr, PortNo};

use super::config::{GuestPolicy, Hosting, SiteConfig};
use super::context::Context;
use super::guest::{Announcement, Guest};
use super::io::BatchId;
use super::order::Refusal;
use super::planned::Permit;
use super::pool::{Conflict, Pool};
use super::prefix::{Family, is_of_a_host};
use super::record::Binding;
use super::resolution::Resolution;
use super::sign::Sign;
use super::status::{AddressStatus, State, reason};
use crate::peer::message::{Epoch, Evidence, Message, NackReason, Renewal};

/// Guests that are seen but not served, at most: whoever invents addresses fills no memory.
const MOST_SEEN: usize = 256;
/// Addresses whose epoch is remembered after they left, at most.
const MOST_EPOCHS: usize = 4096;
/// A guest that is not served may be another machine after so long a silence.
const SUCCESSION: Duration = Duration::from_secs(10);

/// A placement that this site gave up by itself: the home is told until it acknowledges.
#[derive(Debug)]
struct Release {
    peer: String,
    epoch: Epoch,
    next: Instant,
}

/// The host side of this site.
#[derive(Debug, Default)]
pub(super) struct Host {
    guests: BTreeMap<IpAddr, Guest>,
    /// Highest epoch heard of, of addresses that are not here.
    epochs: BTreeMap<IpAddr, Epoch>,
    releases: BTreeMap<IpAddr, Release>,
    renew_at: Option<Instant>,
}

impl Host {
    /// Takes up what was recorded. What the configuration does not allow any more is
    /// released; true when the guest is served on.
    pub(super) fn resume(
        &mut self,
        now: Instant,
        config: &SiteConfig,
        pool: &mut Pool,
        address: IpAddr,
        epoch: Epoch,
        binding: Binding,
    ) -> bool {
        let allowed = config.hosting.ports.contains(&binding.port)
            && config.hosting.policy(address).is_some_and(|p| p.peer == binding.peer);
        if !allowed {
            pool.rest(binding.transfer, now);
            self.epochs.insert(address, epoch);
            self.releases.insert(address, Release { peer: binding.peer, epoch: binding.epoch, next: now });
            return false;
        }
        pool.resume(binding.transfer, address);
        self.guests.insert(address, Guest::resume(now, address, epoch, config.timers.lease, binding));
        true
    }

    /// Takes up an announcement that was recorded; true when it still holds.
    pub(super) fn resume_prepared(
        &mut self,
        now: Instant,
        config: &SiteConfig,
        pool: &mut Pool,
        address: IpAddr,
        permit: &Permit,
    ) -> bool {
        let lent = config.hosting.pool.iter().any(|r| r.contains(permit.transfer));
        if !lent || config.hosting.policy(address).is_none_or(|p| p.peer != permit.peer) {
            return false;
        }
        pool.resume(permit.transfer, address);
        self.guests.insert(address, Guest::resume_prepared(now, address, permit));
        true
    }

    /// Takes up what is known of a guest that had left.
    pub(super) fn remember(&mut self, address: IpAddr, epoch: Epoch) {
        self.epochs.insert(address, epoch);
    }

    // ---- frames -------------------------------------------------------------------------

    /// A guest says something by ARP or ND on a hosting port.
    pub(super) fn on_heard(&mut self, cx: &mut Context<'_>, port: PortNo, heard: &Resolution) {
        let Some((subject, evidence)) = heard.evidence() else { return };
        if heard.answers(cx.config.lan.mac)
            && let Some(guest) = self.guests.get_mut(&subject).filter(|g| g.mac() == heard.mac && g.port() == port)
        {
            guest.on_answer(cx);
            return;
        }
        if !heard.is_of_link() {
            self.on_evidence(cx, port, heard.mac, subject, evidence, heard.asked());
            return;
        }
        // A question of the guest's link-local address is answered to every other address that it has here.
        for subject in self.known(port, heard.mac, |a| Family::of(a) == heard.family()) {
            self.on_evidence(cx, port, heard.mac, subject, evidence, heard.asked());
        }
    }

    /// A guest is heard otherwise. One that names no address must be known or announced already; it may have several.
    pub(super) fn on_sign(&mut self, cx: &mut Context<'_>, port: PortNo, sign: &Sign) {
        let subjects = sign.address.map_or_else(|| self.known(port, sign.mac, |_| true), |a| vec![a]);
        for subject in subjects {
            self.on_evidence(cx, port, sign.mac, subject, sign.evidence, None);
        }
    }

    /// The addresses of guests that are heard at `port`, or announced.
    fn known(&self, port: PortNo, mac: MacAddr, of: impl Fn(IpAddr) -> bool) -> Vec<IpAddr> {
        let is = |g: &Guest| g.mac() == mac && (g.port() == port || g.is_prepared());
        self.guests.iter().filter(|(a, g)| of(**a) && is(g)).map(|(a, _)| *a).collect()
    }

    /// Somebody of the LAN asks for a guest's transfer address.
    pub(super) fn on_asked_for(&self, cx: &mut Context<'_>, guest: IpAddr, in_port: PortNo, heard: &Resolution) {
        if let Some(guest) = self.guests.get(&guest) {
            guest.on_asked_for(cx, in_port, heard);
        }
    }

    /// `target` is what the guest asks for, if it asks.
    fn on_evidence(
        &mut self,
        cx: &mut Context<'_>,
        port: PortNo,
        mac: MacAddr,
        subject: IpAddr,
        evidence: Evidence,
        target: Option<IpAddr>,
    ) {
        if !is_of_a_host(subject) {
            return;
        }
        let succeeds = |g: &Guest| g.is_seen() && !g.is_alive(cx.now, SUCCESSION);
        if let Some(guest) = self.guests.get_mut(&subject) {
            if guest.mac() == mac && (guest.port() == port || guest.is_prepared()) {
                guest.comes_by(port);
                guest.on_evidence(cx, evidence, target);
                return;
            }
            if !succeeds(guest) {
                guest.on_stranger(cx, port, mac);
                return;
            }
            guest.forget(cx);
        }
        self.sweep(cx.now);
        self.make_room(cx);
        let policy = policy(cx.config, subject);
        let epoch = self.epochs.get(&subject).copied().unwrap_or_default();
        let mut guest = Guest::new(cx.now, subject, mac, port, policy.map(|p| p.peer.clone()), epoch);
        guest.on_evidence(cx, evidence, target);
        self.guests.insert(subject, guest);
    }

    fn make_room(&mut self, cx: &mut Context<'_>) {
        let seen = self.guests.iter().filter(|(_, g)| g.is_seen());
        if seen.clone().count() < MOST_SEEN {
            return;
        }
        let oldest = seen.min_by_key(|(_, g)| g.heard()).map(|(a, _)| *a);
        if let Some(guest) = oldest.and_then(|a| self.guests.get_mut(&a)) {
            guest.forget(cx);
        }
        self.sweep(cx.now);
    }

    /// Lets go of guests that are gone, but not of what is known of their epochs.
    fn sweep(&mut self, now: Instant) {
        let (epochs, known) = (&mut self.epochs, Epoch::default());
        self.guests.retain(|address, guest| {
            if let (Some(epoch), Some(peer)) = (guest.take_release(), guest.peer()) {
                self.releases.insert(*address, Release { peer: peer.to_owned(), epoch, next: now });
            }
            if guest.is_gone() && guest.epoch() > known {
                epochs.insert(*address, guest.epoch());
            }
            !guest.is_gone()
        });
    }

    pub(super) fn on_conflict(&mut self, cx: &mut Context<'_>, conflict: Conflict) {
        if let Some(guest) = self.guests.get_mut(&conflict.guest) {
            guest.on_conflict(cx, conflict.mac);
        }
    }

    // ---- the home says ------------------------------------------------------------------

    fn guest_of(&mut self, cx: &mut Context<'_>, address: IpAddr, peer: &str) -> Option<&mut Guest> {
        let guest = self.guests.get_mut(&address)?;
        if guest.peer() == Some(peer) {
            return Some(guest);
        }
        cx.refuse("message-from-wrong-peer");
        None
    }

    /// A message that a home sends to a host; true when it was one.
    pub(super) fn on_message(&mut self, cx: &mut Context<'_>, peer: &str, message: &Message) -> bool {
        match message {
            Message::ClaimAck { address, epoch, lease, profile, transfer } => {
                if self.releases.get(address).is_some_and(|r| r.epoch == *epoch) {
                    self.releases.remove(address);
                }
                if let Some(guest) = self.guest_of(cx, *address, peer) {
                    guest.on_claim_ack(cx, *epoch, *lease, *profile, *transfer);
                }
            }
            Message::ClaimNack { address, reason } => {
                if let Some(guest) = self.guest_of(cx, *address, peer) {
                    guest.on_claim_nack(cx, *reason);
                }
            }
            Message::Active { address, epoch } => {
                if let Some(guest) = self.guest_of(cx, *address, peer) {
                    guest.on_active(cx, *epoch);
                }
            }
            Message::Query { address, epoch } => match self.guest_of(cx, *address, peer) {
                Some(guest) => guest.on_query(cx, *epoch),
                None => cx.out.send(peer, Message::Release { address: *address, epoch: *epoch }),
            },
            Message::Revoke { address, epoch, fence, drain } => {
                let drain = Duration::from_secs(u64::from(*drain));
                self.on_revoke(cx, peer, *address, *epoch, *fence, drain);
            }
            Message::Prepare { address, epoch, mac, lease, window, profile } => {
                let announcement = Announcement { epoch: *epoch, lease: *lease, window: *window, profile: *profile };
                self.on_prepare(cx, peer, *address, *mac, announcement);
            }
            Message::RenewAck(renewed) => {
                for (address, epoch) in renewed {
                    if let Some(guest) = self.guest_of(cx, *address, peer) {
                        guest.on_renewed(cx, *epoch);
                    }
                }
            }
            Message::ReleaseAck { address, epoch } => {
                if self.releases.get(address).is_some_and(|r| r.peer == peer && r.epoch == *epoch) {
                    self.releases.remove(address);
                }
            }
            _ => return false,
        }
        self.sweep(cx.now);
        true
    }

    fn on_revoke(
        &mut self,
        cx: &mut Context<'_>,
        peer: &str,
        address: IpAddr,
        epoch: Epoch,
        fence: bool,
        drain: Duration,
    ) {
        if self.guests.contains_key(&address) {
            let Some(guest) = self.guest_of(cx, address, peer) else { return };
            guest.on_revoke(cx, epoch, fence, drain);
        } else {
            let of_peer = cx.config.hosting.policy(address).is_some_and(|p| p.peer == peer);
            let known = self.epochs.contains_key(&address);
            if !known && (!of_peer || self.epochs.len() >= MOST_EPOCHS) {
                cx.refuse("revoke-of-unknown-address");
                return;
            }
            let highest = self.epochs.entry(address).or_default();
            *highest = epoch.max(*highest);
        }
        self.releases.remove(&address);
        // Durable by now, where there was anything to make durable.
        cx.out.send(peer, Message::RevokeAck { address, epoch });
    }

    /// A home announces that a server is about to come.
    fn on_prepare(
        &mut self,
        cx: &mut Context<'_>,
        peer: &str,
        address: IpAddr,
        mac: MacAddr,
        announcement: Announcement,
    ) {
        let allowed = cx.config.hosting.policy(address).is_some_and(|p| p.peer == peer) && !is_own(cx.config, address);
        // The home knows better whose address it is than who was refused here.
        if allowed && let Some(other) = self.guests.get_mut(&address).filter(|g| g.is_seen() && g.mac() != mac) {
            other.forget(cx);
            self.sweep(cx.now);
        }
        let last_epoch = self.guests.get(&address).map(Guest::epoch).or_else(|| self.epochs.get(&address).copied());
        let last_epoch = last_epoch.unwrap_or_default();
        let answer = match self.guests.get_mut(&address) {
            _ if !allowed => Err(NackReason::Unauthorised),
            Some(guest) if guest.mac() != mac || guest.peer() != Some(peer) => Err(NackReason::Unable),
            Some(guest) => guest.on_prepare(cx, announcement),
            None => {
                let mut guest = Guest::unheard(cx.now, address, mac, peer.to_owned(), last_epoch);
                let answer = guest.on_prepare(cx, announcement);
                if answer.is_ok() {
                    self.guests.insert(address, guest);
                }
                answer
            }
        };
        if let Err(reason) = answer {
            cx.refuse("prepare-refused");
            cx.out.send(peer, Message::PrepareNack { address, epoch: announcement.epoch, reason, last_epoch });
        }
    }

    // ---- sessions and time --------------------------------------------------------------

    pub(super) fn on_peer_up(&mut self, cx: &mut Context<'_>, peer: &str) {
        for release in self.releases.values_mut().filter(|r| r.peer == peer) {
            release.next = cx.now;
        }
        for guest in self.guests.values_mut().filter(|g| g.peer() == Some(peer)) {
            guest.on_peer_up(cx);
        }
        self.renew(cx, Some(peer));
    }

    pub(super) fn on_peer_down(&mut self, cx: &mut Context<'_>, peer: &str) {
        for guest in self.guests.values_mut().filter(|g| g.peer() == Some(peer)) {
            guest.on_peer_down(cx);
        }
    }

    /// Sends one batch of renewals to `only` that peer, or to every one.
    fn renew(&self, cx: &mut Context<'_>, only: Option<&str>) {
        let span = cx.config.timers.renew * 3 / 2;
        let mut batches: BTreeMap<&str, Vec<Renewal>> = BTreeMap::new();
        for (address, guest) in &self.guests {
            let (Some(epoch), Some(peer)) = (guest.renewable(), guest.peer()) else { continue };
            if only.is_none_or(|o| o == peer) && cx.peers.is_up(peer) {
                let renewal = Renewal { address: *address, epoch, alive: guest.is_alive(cx.now, span) };
                batches.entry(peer).or_default().push(renewal);
            }
        }
        for (peer, batch) in batches {
            cx.out.send(peer, Message::Renew(batch));
        }
    }

    pub(super) fn deadline(&self, config: &SiteConfig) -> Option<Instant> {
        let timers = &config.timers;
        let guests = self.guests.values().filter_map(|g| g.deadline(timers));
        let releases = self.releases.values().map(|r| r.next);
        guests.chain(releases).chain(self.renew_at).min()
    }

    pub(super) fn on_time(&mut self, cx: &mut Context<'_>) {
        for guest in self.guests.values_mut() {
            guest.on_time(cx);
        }
        self.sweep(cx.now);
        let timers = &cx.config.timers;
        for (address, release) in self.releases.iter_mut().filter(|(_, r)| r.next <= cx.now) {
            release.next = cx.now + timers.revoke_retry * 10;
            cx.out.send(&release.peer, Message::Release { address: *address, epoch: release.epoch });
        }
        let serves = self.guests.values().any(|g| g.renewable().is_some());
        match self.renew_at {
            _ if !serves => self.renew_at = None,
            None => self.renew_at = Some(cx.now + timers.renew),
            Some(at) if at <= cx.now => {
                self.renew_at = Some(cx.now + timers.renew);
                self.renew(cx, None);
                // The answers tell what the next renewal says of them.
                for guest in self.guests.values().filter(|g| g.renewable().is_some()) {
                    guest.probe(cx);
                }
            }
            Some(_) => {}
        }
    }

    // ---- another configuration ----------------------------------------------------------

    /// What stands in the way of `hosting`.
    pub(super) fn objections(&self, hosting: &Hosting) -> impl Iterator<Item = Refusal> {
        self.guests.values().filter_map(|g| g.objection(hosting))
    }

    /// The policies are other ones now.
    pub(super) fn adopt(&mut self, cx: &mut Context<'_>) {
        for (address, guest) in &mut self.guests {
            let peer = policy(cx.config, *address).map(|p| p.peer.clone());
            guest.adopt(cx, peer);
        }
        self.sweep(cx.now);
    }

    /// What some guests waited for may have come.
    pub(super) fn retry(&mut self, cx: &mut Context<'_>, text: &str) {
        for guest in self.guests.values_mut().filter(|g| g.waits_for(text)) {
            if text == reason::POOL_EXHAUSTED && !cx.pool.has_ready(guest.family()) {
                continue;
            }
            guest.retry(cx);
        }
    }

    // ---- the switch ---------------------------------------------------------------------

    pub(super) fn on_programmed(&mut self, cx: &mut Context<'_>, batch: BatchId, result: &Result<(), String>) -> bool {
        let mut taken = false;
        for guest in self.guests.values_mut() {
            taken |= guest.on_programmed(cx, batch, result);
        }
        self.sweep(cx.now);
        taken
    }

    pub(super) fn on_gateway(&mut self, cx: &mut Context<'_>, family: Family, mac: MacAddr) {
        for guest in self.guests.values_mut().filter(|g| g.family() == family) {
            guest.on_gateway(cx, mac);
        }
        self.retry(cx, reason::GATEWAY_SILENT);
    }

    /// The flows that the switch shall have for guests.
    pub(super) fn flows(&self, cx: &Context<'_>) -> Vec<FlowMod> {
        self.guests.values().flat_map(|g| g.flows(cx)).collect()
    }

    pub(super) fn resync(&mut self, batch: BatchId) {
        self.guests.values_mut().for_each(|g| g.resync(batch));
    }

    /// The home of a guest that is here.
    pub(super) fn peer_of(&self, address: IpAddr) -> Option<&str> {
        self.guests.get(&address).and_then(Guest::peer)
    }

    pub(super) fn state_of(&self, address: IpAddr) -> Option<State> {
        self.guests.get(&address).map(Guest::state)
    }

    pub(super) fn status(&self) -> impl Iterator<Item = AddressStatus> + '_ {
        self.guests.values().map(Guest::status)
    }
}

/// Whether an address belongs here, whatever a policy says.
fn is_own(config: &SiteConfig, address: IpAddr) -> bool {
    config.lan.contains(address) || config.servers.iter().any(|s| s.address == address)
}

/// The policy that an address comes under, which must be none of this site's own.
fn policy(config: &SiteConfig, address: IpAddr) -> Option<&GuestPolicy> {
    config.hosting.policy(address).filter(|_| !is_own(config, address))
}
