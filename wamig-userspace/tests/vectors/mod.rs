//! Flows, a frame in, and what must come of it: the data plane by example.
//!
//! Each vector is run by the slow path, by the memory fast path and by the XDP program, and
//! all three must do the same, byte for byte. Expected frames are written out anew by
//! `frames`, with every checksum computed in full.

mod address;
mod controller;
mod field;
mod forward;
mod label;
mod miss;
mod neighbour;
mod odd;
mod pipeline;
mod tag;
mod v10;

use wamig_common::verdict::{DropReason, PuntReason, SlowReason, Verdict};
use wamig_openflow::{Action, Field, Instructions, Match, PortNo, TableId};
use wamig_userspace::fastpath::compile::compile;
use wamig_userspace::fastpath::{CompiledFlow, FlowId, PortSettings};

use crate::frames::Frame;
use crate::paths::{PORTS, Seen, Up};

/// One example.
pub struct Vector {
    /// What it is about.
    pub name: String,
    /// Table misses are packet-ins, as in OpenFlow 1.0.
    pub misses_go_up: bool,
    /// The flows; their ids count from 1.
    pub flows: Vec<CompiledFlow>,
    /// Where the frame comes in.
    pub in_port: PortNo,
    /// The frame.
    pub frame: Vec<u8>,
    /// What the fast path decides.
    pub verdict: Verdict,
    /// What comes of the frame, whichever path it takes.
    pub seen: Seen,
}

/// Begins an example.
fn when(name: impl Into<String>) -> Vector {
    Vector {
        name: name.into(),
        misses_go_up: false,
        flows: Vec::new(),
        in_port: PortNo(1),
        frame: Vec::new(),
        verdict: Verdict::Drop(DropReason::ControllerOnly),
        seen: Seen::default(),
    }
}

impl Vector {
    /// How frames are treated at the ports.
    pub fn settings(&self) -> PortSettings {
        PortSettings { misses_go_up: self.misses_go_up, ..PortSettings::default() }
    }

    /// A flow.
    fn flow(mut self, table: u8, priority: u16, matching: Match, instructions: Instructions) -> Self {
        let id = FlowId(self.flows.len() as u64 + 1);
        matching.validate().unwrap_or_else(|e| panic!("{}: {e}", self.name));
        let flow = compile(id, TableId(table), priority, &matching, &instructions);
        self.flows.push(flow.unwrap_or_else(|e| panic!("{}: {e}", self.name)));
        self
    }

    /// Table misses are packet-ins.
    fn misses_go_up(mut self) -> Self {
        self.misses_go_up = true;
        self
    }

    /// A flow that applies actions to every frame.
    fn all(self, actions: impl Into<Vec<Action>>) -> Self {
        self.flow(0, 1, Match::any(), apply(actions))
    }

    /// The frame.
    fn receives(mut self, port: u32, frame: &Frame) -> Self {
        self.in_port = PortNo(port);
        self.frame = frame.bytes();
        self
    }

    /// A frame that is none of ours.
    fn receives_bytes(mut self, port: u32, frame: Vec<u8>) -> Self {
        self.in_port = PortNo(port);
        self.frame = frame;
        self
    }

    /// Copies that leave by these ports.
    fn sends(self, ports: &[u32], frame: &Frame) -> Self {
        self.sends_bytes(ports, &frame.bytes())
    }

    /// Copies of the frame as received.
    fn forwards(self, ports: &[u32]) -> Self {
        let frame = self.frame.clone();
        self.sends_bytes(ports, &frame)
    }

    fn sends_bytes(mut self, ports: &[u32], frame: &[u8]) -> Self {
        self.seen.copies.extend(ports.iter().map(|p| (PortNo(*p), frame.to_vec())));
        if !matches!(self.verdict, Verdict::Slow(_)) {
            self.verdict = Verdict::Done;
        }
        self
    }

    /// A packet-in of that flow, with metadata 0.
    fn tells(self, flow: u64, reason: PuntReason, frame: &Frame) -> Self {
        let bytes = frame.bytes();
        self.tells_cut(flow, reason, 0, &bytes, bytes.len())
    }

    /// A packet-in that holds the first `held` bytes.
    fn tells_cut(mut self, flow: u64, reason: PuntReason, metadata: u64, frame: &[u8], held: usize) -> Self {
        let (flow, reason) = (Some(FlowId(flow)), reason.as_str());
        self.seen.ups.push(Up { flow, reason, metadata, frame_len: frame.len(), frame: frame[..held].to_vec() });
        self
    }

    /// The packet-in of a table miss: the whole frame as it stood then.
    fn tells_miss(mut self, metadata: u64, frame: &Frame) -> Self {
        let frame = frame.bytes();
        self.seen.ups.push(Up {
            flow: None,
            reason: PuntReason::Miss.as_str(),
            metadata,
            frame_len: frame.len(),
            frame,
        });
        self
    }

    /// The fast path drops the frame, for this reason.
    fn drops(mut self, reason: DropReason) -> Self {
        self.verdict = Verdict::Drop(reason);
        self
    }

    /// The fast path hands the frame over, for this reason. Said before what is sent.
    fn slow(mut self, reason: SlowReason) -> Self {
        self.verdict = Verdict::Slow(reason);
        self
    }
}

/// Every example.
pub fn all() -> Vec<Vector> {
    let parts = [
        forward::vectors(),
        tag::vectors(),
        field::vectors(),
        address::vectors(),
        controller::vectors(),
        miss::vectors(),
        pipeline::vectors(),
        label::vectors(),
        neighbour::vectors(),
        odd::vectors(),
        v10::vectors(),
    ];
    let mut all: Vec<Vector> = parts.into_iter().flatten().collect();
    for vector in &mut all {
        vector.seen = std::mem::take(&mut vector.seen).sorted();
    }
    all
}

/// All ports but one.
fn others(port: u32) -> Vec<u32> {
    PORTS.iter().map(|p| p.0).filter(|p| *p != port).collect()
}

/// Apply-actions.
fn apply(actions: impl Into<Vec<Action>>) -> Instructions {
    Instructions::apply(actions.into())
}

/// Write-actions.
fn write(actions: impl Into<Vec<Action>>) -> Instructions {
    Instructions { write: actions.into(), ..Instructions::default() }
}

/// `output:PORT`
fn out(port: u32) -> Action {
    Action::output(PortNo(port))
}

/// Goto-table alone.
fn goto(table: u8) -> Instructions {
    Instructions::goto(TableId(table))
}

/// The LOCAL port's number.
const LOCAL: u32 = PortNo::LOCAL.0;
