//! What the fast path cannot do alone: frames that leave in several forms.
//!
//! A frame comes here as it was received and is walked by the same functions as in the XDP
//! program, over the same flows; but every output is made when it is met, so that copies may
//! differ. The same executor runs packet-outs.

use std::time::Instant;

use bytes::Bytes;
use wamig_common::action::{CONTROLLER, DEC_TTL, GROUP, METER, OUTPUT, OUTPUT_IN_PORT, OUTPUT_SET, Op, slot};
use wamig_common::entry::NONE;
use wamig_common::execute::Context;
use wamig_common::limits::LOCAL_INDEX;
use wamig_common::native::{Emission, PASS, run_list, walk as fast_walk, walk_all};
use wamig_common::verdict::Verdict;
use wamig_openflow::{Action, GroupId, MeterId, PacketInReason, PortNo};

use super::flow_table::FlowTables;
use super::packet_in::ToController;
use super::packet_out::types;
use super::port::Ports;
use super::sctp;
use super::validate::possible_actions;
use crate::fastpath::compile::write_list;
use crate::fastpath::view::View;
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

/// Groups and meters beside the tables.
pub struct Side<'a> {
    /// Where they are.
    pub tables: &'a mut FlowTables,
    /// The time, for meters; `None` = every frame passes them, uncharged.
    pub now: Option<Instant>,
}

/// The tables that a frame went through, and the flow that it matched there.
pub type Steps = Vec<(u8, Option<FlowId>)>;

/// Walks a frame through the tables.
pub fn walk(
    tables: &impl View,
    ports: &Ports,
    side: &mut Side<'_>,
    in_port: PortNo,
    frame: &[u8],
) -> (Vec<Output>, Steps) {
    let mut run = Run { ports, side, in_port, frame, out: Vec::new() };
    let flow_of = |record| tables.owner(record);
    let set = |id: u64| match id as u32 {
        SET_ALL => &[PortNo::ALL.0],
        SET_FLOOD => &[PortNo::FLOOD.0],
        id => tables.port_set(id),
    };
    let outcome = walk_all(tables, in_port.0, index(in_port), frame, &mut |e| run.emit(&e, &flow_of, set));
    let steps = outcome.path.iter().map(|(table, record)| (table, flow_of(record))).collect();
    (run.out, steps)
}

/// How many tables the fast path went through, and counted, before it gave the frame up. The
/// slow path begins anew. `None`: with the flows of now it would not have.
pub fn counted(tables: &impl View, in_port: PortNo, frame: &[u8]) -> Option<usize> {
    let outcome = fast_walk(tables, in_port.0, index(in_port), frame);
    matches!(outcome.verdict, Verdict::Slow(_)).then_some(outcome.path.n)
}

/// Runs compiled actions on a frame; `sets` are the port sets that they name.
pub fn execute(
    ops: &[Op],
    sets: &[Vec<u32>],
    ports: &Ports,
    side: &mut Side<'_>,
    in_port: PortNo,
    frame: &[u8],
) -> Vec<Output> {
    let cx = Context { flow: 0, metadata: 0, miss: false };
    let mut run = Run { ports, side, in_port, frame, out: Vec::new() };
    let set = |index: u64| sets.get(index as usize).map_or(&[][..], Vec::as_slice);
    // It fails for a frame without Ethernet header only, which has no output.
    let _ = run_list(ops, in_port.0, index(in_port), frame, (cx, 0), &mut |e| run.emit(&e, &|_| None, set));
    run.out
}

/// The fast path's index; 0 for a frame that came in by no port.
fn index(in_port: PortNo) -> u32 {
    port_index(in_port).unwrap_or(0)
}

/// A bucket's actions in the order of the action set, for a frame whose types are known now;
/// those that it has no header for are left out.
fn bucket_list(actions: &[Action], frame: &[u8], sets: &mut Vec<Vec<u32>>) -> Vec<Op> {
    let Some(types) = types(frame) else { return Vec::new() };
    let mut possible: Vec<Action> = Vec::new();
    for action in possible_actions(actions, &types) {
        possible.push(action.clone());
        if write_list(&possible, &types, &mut Vec::new()).is_err() {
            possible.pop();
        }
    }
    let mut ops = write_list(&possible, &types, sets).unwrap_or_default();
    ops.sort_by_key(|op| op.slot);
    if ops.iter().any(|op| op.kind == GROUP) {
        ops.retain(|op| op.slot != slot::OUTPUT);
    }
    ops
}

struct Run<'a, 't> {
    ports: &'a Ports,
    side: &'a mut Side<'t>,
    in_port: PortNo,
    frame: &'a [u8],
    out: Vec<Output>,
}

impl Run<'_, '_> {
    fn emit<'s>(
        &mut self,
        e: &Emission<'_>,
        flow_of: &dyn Fn(u32) -> Option<FlowId>,
        set: impl Fn(u64) -> &'s [u32],
    ) -> u32 {
        let frame = self.as_it_stands(e);
        match e.op.kind {
            METER => {
                let meters = &mut self.side.tables.meters;
                return self.side.now.map_or(PASS, |now| meters.charge(MeterId(e.op.value as u32), frame.len(), now));
            }
            GROUP => self.group(GroupId(e.op.value as u32), &frame, (e.context, e.tunnel_id), flow_of),
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
                    missed: e.context.miss && e.context.flow == NONE,
                    in_port: self.in_port,
                    metadata: e.context.metadata,
                    tunnel_id: e.tunnel_id,
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
        PASS
    }

    /// Runs the buckets that the frame takes, each on a copy of it (§5.6). Chains end: the
    /// group table refuses loops and long ones.
    fn group(
        &mut self,
        group: GroupId,
        frame: &Bytes,
        (cx, tunnel_id): (Context, u64),
        flow_of: &dyn Fn(u32) -> Option<FlowId>,
    ) {
        let groups = &mut self.side.tables.groups;
        let buckets = groups.choose(group, self.ports, frame);
        groups.count(group, &buckets, frame.len());
        for bucket in buckets {
            let Some(actions) = self.side.tables.groups.get(group).and_then(|g| g.buckets.get(bucket)) else {
                continue;
            };
            let mut sets = Vec::new();
            let ops = bucket_list(&actions.actions, frame, &mut sets);
            let set = |index: u64| sets.get(index as usize).map_or(&[][..], Vec::as_slice);
            let mut run =
                Run { ports: self.ports, side: &mut *self.side, in_port: self.in_port, frame, out: Vec::new() };
            let cx = Context { miss: false, ..cx };
            let sink = &mut |e: Emission<'_>| run.emit(&e, flow_of, set);
            // As in `execute`.
            let _ = run_list(&ops, self.in_port.0, index(self.in_port), frame, (cx, tunnel_id), sink);
            let mut out = run.out;
            self.out.append(&mut out);
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
