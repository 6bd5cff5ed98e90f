//! Another configuration while the site runs: what of it a guest can take.

use super::{Guest, Phase};
use crate::migration::config::Hosting;
use crate::migration::context::Context;
use crate::migration::order::Refusal;

impl Guest {
    /// What stands in the way of `hosting` becoming what guests come under.
    pub(in crate::migration) fn objection(&self, hosting: &Hosting) -> Option<Refusal> {
        let announced = self.is_prepared();
        if !announced && !matches!(self.phase, Phase::Ready { .. } | Phase::Hosting { .. }) {
            return None;
        }
        let peer = self.peer.as_deref()?;
        if hosting.policy(self.address).is_some_and(|p| p.peer == peer) {
            return None;
        }
        let (address, state, port) = (self.address, self.state().as_str(), self.port);
        let text = format!("{address} of {peer} is {state} here, and no [[hosting.guest]] of {peer} holds it any more");
        let remedy = if announced {
            format!("`wamig unprepare {address} --reason TEXT` at {peer}, or let it come, first.")
        } else {
            format!("Let it go back to {peer}, or unplug it from port {port}, first.")
        };
        Some(Refusal::new(text, remedy))
    }

    /// Another policy holds for it, or none, or one for the first time: a guest that was not
    /// served is claimed by it at once.
    pub(in crate::migration) fn adopt(&mut self, cx: &mut Context<'_>, peer: Option<String>) {
        let waits = matches!(self.phase, Phase::Seen { .. } | Phase::Claiming { .. });
        if self.peer == peer || !(waits || matches!(self.phase, Phase::Fenced { .. })) {
            return;
        }
        self.rest_transfer(cx);
        self.peer = peer;
        if waits {
            self.enter(cx, Phase::Seen { retry: cx.now }, None, "its [[hosting.guest]] has changed");
            self.retry(cx);
        }
    }
}
