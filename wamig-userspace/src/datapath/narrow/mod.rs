//! A switch elsewhere that can hold only part of the pipeline: one table, few fields, no copying
//! between fields. The controller sees a whole switch all the same.
//!
//! ```text
//!   controller ── flow-mods ──▶ ┌───────┐ ── rows ───────────────────────────▶ ┌────────┐
//!       ▲                       │ image │ ── shortcuts ──────────────────────▶ │ switch │
//!       └── packet-ins ──────── └───────┘ ◀── frames of rows it cannot do ──── └────────┘
//!                                   └───────── packet-outs ──────────────────────▲
//! ```
//!
//! * [`image`] — the whole switch in process memory: flows, timeouts, the slow path
//! * [`lower`] — the flows of its table 0 as the switch can hold them
//! * [`shortcut`] — what the switch does by itself after the image has done it once
//!
//! Semantics are the image's, thus those of every other wamig: the switch either does the same
//! by a flow, or gives the frame to the image.

pub mod image;
pub mod lower;
pub mod shortcut;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use tokio::time::{Instant as TokioInstant, sleep_until};
use wamig_openflow::{
    Action, FlowMod, FlowRemoved, FlowRemovedReason, FlowStats, PacketIn, PacketOut, PortDesc, PortNo, PortReason,
    PortStatus,
};

use super::remote::profile::Profile;
use super::remote::{Remote, fragment};
use super::{Datapath, DatapathError, Event, Features};
use crate::fastpath::FlowId;
use crate::switch::effect::Effect;
use crate::switch::flow_table::{FlowTables, Selector};
use crate::switch::port::{PortChange, Ports};
use crate::switch::{Limits, Switch};
use image::Image;
use lower::{Key, Row};
use shortcut::{Shortcuts, Snapshot, snapshot};

/// After the switch has refused a shortcut, none is tried for so long.
const PAUSE: Duration = Duration::from_secs(10);

/// The narrow switch.
pub struct Narrow {
    remote: Remote,
    profile: Profile,
    image: Switch<Image>,
    features: Features,
    /// What the switch was told of table 0.
    rows: BTreeMap<Key, Row>,
    shortcuts: Shortcuts,
    no_shortcuts_until: Option<Instant>,
    /// The first batch since it connected is in force.
    programmed: bool,
    events: VecDeque<Event>,
}

impl Narrow {
    /// A switch that is not connected yet, and is used by this profile.
    pub fn new(remote: Remote, profile: Profile) -> Self {
        let ports = remote.features().ports.clone();
        let image = whole(ports.clone(), TokioInstant::now().into_std());
        let features = Features { dpid: remote.features().dpid, tables: image.tables().tables(), ports };
        Self {
            remote,
            profile,
            image,
            features,
            rows: BTreeMap::new(),
            shortcuts: Shortcuts::default(),
            no_shortcuts_until: None,
            programmed: false,
            events: VecDeque::new(),
        }
    }

    /// The switch itself, for status.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Our flows as the switch has them, with its own port numbers.
    ///
    /// # Errors
    /// [`DatapathError::Down`].
    pub async fn installed_flows(&mut self) -> Result<Vec<FlowStats>, DatapathError> {
        self.remote.installed_flows().await
    }

    fn take_in(&mut self, event: Event, now: Instant) {
        match event {
            Event::PacketIn(m) => self.on_frame(&m, now),
            Event::FlowRemoved(m) => self.on_removed(&m, now),
            Event::PortStatus(m) => self.on_port(&m, now),
            Event::Up(ports) => {
                self.begin(ports.clone(), now);
                self.events.push_back(Event::Up(ports));
            }
            Event::Down(why) => {
                self.programmed = false;
                self.events.push_back(Event::Down(why));
            }
            Event::Miss(_) => {}
        }
    }

    /// It has connected: everything will be programmed anew.
    fn begin(&mut self, ports: Vec<PortDesc>, now: Instant) {
        self.image = whole(ports.clone(), now);
        self.features.ports = ports;
        self.rows.clear();
        self.shortcuts.clear();
        self.no_shortcuts_until = None;
        self.programmed = false;
    }

    /// A frame that the switch gave up: the image does with it what the switch should have.
    fn on_frame(&mut self, m: &PacketIn, now: Instant) {
        if !self.programmed || m.data.len() < usize::from(m.total_len) {
            return;
        }
        self.image.fast_path().set_now(now);
        let round = self.remote.damages_fragments() && fragment::is_later(&m.data);
        let Some((effects, steps)) = self.image.forward(m.in_port, &m.data, now) else {
            if round {
                self.remote.lose_fragment();
            }
            return;
        };
        self.carry_out(m.in_port, effects);
        if self.no_shortcuts_until.is_some_and(|until| now < until) {
            return;
        }
        // It went round a flow of the switch: a shortcut would be that flow again.
        if round {
            return;
        }
        let found = self.shortcuts.find(self.image.tables(), self.profile, m.in_port, &m.data, &steps);
        if let Some(shortcut) = found {
            tracing::debug!(%shortcut, "the switch does this by itself from now on");
            let key = (shortcut.priority, shortcut.matching.clone());
            if !self.say(shortcut) {
                self.forget(&key, now);
            }
        }
    }

    /// A shortcut is not on the switch.
    fn forget(&mut self, key: &Key, now: Instant) {
        if self.shortcuts.removed(key) {
            self.no_shortcuts_until = Some(now + PAUSE);
        }
    }

    /// Sends frames, several outputs of one frame by one message, and tells the rest.
    fn carry_out(&mut self, in_port: PortNo, effects: Vec<Effect>) {
        let mut outs: Vec<PacketOut> = Vec::new();
        for effect in effects {
            match effect {
                Effect::Event(event) => self.events.push_back(event.into()),
                Effect::Inject { port, frame } => {
                    let out = Action::output(if port == in_port { PortNo::IN_PORT } else { port });
                    match outs.last_mut() {
                        Some(last) if last.data == frame => last.actions.push(out),
                        _ => outs.push(PacketOut { buffer_id: None, in_port, actions: vec![out], data: frame }),
                    }
                }
            }
        }
        for out in outs {
            if let Err(error) = self.remote.emit(out) {
                tracing::debug!(%error, "a frame was not sent");
            }
        }
    }

    /// Something that nobody waits for; whether it could be said.
    fn say(&mut self, m: FlowMod) -> bool {
        let said = self.remote.say(m);
        if let Err(error) = &said {
            tracing::debug!(%error, "a shortcut is not told");
        }
        said.is_ok()
    }

    /// A flow of the switch is gone. Those of table 0 have no end of their own.
    fn on_removed(&mut self, m: &FlowRemoved, now: Instant) {
        let key = (m.stats.priority, m.stats.matching.clone());
        if m.reason == FlowRemovedReason::Delete {
            self.forget(&key, now);
        } else {
            self.shortcuts.removed(&key);
        }
    }

    fn on_port(&mut self, m: &PortStatus, now: Instant) {
        let change = match m.reason {
            PortReason::Delete => PortChange::Gone(m.desc.port),
            PortReason::Add | PortReason::Modify => PortChange::Present(m.desc.clone()),
        };
        let event = self.image.port_changed(change, now);
        self.features.ports = self.image.ports().iter().cloned().collect();
        self.events.extend(event.map(Event::from));
    }

    /// Flows of the image have come to their end.
    fn tick(&mut self, now: Instant) {
        let before = snapshot(self.image.tables());
        let busy: Vec<FlowId> = self.shortcuts.busy().collect();
        let image = self.image.fast_path();
        image.set_now(now);
        image.set_busy(busy.into_iter());
        let events = self.image.tick(now);
        self.events.extend(events.into_iter().map(Event::from));
        for (priority, matching) in self.outdated(&before) {
            self.say(lower::delete(priority, &matching));
        }
    }

    /// Forgets the shortcuts that are not right any more after a change of the image.
    fn outdated(&mut self, before: &Snapshot) -> Vec<Key> {
        let changed = shortcut::changes(before, &snapshot(self.image.tables()));
        if changed.is_empty() {
            Vec::new()
        } else {
            self.shortcuts.outdated(self.image.tables(), self.profile, &changed)
        }
    }

    /// Makes the image hold these flows and no others. They are other flows to the shortcuts
    /// that there were: those end.
    fn restore(&mut self, flows: Vec<FlowMod>, shortcuts: &[Key], now: Instant) {
        let mut batch = vec![FlowMod::delete_by_cookie(wamig_openflow::Cookie(0), 0)];
        batch.extend(flows);
        if let Err(refused) = self.image.apply(batch, now) {
            tracing::error!(error = %refused.error, "the image of the switch differs from it");
        }
        self.shortcuts.clear();
        for (priority, matching) in shortcuts {
            self.say(lower::delete(*priority, matching));
        }
    }
}

/// A whole switch with these ports.
fn whole(ports: Vec<PortDesc>, now: Instant) -> Switch<Image> {
    let mut image = Image::default();
    image.set_now(now);
    Switch::new(image, Ports::new(ports).alive_since(now), Limits::default())
}

/// The flows, to be added again.
fn adds(tables: &FlowTables) -> Vec<FlowMod> {
    let add = |flow: &crate::switch::flow_table::Flow| FlowMod {
        idle_timeout: flow.idle_timeout,
        hard_timeout: flow.hard_timeout,
        flags: flow.flags,
        ..FlowMod::add(flow.table, flow.priority, (*flow.matching).clone(), (*flow.instructions).clone(), flow.cookie)
    };
    tables.iter().map(add).collect()
}

impl Datapath for Narrow {
    fn features(&self) -> &Features {
        &self.features
    }

    async fn send(&mut self, batch: Vec<FlowMod>, now: Instant) -> Result<(), DatapathError> {
        self.remote.check()?;
        let (before, flows) = (snapshot(self.image.tables()), adds(self.image.tables()));
        let shortcuts: Vec<Key> = self.shortcuts.keys().cloned().collect();
        let told = self.image.apply(batch, now).map_err(|refused| refused.error)?;
        let wanted = lower::rows(self.image.tables(), self.profile);
        let mut mods = lower::difference(&self.rows, &wanted);
        mods.extend(self.outdated(&before).iter().map(|(priority, matching)| lower::delete(*priority, matching)));
        if let Err(error) = self.remote.send(mods, now).await {
            self.restore(flows, &shortcuts, now);
            return Err(error);
        }
        self.rows = wanted;
        self.programmed = true;
        self.events.extend(told.into_iter().map(Event::from));
        Ok(())
    }

    async fn packet_out(&mut self, out: PacketOut, now: Instant) -> Result<(), DatapathError> {
        self.remote.check()?;
        let effects = self.image.packet_out(&out, now)?;
        self.carry_out(out.in_port, effects);
        Ok(())
    }

    async fn dump_flows(&mut self, now: Instant) -> Result<Vec<FlowStats>, DatapathError> {
        self.remote.check()?;
        Ok(self.image.dump_flows(&Selector::all(), now))
    }

    async fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let far = TokioInstant::now() + Duration::from_hours(1);
            let deadline = self.image.next_deadline().map_or(far, TokioInstant::from_std);
            tokio::select! {
                event = self.remote.next_event() => self.take_in(event?, TokioInstant::now().into_std()),
                () = sleep_until(deadline) => self.tick(TokioInstant::now().into_std()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
