//! An operator's orders, each to the part of the machine that it is about.

use super::HomeServer;
use crate::migration::context::Context;
use crate::migration::order::{Order, Plan, Verb};
use crate::migration::record::FrozenBy;

impl HomeServer {
    /// What an order comes to at present.
    pub(in crate::migration) fn plan(&self, cx: &Context<'_>, verb: &Verb) -> Plan {
        match verb {
            Verb::Freeze => self.plan_freeze(),
            Verb::Unfreeze { to } => self.plan_unfreeze(cx, to.as_deref()),
            Verb::Prepare { to } => self.plan_prepare(cx, to),
            Verb::Unprepare => self.plan_unprepare(),
            Verb::Return => self.plan_return(cx),
        }
    }

    /// Carries out an order that [`HomeServer::plan`] had nothing against.
    pub(in crate::migration) fn obey(&mut self, cx: &mut Context<'_>, order: &Order) {
        let reason = order.reason.trim();
        match &order.verb {
            Verb::Freeze => self.freeze(cx, FrozenBy::Operator, reason.to_owned()),
            Verb::Unfreeze { to } => self.unfreeze(cx, to.as_deref(), reason),
            Verb::Prepare { to } => self.prepare(cx, to, reason),
            Verb::Unprepare => self.unprepare(cx, reason),
            Verb::Return => self.come_home(cx, reason),
        }
    }
}
