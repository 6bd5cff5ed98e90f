//! The switch over the memory fast path: frames in, frames and events out.

mod expiry;
mod group;
mod meter;
mod multipart;
mod packet_out;
mod pipeline;
mod port_config;
mod refusal;
mod same;

use bytes::Bytes;
use wamig_common::action::{OUTPUT, OUTPUT_IN_PORT};
use wamig_common::limits::LOCAL_INDEX;
use wamig_common::native::Outcome;
use wamig_common::plan;
use wamig_common::verdict::{PuntReason, Verdict};
use wamig_openflow::{Action, Cookie, FlowMod, Instructions, Match, PacketIn, PortDesc, TableId};

use super::*;
use crate::fastpath::maps::Capacity;
use crate::fastpath::memory::{Memory, MemoryMaps};
use crate::fastpath::port_index;
use crate::fastpath::writer::SET_FLOOD;
use crate::switch::fixtures::port;

/// What came of a frame: (port, frame) in ascending order of ports, and packet-ins.
type Result = (Vec<(PortNo, Vec<u8>)>, Vec<PacketIn>);

/// A switch with ports 1, 2, 3 and LOCAL.
struct Rig {
    switch: Switch<Memory>,
    now: Instant,
}

impl Rig {
    fn new() -> Self {
        Self::with(MemoryMaps::default(), Limits::default())
    }

    fn with(maps: MemoryMaps, limits: Limits) -> Self {
        let local = PortDesc { port: PortNo::LOCAL, ..port(9) };
        let ports = Ports::new([port(1), port(2), port(3), local]);
        let mut rig = Self { switch: Switch::new(Memory::new(maps), ports, limits), now: Instant::now() };
        rig.pass(0);
        rig
    }

    /// Lets time pass.
    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.switch.fast_path().maps_mut().set_now(self.now);
    }

    fn apply(&mut self, mods: Vec<FlowMod>) -> Vec<Event> {
        self.switch.apply(mods, self.now).unwrap()
    }

    fn add(&mut self, table: u8, priority: u16, matching: Match, instructions: Instructions) {
        self.apply(vec![add(table, priority, matching, instructions)]);
    }

    /// A frame through the fast path, and through the slow path if it is sent there.
    fn frame(&mut self, in_port: u32, frame: &[u8]) -> Result {
        let in_port = PortNo(in_port);
        let outcome = self.switch.fast_path().maps_mut().process(in_port.0, port_index(in_port).unwrap(), frame);
        if matches!(outcome.verdict, Verdict::Slow(_)) {
            return self.slow(in_port, frame);
        }
        let punts = [(outcome.plan.early, frame.to_vec()), (outcome.plan.late, edited(&outcome, frame))];
        let mut packet_ins = Vec::new();
        for (p, data) in punts.into_iter().filter(|(p, _)| p.reason & plan::USED != 0) {
            let flow = self.switch.fast_path().owners().get(p.flow);
            let punt = Punt {
                in_port,
                reason: PuntReason::from_index(p.reason & 0xff).unwrap(),
                flow,
                metadata: p.metadata,
                frame_len: data.len() as u32,
                frame: Bytes::from(data[..data.len().min(p.max_len as usize)].to_vec()),
            };
            packet_ins.extend(self.switch.on_punt(punt, self.now));
        }
        let (_, packet_ins) = split(packet_ins);
        (self.carried_out(in_port, &outcome, frame), packet_ins)
    }

    fn slow(&mut self, in_port: PortNo, frame: &[u8]) -> Result {
        let punt = Punt {
            in_port,
            reason: PuntReason::Slow,
            flow: None,
            metadata: 0,
            frame_len: frame.len() as u32,
            frame: Bytes::from(frame.to_vec()),
        };
        split(self.switch.on_punt(punt, self.now))
    }

    fn carried_out(&self, in_port: PortNo, outcome: &Outcome, frame: &[u8]) -> Vec<(PortNo, Vec<u8>)> {
        let plan = &outcome.plan;
        let frame = edited(outcome, frame);
        let numbers: Vec<PortNo> = match plan.out_kind as u8 {
            0 => vec![],
            OUTPUT => vec![if plan.out == LOCAL_INDEX { PortNo::LOCAL } else { PortNo(plan.out) }],
            OUTPUT_IN_PORT => vec![in_port],
            _ if plan.out <= SET_FLOOD => self.switch.ports.iter().map(|p| p.port).collect(),
            _ => self.switch.fast.maps().port_sets[&plan.out].iter().map(|p| PortNo(*p)).collect(),
        };
        let single = numbers.len() == 1;
        numbers.into_iter().filter(|p| single || *p != in_port).map(|p| (p, frame.clone())).collect()
    }
}

fn edited(outcome: &Outcome, frame: &[u8]) -> Vec<u8> {
    let (header, rest) = outcome.edited(frame);
    [header, rest].concat()
}

fn split(effects: Vec<Effect>) -> Result {
    let (mut frames, mut packet_ins) = (Vec::new(), Vec::new());
    for effect in effects {
        match effect {
            Effect::Inject { port, frame } => frames.push((port, frame.to_vec())),
            Effect::Event(Event::PacketIn(m) | Event::Miss(m)) => packet_ins.push(m),
            Effect::Event(other) => panic!("{other:?}"),
        }
    }
    frames.sort_by_key(|(port, _)| *port);
    (frames, packet_ins)
}

fn add(table: u8, priority: u16, matching: Match, instructions: Instructions) -> FlowMod {
    FlowMod::add(TableId(table), priority, matching, instructions, Cookie(u64::from(priority)))
}

fn out(port: u32) -> Action {
    Action::output(PortNo(port))
}

fn apply(actions: &[Action]) -> Instructions {
    Instructions::apply(actions.to_vec())
}

fn ports(result: &Result) -> Vec<u32> {
    result.0.iter().map(|(p, _)| p.0).collect()
}
