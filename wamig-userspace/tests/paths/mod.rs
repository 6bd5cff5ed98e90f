//! The two ways of a frame outside the kernel: the memory fast path, which makes one plan as
//! XDP does, and the slow path, which makes every output when it is met.

use std::fmt;

use wamig_common::action::{OUTPUT, OUTPUT_IN_PORT, OUTPUT_SET};
use wamig_common::limits::LOCAL_INDEX;
use wamig_common::native::Outcome;
use wamig_common::plan::{PacketIn, USED};
use wamig_common::verdict::{PuntReason, Verdict};
use wamig_openflow::message::PortConfig;
use wamig_openflow::{MacAddr, PacketInReason, PortDesc, PortNo};
use wamig_userspace::fastpath::memory::Memory;
use wamig_userspace::fastpath::view::View as _;
use wamig_userspace::fastpath::writer::{SET_ALL, SET_FLOOD};
use wamig_userspace::fastpath::{FlowId, port_index};
use wamig_userspace::switch::flow_table::FlowTables;
use wamig_userspace::switch::port::Ports;
use wamig_userspace::switch::slowpath::{Output, Side, walk};

/// The ports of the switch under test.
pub const PORTS: [PortNo; 5] = [PortNo(1), PortNo(2), PortNo(3), PortNo(4), PortNo::LOCAL];

/// A port that groups watch: it is down, and nothing leaves by it.
pub const DEAD_PORT: PortNo = PortNo(5);

/// A frame that went to the controller.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Up {
    /// The flow that sent it.
    pub flow: Option<FlowId>,
    /// Name of the reason.
    pub reason: &'static str,
    /// Metadata at the action.
    pub metadata: u64,
    /// Length of the frame at the action.
    pub frame_len: usize,
    /// As much of it as was asked for.
    pub frame: Vec<u8>,
}

/// What came of a frame.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// (port, frame), in ascending order.
    pub copies: Vec<(PortNo, Vec<u8>)>,
    /// In ascending order.
    pub ups: Vec<Up>,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (port, frame) in &self.copies {
            writeln!(f, "    port {port}: {}", hex(frame))?;
        }
        for up in &self.ups {
            let (flow, reason, metadata, len) = (up.flow, up.reason, up.metadata, up.frame_len);
            writeln!(f, "    {reason} of {flow:?}, metadata {metadata:#x}, {len} bytes: {}", hex(&up.frame))?;
        }
        if self.copies.is_empty() && self.ups.is_empty() { writeln!(f, "    nothing") } else { Ok(()) }
    }
}

impl Seen {
    /// With both lists in ascending order, in which alone they are compared.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.copies.sort();
        self.ups.sort();
        self
    }
}

/// A frame as people read it.
pub fn hex(frame: &[u8]) -> String {
    frame.iter().fold(String::new(), |text, b| text + &format!("{b:02x}"))
}

/// The ports as the switch knows them.
pub fn ports() -> Ports {
    let desc = |port: PortNo| PortDesc {
        port,
        mac: MacAddr([2, 0, 0, 0, 0xff, port.0 as u8]),
        name: format!("p{port}"),
        link_up: true,
        mtu: 1500,
        ..PortDesc::default()
    };
    let config = PortConfig { no_fwd: true, ..PortConfig::default() };
    let dead = PortDesc { link_up: false, config, ..desc(DEAD_PORT) };
    Ports::new(PORTS.map(desc).into_iter().chain([dead]))
}

fn index(port: PortNo) -> u32 {
    port_index(port).unwrap()
}

/// Where a plan sends the frame.
fn targets(memory: &Memory, in_port: PortNo, kind: u32, out: u32) -> Vec<PortNo> {
    let others = |members: Vec<PortNo>| members.into_iter().filter(|p| *p != in_port).collect();
    match kind as u8 {
        OUTPUT if out == LOCAL_INDEX => vec![PortNo::LOCAL],
        OUTPUT => vec![PortNo(out)],
        OUTPUT_IN_PORT => vec![in_port],
        OUTPUT_SET if out == SET_ALL || out == SET_FLOOD => others(PORTS.to_vec()),
        OUTPUT_SET => others(memory.port_set(out).iter().map(|p| PortNo(*p)).collect()),
        _ => vec![],
    }
}

/// The packet-ins that a plan asks for, before and after its edits.
pub fn packet_ins(memory: &Memory, outcome: &Outcome, frame: &[u8]) -> Vec<Up> {
    let up = |p: &PacketIn, frame: Vec<u8>| Up {
        flow: memory.owners().get(p.flow),
        reason: PuntReason::from_index(p.reason & 0xff).unwrap().as_str(),
        metadata: p.metadata,
        frame_len: frame.len(),
        frame: frame[..frame.len().min(p.max_len as usize)].to_vec(),
    };
    let mut ups = Vec::new();
    if outcome.plan.early.reason & USED != 0 {
        ups.push(up(&outcome.plan.early, frame.to_vec()));
    }
    if outcome.plan.late.reason & USED != 0 {
        ups.push(up(&outcome.plan.late, edited(outcome, frame)));
    }
    ups
}

/// The frame as the plan leaves it.
pub fn edited(outcome: &Outcome, frame: &[u8]) -> Vec<u8> {
    let (head, rest) = outcome.edited(frame);
    [head, rest].concat()
}

/// A frame's way through the fast path and, if that says so, through the slow path.
pub fn fast(memory: &mut Memory, in_port: PortNo, frame: &[u8]) -> (Outcome, Seen) {
    let outcome = memory.maps_mut().process(in_port.0, index(in_port), frame);
    if let Verdict::Slow(_) = outcome.verdict {
        let seen = slow(memory, in_port, frame);
        return (outcome, seen);
    }
    let mut seen = Seen { ups: packet_ins(memory, &outcome, frame), ..Seen::default() };
    if outcome.verdict == Verdict::Done {
        let frame = edited(&outcome, frame);
        let targets = targets(memory, in_port, outcome.plan.out_kind, outcome.plan.out);
        seen.copies = targets.into_iter().map(|p| (p, frame.clone())).collect();
    }
    (outcome, seen.sorted())
}

/// A frame's way through the slow path.
pub fn slow(memory: &Memory, in_port: PortNo, frame: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let mut tables = FlowTables::new(16, 0);
    let mut side = Side { tables: &mut tables, now: None };
    for output in walk(memory, &ports(), &mut side, in_port, frame).0 {
        match output {
            Output::Port(port, frame) => seen.copies.push((port, frame.to_vec())),
            Output::Controller(up) => seen.ups.push(Up {
                flow: up.flow,
                reason: match up.reason {
                    _ if up.missed => PuntReason::Miss.as_str(),
                    PacketInReason::NoMatch => PuntReason::NoMatch.as_str(),
                    PacketInReason::Action => PuntReason::Action.as_str(),
                    PacketInReason::InvalidTtl => PuntReason::InvalidTtl.as_str(),
                },
                metadata: up.metadata,
                frame_len: up.frame_len,
                frame: up.frame.to_vec(),
            }),
            Output::Pipeline(_) => panic!("a flow sent a frame back to the first table"),
        }
    }
    seen.sorted()
}
