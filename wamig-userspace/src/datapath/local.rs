//! The switch in this process as a datapath: frames that come up, changes of ports and the
//! clock go in, events come out.
//!
//! ```text
//!   fast path ── punts ──▶ ┌───────┐ ── next_event ──▶ controller
//!   links ── changes ────▶ │ Local │ ◀── send, packet_out ──┘
//!   clock ── deadline ───▶ └───────┘ ── inject, commit ──▶ fast path
//! ```

use std::collections::VecDeque;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::time::{Instant as TokioInstant, sleep_until};
use wamig_openflow::{DatapathId, FlowMod, FlowStats, PacketOut};

use super::{Datapath, DatapathError, Event, Features};
use crate::fastpath::{FastPath, Punt};
use crate::switch::Switch;
use crate::switch::effect;
use crate::switch::flow_table::Selector;
use crate::switch::port::PortChange;

impl From<effect::Event> for Event {
    fn from(event: effect::Event) -> Self {
        match event {
            effect::Event::PacketIn(m) => Self::PacketIn(m),
            effect::Event::Miss(m) => Self::Miss(m),
            effect::Event::FlowRemoved(m) => Self::FlowRemoved(m),
            effect::Event::PortStatus(m) => Self::PortStatus(m),
        }
    }
}

/// What feeds a [`Local`].
#[derive(Debug)]
pub struct Inputs {
    /// Frames from the fast path; the datapath is down when this is closed.
    pub punts: mpsc::Receiver<Punt>,
    /// Changes of ports; may be closed.
    pub ports: mpsc::Receiver<PortChange>,
}

/// The local switch.
pub struct Local<F> {
    switch: Switch<F>,
    features: Features,
    inputs: Inputs,
    events: VecDeque<Event>,
    down: bool,
}

enum Input {
    Punt(Option<Punt>),
    Port(PortChange),
    Deadline,
}

impl<F: FastPath> Local<F> {
    /// Puts a switch into a controller's hands.
    pub fn new(switch: Switch<F>, dpid: DatapathId, inputs: Inputs) -> Self {
        let features =
            Features { dpid, tables: switch.tables().tables(), ports: switch.ports().iter().cloned().collect() };
        Self { switch, features, inputs, events: VecDeque::new(), down: false }
    }

    /// The switch, for status and metrics.
    pub fn switch(&mut self) -> &mut Switch<F> {
        &mut self.switch
    }

    fn tell(&mut self, events: Vec<effect::Event>) {
        self.events.extend(events.into_iter().map(Event::from));
    }

    /// Waits for one input. Nothing is lost if the wait is abandoned.
    async fn input(&mut self) -> Input {
        let deadline = self.switch.next_deadline().map(TokioInstant::from_std);
        let far = TokioInstant::now() + std::time::Duration::from_hours(1);
        tokio::select! {
            // Timeouts first, so that a flood of punts cannot keep flows alive.
            biased;
            () = sleep_until(deadline.unwrap_or(far)) => Input::Deadline,
            Some(change) = self.inputs.ports.recv() => Input::Port(change),
            punt = self.inputs.punts.recv() => Input::Punt(punt),
        }
    }

    fn take_in(&mut self, input: Input, now: Instant) {
        match input {
            Input::Punt(Some(punt)) => {
                let effects = self.switch.on_punt(punt, now);
                let events = self.switch.carry_out(effects);
                self.tell(events);
            }
            Input::Punt(None) => {
                self.down = true;
                self.events.push_back(Event::Down("the fast path is gone".into()));
            }
            Input::Port(change) => {
                let event = self.switch.port_changed(change, now);
                self.features.ports = self.switch.ports().iter().cloned().collect();
                self.tell(event.into_iter().collect());
            }
            Input::Deadline => {
                let events = self.switch.tick(now);
                self.tell(events);
            }
        }
    }
}

impl<F: FastPath> Datapath for Local<F> {
    fn features(&self) -> &Features {
        &self.features
    }

    async fn send(&mut self, batch: Vec<FlowMod>, now: Instant) -> Result<(), DatapathError> {
        let events = self.switch.apply(batch, now).map_err(|refused| refused.error)?;
        self.tell(events);
        Ok(())
    }

    async fn packet_out(&mut self, out: PacketOut, now: Instant) -> Result<(), DatapathError> {
        let effects = self.switch.packet_out(&out, now)?;
        let events = self.switch.carry_out(effects);
        self.tell(events);
        Ok(())
    }

    async fn dump_flows(&mut self, now: Instant) -> Result<Vec<FlowStats>, DatapathError> {
        Ok(self.switch.dump_flows(&Selector::all(), now))
    }

    async fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.down {
                return None;
            }
            let input = self.input().await;
            self.take_in(input, TokioInstant::now().into_std());
        }
    }
}

#[cfg(test)]
mod tests;
