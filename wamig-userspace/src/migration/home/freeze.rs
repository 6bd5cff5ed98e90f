//! No trigger moves the server: by an operator's order, or because it moved too often.

use std::time::Duration;

use wamig_openflow::PortNo;

use super::{HomeServer, Phase, Why};
use crate::migration::context::Context;
use crate::migration::io::event;
use crate::migration::order::{Plan, Refusal};
use crate::migration::record::{Freeze, FrozenBy};
use crate::migration::status::{Reason, State, reason};
use crate::peer::message::NackReason;

/// Between two alerts that it is heard where it may not be.
const ALERT_PAUSE: Duration = Duration::from_mins(1);

impl HomeServer {
    pub(super) fn plan_freeze(&self) -> Plan {
        let address = self.address();
        if let Some(freeze) = &self.frozen {
            let text = format!("it is frozen already: {}", freeze.reason);
            return Err(Refusal::new(text, format!("`wamig unfreeze {address} --reason TEXT` first.")));
        }
        let mut steps = Vec::new();
        if let Some(p) = &self.prepared {
            steps.push(format!("its move to {} is planned no more", p.peer()));
        }
        match &self.phase {
            Phase::Home | Phase::Away { .. } => {}
            Phase::Probing { peer, .. } => steps.push(format!("the claim of {peer} is refused")),
            Phase::Claimed { grant, .. } => steps.push(format!("its move to {} is finished first", grant.peer)),
            Phase::Returning { .. } => steps.push("its return is finished first".to_owned()),
        }
        let stays = match &self.phase {
            Phase::Away { placement: p, .. } => format!("it stays at {}, reached by {}", p.peer, p.transfer),
            _ => "it stays where it is then".to_owned(),
        };
        steps.push(format!("{stays}; no claim and no sign of it at home moves it"));
        Ok(steps)
    }

    pub(super) fn plan_unfreeze(&self, cx: &Context<'_>, to: Option<&str>) -> Plan {
        if self.frozen.is_none() {
            return Err(Refusal::new("it is not frozen", "Nothing is to be done."));
        }
        let own = cx.config.site.as_str();
        let moves = "triggers move it again".to_owned();
        let under_way = || {
            let remedy = "Wait until `wamig status` shows it as FROZEN, a few seconds.";
            Err(Refusal::new("a move of it is being finished", remedy))
        };
        match (to, &self.phase) {
            (None, _) => Ok(vec![moves]),
            (Some(to), _) if to != own && !self.server.hosts.iter().any(|h| h == to) => {
                let hosts = self.server.hosts.join(", ");
                Err(Refusal::new(format!("{to} is not a site of it"), format!("Its sites are {own}, {hosts}.")))
            }
            (Some(_), Phase::Claimed { .. } | Phase::Returning { .. }) => under_way(),
            (Some(to), Phase::Home | Phase::Probing { .. }) if to == own => Ok(vec![moves]),
            (Some(to), Phase::Away { placement, .. }) if to == own => Ok(vec![
                format!("its traffic goes to no {} any more, it is local again", placement.transfer),
                format!("{} fences its copy, if one talks there", placement.peer),
                moves,
            ]),
            (Some(to), Phase::Away { placement, .. }) if to == placement.peer => {
                let silence = cx.config.timers.fence_silence.as_secs();
                let fence = format!("a copy at home is not let in until it has been silent for {silence} s");
                Ok(vec![format!("it stays at {to}"), fence, moves])
            }
            (Some(to), _) => {
                let remedy = format!("Unfreeze it without --to, then start it at {to}.");
                Err(Refusal::new(format!("it is not at {to}"), remedy))
            }
        }
    }

    /// Nothing moves it from here on; what is under way is finished.
    pub(super) fn freeze(&mut self, cx: &mut Context<'_>, by: FrozenBy, reason: String) {
        if let Phase::Probing { peer, .. } = &mut self.phase {
            let peer = std::mem::take(peer);
            self.phase = Phase::Home;
            self.nack(cx, &peer, NackReason::Frozen, "it is frozen");
        }
        self.end_preparation(cx, &reason);
        let from = self.state();
        cx.out.note(self.address(), event::FROZEN, reason.clone());
        self.frozen = Some(Freeze { by, reason: reason.clone(), since_unix_ms: cx.unix_ms });
        let placement = self.placement().cloned();
        self.persist(cx, placement.as_ref());
        if self.state() != from {
            self.since = cx.now;
        }
        self.tell(cx, from, self.state(), &reason);
    }

    pub(super) fn unfreeze(&mut self, cx: &mut Context<'_>, to: Option<&str>, reason: &str) {
        let from = self.state();
        self.frozen = None;
        self.moves.forget();
        let placement = self.placement().cloned();
        self.persist(cx, placement.as_ref());
        cx.out.note(self.address(), event::UNFROZEN, reason);
        if self.state() != from {
            self.since = cx.now;
        }
        self.tell(cx, from, self.state(), reason);
        let Phase::Away { placement, .. } = &self.phase else { return };
        match to {
            Some(to) if to == placement.peer => self.shut_out = Some(cx.now + cx.config.timers.fence_silence),
            Some(_) => {
                let placement = placement.clone();
                self.remove(cx, placement, Vec::new(), Vec::new(), Why::Ordered { fence: true }, reason);
            }
            None => {}
        }
    }

    /// It has moved without anybody's order. Before the placement is made durable: a freeze
    /// that follows from it is in the same record.
    pub(super) fn count_move(&mut self, cx: &mut Context<'_>) {
        let Some((count, span)) = self.moves.count(cx.now, cx.config.damping) else { return };
        if self.frozen.is_some() {
            return;
        }
        let reason = format!("{count} moves in {} s", span.as_secs());
        cx.out.note(self.address(), event::FROZEN, reason.clone());
        cx.out.alert(Some(self.address()), format!("frozen: {reason}. {}", self.thaw()));
        self.frozen = Some(Freeze { by: FrozenBy::Damping, reason, since_unix_ms: cx.unix_ms });
    }

    /// Whether a claim of `peer` would move what must not be.
    pub(super) fn is_held_against(&self, peer: &str) -> bool {
        let moves = match &self.phase {
            Phase::Home | Phase::Probing { .. } => true,
            Phase::Away { placement, .. } => placement.peer != peer,
            Phase::Claimed { .. } | Phase::Returning { .. } => false,
        };
        moves && self.frozen.is_some()
    }

    /// It is heard at home while it is away: true when that must not bring it back.
    pub(super) fn is_unwelcome(&mut self, cx: &mut Context<'_>, in_port: PortNo) -> bool {
        let Phase::Away { placement, .. } = &self.phase else { return false };
        let shut_out = self.shut_out.is_some_and(|until| cx.now < until);
        if shut_out {
            self.shut_out = Some(cx.now + cx.config.timers.fence_silence);
        }
        if self.frozen.is_none() && !shut_out {
            self.shut_out = None;
            return false;
        }
        if self.unwelcome.is_none_or(|at| cx.now >= at + ALERT_PAUSE) {
            self.unwelcome = Some(cx.now);
            let why = if self.frozen.is_some() { "it is frozen" } else { "an operator said so" };
            let text = format!("heard at home on port {in_port} and not let in: it stays at {}, {why}", placement.peer);
            cx.out.alert(Some(self.server.address), text);
        }
        true
    }

    /// Why it is frozen and what to do, for `wamig status`.
    pub(super) fn frozen_reason(&self) -> Option<Reason> {
        let freeze = self.frozen.as_ref().filter(|_| self.state() == State::Frozen)?;
        let silent = match &self.phase {
            Phase::Away { placement, stale: true, .. } => format!("{} is silent; its flows stay. ", placement.peer),
            _ => String::new(),
        };
        let (text, first) = match freeze.by {
            FrozenBy::Operator => (reason::FROZEN_BY_OPERATOR, format!("The operator said: {}. ", freeze.reason)),
            FrozenBy::Damping => (reason::FLAPPING, format!("It made {}. ", freeze.reason)),
        };
        Some(Reason { text, remedy: format!("{silent}{first}{}", self.thaw()) })
    }

    fn thaw(&self) -> String {
        let address = self.address();
        format!("Make sure that it runs at one site only, then `wamig unfreeze {address} --reason TEXT`.")
    }

    /// An operator let it stay away though it is heard at home.
    pub(super) fn shut_out_reason(&self) -> Option<Reason> {
        self.shut_out.filter(|_| matches!(self.phase, Phase::Away { .. }))?;
        self.unwelcome?;
        let remedy = "Stop the copy at home; it is let in once it has been silent (timers.fence_silence_s).".to_owned();
        Some(Reason { text: reason::DUPLICATE_HERE, remedy })
    }
}
