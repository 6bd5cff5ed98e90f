//! What a switch does whose controllers are away (`fail_mode = "standalone"`): after three
//! times the inactivity probe without one it is a learning switch, until one is back.
//!
//! As with Open vSwitch, a flow of table 0 with the priority 0xf0f0 takes every frame out of
//! the controllers' flows, which stay. It leads to the [`Learning`] flows in the last two
//! tables, and all of them have a cookie of their own, by which they are taken out again.
//!
//! No IO and no clock: what is to be done is a [`Plan`], applied at once by whoever holds the
//! switch, who tells the outcome to [`Standalone::applied`].

use std::time::{Duration, Instant};

use wamig_common::limits::MAX_TABLES;
use wamig_openflow::{Cookie, FlowMod, Instructions, Match, PortDesc, TableId};

use super::learning::{Learning, Plan, Settings};
use crate::switch::effect::Event;

/// Every flow of this module has this cookie.
pub const COOKIE: Cookie = Cookie(0x7374_616e_6461_6c6e);
/// Table of known sources.
const LEARN: TableId = TableId(MAX_TABLES as u8 - 2);
/// Table of known destinations.
const FORWARD: TableId = TableId(MAX_TABLES as u8 - 1);
/// Above the controllers' flows, as in Open vSwitch.
const PRIORITY: u16 = 0xf0f0;
/// Pause before a switch that refused to begin is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub struct Standalone {
    patience: Duration,
    settings: Settings,
    /// When the switch is to act by itself; `None` = a controller is there, or it does already.
    begins: Option<Instant>,
    /// Acting since then.
    acting: Option<(Instant, Learning)>,
    /// The switch refused the last plan.
    refused: bool,
}

impl Standalone {
    /// No controller is there yet. `patience` is the time without one until the switch acts by
    /// itself; hosts are forgotten after `idle_s` seconds, and `max_addresses` are known.
    pub fn new(patience: Duration, idle_s: u16, max_addresses: usize, now: Instant) -> Self {
        let settings = Settings {
            idle_s,
            max_addresses,
            isolated: Vec::new(),
            own: None,
            cookie: COOKIE,
            learn: LEARN,
            forward: FORWARD,
        };
        Self { patience, settings, begins: Some(now + patience), acting: None, refused: false }
    }

    /// Since when the switch acts by itself.
    pub fn since(&self) -> Option<Instant> {
        self.acting.as_ref().map(|(since, _)| *since)
    }

    /// Whether an event is about a flow of this module, and so nobody else's business.
    pub fn owns(event: &Event) -> bool {
        match event {
            Event::PacketIn(m) => m.cookie == COOKIE,
            Event::FlowRemoved(m) => m.stats.cookie == COOKIE,
            Event::Miss(_) | Event::PortStatus(_) => false,
        }
    }

    /// Whether a controller is there, from now on.
    pub fn controllers(&mut self, present: bool, now: Instant) -> Option<Plan> {
        if !present {
            if self.acting.is_none() {
                self.begins.get_or_insert(now + self.patience);
            }
            return None;
        }
        self.begins = None;
        self.refused = false;
        self.acting.take().map(|(_, learning)| {
            tracing::info!("OpenFlow: a controller is back; the switch does not act by itself any more");
            learning.stop()
        })
    }

    /// When [`Self::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.begins
    }

    /// Begins to act, if it is time to, on a switch with these ports.
    pub fn tick(&mut self, ports: impl Iterator<Item = PortDesc>, now: Instant) -> Option<Plan> {
        self.begins.take_if(|at| *at <= now)?;
        let learning = Learning::new(self.settings.clone(), &ports.collect::<Vec<_>>());
        let mut plan = learning.start();
        plan.mods.push(FlowMod::add(TableId(0), PRIORITY, Match::any(), Instructions::goto(LEARN), COOKIE));
        self.acting = Some((now, learning));
        Some(plan)
    }

    /// The switch says something.
    pub fn on_event(&mut self, event: &Event, now: Instant) -> Option<Plan> {
        let (_, learning) = self.acting.as_mut()?;
        match event {
            Event::PortStatus(status) => learning.port_status(status),
            Event::Miss(_) => None,
            _ if !Self::owns(event) => None,
            Event::PacketIn(frame) => learning.frame(now, frame.in_port, &frame.data),
            Event::FlowRemoved(removed) => learning.flow_removed(removed),
        }
    }

    /// What became of a plan: true if the switch has taken it.
    pub fn applied(&mut self, plan: &Plan, taken: bool, now: Instant) {
        let Some((_, learning)) = &mut self.acting else { return };
        if taken {
            if plan.is_start() && plan.mods.iter().any(|m| m.table == TableId(0)) {
                tracing::warn!("OpenFlow: no controller for {:?}; the switch acts by itself", self.patience);
            }
            self.refused = false;
            learning.commit(plan);
        } else {
            if !std::mem::replace(&mut self.refused, true) {
                tracing::warn!("OpenFlow: the switch refuses flows of its own while no controller is there");
            }
            if plan.is_start() {
                self.acting = None;
                self.begins = Some(now + RETRY);
            }
        }
    }
}

#[cfg(test)]
mod tests;
