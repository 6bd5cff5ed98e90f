//! The OpenFlow switch: what the controllers asked for, kept and carried out.
//!
//! ```text
//!   flow-mods ──▶ transaction ──▶ flow_table (the truth) ──▶ compile ──▶ FastPath::commit
//!                 validate           │        ▲
//!   tick ───────▶ timeout ───────────┘        │ table and cookie of the flow
//!   punt ───────▶ packet_in ◀─────────────────┤
//!            └──▶ slowpath ──▶ frames to send, packet-ins
//!   packet-out ─▶ packet_out ──▶ slowpath
//! ```
//!
//! It does no IO but the fast path's and reads no clock: the time is an argument, and what is
//! to be told or sent is returned as [`Effect`]s.

pub mod effect;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod flow_table;
pub mod group;
pub mod meter;
pub mod modification;
pub mod multipart;
pub mod packet_in;
pub mod packet_out;
pub mod port;
pub mod port_config;
pub mod queue;
pub mod sctp;
pub mod slowpath;
pub mod stats;
pub mod table_features;
pub mod timeout;
pub mod token_bucket;
pub mod trace;
pub mod transaction;
pub mod validate;

use std::time::{Duration, Instant};

use wamig_common::limits::{DEFAULT_FLOWS, MAX_TABLES};
use wamig_common::verdict::PuntReason;
use wamig_openflow::message::{QueueConfig, SwitchConfig, SwitchDesc};
use wamig_openflow::{ErrorKind, FlowStats, OfpError, PacketInReason, PacketOut, PortDesc, PortNo};

use self::effect::{Effect, Event};
use self::flow_table::{FlowTables, Selector};
use self::modification::{Applied, Modification, Refused};
use self::packet_in::ToController;
use self::port::{PortChange, Ports};
use self::slowpath::{Output, Side, Steps};
use self::timeout::{Expiry, Timeouts, judge};
use self::token_bucket::TokenBucket;
use self::trace::Trace;
use self::transaction::{FlowIds, Staged};
use self::validate::Headers;
use crate::fastpath::{FastPath, FlowId, Punt};

/// Bytes of the shortest Ethernet frame, without its check sequence.
const MIN_FRAME: usize = 60;
/// How long a flow lives on whose expiry the fast path refused.
const RETRY: Duration = Duration::from_secs(1);
/// After the last batch, before the fast path cleans up.
const QUIET: Duration = Duration::from_millis(50);

/// What the slow path may cost and the tables may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Flows in all tables together.
    pub flows: usize,
    /// Frames a second through the slow path.
    pub slow_rate: u32,
    /// Frames at once.
    pub slow_burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { flows: DEFAULT_FLOWS as usize, slow_rate: 10_000, slow_burst: 1_000 }
    }
}

/// Frames of the slow path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SlowCounters {
    /// Carried out.
    pub frames: u64,
    /// Dropped because the token bucket was empty.
    pub limited: u64,
    /// Dropped because not all of the frame came up.
    pub cut: u64,
    /// Frames, of the slow path or of packet-outs, that the operating system did not send.
    pub unsent: u64,
    /// Packet-ins of table misses not made because the port makes none.
    pub silent: u64,
}

/// The switch.
pub struct Switch<F> {
    fast: F,
    tables: FlowTables,
    ids: FlowIds,
    ports: Ports,
    timeouts: Timeouts,
    tidy_at: Option<Instant>,
    bucket: TokenBucket,
    slow_counters: SlowCounters,
    description: SwitchDesc,
    config: SwitchConfig,
    misses_go_up: bool,
}

impl<F: FastPath> Switch<F> {
    /// A switch without flows over an empty fast path.
    pub fn new(fast: F, ports: Ports, limits: Limits) -> Self {
        Self {
            fast,
            tables: FlowTables::new(MAX_TABLES as u8, limits.flows),
            ids: FlowIds::default(),
            ports,
            timeouts: Timeouts::default(),
            tidy_at: None,
            bucket: TokenBucket::new(limits.slow_rate, limits.slow_burst),
            slow_counters: SlowCounters::default(),
            description: multipart::description(),
            config: port_config::DEFAULT,
            misses_go_up: false,
        }
    }

    /// Says who the switch is, for those who ask (`OFPMP_DESC`).
    pub fn set_description(&mut self, description: SwitchDesc) {
        self.description = description;
    }

    /// Applies a batch as one change; when this returns, the next frame follows it.
    ///
    /// # Errors
    /// The specification's, for the first modification refused, or `OFPFMFC_TABLE_FULL` from
    /// the fast path. Nothing has changed then.
    pub fn apply<M: Into<Modification>>(&mut self, batch: Vec<M>, now: Instant) -> Result<Vec<Event>, Refused> {
        let last = batch.len().saturating_sub(1);
        let batch: Vec<Modification> = batch.into_iter().map(Into::into).collect();
        let port_mods = port_config::port_mods(&batch);
        let mut staged = transaction::begin(&mut self.tables, &mut self.ids, &self.ports, batch, now)?;
        let before = self.ports.clone();
        let mut told = Vec::new();
        for (index, m) in port_mods {
            match self.port_mod(&m) {
                Ok(mut events) => told.append(&mut events),
                Err(error) => {
                    staged.revert(&mut self.tables);
                    self.restore_ports(before);
                    return Err(Refused { index, error });
                }
            }
        }
        match self.commit(&mut staged, now) {
            Ok(mut events) => {
                events.append(&mut told);
                Ok(events)
            }
            Err(error) => {
                staged.revert(&mut self.tables);
                self.restore_ports(before);
                Err(Refused { index: last, error })
            }
        }
    }

    /// Applies modifications each on its own, as if they had come one by one, but makes them
    /// visible together by one commit. What is refused is left out.
    ///
    /// Should the fast path refuse all of them together, they are committed one by one, so
    /// that each gets its own verdict.
    pub fn apply_each(&mut self, mut batch: Vec<Modification>, now: Instant) -> Applied {
        let (mut staged, verdicts) =
            transaction::begin_each(&mut self.tables, &mut self.ids, &self.ports, &mut batch, now);
        match self.commit(&mut staged, now) {
            Ok(events) => {
                let mut applied = Applied { verdicts, events };
                for (index, m) in port_config::port_mods(&batch) {
                    if applied.verdicts.get(index).is_some_and(Result::is_ok) {
                        applied.verdicts[index] = self.port_mod(&m).map(|mut told| applied.events.append(&mut told));
                    }
                }
                return applied;
            }
            Err(_) => staged.undo(&mut self.tables, &mut batch),
        }
        let mut applied = Applied::default();
        for m in batch {
            applied.verdicts.push(match self.apply(vec![m], now) {
                Ok(mut events) => {
                    applied.events.append(&mut events);
                    Ok(())
                }
                Err(refused) => Err(refused.error),
            });
        }
        applied
    }

    /// Takes in a frame that came up from the fast path.
    pub fn on_punt(&mut self, punt: Punt, now: Instant) -> Vec<Effect> {
        let Some(reason) = packet_in::reason(punt.reason) else {
            return self.slow_path(&punt, now);
        };
        let frame = ToController {
            flow: punt.flow,
            reason,
            missed: punt.reason == PuntReason::Miss,
            in_port: punt.in_port,
            metadata: punt.metadata,
            // Whatever writes one is on the slow path.
            tunnel_id: 0,
            frame_len: punt.frame_len as usize,
            frame: punt.frame,
        };
        vec![Effect::Event(self.packet_in(frame))]
    }

    /// Takes a whole frame through the tables that no fast path has seen or counted; what becomes
    /// of it, and the flows that it met. `None`: the token bucket is empty.
    pub fn forward(&mut self, in_port: PortNo, frame: &[u8], now: Instant) -> Option<(Vec<Effect>, Steps)> {
        if !self.bucket.take(now) {
            self.slow_counters.limited += 1;
            return None;
        }
        let (outputs, steps) = self.walk(in_port, frame, now);
        self.fast.count(&steps, frame.len() as u64);
        let mut effects = Vec::new();
        self.effects(in_port, outputs, now, &mut effects);
        Some((effects, steps))
    }

    /// Carries out a packet-out. Frames that it sends through the tables are counted by their
    /// flows.
    ///
    /// # Errors
    /// As [`packet_out::run`]; nothing was sent then.
    pub fn packet_out(&mut self, out: &PacketOut, now: Instant) -> Result<Vec<Effect>, OfpError> {
        self.packet_out_with(out, Headers::Named, now)
    }

    /// As [`Self::packet_out`], and `headers` says what its actions may take for granted.
    ///
    /// # Errors
    /// As there.
    pub fn packet_out_with(
        &mut self,
        out: &PacketOut,
        headers: Headers,
        now: Instant,
    ) -> Result<Vec<Effect>, OfpError> {
        self.tables.groups.check_actions(&out.actions)?;
        let side = &mut Side { tables: &mut self.tables, now: Some(now) };
        let outputs = packet_out::run(out, headers, &self.ports, side)?;
        let mut effects = Vec::new();
        self.effects(out.in_port, outputs, now, &mut effects);
        Ok(effects)
    }

    /// Sends the frames among the effects and returns the rest. A frame that cannot be sent is
    /// counted; the sender is not told, as on any link.
    pub fn carry_out(&mut self, effects: Vec<Effect>) -> Vec<Event> {
        let mut events = Vec::new();
        for effect in effects {
            match effect {
                Effect::Event(event) => events.push(event),
                Effect::Inject { port, frame } => {
                    if let Err(error) = self.fast.inject(port, &frame) {
                        tracing::debug!(%port, %error, "a frame was not sent");
                        self.slow_counters.unsent += 1;
                    }
                }
            }
        }
        events
    }

    /// Takes in a change of a port; flows that name a port which is gone stay, and their
    /// frames are dropped.
    pub fn port_changed(&mut self, change: PortChange, now: Instant) -> Option<Event> {
        let (PortChange::Present(PortDesc { port, .. }) | PortChange::Gone(port)) = &change;
        let (port, before) = (*port, self.ports.get(*port).map(|p| p.config));
        let status = self.ports.apply(change, now)?;
        if self.ports.get(port).map(|p| p.config) != before
            && let Err(error) = self.write_port_settings()
        {
            tracing::error!(%port, %error, "the fast path does not take in the port's configuration");
        }
        Some(Event::PortStatus(status))
    }

    /// Expires flows that are over by now; lets the fast path clean up.
    pub fn tick(&mut self, now: Instant) -> Vec<Event> {
        if self.tidy_at.is_some_and(|at| at <= now) {
            self.fast.tidy();
            self.tidy_at = self.fast.is_untidy().then(|| now + QUIET);
        }
        let due = self.timeouts.take_due(now);
        if due.is_empty() {
            return Vec::new();
        }
        let counters = self.fast.flow_counters(&due);
        let mut expired = Vec::new();
        for (id, counters) in due.into_iter().zip(counters) {
            let Some(flow) = self.tables.get(id) else { continue };
            match judge(flow, counters, now) {
                Expiry::Expired(reason) => expired.push((id, reason)),
                Expiry::Until(at) => self.timeouts.set(id, at),
                Expiry::Never => {}
            }
        }
        let mut staged = transaction::expire(&mut self.tables, &expired);
        match self.commit(&mut staged, now) {
            Ok(events) => events,
            Err(error) => {
                staged.revert(&mut self.tables);
                tracing::warn!(%error, flows = expired.len(), "the fast path refused to expire flows; trying again");
                for (id, _) in expired {
                    self.timeouts.set(id, now + RETRY);
                }
                Vec::new()
            }
        }
    }

    /// When [`Self::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.timeouts.next(), self.tidy_at].into_iter().flatten().min()
    }

    /// The selected flows with their counters: tables ascending, priorities descending.
    pub fn dump_flows(&mut self, selector: &Selector, now: Instant) -> Vec<FlowStats> {
        let ids = self.tables.select(selector);
        let counters = self.fast.flow_counters(&ids);
        let flows = ids.iter().filter_map(|id| self.tables.get(*id));
        flows.zip(counters).map(|(flow, counters)| stats::describe(flow, counters, now)).collect()
    }

    /// What would become of a frame. Nothing is sent or counted.
    ///
    /// # Errors
    /// `OFPBRC_BAD_PORT` for an ingress port that is none.
    pub fn trace(&self, in_port: PortNo, frame: &[u8]) -> Result<Trace, OfpError> {
        if !self.ports.contains(in_port) {
            let detail = format!("in_port {in_port}: there are {}", self.ports.listed());
            return Err(OfpError::new(ErrorKind::BadRequestBadPort, detail));
        }
        Ok(trace::trace(&self.tables, self.fast.view(), &self.ports, in_port, frame))
    }

    /// The ports.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The queues of a port; [`PortNo::ANY`] = of every port.
    ///
    /// # Errors
    /// `OFPQOFC_BAD_PORT`.
    pub fn queues(&self, port: PortNo) -> Result<QueueConfig, OfpError> {
        queue::config(port, &self.ports)
    }

    /// The flow tables.
    pub fn tables(&self) -> &FlowTables {
        &self.tables
    }

    /// Frames of the slow path.
    pub fn slow_counters(&self) -> SlowCounters {
        self.slow_counters
    }

    /// The fast path: counters of tables, ports and reasons, and sending of frames.
    pub fn fast_path(&mut self) -> &mut F {
        &mut self.fast
    }

    /// # Errors
    /// The fast path's; what is staged is then to be reverted.
    fn commit(&mut self, staged: &mut Staged, now: Instant) -> Result<Vec<Event>, OfpError> {
        let batch = staged.batch(&self.tables);
        // A flow's counters cannot be read any more when it is gone.
        let notices: Vec<_> = staged.removed().iter().filter(|r| r.flow.flags.send_flow_removed).collect();
        let ids: Vec<FlowId> = notices.iter().map(|r| r.flow.id).collect();
        let counters = if ids.is_empty() { Vec::new() } else { self.fast.flow_counters(&ids) };
        if !batch.changes.is_empty()
            && let Err(error) = self.fast.commit(&batch)
        {
            return Err(error);
        }
        self.tidy_at = self.fast.is_untidy().then(|| now + QUIET);
        let notices = notices.into_iter().zip(counters);
        let events = notices.map(|(r, c)| Event::FlowRemoved(stats::removed(r, c, now))).collect();
        for id in staged.reset() {
            self.fast.reset_counters(*id);
        }
        for id in staged.touched() {
            match self.tables.get(id) {
                Some(flow) => self.timeouts.arm(flow),
                None => self.timeouts.forget(id),
            }
        }
        Ok(events)
    }

    /// The message; of a frame that no action asked for it carries what the switch's
    /// configuration says.
    fn packet_in(&self, mut frame: ToController) -> Event {
        let missed = frame.missed;
        if missed || frame.reason == PacketInReason::InvalidTtl {
            frame.frame.truncate(usize::from(self.config.miss_send_len));
        }
        let message = frame.into_message(&self.tables);
        if missed { Event::Miss(message) } else { Event::PacketIn(message) }
    }

    fn slow_path(&mut self, punt: &Punt, now: Instant) -> Vec<Effect> {
        if punt.frame.len() < punt.frame_len as usize {
            self.slow_counters.cut += 1;
            return Vec::new();
        }
        if !self.bucket.take(now) {
            self.slow_counters.limited += 1;
            return Vec::new();
        }
        let (outputs, steps) = self.walk(punt.in_port, &punt.frame, now);
        if let Some(counted) = slowpath::counted(self.fast.view(), punt.in_port, &punt.frame) {
            self.fast.count(steps.get(counted..).unwrap_or_default(), u64::from(punt.frame_len));
        }
        let mut effects = Vec::new();
        self.effects(punt.in_port, outputs, now, &mut effects);
        effects
    }

    fn walk(&mut self, in_port: PortNo, frame: &[u8], now: Instant) -> (Vec<Output>, Steps) {
        self.slow_counters.frames += 1;
        let mut side = Side { tables: &mut self.tables, now: Some(now) };
        let (mut outputs, steps) = slowpath::walk(self.fast.view(), &self.ports, &mut side, in_port, frame);
        if frame.len() >= MIN_FRAME {
            outputs.iter_mut().for_each(pad);
        }
        (outputs, steps)
    }

    fn effects(&mut self, in_port: PortNo, outputs: Vec<Output>, now: Instant, effects: &mut Vec<Effect>) {
        for output in outputs {
            match output {
                Output::Port(port, frame) => effects.push(Effect::Inject { port, frame }),
                Output::Controller(frame)
                    if frame.reason == PacketInReason::NoMatch && !self.ports.tells_misses(in_port) =>
                {
                    self.slow_counters.silent += 1;
                }
                Output::Controller(frame) => effects.push(Effect::Event(self.packet_in(frame))),
                // A walk through the tables has no further pipeline output.
                Output::Pipeline(frame) => {
                    let mut side = Side { tables: &mut self.tables, now: Some(now) };
                    let (outputs, steps) = slowpath::walk(self.fast.view(), &self.ports, &mut side, in_port, &frame);
                    self.fast.count(&steps, frame.len() as u64);
                    self.effects(in_port, outputs, now, effects);
                }
            }
        }
    }
}

/// Makes a frame that a pop has shortened as long as Ethernet wants it (IEEE 802.3 §3.2.8).
fn pad(output: &mut Output) {
    if let Output::Port(_, frame) = output
        && frame.len() < MIN_FRAME
    {
        let mut long = frame.to_vec();
        long.resize(MIN_FRAME, 0);
        *frame = long.into();
    }
}

#[cfg(test)]
mod tests;
