//! The way out: the placement ends, the copy is fenced, or the guest is given up.

use std::time::Duration;

use wamig_openflow::PortNo;

use super::{Guest, Phase};
use crate::migration::context::Context;
use crate::migration::cookie::{self, Role};
use crate::migration::flows;
use crate::migration::io::event;
use crate::migration::record::{Binding, Record};
use crate::migration::status::{Reason, reason};
use crate::peer::message::Epoch;

impl Guest {
    /// The home ended the placement. The acknowledgement is the caller's.
    pub(in crate::migration) fn on_revoke(&mut self, cx: &mut Context<'_>, epoch: Epoch, fence: bool, drain: Duration) {
        let bound = match &self.phase {
            Phase::Ready { binding, .. } | Phase::Hosting { binding, .. } | Phase::Draining { binding, .. } => {
                Some(binding.epoch)
            }
            _ => None,
        };
        let newer = epoch > bound.unwrap_or(self.epoch);
        if epoch > self.epoch {
            self.epoch = epoch;
        }
        if !newer {
            return;
        }
        let how = if fence { "; it is alive at home" } else { "" };
        cx.out.note(self.address, event::REVOKE_RECEIVED, format!("epoch {epoch}{how}"));
        if self.is_prepared() && (!fence || self.port == PortNo::ANY) {
            self.withdraw(cx, "its home withdrew the announcement");
            return;
        }
        if fence {
            self.fence(cx, "the home says it is alive there as well");
            return;
        }
        match &self.phase {
            Phase::Ready { .. } => {
                self.persist(cx, None);
                cx.out.program(vec![cookie::delete(Role::Hosting, self.address)]);
                self.seen(
                    cx,
                    reason::CLAIM_LAPSED,
                    "The home took its grant back; it is claimed anew by itself.".to_owned(),
                );
            }
            Phase::Hosting { .. } => self.drain(cx, drain, "the server is back at home"),
            _ => {}
        }
    }

    pub(super) fn drain(&mut self, cx: &mut Context<'_>, span: Duration, why: &str) {
        let Phase::Hosting { binding, .. } = &self.phase else { return };
        let binding = binding.clone();
        self.persist(cx, None);
        cx.out.program(flows::draining(&cx.config.lan, self.address, &binding));
        self.check = None;
        self.enter(cx, Phase::Draining { binding, until: cx.now + span, removing: None }, None, why);
    }

    /// Nothing of the copy is forwarded any more.
    pub(super) fn fence(&mut self, cx: &mut Context<'_>, why: &str) {
        let mut mods = vec![cookie::delete(Role::Hosting, self.address)];
        mods.extend(flows::fence(self.address, self.port, self.mac));
        cx.out.program(mods);
        self.let_go_of_transfer(cx);
        self.held.clear();
        self.check = None;
        self.heard = cx.now;
        cx.out.alert(Some(self.address), format!("fenced: {why}"));
        let silence = cx.config.timers.fence_silence.as_secs();
        let remedy = format!(
            "Stop the copy on port {} here; the fence opens once it has been silent for {silence} s. To move the server, stop it at home first.",
            self.port
        );
        self.enter(cx, Phase::Fenced { probe: cx.now }, Some(Reason { text: reason::DUPLICATE, remedy }), why);
    }

    /// Flows out at once, before a failure is shown; the transfer address stays reserved.
    pub(super) fn take_out(&mut self, cx: &mut Context<'_>) {
        if let Phase::Ready { binding, .. } = &self.phase {
            // The home may have switched by now.
            self.release = Some(binding.epoch);
            self.persist(cx, None);
            cx.out.program(vec![cookie::delete(Role::Hosting, self.address)]);
        }
    }

    /// As [`Guest::take_out`], and the transfer address goes back.
    pub(super) fn let_go(&mut self, cx: &mut Context<'_>) {
        self.take_out(cx);
        self.let_go_of_transfer(cx);
    }

    pub(super) fn let_go_of_transfer(&mut self, cx: &mut Context<'_>) {
        if let Phase::Claiming { .. } | Phase::Seen { .. } = self.phase {
            // The home sends nothing before it has heard Ready.
            if let Some(transfer) = self.transfer.take() {
                cx.pool.give_back(transfer);
            }
        } else {
            self.rest_transfer(cx);
        }
    }

    pub(super) fn rest_transfer(&mut self, cx: &mut Context<'_>) {
        let Some(transfer) = self.transfer.take() else { return };
        cx.pool.rest(transfer, cx.now);
        let (address, epoch) = (self.address, self.epoch);
        cx.out.persist(Record::Host { address, epoch, binding: None, resting: Some(transfer), permit: None });
        cx.out.note(address, event::TRANSFER_RELEASED, format!("{transfer} rests"));
    }

    /// It is not looked after any more, though it was never served.
    pub(in crate::migration) fn forget(&mut self, cx: &mut Context<'_>) {
        self.rest_transfer(cx);
        self.enter(cx, Phase::Gone, None, "silent");
    }

    pub(super) fn persist(&self, cx: &mut Context<'_>, binding: Option<&Binding>) {
        let resting = if binding.is_none() { self.transfer } else { None };
        let (address, epoch) = (self.address, self.epoch);
        cx.out.persist(Record::Host { address, epoch, binding: binding.cloned(), resting, permit: None });
    }
}
