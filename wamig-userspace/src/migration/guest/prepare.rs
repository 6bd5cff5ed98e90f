//! A planned move, at the host: the home has announced a server, a transfer address is kept for
//! it, and when it is heard nobody is asked any more.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use wamig_openflow::{MacAddr, PortNo};

use super::claim::is_sensible;
use super::{Guest, Phase};
use crate::migration::context::Context;
use crate::migration::io::event;
use crate::migration::planned::Permit;
use crate::migration::record::{Binding, Record};
use crate::migration::status::{Reason, reason};
use crate::peer::message::{Epoch, HomeProfile, Message, NackReason};

/// What [`Message::Prepare`] says beside the address and the MAC address.
#[derive(Clone, Copy, Debug)]
pub(in crate::migration) struct Announcement {
    pub(in crate::migration) epoch: Epoch,
    pub(in crate::migration) lease: u16,
    pub(in crate::migration) window: u16,
    pub(in crate::migration) profile: HomeProfile,
}

impl Guest {
    /// A guest that was never heard, and whose home may announce it.
    pub(in crate::migration) fn unheard(
        now: Instant,
        address: IpAddr,
        mac: MacAddr,
        peer: String,
        epoch: Epoch,
    ) -> Self {
        Self::new(now, address, mac, PortNo::ANY, Some(peer), epoch)
    }

    /// A guest that was announced before a restart.
    pub(in crate::migration) fn resume_prepared(now: Instant, address: IpAddr, permit: &Permit) -> Self {
        let mut guest = Self::unheard(now, address, permit.mac, permit.peer.clone(), permit.epoch);
        guest.transfer = Some(permit.transfer);
        guest.reason = Some(announced(permit));
        guest.phase = Phase::Prepared { permit: permit.clone(), until: now + window(permit) };
        guest
    }

    pub(in crate::migration) fn is_prepared(&self) -> bool {
        matches!(self.phase, Phase::Prepared { .. })
    }

    /// An announced guest may come by any hosting port.
    pub(in crate::migration) fn comes_by(&mut self, port: PortNo) {
        if self.is_prepared() {
            self.port = port;
        }
    }

    /// The home announces it; `Err` = why it cannot be prepared for. What has to wait for the end
    /// of a former placement is not answered: it is repeated.
    pub(in crate::migration) fn on_prepare(
        &mut self,
        cx: &mut Context<'_>,
        announcement: Announcement,
    ) -> Result<(), NackReason> {
        let epoch = announcement.epoch;
        match &self.phase {
            _ if epoch < self.epoch => return Err(NackReason::Stale),
            Phase::Prepared { permit, .. } if permit.epoch == epoch => {}
            Phase::Ready { binding, .. } | Phase::Hosting { binding, .. } if binding.epoch == epoch => {}
            // What it has claimed it with is as good.
            Phase::Claiming { .. } if epoch > self.epoch => {
                self.epoch = epoch;
                self.persist(cx, None);
            }
            Phase::Claiming { .. } => {}
            _ if epoch == self.epoch => return Err(NackReason::Stale),
            Phase::Ready { .. } | Phase::Hosting { .. } | Phase::Draining { .. } | Phase::Gone => return Ok(()),
            Phase::Fenced { .. } => return Err(NackReason::Unable),
            Phase::Seen { .. } | Phase::Prepared { .. } => self.admit(cx, announcement)?,
        }
        if let (Some(peer), Some(transfer)) = (&self.peer, self.transfer) {
            cx.out.send(peer, Message::PrepareAck { address: self.address, epoch, transfer });
        }
        Ok(())
    }

    fn admit(&mut self, cx: &mut Context<'_>, announcement: Announcement) -> Result<(), NackReason> {
        let Announcement { epoch, lease, window: seconds, profile } = announcement;
        if !is_sensible(self.address, &profile) {
            return Err(NackReason::Unable);
        }
        if let Some((text, _)) = self.obstacle(cx) {
            let unauthorised = text == reason::UNAUTHORISED;
            return Err(if unauthorised { NackReason::Unauthorised } else { NackReason::Unable });
        }
        self.transfer = self.transfer.or_else(|| cx.pool.take(self.address));
        let (Some(transfer), Some(peer)) = (self.transfer, self.peer.clone()) else { return Err(NackReason::Unable) };
        let permit = Permit { peer, mac: self.mac, transfer, epoch, profile, lease, window: seconds };
        self.epoch = epoch;
        self.backoff = Duration::ZERO;
        let (address, until) = (self.address, cx.now + window(&permit));
        cx.out.persist(Record::Host { address, epoch, binding: None, resting: None, permit: Some(permit.clone()) });
        let why = format!("{} announces it, {transfer} is kept for {seconds} s", permit.peer);
        cx.out.note(address, event::PREPARE_RECEIVED, why.clone());
        let reason = announced(&permit);
        self.enter(cx, Phase::Prepared { permit, until }, Some(reason), &why);
        Ok(())
    }

    /// It is here: its flows are made as if the home had granted it just now, and the home is
    /// told. Whatever stands in the way leaves it to an ordinary claim.
    pub(super) fn arrive(&mut self, cx: &mut Context<'_>) {
        let Phase::Prepared { permit, .. } = &self.phase else { return };
        let permit = permit.clone();
        let obstacle = self.obstacle(cx);
        let (None, Some(gateway_mac)) = (&obstacle, cx.gateway(self.address)) else {
            self.persist(cx, None);
            if let Some((text, remedy)) = obstacle {
                self.seen(cx, text, remedy);
            }
            return;
        };
        self.send_claim(cx, permit.transfer, true);
        self.lease = Duration::from_secs(u64::from(permit.lease));
        let Permit { peer, transfer, epoch, profile, .. } = permit;
        let (mac, port) = (self.mac, self.port);
        let binding = Binding { peer, mac, port, transfer, epoch, profile, gateway_mac, active: false };
        let evidence = self.evidence.as_str();
        self.get_ready(cx, binding, &format!("as announced, epoch {epoch}, evidence {evidence}"));
    }

    /// The announcement is over. Who was heard here may still claim.
    pub(super) fn withdraw(&mut self, cx: &mut Context<'_>, why: &str) {
        if self.port == PortNo::ANY {
            // The home sends nothing before it has heard Ready.
            if let Some(transfer) = self.transfer.take() {
                cx.pool.give_back(transfer);
            }
            self.persist(cx, None);
            self.enter(cx, Phase::Gone, None, why);
        } else {
            self.persist(cx, None);
            self.enter(cx, Phase::Seen { retry: cx.now }, None, why);
        }
    }
}

fn window(permit: &Permit) -> Duration {
    Duration::from_secs(u64::from(permit.window))
}

fn announced(permit: &Permit) -> Reason {
    let remedy = format!(
        "Start or migrate it to a hosting port here; unless it is heard within {} s of the announcement, {} is free again.",
        permit.window, permit.transfer
    );
    Reason { text: reason::ANNOUNCED, remedy }
}
