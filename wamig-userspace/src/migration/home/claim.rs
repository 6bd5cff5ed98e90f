//! The way out: a peer claims the server, and traffic is switched to it.

use std::net::IpAddr;

use wamig_openflow::{MacAddr, PortNo};

use super::{HomeServer, Phase, Step, Why};
use crate::migration::context::Context;
use crate::migration::cookie::{self, Role};
use crate::migration::flows;
use crate::migration::io::{BatchId, event};
use crate::migration::pool::lan_ports;
use crate::migration::prefix::Family;
use crate::migration::record::Placement;
use crate::migration::resolution::{self, Resolution};
use crate::migration::status::State;
use crate::peer::message::{Epoch, Evidence, HomeProfile, Message, NackReason};

/// What [`Message::Claim`] says beside the address.
pub(in crate::migration) struct Claim {
    pub(in crate::migration) mac: MacAddr,
    pub(in crate::migration) transfer: IpAddr,
    pub(in crate::migration) evidence: Evidence,
    pub(in crate::migration) last_epoch: Epoch,
    pub(in crate::migration) token: bool,
}

impl HomeServer {
    /// A peer says that the server is at its site.
    pub(in crate::migration) fn on_claim(&mut self, cx: &mut Context<'_>, peer: &str, claim: &Claim) {
        let Claim { mac, transfer, last_epoch, .. } = *claim;
        if !self.server.hosts.iter().any(|h| h == peer) || mac != self.server.mac {
            let why = if mac == self.server.mac { "is not among its hosts" } else { "names a MAC address not its own" };
            self.nack(cx, peer, NackReason::Unauthorised, &format!("{peer} {why}"));
            return;
        }
        if self.known.get(peer).is_some_and(|k| last_epoch < *k) {
            return;
        }
        if last_epoch > self.epoch {
            self.lost_log(cx, last_epoch, peer);
        }
        if self.is_held_against(peer) {
            self.nack(cx, peer, NackReason::Frozen, "it is frozen");
            return;
        }
        match &mut self.phase {
            Phase::Home | Phase::Probing { .. } if self.prepared.as_ref().is_some_and(|p| p.peer() == peer) => {
                self.take_over(cx, peer, claim);
            }
            Phase::Home => {
                cx.out.note(self.server.address, event::CLAIM_RECEIVED, format!("{peer} has it, by {transfer}"));
                let until = cx.now + cx.config.timers.claimed;
                let left = cx.config.timers.home_probes;
                self.phase = Phase::Probing { peer: peer.to_owned(), transfer, left, next: cx.now, until };
            }
            Phase::Claimed { grant, deadline, switching, .. } if grant.peer == peer && grant.transfer == transfer => {
                if switching.is_none() {
                    *deadline = cx.now + cx.config.timers.claimed;
                }
                let grant = grant.clone();
                self.ack(cx, &grant);
            }
            Phase::Claimed { grant, previous, switching: None, .. } if grant.peer == peer => {
                let previous = previous.clone();
                self.grant(cx, peer, transfer, previous, None);
            }
            // One at a time: it is repeated, and by then this one is decided.
            Phase::Probing { .. } | Phase::Claimed { .. } | Phase::Returning { .. } => {}
            Phase::Away { placement, .. } if placement.peer == peer && placement.transfer == transfer => {
                let placement = placement.clone();
                self.ack(cx, &placement);
            }
            Phase::Away { placement, .. } => {
                let previous = placement.clone();
                cx.out.note(self.server.address, event::CLAIM_RECEIVED, format!("{peer} has it now, by {transfer}"));
                self.grant(cx, peer, transfer, Some(previous), None);
            }
        }
    }

    /// Refuses a claim whose transfer address cannot be one.
    pub(in crate::migration) fn refuse_transfer(&self, cx: &mut Context<'_>, peer: &str, transfer: IpAddr) {
        let text = format!("{peer} offers {transfer}, which cannot be a transfer address");
        cx.out.alert(Some(self.address()), text.clone());
        self.nack(cx, peer, NackReason::Stale, &text);
    }

    pub(super) fn nack(&self, cx: &mut Context<'_>, peer: &str, reason: NackReason, why: &str) {
        let name = match reason {
            NackReason::Unauthorised | NackReason::NotHome => "claim-unauthorised",
            NackReason::AliveAtHome => "claim-alive-at-home",
            NackReason::Frozen => "claim-frozen",
            NackReason::Stale | NackReason::Unable => "claim-stale",
        };
        cx.refuse(name);
        cx.out.note(self.address(), event::CLAIM_NACK_SENT, format!("to {peer}: {why}"));
        if reason != NackReason::Stale {
            cx.out.alert(Some(self.address()), format!("claim of {peer} refused: {why}"));
        }
        cx.out.send(peer, Message::ClaimNack { address: self.address(), reason });
    }

    /// `plan`: as whose plan it goes, if one was made.
    pub(super) fn grant(
        &mut self,
        cx: &mut Context<'_>,
        peer: &str,
        transfer: IpAddr,
        previous: Option<Placement>,
        plan: Option<String>,
    ) {
        let Some(gateway_mac) = cx.gateway(self.address()).or(previous.as_ref().map(|p| p.gateway_mac)) else { return };
        self.epoch = self.epoch.next();
        let (from, ended) = (self.state(), self.prepared.take());
        let grant = Placement { peer: peer.to_owned(), transfer, epoch: self.epoch, gateway_mac };
        self.persist(cx, previous.as_ref());
        if let Some(ended) = ended.filter(|p| p.peer() != peer) {
            self.revokes.add(cx, self.server.address, ended.peer(), self.epoch, false);
        }
        self.ack(cx, &grant);
        self.promise(cx, from, grant, previous, plan);
    }

    /// Waits for the host to get ready; `from` as for [`HomeServer::enter_from`].
    pub(super) fn promise(
        &mut self,
        cx: &mut Context<'_>,
        from: State,
        grant: Placement,
        previous: Option<Placement>,
        plan: Option<String>,
    ) {
        self.revokes.forget(&grant.peer);
        let deadline = cx.now + cx.config.timers.claimed;
        let granted = format!("granted to {} by {}, epoch {}", grant.peer, grant.transfer, grant.epoch);
        let why = plan.as_ref().map_or(granted.clone(), |plan| format!("{granted}, {plan}"));
        let phase = Phase::Claimed { grant, previous, deadline, switching: None, planned: plan.is_some() };
        self.enter_from(cx, from, phase, &why);
    }

    pub(super) fn ack(&self, cx: &mut Context<'_>, grant: &Placement) {
        let profile = self.profile(cx, cx.gateway(self.address()).unwrap_or(grant.gateway_mac));
        let (address, epoch, lease, transfer) = (self.address(), grant.epoch, Self::lease(cx), Some(grant.transfer));
        cx.out.note(address, event::CLAIM_ACK_SENT, format!("to {}, epoch {epoch}", grant.peer));
        cx.out.send(&grant.peer, Message::ClaimAck { address, epoch, lease, profile, transfer });
    }

    /// What a host must imitate.
    pub(super) fn profile(&self, cx: &Context<'_>, gateway_mac: MacAddr) -> HomeProfile {
        let family = Family::of(self.address());
        // A checked configuration has servers of its own subnets only.
        let (prefix_len, gateway) = match cx.config.lan.subnet(family) {
            Some(subnet) => (subnet.prefix.len(), subnet.gateway),
            None => (family.bits(), family.unspecified()),
        };
        HomeProfile { prefix_len, gateway, gateway_mac }
    }

    /// How long a renewal lasts, seconds.
    pub(super) fn lease(cx: &Context<'_>) -> u16 {
        u16::try_from(cx.config.timers.lease.as_secs().max(1)).unwrap_or(u16::MAX)
    }

    /// A peer knows a higher epoch than this site ever gave out: its log was lost.
    pub(super) fn lost_log(&mut self, cx: &mut Context<'_>, theirs: Epoch, peer: &str) {
        self.epoch = Epoch { incarnation: theirs.incarnation.saturating_add(1), counter: 0 };
        let text = format!(
            "{peer} knows epoch {theirs}, which is not in this site's state: was it lost? going on with {}",
            self.epoch
        );
        cx.out.alert(Some(self.address()), text);
        let placement = self.placement().cloned();
        self.persist(cx, placement.as_ref());
        self.end_preparation(cx, "the site's log was lost");
    }

    /// Where the flows lead now.
    pub(super) fn placement(&self) -> Option<&Placement> {
        match &self.phase {
            Phase::Home | Phase::Probing { .. } => None,
            Phase::Claimed { previous, .. } => previous.as_ref(),
            Phase::Away { placement, .. } | Phase::Returning { placement, .. } => Some(placement),
        }
    }

    pub(in crate::migration) fn on_ready(&mut self, cx: &mut Context<'_>, peer: &str, epoch: Epoch) {
        self.take_over_unclaimed(cx, peer, epoch);
        match &mut self.phase {
            Phase::Claimed { grant, previous, switching, .. } if grant.peer == peer && grant.epoch == epoch => {
                if switching.is_some() {
                    return;
                }
                cx.out.note(self.server.address, event::READY_RECEIVED, format!("{peer} is ready, epoch {epoch}"));
                let mut mods = flows::away(&cx.config.lan, &self.server, grant);
                // Equal matches were replaced by the adds; this takes what is left.
                mods.extend(
                    previous.as_ref().map(|p| cookie::delete_generation(Role::Away, self.server.address, p.epoch)),
                );
                *switching = Some(cx.out.program(mods));
                self.known.insert(peer.to_owned(), epoch);
            }
            Phase::Away { placement, .. } if placement.peer == peer && placement.epoch == epoch => {
                cx.out.send(peer, Message::Active { address: self.server.address, epoch });
            }
            Phase::Home | Phase::Probing { .. } | Phase::Claimed { .. } | Phase::Away { .. } => {
                self.nack(cx, peer, NackReason::Stale, &format!("epoch {epoch} is not current"));
            }
            // It is told by Revoke.
            Phase::Returning { .. } => {}
        }
    }

    pub(in crate::migration) fn on_programmed(
        &mut self,
        cx: &mut Context<'_>,
        batch: BatchId,
        result: &Result<(), String>,
    ) -> bool {
        match (&mut self.phase, result) {
            (Phase::Claimed { grant, previous, switching, planned, .. }, result) if *switching == Some(batch) => {
                let (grant, previous, planned) = (grant.clone(), previous.clone(), *planned);
                match result {
                    Ok(()) => self.switched(cx, grant, previous.as_ref(), planned),
                    Err(e) => {
                        let text = format!("the switch refused its flows: {e}");
                        cx.out.alert(Some(self.server.address), text.clone());
                        *switching = None;
                        self.switch_refused = Some(e.clone());
                        self.abort(cx, false, &text);
                    }
                }
                true
            }
            (Phase::Returning { step, .. }, result) if *step == (Step::Removing { batch }) => {
                match result {
                    Ok(()) => self.returned(cx),
                    Err(e) => {
                        *step = Step::Again { at: cx.now + cx.config.timers.program_retry };
                        self.switch_refused = Some(e.clone());
                        cx.out.alert(Some(self.server.address), format!("the switch did not remove its flows: {e}"));
                    }
                }
                true
            }
            _ => false,
        }
    }

    pub(super) fn switched(
        &mut self,
        cx: &mut Context<'_>,
        grant: Placement,
        previous: Option<&Placement>,
        planned: bool,
    ) {
        let address = self.address();
        self.switch_refused = None;
        // Told with the barrier's time, not that of the disk.
        cx.out.note(address, event::FLOWS_IN, format!("{address} leads to {}", grant.transfer));
        if !planned && previous.is_none_or(|p| p.peer != grant.peer) {
            self.count_move(cx);
        }
        self.persist(cx, Some(&grant));
        // Switches of the LAN that know no OpenFlow learn by this where the server's MAC is.
        cx.out.emit(resolution::announcement(self.server.mac, address), lan_ports(cx.config));
        cx.out.send(&grant.peer, Message::Active { address, epoch: grant.epoch });
        cx.out.note(address, event::ACTIVE_SENT, format!("to {}, epoch {}", grant.peer, grant.epoch));
        if let Some(old) = previous.filter(|p| p.peer != grant.peer) {
            self.revokes.add(cx, address, &old.peer, self.epoch, false);
        }
        let stale = !cx.peers.is_up(&grant.peer);
        let why = format!("traffic goes to {} by {}", grant.peer, grant.transfer);
        let lease_until = cx.now + cx.config.timers.lease;
        self.enter(cx, Phase::Away { placement: grant, lease_until, stale, ask: None }, &why);
    }

    /// A grant that has not become a placement is taken back.
    pub(super) fn abort(&mut self, cx: &mut Context<'_>, fence: bool, why: &str) {
        let Phase::Claimed { grant, previous, .. } = &self.phase else { return };
        let (grant, previous) = (grant.clone(), previous.clone());
        self.epoch = self.epoch.next();
        self.persist(cx, previous.as_ref());
        self.revokes.add(cx, self.server.address, &grant.peer, self.epoch, fence);
        match previous {
            None => self.enter(cx, Phase::Home, why),
            // The host that claimed anew has forgotten the former placement.
            Some(placement) if placement.peer == grant.peer => {
                let epoch = placement.epoch;
                self.remove(cx, placement, Vec::new(), Vec::new(), Why::Released(epoch), why);
            }
            Some(placement) => {
                let stale = !cx.peers.is_up(&placement.peer);
                let lease_until = cx.now + cx.config.timers.lease;
                self.enter(cx, Phase::Away { placement, lease_until, stale, ask: None }, why);
            }
        }
    }

    /// Somebody of the LAN asks for the server. ARP is answered by a flow.
    pub(in crate::migration) fn on_asked_for(&self, cx: &mut Context<'_>, in_port: PortNo, heard: &Resolution) {
        if heard.mac != self.server.mac && heard.target.is_ipv6() && self.placement().is_some() {
            let answer = resolution::answer(self.server.mac, self.address(), heard.mac, heard.sender, false);
            cx.out.emit(answer, [in_port]);
        }
    }

    /// Looks for the server here; when the last probe brought nothing, the claim is granted.
    pub(super) fn probe(&mut self, cx: &mut Context<'_>) {
        let Phase::Probing { peer, transfer, left, next, until } = &mut self.phase else { return };
        *next = cx.now + cx.config.timers.home_probe;
        if *left > 0 {
            *left -= 1;
            cx.out.emit(resolution::ask(cx.config.lan.mac, self.server.address), lan_ports(cx.config));
        } else if cx.gateway(self.server.address).is_some() {
            let (peer, transfer) = (peer.clone(), *transfer);
            self.grant(cx, &peer, transfer, None, None);
        } else if *until <= cx.now {
            let text = format!("{peer}'s claim cannot be granted: the own gateway's MAC address is not known");
            cx.out.alert(Some(self.server.address), text);
            self.phase = Phase::Home;
        }
    }
}
