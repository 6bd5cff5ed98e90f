//! The host is assumed dead, by an operator's word ([`crate::migration::site_order`]): whatever
//! of this server waits for it does so no more.

use super::{HomeServer, Phase, Step};
use crate::migration::context::Context;
use crate::migration::peers::Peers;
use crate::migration::status::{Reason, reason};

impl HomeServer {
    /// What that comes to for this server at present; `None` = it has nothing to do with `peer`.
    pub(in crate::migration) fn plan_assume_dead(&self, own: &str, peer: &str) -> Option<Vec<String>> {
        let address = self.address();
        if self.is_prepared_for(peer) {
            return Some(vec![format!("its move to {peer} is planned no more")]);
        }
        if self.placed().is_none_or(|p| p.peer != peer) {
            return None;
        }
        Some(vec![match &self.phase {
            Phase::Claimed { switching: None, .. } => format!("the grant to {peer} is taken back"),
            Phase::Claimed { .. } => format!("its move to {peer} is finished first; then it is away there"),
            Phase::Away { .. } if self.frozen.is_some() => {
                format!("it stays frozen; `wamig unfreeze {address} --to {own} --reason TEXT` brings it home")
            }
            Phase::Returning { step: Step::Query { .. }, .. } => format!("it comes home without {peer}'s word"),
            Phase::Returning { .. } => "its return is finished".to_owned(),
            Phase::Home | Phase::Probing { .. } | Phase::Away { .. } => {
                format!("started here it is at home as soon as it is heard: {peer} is not asked")
            }
        }])
    }

    pub(in crate::migration) fn assume_dead(&mut self, cx: &mut Context<'_>, peer: &str, reason: &str) {
        let why = format!("{peer} is assumed dead: {reason}");
        if self.is_prepared_for(peer) {
            self.end_preparation(cx, &why);
            return;
        }
        if self.placed().is_none_or(|p| p.peer != peer) {
            return;
        }
        match &self.phase {
            Phase::Claimed { switching: None, .. } => self.abort(cx, false, &why),
            Phase::Returning { step: Step::Query { .. }, .. } => self.go_home(cx, true, &why),
            Phase::Away { .. } => {
                // An operator had wanted it there rather than here: not any more.
                (self.shut_out, self.unwelcome) = (None, None);
                self.tell(cx, self.state(), self.state(), &why);
            }
            Phase::Home | Phase::Probing { .. } | Phase::Claimed { .. } | Phase::Returning { .. } => {}
        }
    }

    /// It is at a host that is assumed dead.
    pub(super) fn assumed_reason(&self, peers: &Peers) -> Option<Reason> {
        let Phase::Away { placement, .. } = &self.phase else { return None };
        let peer = &placement.peer;
        let said = peers.assumed_dead(peer)?;
        let remedy = format!(
            "Start it at home, where it is served as soon as it is heard, or at another of its hosts. The operator said of {peer}: {said}."
        );
        Some(Reason { text: reason::ASSUMED_DEAD, remedy })
    }
}
