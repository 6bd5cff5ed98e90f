//! The way back: the server is seen at home, or released by its host.

use std::time::Duration;

use bytes::Bytes;
use wamig_openflow::action::Action;
use wamig_openflow::{MacAddr, PacketOut, PortNo};

use super::{Held, HomeServer, Phase, Step, Why};
use crate::migration::context::Context;
use crate::migration::cookie::{self, Role};
use crate::migration::io::event;
use crate::migration::order::{Plan, Refusal};
use crate::migration::record::Placement;
use crate::migration::status::reason;
use crate::peer::message::{Epoch, Evidence, Message, NackReason};

/// Frames of the returning server that are kept for re-injection.
const HELD: usize = 4;
/// Between two alerts about the same stranger.
const ALERT_PAUSE: Duration = Duration::from_mins(1);

impl HomeServer {
    pub(super) fn plan_return(&self, cx: &Context<'_>) -> Plan {
        let (address, own) = (self.address(), cx.config.site.as_str());
        let refuse = |text: &str, remedy: String| Err(Refusal::new(text, remedy));
        if self.frozen.is_some() {
            return refuse("it is frozen", format!("`wamig unfreeze {address} --to {own} --reason TEXT` does both."));
        }
        match &self.phase {
            Phase::Home | Phase::Probing { .. } if self.prepared.is_some() => {
                let remedy = format!("`wamig unprepare {address} --reason TEXT` keeps it here.");
                refuse("it is at home, and about to move", remedy)
            }
            Phase::Home | Phase::Probing { .. } => refuse("it is at home", "Nothing is to be done.".to_owned()),
            Phase::Claimed { .. } | Phase::Returning { .. } => {
                let remedy = "Wait until `wamig status` shows it as HOME or AWAY, a few seconds.".to_owned();
                refuse("it is being moved", remedy)
            }
            Phase::Away { placement, .. } => Ok(vec![
                format!("its traffic goes to no {} any more, it is local again", placement.transfer),
                format!("{} is not asked, and fences its copy if one talks there", placement.peer),
                "it is reached when it runs here".to_owned(),
            ]),
        }
    }

    /// An operator says that it is to be at home, whatever its host knows of it.
    pub(super) fn come_home(&mut self, cx: &mut Context<'_>, reason: &str) {
        let Phase::Away { placement, .. } = &self.phase else { return };
        let placement = placement.clone();
        self.remove(cx, placement, Vec::new(), Vec::new(), Why::Ordered { fence: true }, reason);
    }

    /// A frame at home says that the server is here: ARP from its address, or its own probe.
    pub(in crate::migration) fn on_evidence(
        &mut self,
        cx: &mut Context<'_>,
        in_port: PortNo,
        mac: MacAddr,
        evidence: Evidence,
        data: Bytes,
    ) {
        if mac != self.server.mac {
            self.on_stranger(cx, in_port, mac, evidence);
            return;
        }
        if self.is_unwelcome(cx, in_port) {
            return;
        }
        let held = Held { in_port, data };
        match &mut self.phase {
            Phase::Home => {}
            Phase::Probing { peer, .. } => {
                let peer = std::mem::take(peer);
                self.phase = Phase::Home;
                self.nack(cx, &peer, NackReason::AliveAtHome, &format!("it answers at home, on port {in_port}"));
            }
            Phase::Claimed { previous: None, switching: None, .. } => {
                cx.out.note(self.server.address, event::SEEN_AT_HOME, format!("on port {in_port}"));
                cx.out.alert(Some(self.server.address), "alive at home while it was claimed: the copy is fenced");
                self.abort(cx, true, "seen at home before the claim was carried out");
            }
            Phase::Claimed { grant, previous, .. } => {
                cx.out.note(self.server.address, event::SEEN_AT_HOME, format!("on port {in_port}"));
                cx.out.alert(Some(self.server.address), "alive at home while it was claimed: the copy is fenced");
                let others = previous.iter().map(|p| p.peer.clone()).filter(|p| *p != grant.peer).collect();
                let grant = grant.clone();
                self.remove(cx, grant, others, vec![held], Why::Seen { fence: true }, "seen at home");
            }
            Phase::Away { placement, stale, .. } => {
                cx.out.note(self.server.address, event::SEEN_AT_HOME, format!("on port {in_port}; its frame is held"));
                let placement = placement.clone();
                // Nobody knows what is at a host that is up and yet assumed dead.
                let (up, assumed) = (cx.peers.is_up(&placement.peer), cx.peers.assumed_dead(&placement.peer).is_some());
                if *stale || assumed || !up {
                    let why = Why::Seen { fence: assumed && up };
                    self.remove(cx, placement, Vec::new(), vec![held], why, "seen at home");
                    return;
                }
                let (address, epoch) = (self.server.address, placement.epoch);
                cx.out.send(&placement.peer, Message::Query { address, epoch });
                let timers = &cx.config.timers;
                let step = Step::Query { resend: cx.now + timers.query_retry, deadline: cx.now + timers.query };
                let phase = Phase::Returning {
                    placement,
                    others: Vec::new(),
                    held: vec![held],
                    why: Why::Seen { fence: false },
                    step,
                };
                self.enter(cx, phase, "seen at home");
            }
            Phase::Returning { held: frames, why, .. } => {
                if frames.len() < HELD && !frames.contains(&held) {
                    frames.push(held);
                }
                if matches!(why, Why::Released(_)) {
                    *why = Why::Seen { fence: false };
                }
            }
        }
    }

    pub(super) fn on_stranger(&mut self, cx: &mut Context<'_>, in_port: PortNo, mac: MacAddr, evidence: Evidence) {
        // Anybody may ask whether the address is free.
        if matches!(evidence, Evidence::ArpProbe | Evidence::NdProbe)
            || self.stranger.is_some_and(|at| cx.now < at + ALERT_PAUSE)
        {
            return;
        }
        self.stranger = Some(cx.now);
        let text = format!("{mac} on port {in_port} talks from its address: {}", reason::FOREIGN_MAC);
        cx.refuse("evidence-from-foreign-mac");
        cx.out.alert(Some(self.address()), text);
    }

    pub(in crate::migration) fn on_query_ack(&mut self, cx: &mut Context<'_>, peer: &str, epoch: Epoch, alive: bool) {
        if self.is_queried(peer, epoch) {
            let why = if alive { "alive at both sites: home wins" } else { "its copy does not answer" };
            if alive {
                cx.out.alert(
                    Some(self.address()),
                    format!("alive at home and at {peer}: home wins, {peer} fences its copy"),
                );
            }
            self.go_home(cx, alive, why);
        }
    }

    pub(super) fn is_queried(&self, peer: &str, epoch: Epoch) -> bool {
        matches!(&self.phase, Phase::Returning { placement, step: Step::Query { .. }, .. }
            if placement.peer == peer && placement.epoch == epoch)
    }

    /// The query is over; the flows go out.
    pub(super) fn go_home(&mut self, cx: &mut Context<'_>, fence: bool, why: &str) {
        let Phase::Returning { placement, others, held, .. } = &mut self.phase else { return };
        let (placement, others, held) = (placement.clone(), std::mem::take(others), std::mem::take(held));
        self.remove(cx, placement, others, held, Why::Seen { fence }, why);
    }

    pub(super) fn remove(
        &mut self,
        cx: &mut Context<'_>,
        placement: Placement,
        others: Vec<String>,
        held: Vec<Held>,
        why: Why,
        text: &str,
    ) {
        let batch = cx.out.program(vec![cookie::delete(Role::Away, self.server.address)]);
        let step = Step::Removing { batch };
        self.enter(cx, Phase::Returning { placement, others, held, why, step }, text);
    }

    /// The flows are gone: what was held goes on as if nothing had been, so that the real
    /// gateway answers; then the host is told.
    pub(super) fn returned(&mut self, cx: &mut Context<'_>) {
        let Phase::Returning { placement, others, held, why, .. } = &self.phase else { return };
        let (placement, others, held, why) = (placement.clone(), others.clone(), held.clone(), why.clone());
        let address = self.address();
        // What an abort says of a refusal stands until a change is in force.
        if !matches!(why, Why::Released(_)) {
            self.switch_refused = None;
        }
        cx.out.note(address, event::FLOWS_OUT, format!("{address} is local again"));
        for frame in held {
            let actions = vec![Action::output(PortNo::TABLE)];
            cx.out.packet_out(PacketOut { buffer_id: None, in_port: frame.in_port, actions, data: frame.data });
        }
        match why {
            Why::Seen { fence } | Why::Ordered { fence } => {
                if matches!(why, Why::Seen { .. }) {
                    self.count_move(cx);
                }
                self.epoch = self.epoch.next();
                self.persist(cx, None);
                for peer in std::iter::once(&placement.peer).chain(&others) {
                    self.revokes.add(cx, address, peer, self.epoch, fence);
                }
                self.enter(cx, Phase::Home, "back at home");
            }
            Why::Released(epoch) => {
                // A host that renews it all the same is told that this is over.
                self.epoch = self.epoch.next();
                self.persist(cx, None);
                cx.out.send(&placement.peer, Message::ReleaseAck { address, epoch });
                cx.out.alert(
                    Some(address),
                    format!("{} released it: it is nowhere until it is started again", placement.peer),
                );
                self.enter(cx, Phase::Home, "released by its host");
            }
        }
    }

    pub(in crate::migration) fn on_revoke_ack(&mut self, peer: &str, epoch: Epoch) {
        let known = self.known.entry(peer.to_owned()).or_default();
        *known = epoch.max(*known);
        self.revokes.on_ack(peer, epoch);
    }

    pub(in crate::migration) fn on_release(&mut self, cx: &mut Context<'_>, peer: &str, epoch: Epoch) {
        match &self.phase {
            Phase::Away { placement, .. } if placement.peer == peer && placement.epoch == epoch => {
                let placement = placement.clone();
                self.remove(cx, placement, Vec::new(), Vec::new(), Why::Released(epoch), "released by its host");
            }
            Phase::Returning { placement, .. } if placement.peer == peer && placement.epoch == epoch => {
                if self.is_queried(peer, epoch) {
                    self.go_home(cx, false, "released by its host");
                }
                cx.out.send(peer, Message::ReleaseAck { address: self.address(), epoch });
            }
            Phase::Claimed { grant, switching: None, .. } if grant.peer == peer && grant.epoch == epoch => {
                cx.out.send(peer, Message::ReleaseAck { address: self.address(), epoch });
                self.abort(cx, false, "given up by its host");
            }
            _ => cx.out.send(peer, Message::ReleaseAck { address: self.address(), epoch }),
        }
    }
}
