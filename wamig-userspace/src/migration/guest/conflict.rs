//! Its transfer address, as the LAN knows it: asked for, and contested.

use std::time::Duration;

use wamig_openflow::{MacAddr, PortNo};

use super::{Guest, Phase};
use crate::migration::context::Context;
use crate::migration::cookie::{self, Role};
use crate::migration::io::event;
use crate::migration::resolution::{self, Resolution};
use crate::migration::status::{Reason, reason};

/// Who contests an address that was defended so lately means it (RFC 5227 §1.1: DEFEND_INTERVAL).
const DEFENDED: Duration = Duration::from_secs(10);
/// What comes sooner may have been on its way before the defence.
const BURST: Duration = Duration::from_secs(1);

impl Guest {
    /// Another host of the LAN talks from its transfer address. It is defended once; if that host goes on all the same
    /// (RFC 5227 §2.4 (b)), it is given up for another one.
    pub(in crate::migration) fn on_conflict(&mut self, cx: &mut Context<'_>, by: MacAddr) {
        let Some(transfer) = self.transfer else { return };
        self.disturbed = Some(cx.now);
        let since = self.defended.map(|at| cx.now.saturating_duration_since(at));
        match since {
            Some(since) if since < BURST => return,
            Some(since) if since < DEFENDED && self.can_change(cx) => {
                let text = format!("{by} in the LAN keeps using its transfer address {transfer}: it gets another one");
                cx.out.alert(Some(self.address), text);
                self.change_transfer(cx);
                return;
            }
            _ => {}
        }
        self.defended = Some(cx.now);
        cx.out.emit(resolution::announcement(cx.config.lan.mac, transfer), [cx.config.lan.uplink]);
        if self.reason.as_ref().is_none_or(|r| r.text != reason::TRANSFER_CONFLICT) {
            cx.out.alert(Some(self.address), format!("{by} in the LAN uses its transfer address {transfer}"));
            let remedy = format!(
                "Give {by} another address, or take {transfer} out of hosting.pool; if {by} goes on, the server gets another one of the pool by itself."
            );
            self.reason = Some(Reason { text: reason::TRANSFER_CONFLICT, remedy });
        }
    }

    /// Whether its home can be told of another transfer address now, and there is one.
    fn can_change(&self, cx: &Context<'_>) -> bool {
        let served = matches!(self.phase, Phase::Hosting { stale: false, .. });
        served && cx.pool.has_ready(self.family()) && self.peer.as_ref().is_some_and(|p| cx.peers.is_up(p))
    }

    /// The contested one leads to nobody any more, and rests; the home grants the next at once, since it is away.
    fn change_transfer(&mut self, cx: &mut Context<'_>) {
        (self.defended, self.disturbed) = (None, None);
        self.rest_transfer(cx);
        cx.out.program(vec![cookie::delete(Role::Hosting, self.address)]);
        self.seen(cx, reason::CLAIM_LAPSED, "It is claimed anew by itself.".to_owned());
        cx.out.note(self.address, event::STATE, "claimed anew: its transfer address is used by another host");
        self.reason = None;
        self.claim(cx);
    }

    /// Somebody of the LAN asks for its transfer address. ARP is answered by a flow.
    pub(in crate::migration) fn on_asked_for(&self, cx: &mut Context<'_>, in_port: PortNo, heard: &Resolution) {
        let served = matches!(self.phase, Phase::Ready { .. } | Phase::Hosting { .. } | Phase::Draining { .. });
        if served && heard.target.is_ipv6() && self.transfer == Some(heard.target) {
            let answer = resolution::answer(cx.config.lan.mac, heard.target, heard.mac, heard.sender, false);
            cx.out.emit(answer, [in_port]);
        }
    }
}
