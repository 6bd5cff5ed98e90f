//! What the fast path cannot do alone: frames that leave in several forms.
//!
//! A frame comes here as it was received and is walked by the same functions as in the XDP
//! program, over the same flows; but every output is made when it is met, so that copies may
//! differ. The same executor runs packet-outs.

use bytes::Bytes;
use wamig_common::action::{CONTROLLER, DEC_TTL, OUTPUT, OUTPUT_IN_PORT, OUTPUT_SET, Op};
use wamig_common::limits::LOCAL_INDEX;
use wamig_common::native::{Emission, run_list, walk_all};
use wamig_openflow::{PacketInReason, PortNo};

use super::packet_in::ToController;
use super::port::Ports;
use super::sctp;
use crate::fastpath::memory::Memory;
use crate::fastpath::writer::{SET_ALL, SET_FLOOD};
use crate::fastpath::{FlowId, port_index};

/// One thing that becomes of a frame, in the order of its actions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Out of a port that exists.
    Port(PortNo, Bytes),
    /// To the controllers.
    Controller(ToController),
    /// Through the tables from the first one (packet-out only).
    Pipeline(Bytes),
}

/// Walks a frame through the tables.
pub fn walk(tables: &Memory, ports: &Ports, in_port: PortNo, frame: &[u8]) -> Vec<Output> {
    let mut run = Run { ports, in_port, frame, out: Vec::new() };
    let flow_of = |record| tables.owners().get(record);
    let set = |id: u64| match id as u32 {
        SET_ALL => &[PortNo::ALL.0],
        SET_FLOOD => &[PortNo::FLOOD.0],
        id => tables.maps().port_sets.get(&id).map_or(&[][..], Vec::as_slice),
    };
    walk_all(tables.maps(), in_port.0, index(in_port), frame, &mut |e| run.emit(&e, flow_of, set));
    run.out
}

/// Runs compiled actions on a frame; `sets` are the port sets that they name.
pub fn execute(ops: &[Op], sets: &[Vec<u32>], ports: &Ports, in_port: PortNo, frame: &[u8]) -> Vec<Output> {
    let mut run = Run { ports, in_port, frame, out: Vec::new() };
    let set = |index: u64| sets.get(index as usize).map_or(&[][..], Vec::as_slice);
    // It fails for a frame without Ethernet header only, which has no output.
    let _ = run_list(ops, in_port.0, index(in_port), frame, &mut |e| run.emit(&e, |_| None, set));
    run.out
}

/// The fast path's index; 0 for a frame that came in by no port.
fn index(in_port: PortNo) -> u32 {
    port_index(in_port).unwrap_or(0)
}

struct Run<'a> {
    ports: &'a Ports,
    in_port: PortNo,
    frame: &'a [u8],
    out: Vec<Output>,
}

impl Run<'_> {
    fn emit<'s>(&mut self, e: &Emission<'_>, flow_of: impl Fn(u32) -> Option<FlowId>, set: impl Fn(u64) -> &'s [u32]) {
        let frame = self.as_it_stands(e);
        match e.op.kind {
            CONTROLLER | DEC_TTL => {
                let reason = match (e.op.kind, e.context.miss) {
                    (DEC_TTL, _) => PacketInReason::InvalidTtl,
                    (_, true) => PacketInReason::NoMatch,
                    (_, false) => PacketInReason::Action,
                };
                let held = frame.len().min(usize::try_from(e.op.value).unwrap_or(usize::MAX));
                self.out.push(Output::Controller(ToController {
                    flow: flow_of(e.context.flow),
                    reason,
                    in_port: self.in_port,
                    metadata: e.context.metadata,
                    frame_len: frame.len(),
                    frame: frame.slice(..held),
                }));
            }
            OUTPUT => match PortNo(e.op.value as u32) {
                PortNo(LOCAL_INDEX) => self.send(PortNo::LOCAL, &frame),
                PortNo::TABLE => self.out.push(Output::Pipeline(frame)),
                port => self.send(port, &frame),
            },
            OUTPUT_IN_PORT => self.send_back(&frame),
            OUTPUT_SET => match set(e.op.value) {
                [port] if [PortNo::ALL.0, PortNo::FLOOD.0].contains(port) => {
                    let flood = *port == PortNo::FLOOD.0;
                    for port in self.ports.numbers().filter(|p| !flood || self.ports.is_flooded(*p)) {
                        self.send(port, &frame);
                    }
                }
                members => {
                    for member in members {
                        self.send(PortNo(*member), &frame);
                    }
                }
            },
            _ => {}
        }
    }

    fn as_it_stands(&self, e: &Emission<'_>) -> Bytes {
        let mut frame = [e.header, e.rest].concat();
        if frame != self.frame {
            sctp::mend(self.frame, &mut frame);
        }
        frame.into()
    }

    /// An output to the ingress port is left out, as is one to a port that is gone or does not
    /// forward (§5.10, §7.2.1.1).
    fn send(&mut self, port: PortNo, frame: &Bytes) {
        if port != self.in_port && self.ports.forwards(port) {
            self.out.push(Output::Port(port, frame.clone()));
        }
    }

    fn send_back(&mut self, frame: &Bytes) {
        if self.ports.forwards(self.in_port) {
            self.out.push(Output::Port(self.in_port, frame.clone()));
        }
    }
}
