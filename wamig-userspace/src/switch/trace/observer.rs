//! Watches a walk and writes down what it sees, in OpenFlow's terms.

use wamig_common::action::{
    CONTROLLER, COPY_TTL_IN, COPY_TTL_OUT, DEC_MPLS_TTL, DEC_TTL, MOVE, OUTPUT, OUTPUT_IN_PORT, OUTPUT_SET, Op,
    POP_MPLS, POP_PBB, POP_VLAN, PUSH_MPLS, PUSH_PBB, PUSH_VLAN, SET, SET_PROTO, SET_TAG, SET_TUNNEL,
};
use wamig_common::classify::{is_settled, probe};
use wamig_common::entry::{NONE, Slot};
use wamig_common::execute::step;
use wamig_common::key::FlowKey;
use wamig_common::limits::LOCAL_INDEX;
use wamig_common::native::Observer;
use wamig_common::plan::Plan;
use wamig_common::verdict::{DropReason, SlowReason};
use wamig_openflow::{Match, PortNo};

use super::report::{Action, Step, Table, Tried};
use super::{fields, fields_of};
use crate::fastpath::compile::{has_header, value_of};
use crate::fastpath::view::View;
use crate::fastpath::writer::{SET_ALL, SET_FLOOD};
use crate::switch::flow_table::FlowTables;

/// Bytes that no match field shows are told by their place, this many runs at most.
const MAX_RUNS: usize = 8;

/// The watcher.
pub(super) struct Watch<'a, V> {
    tables: &'a FlowTables,
    view: &'a V,
    in_port: PortNo,
    /// The frame as it stood after the action before.
    frame: Vec<u8>,
    /// What the tables were last searched for.
    searched: Match,
    steps: Vec<Step>,
}

impl<'a, V: View> Watch<'a, V> {
    pub(super) fn new(tables: &'a FlowTables, view: &'a V, in_port: PortNo, frame: &[u8]) -> Self {
        let searched = fields(frame, in_port).unwrap_or_default();
        Self { tables, view, in_port, frame: frame.to_vec(), searched, steps: Vec::new() }
    }

    pub(super) fn into_steps(self) -> Vec<Step> {
        self.steps
    }

    /// The search once more, mask by mask.
    fn tried(&self, table: u8, key: &FlowKey) -> Vec<Tried> {
        let maps = self.view;
        let version = maps.version();
        let Some(order) = maps.table(table, version) else { return Vec::new() };
        let mut best = Slot::default();
        let mut tried = Vec::new();
        for subtable in order.subtables.iter().take(order.n as usize) {
            if is_settled(best, subtable) {
                break;
            }
            let found = probe(maps, key, subtable, version, Slot::default());
            best = probe(maps, key, subtable, version, best);
            let fields = maps.mask(subtable.subtable).map(|mask| under(key, mask)).unwrap_or_default();
            tried.push(Tried { fields: fields.to_string(), found: (!found.is_absent()).then(|| found.priority()) });
        }
        tried
    }

    fn name(&self, op: &Op) -> String {
        let port = |index: u64| match index as u32 {
            LOCAL_INDEX => PortNo::LOCAL,
            n => PortNo(n),
        };
        match op.kind {
            OUTPUT => format!("output:{}", port(op.value)),
            OUTPUT_IN_PORT => "IN_PORT".to_owned(),
            OUTPUT_SET => match op.value as u32 {
                SET_ALL => "ALL".to_owned(),
                SET_FLOOD => "FLOOD".to_owned(),
                set => {
                    let members = self.view.port_set(set);
                    let each: Vec<_> = members.iter().map(|p| format!("output:{}", PortNo(*p))).collect();
                    each.join(",")
                }
            },
            CONTROLLER if op.value > u64::from(u16::MAX) => "CONTROLLER".to_owned(),
            CONTROLLER => format!("CONTROLLER:{}", op.value),
            SET => "set_field".to_owned(),
            SET_PROTO => format!("set_field:{}->nw_proto", op.value),
            SET_TUNNEL if op.mask == u64::MAX => format!("set_field:{:#x}->tun_id", op.value),
            SET_TUNNEL => format!("set_field:{:#x}/{:#x}->tun_id", op.value, op.mask),
            PUSH_MPLS => format!("push_mpls:{:#06x}", op.value),
            POP_MPLS => format!("pop_mpls:{:#06x}", op.value),
            PUSH_PBB => format!("push_pbb:{:#06x}", op.value),
            POP_PBB => "pop_pbb".to_owned(),
            COPY_TTL_OUT => "copy_ttl_out".to_owned(),
            COPY_TTL_IN => "copy_ttl_in".to_owned(),
            DEC_MPLS_TTL => "dec_mpls_ttl".to_owned(),
            MOVE => "move".to_owned(),
            PUSH_VLAN => format!("push_vlan:{:#06x}", op.value),
            SET_TAG => "set_vlan".to_owned(),
            POP_VLAN => "pop_vlan".to_owned(),
            DEC_TTL => "dec_ttl".to_owned(),
            other => format!("operation {other}"),
        }
    }
}

/// The frame's fields as far as a mask looks at them.
fn under(key: &FlowKey, mask: &FlowKey) -> Match {
    let there = fields_of(key);
    let mut shown = Match::any();
    for field in wamig_openflow::Field::ALL.iter().copied() {
        let bits = value_of(mask, field);
        let known = there.get(field).is_some() || field == wamig_openflow::Field::VlanVid;
        if bits != 0 && known && has_header(key, field) {
            shown = shown.with_masked(field, value_of(key, field), bits);
        }
    }
    shown
}

impl<V: View> Observer for Watch<'_, V> {
    fn looked_up(&mut self, table: u8, key: &FlowKey, found: Slot) {
        let now = fields_of(key);
        let flow = if now == self.searched { String::new() } else { now.to_string() };
        self.searched = now;
        let id = if found.flow() == NONE { None } else { self.view.owner(found.flow()) };
        let matched = id.and_then(|id| self.tables.get(id));
        self.steps.push(Step::Table(Table {
            table,
            flow,
            tried: self.tried(table, key),
            matched: matched.map(|f| f.matching.to_string()),
            priority: matched.map(|f| f.priority),
            cookie: matched.map(|f| f.cookie.to_string()),
            instructions: matched.map(|f| f.instructions.to_string()),
            slow: matched.and_then(|f| f.slow).map(|r| r.as_str().to_owned()),
        }));
    }

    fn ran(&mut self, op: &Op, result: u32, _plan: &Plan, (header, rest): (&[u8], &[u8])) {
        let after = [header, rest].concat();
        let changes = changes(&self.frame, &after, self.in_port);
        self.frame = after;
        self.steps.push(Step::Action(Action { action: self.name(op), changes, end: end(result) }));
    }

    fn runs_set(&mut self) {
        self.steps.push(Step::ActionSet);
    }
}

/// How an action ended, unless the next one follows.
fn end(result: u32) -> Option<String> {
    match result {
        step::NEXT | step::END => None,
        step::STOP => Some("the TTL ran out, nothing follows".to_owned()),
        slow if slow & step::SLOW != 0 => {
            let reason = SlowReason::from_index(slow & 0xff).map_or("?", SlowReason::as_str);
            Some(format!("slow path: {reason}"))
        }
        other => {
            let reason = DropReason::from_index(other & 0xff).map_or("?", DropReason::as_str);
            Some(format!("dropped: {reason}"))
        }
    }
}

/// What differs between two frames: fields by name, the length, and for what no field shows
/// the bytes by their place.
fn changes(before: &[u8], after: &[u8], in_port: PortNo) -> Vec<String> {
    if before == after {
        return Vec::new();
    }
    let (old, new) = (fields(before, in_port).unwrap_or_default(), fields(after, in_port).unwrap_or_default());
    let mut changes = Vec::new();
    for field in wamig_openflow::Field::ALL.iter().copied() {
        let one = |m: &Match| m.get(field).map(|v| Match::any().with(field, v.value).to_string());
        match (one(&old), one(&new)) {
            (a, b) if a == b => {}
            (Some(a), Some(b)) => {
                let value = b.split_once('=').map_or(b.as_str(), |(_, v)| v);
                changes.push(format!("{a} -> {value}"));
            }
            (Some(a), None) => changes.push(format!("{a} is gone")),
            (None, Some(b)) => changes.push(format!("{b} is new")),
            (None, None) => {}
        }
    }
    if before.len() != after.len() {
        changes.push(format!("{} -> {} bytes", before.len(), after.len()));
        return changes;
    }
    changes.extend(runs(before, after));
    changes
}

/// The bytes that differ, run by run.
fn runs(before: &[u8], after: &[u8]) -> Vec<String> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for at in (0..before.len()).filter(|i| before[*i] != after[*i]) {
        match runs.last_mut() {
            Some((_, end)) if *end == at => *end = at + 1,
            _ => runs.push((at, at + 1)),
        }
    }
    let hex = super::report::hex;
    let shown = runs.iter().take(MAX_RUNS);
    shown.map(|(a, b)| format!("byte {a}: {} -> {}", hex(&before[*a..*b]), hex(&after[*a..*b]))).collect()
}
