//! The way in: the home is asked, both sites get ready, the guest is answered.

use std::net::IpAddr;
use std::time::Duration;

use wamig_openflow::MacAddr;

use super::{Guest, Phase};
use crate::migration::config::{Family, Prefix};
use crate::migration::context::Context;
use crate::migration::cookie::{self, Role};
use crate::migration::flows;
use crate::migration::io::{BatchId, event};
use crate::migration::prefix::is_link_local;
use crate::migration::record::Binding;
use crate::migration::resolution;
use crate::migration::status::{Reason, reason};
use crate::peer::message::{Epoch, HomeProfile, Message, NackReason};

/// A home subnet wider than this is taken for a mistake: the guest's every question would be answered.
const SHORTEST_PREFIX: u8 = 8;
/// A claim that is stale after so many times the least pause gets another transfer address.
const STALE_BACKOFF: u32 = 4;

impl Guest {
    pub(super) fn seen(&mut self, cx: &mut Context<'_>, text: &'static str, remedy: String) {
        let timers = &cx.config.timers;
        self.backoff = (self.backoff * 2).clamp(timers.backoff_min, timers.backoff_max);
        let retry = cx.now + self.backoff;
        let again = self.reason.as_ref().is_some_and(|r| r.text == text);
        if !again && text != reason::CLAIM_LAPSED {
            cx.out.alert(Some(self.address), format!("not served: {text}. {remedy}"));
        }
        self.enter(cx, Phase::Seen { retry }, Some(Reason { text, remedy }), text);
    }

    /// What stands in the way of a claim, and what to do about it.
    pub(super) fn obstacle(&self, cx: &mut Context<'_>) -> Option<(&'static str, String)> {
        let Some(peer) = &self.peer else {
            cx.refuse("guest-without-policy");
            let remedy = format!(
                "Add a [[hosting.guest]] whose prefixes hold {} to this site's configuration, or unplug the server from port {}.",
                self.address, self.port
            );
            return Some((reason::UNAUTHORISED, remedy));
        };
        if let Some(policy) = cx.config.hosting.policy(self.address) {
            let other = |g: IpAddr| g != self.address && policy.prefixes.iter().any(|p| p.contains(g));
            if cx.pool.in_use().filter(|(_, g)| other(*g)).count() >= policy.max {
                cx.refuse("guest-limit");
                let max = policy.max;
                let remedy =
                    format!("Raise max ({max}) of {peer}'s [[hosting.guest]], or stop another of its servers here.");
                return Some((reason::GUEST_LIMIT, remedy));
            }
        }
        let tag = cookie::tag(self.address);
        let namesake = cx.pool.in_use().find(|(_, g)| *g != self.address && cookie::tag(*g) == tag);
        if let Some((_, other)) = namesake {
            cx.refuse("guest-with-used-cookie");
            let remedy = format!("Wait until {other} has left, or give one of the two servers another address.");
            return Some((reason::COOKIE_IN_USE, remedy));
        }
        if cx.gateway(self.address).is_none() {
            return Some((reason::GATEWAY_SILENT, cx.gateway_remedy(self.address)));
        }
        if !cx.peers.is_up(peer) {
            return Some(if cx.peers.is_refused(peer) {
                cx.refuse("certificate-refused");
                let remedy = format!(
                    "Compare the fingerprints that this site and {peer} have configured with what `wamig keygen` printed at the other."
                );
                (reason::UNAUTHORISED, remedy)
            } else {
                (reason::HOME_UNREACHABLE, unreachable(peer))
            });
        }
        if !cx.peers.speaks(peer, Family::of(self.address)) {
            let remedy = format!("wamig at {peer} is older and knows no IPv6: upgrade it.");
            return Some((reason::HOME_OLDER, remedy));
        }
        None
    }

    /// Asks the home for the guest, if nothing stands in the way.
    pub(in crate::migration) fn claim(&mut self, cx: &mut Context<'_>) {
        if let Some((text, remedy)) = self.obstacle(cx) {
            self.seen(cx, text, remedy);
            return;
        }
        self.transfer = self.transfer.or_else(|| cx.pool.take(self.address));
        let Some(transfer) = self.transfer else {
            let remedy = "Add addresses to hosting.pool, or wait until used ones have rested (hosting.quarantine_s).";
            self.seen(cx, reason::POOL_EXHAUSTED, remedy.to_owned());
            return;
        };
        self.send_claim(cx, transfer, false);
        let next = cx.now + cx.config.timers.claim_retry;
        // What this site could see to be over is over; what the home said is until it says else.
        let reason = self.reason.clone().filter(|r| {
            [reason::HOME_UNREACHABLE, reason::HOME_OLDER, reason::UNAUTHORISED, reason::FROZEN, reason::CLAIM_LAPSED]
                .contains(&r.text)
        });
        let why = format!("transfer address {transfer}, evidence {}", self.evidence.as_str());
        self.enter(cx, Phase::Claiming { tries: 1, next }, reason, &why);
    }

    /// `token`: by the home's announcement, whose epoch is the last.
    pub(super) fn send_claim(&self, cx: &mut Context<'_>, transfer: IpAddr, token: bool) {
        let Some(peer) = &self.peer else { return };
        let (address, mac, evidence, last_epoch) = (self.address, self.mac, self.evidence, self.epoch);
        cx.out.note(address, event::CLAIM_SENT, format!("to {peer}, by {transfer}"));
        cx.out.send(peer, Message::Claim { address, mac, transfer, evidence, last_epoch, token });
    }

    /// What it waited for may have come: claim now, whatever pause is left.
    pub(in crate::migration) fn retry(&mut self, cx: &mut Context<'_>) {
        if self.is_seen() {
            self.backoff = Duration::ZERO;
            self.reason = None;
            self.claim(cx);
        }
    }

    pub(in crate::migration) fn on_claim_ack(
        &mut self,
        cx: &mut Context<'_>,
        epoch: Epoch,
        lease: u16,
        profile: HomeProfile,
        granted: Option<IpAddr>,
    ) {
        match &self.phase {
            // To a claim of before, with a transfer address that was given up since.
            Phase::Claiming { .. } if granted.is_some_and(|t| self.transfer != Some(t)) => return,
            Phase::Claiming { .. } if epoch >= self.epoch => {}
            // The home has granted anew what it had granted: only a new claim tells with
            // which transfer address.
            Phase::Ready { binding, .. } if epoch > binding.epoch => {
                self.epoch = epoch;
                self.claim_anew(cx, "granted anew");
                return;
            }
            _ => return,
        }
        let (Some(transfer), Some(peer), Some(gateway_mac)) =
            (self.transfer, self.peer.clone(), cx.gateway(self.address))
        else {
            return;
        };
        cx.out.note(self.address, event::CLAIM_ACK_RECEIVED, format!("from {peer}, epoch {epoch}, lease {lease} s"));
        if !is_sensible(self.address, &profile) {
            self.seen(
                cx,
                reason::CLAIM_LAPSED,
                format!("Check lan.prefix and lan.gateway in the configuration of {peer}."),
            );
            return;
        }
        self.epoch = epoch;
        self.lease = Duration::from_secs(u64::from(lease));
        let binding =
            Binding { peer, mac: self.mac, port: self.port, transfer, epoch, profile, gateway_mac, active: false };
        self.get_ready(cx, binding, &format!("granted, epoch {epoch}"));
    }

    /// Makes the flows of a placement; Ready follows once they are in.
    pub(super) fn get_ready(&mut self, cx: &mut Context<'_>, binding: Binding, why: &str) {
        self.persist(cx, Some(&binding));
        let mut mods = flows::hosting(&cx.config.lan, self.address, &binding);
        mods.push(cookie::delete(Role::Fence, self.address));
        let batch = cx.out.program(mods);
        let next = cx.now + cx.config.timers.ready_retry;
        self.enter(cx, Phase::Ready { binding, flows: Some(batch), next }, None, why);
    }

    pub(in crate::migration) fn on_claim_nack(&mut self, cx: &mut Context<'_>, why: NackReason) {
        let peer = self.peer.clone().unwrap_or_default();
        if matches!(self.phase, Phase::Claiming { .. } | Phase::Ready { .. } | Phase::Hosting { .. }) {
            cx.out.note(self.address, event::CLAIM_NACK_RECEIVED, format!("from {peer}: {}", nack_text(why)));
        }
        match (&self.phase, why) {
            // Once granted, the home says it by Revoke; this one was overtaken.
            (Phase::Claiming { .. }, NackReason::AliveAtHome) => {
                self.fence(cx, &format!("{peer} says it is alive at home"));
            }
            (Phase::Claiming { .. } | Phase::Ready { .. }, NackReason::Unauthorised | NackReason::NotHome) => {
                self.let_go(cx);
                let site = &cx.config.site;
                let remedy = format!(
                    "In the configuration of {peer}, {} must be a [[server]] with MAC address {} and {site} among its hosts.",
                    self.address, self.mac
                );
                self.seen(cx, reason::UNAUTHORISED, remedy);
            }
            (Phase::Claiming { .. } | Phase::Ready { .. }, NackReason::Frozen) => {
                // A claim that is still on its way names the transfer address: it stays reserved.
                self.take_out(cx);
                self.seen(cx, reason::FROZEN, format!("Ask the operator of {peer} to unfreeze it."));
            }
            (Phase::Ready { .. }, NackReason::Stale) => self.claim_anew(cx, "its grant is not current"),
            (Phase::Claiming { .. }, NackReason::Stale) => {
                // It may be about an epoch of before; only when it comes again and again is
                // it the transfer address.
                let again = self.backoff >= cx.config.timers.backoff_min * STALE_BACKOFF;
                if let Some(transfer) = self.transfer.filter(|_| again) {
                    self.transfer = None;
                    cx.pool.rest(transfer, cx.now);
                }
                self.seen(
                    cx,
                    reason::CLAIM_LAPSED,
                    format!("{peer} could not use the claim; it is repeated by itself."),
                );
            }
            (Phase::Hosting { .. }, NackReason::Unauthorised | NackReason::NotHome) => {
                let drain = cx.config.timers.drain;
                self.drain(cx, drain, &format!("{peer} does not let this site host it"));
            }
            _ => {}
        }
    }

    /// Flows out; the same transfer address is offered again.
    pub(super) fn claim_anew(&mut self, cx: &mut Context<'_>, why: &str) {
        self.persist(cx, None);
        cx.out.program(vec![cookie::delete(Role::Hosting, self.address)]);
        self.seen(cx, reason::CLAIM_LAPSED, "It is claimed anew by itself.".to_owned());
        cx.out.note(self.address, event::STATE, format!("claimed anew: {why}"));
        self.reason = None;
        self.claim(cx);
    }

    pub(in crate::migration) fn on_programmed(
        &mut self,
        cx: &mut Context<'_>,
        batch: BatchId,
        result: &Result<(), String>,
    ) -> bool {
        match &mut self.phase {
            Phase::Ready { binding, flows, next } if *flows == Some(batch) => {
                let transfer = binding.transfer;
                *flows = None;
                *next = cx.now;
                match result {
                    Ok(()) => {
                        cx.out.note(self.address, event::FLOWS_IN, format!("{transfer} leads to port {}", self.port));
                        // Whoever had the address before is forgotten by the LAN.
                        cx.out.emit(resolution::announcement(cx.config.lan.mac, transfer), [cx.config.lan.uplink]);
                        self.send_ready(cx);
                    }
                    Err(e) => {
                        self.take_out(cx);
                        self.seen(cx, reason::SWITCH_REFUSED, format!("See the log of the switch: {e}."));
                    }
                }
                true
            }
            Phase::Draining { binding, until, removing } if *removing == Some(batch) => {
                let transfer = binding.transfer;
                match result {
                    Ok(()) => {
                        cx.out.note(self.address, event::FLOWS_OUT, format!("{transfer} leads nowhere"));
                        self.rest_transfer(cx);
                        self.enter(cx, Phase::Gone, None, "drained");
                    }
                    Err(e) => {
                        *removing = None;
                        *until = cx.now + cx.config.timers.program_retry;
                        cx.out.alert(Some(self.address), format!("the switch did not remove its flows: {e}"));
                    }
                }
                true
            }
            _ => false,
        }
    }

    pub(super) fn send_ready(&mut self, cx: &mut Context<'_>) {
        let Phase::Ready { binding, flows: None, next } = &mut self.phase else { return };
        *next = cx.now + cx.config.timers.ready_retry;
        if cx.peers.is_up(&binding.peer) {
            cx.out.note(self.address, event::READY_SENT, format!("to {}, epoch {}", binding.peer, binding.epoch));
            cx.out.send(&binding.peer, Message::Ready { address: self.address, epoch: binding.epoch });
        }
    }

    pub(in crate::migration) fn on_active(&mut self, cx: &mut Context<'_>, epoch: Epoch) {
        let Phase::Ready { binding, flows: None, .. } = &self.phase else { return };
        if binding.epoch != epoch {
            return;
        }
        let binding = Binding { active: true, ..binding.clone() };
        cx.out.note(self.address, event::ACTIVE_RECEIVED, format!("from {}, epoch {epoch}", binding.peer));
        self.persist(cx, Some(&binding));
        self.backoff = Duration::ZERO;
        let lease_until = cx.now + self.lease;
        let why = format!("reached by {}", binding.transfer);
        self.enter(cx, Phase::Hosting { binding, lease_until, stale: false }, None, &why);
        self.answer_held(cx);
    }

    /// The paper's step 5.
    pub(super) fn answer_held(&mut self, cx: &mut Context<'_>) {
        let Phase::Hosting { binding, .. } = &self.phase else { return };
        let home = Prefix::new(self.address, binding.profile.prefix_len);
        for target in std::mem::take(&mut self.held) {
            // Of the link itself only the router is imitated, whatever link-local address it is known by.
            let router = target == binding.profile.gateway || is_link_local(target) && target.is_ipv6();
            let mac = if router {
                binding.profile.gateway_mac
            } else if home.contains(target) {
                cx.config.lan.mac
            } else {
                continue;
            };
            cx.out.emit(resolution::answer(mac, target, self.mac, self.address, router), [self.port]);
            cx.out.note(self.address, event::ARP_ANSWERED, format!("{target} is at {mac}"));
        }
    }
}

/// Whether the server can live in such a network.
pub(super) fn is_sensible(server: IpAddr, profile: &HomeProfile) -> bool {
    let family = Family::of(server);
    let mac_is_one = !profile.gateway_mac.is_multicast() && profile.gateway_mac != MacAddr::ZERO;
    let gateway_is_one = Family::of(profile.gateway) == family && !profile.gateway.is_unspecified();
    (SHORTEST_PREFIX..=family.bits()).contains(&profile.prefix_len) && mac_is_one && gateway_is_one
}

pub(super) fn unreachable(peer: &str) -> String {
    format!("Start wamig at {peer} or restore the path to it; the claim is repeated by itself.")
}

fn nack_text(why: NackReason) -> &'static str {
    match why {
        NackReason::Unauthorised => "unauthorised",
        NackReason::AliveAtHome => "alive at home",
        NackReason::Frozen => "frozen",
        NackReason::NotHome => "not at home there",
        NackReason::Stale => "stale",
        NackReason::Unable => "unable",
    }
}
