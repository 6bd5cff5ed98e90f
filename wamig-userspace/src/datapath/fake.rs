//! A datapath for the tests of controllers: it refuses what the real switch would refuse,
//! keeps what it was told, and says what the test makes it say. It forwards nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use wamig_common::limits::{DEFAULT_FLOWS, MAX_TABLES};
use wamig_openflow::{DatapathId, FlowMod, FlowStats, OfpError, PacketOut, PortDesc};

use super::{Datapath, DatapathError, Event, Features};
use crate::fastpath::FlowCounters;
use crate::switch::flow_table::FlowTables;
use crate::switch::modification::Modification;
use crate::switch::packet_out;
use crate::switch::port::Ports;
use crate::switch::slowpath::Side;
use crate::switch::stats::describe;
use crate::switch::transaction::{FlowIds, begin};
use crate::switch::validate::Headers;

/// The fake; its [`Script`] stays with the test.
#[derive(Debug)]
pub struct Fake {
    features: Features,
    script: Script,
}

/// The test's end of a [`Fake`].
#[derive(Clone, Debug)]
pub struct Script {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    tables: FlowTables,
    ids: FlowIds,
    ports: Ports,
    batches: Vec<Vec<FlowMod>>,
    packet_outs: Vec<PacketOut>,
    events: VecDeque<Event>,
    refusals: VecDeque<DatapathError>,
    closed: bool,
}

impl Fake {
    /// A switch with these ports and no flows.
    pub fn new(dpid: DatapathId, ports: Vec<PortDesc>) -> (Self, Script) {
        let state = State {
            tables: FlowTables::new(MAX_TABLES as u8, DEFAULT_FLOWS as usize),
            ids: FlowIds::default(),
            ports: Ports::new(ports.clone()),
            batches: Vec::new(),
            packet_outs: Vec::new(),
            events: VecDeque::new(),
            refusals: VecDeque::new(),
            closed: false,
        };
        let script = Script { state: Arc::new(Mutex::new(state)), changed: Arc::new(Notify::new()) };
        let features = Features { dpid, tables: MAX_TABLES as u8, ports };
        (Self { features, script: script.clone() }, script)
    }
}

impl Script {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the datapath say something.
    pub fn say(&self, event: Event) {
        self.state().events.push_back(event);
        self.changed.notify_one();
    }

    /// Ends the stream of events behind those already said.
    pub fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    /// Makes the next batch or packet-out fail; several refusals queue up.
    pub fn refuse(&self, error: DatapathError) {
        self.state().refusals.push_back(error);
    }

    /// Takes the batches that were accepted since the last call.
    pub fn batches(&self) -> Vec<Vec<FlowMod>> {
        std::mem::take(&mut self.state().batches)
    }

    /// Takes the packet-outs that were accepted since the last call.
    pub fn packet_outs(&self) -> Vec<PacketOut> {
        std::mem::take(&mut self.state().packet_outs)
    }

    /// The flows in force; their counters are zero.
    pub fn flows(&self, now: Instant) -> Vec<FlowStats> {
        self.state().tables.iter().map(|f| describe(f, FlowCounters::default(), now)).collect()
    }
}

impl State {
    fn refusal(&mut self) -> Result<(), DatapathError> {
        self.refusals.pop_front().map_or(Ok(()), Err)
    }

    fn apply(&mut self, batch: Vec<FlowMod>, now: Instant) -> Result<(), OfpError> {
        let mods = batch.iter().cloned().map(Modification::Flow).collect();
        begin(&mut self.tables, &mut self.ids, &self.ports, mods, now).map_err(|refused| refused.error)?;
        self.batches.push(batch);
        Ok(())
    }
}

impl Datapath for Fake {
    fn features(&self) -> &Features {
        &self.features
    }

    async fn send(&mut self, batch: Vec<FlowMod>, now: Instant) -> Result<(), DatapathError> {
        let mut state = self.script.state();
        state.refusal()?;
        Ok(state.apply(batch, now)?)
    }

    async fn packet_out(&mut self, out: PacketOut, now: Instant) -> Result<(), DatapathError> {
        let mut state = self.script.state();
        state.refusal()?;
        let State { ports, tables, .. } = &mut *state;
        packet_out::run(&out, Headers::Named, ports, &mut Side { tables, now: Some(now) })?;
        state.packet_outs.push(out);
        Ok(())
    }

    async fn dump_flows(&mut self, now: Instant) -> Result<Vec<FlowStats>, DatapathError> {
        Ok(self.script.flows(now))
    }

    async fn next_event(&mut self) -> Option<Event> {
        loop {
            {
                let mut state = self.script.state();
                if let Some(event) = state.events.pop_front() {
                    return Some(event);
                }
                if state.closed {
                    return None;
                }
            }
            self.script.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use wamig_openflow::{Cookie, ErrorKind, Instructions, Match, PortNo, TableId};

    use super::*;
    use crate::switch::fixtures::port;

    fn fake() -> (Fake, Script) {
        Fake::new(DatapathId(1), vec![port(1), port(2)])
    }

    fn goto(table: u8, to: u8) -> FlowMod {
        FlowMod::add(TableId(table), 1, Match::any(), Instructions::goto(TableId(to)), Cookie(0))
    }

    #[tokio::test]
    async fn it_keeps_what_it_accepts_and_refuses_what_the_switch_refuses() {
        let (mut fake, script) = fake();
        let now = Instant::now();
        fake.send(vec![goto(0, 1)], now).await.unwrap();
        let err = fake.send(vec![goto(0, 2), goto(1, 1)], now).await.unwrap_err();
        assert!(matches!(err, DatapathError::Refused(e) if e.kind == ErrorKind::BadInstructionBadTableId));
        script.refuse(DatapathError::Down("unplugged".into()));
        assert_eq!(fake.send(vec![goto(0, 2)], now).await, Err(DatapathError::Down("unplugged".into())));
        assert_eq!(script.batches(), [vec![goto(0, 1)]]);
        assert_eq!(fake.dump_flows(now).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn packet_outs_are_checked_and_kept() {
        let (mut fake, script) = fake();
        let mut out = PacketOut {
            buffer_id: None,
            in_port: PortNo::CONTROLLER,
            actions: vec![],
            data: bytes::Bytes::from_static(&[0; 60]),
        };
        fake.packet_out(out.clone(), Instant::now()).await.unwrap();
        out.in_port = PortNo(9);
        assert!(fake.packet_out(out, Instant::now()).await.is_err());
        assert_eq!(script.packet_outs().len(), 1);
    }

    #[tokio::test]
    async fn it_says_what_the_script_says_and_then_ends() {
        let (mut fake, script) = fake();
        let listening = tokio::spawn(async move {
            let mut heard = Vec::new();
            while let Some(event) = fake.next_event().await {
                heard.push(event);
            }
            heard
        });
        script.say(Event::Down("one".into()));
        tokio::task::yield_now().await;
        script.say(Event::Down("two".into()));
        script.close();
        assert_eq!(listening.await.unwrap().len(), 2);
    }
}
