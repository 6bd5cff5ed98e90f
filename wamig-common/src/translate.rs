//! The walk through the tables: which flows a frame meets, and what they make of it
//! (OpenFlow 1.3.5 §5.1.1, figure 2).

use crate::action::{Op, slot};
use crate::entry::{CLEAR, FlowRecord, MISS, NO_GOTO, NONE, SLOW};
use crate::execute::{Context, step};
use crate::extract::{Layout, proto};
use crate::key::{FlowKey, TP_DST, TP_SRC};
use crate::limits::SET_SLOTS;
use crate::plan::{MISSED, Plan, TO_INGRESS};
use crate::verdict::{Anomaly, DropReason, SlowReason, Verdict};

/// One frame's way through the tables, in steps small enough for the BPF verifier to check
/// each on its own.
pub trait Machine {
    /// Tables in use; the walk makes at most so many steps.
    fn tables(&self) -> u32;
    /// The best flow of a table for the present key, counted; [`NONE`] = miss.
    fn classify(&mut self, table: u8) -> u32;
    /// No flow of a table matched: makes a packet-in of it if misses go up; returns a [`step`].
    fn miss(&mut self, cx: Context) -> u32;
    /// A flow's instructions.
    fn record(&mut self, flow: u32) -> Option<FlowRecord>;
    /// Puts the frame through a meter; returns a [`step`].
    fn meter(&mut self, meter: u32, cx: Context) -> u32;
    /// Runs an apply-list; returns a [`step`].
    fn apply(&mut self, list: u32, cx: Context) -> u32;
    /// Merges a write-list into the action set; returns a [`step`].
    fn merge(&mut self, list: u32, cx: Context) -> u32;
    /// Empties the action set.
    fn clear_set(&mut self);
    /// Runs the action set; returns a [`step`].
    fn run_set(&mut self, cx: Context) -> u32;
    /// Pipeline metadata.
    fn metadata(&self) -> u64;
    /// Replaces it.
    fn set_metadata(&mut self, value: u64);
    /// Reads the key anew from the window, if that was edited since; returns a [`step`].
    fn refresh_key(&mut self) -> u32;
    /// The plan.
    fn plan(&mut self) -> &mut Plan;
}

/// Walks the tables from table 0.
#[inline(always)]
pub fn translate<M: Machine>(m: &mut M) -> Verdict {
    let mut table = 0u8;
    let mut steps = 0u32;
    while steps < m.tables() {
        steps += 1;
        let flow = m.classify(table);
        if flow == NONE {
            m.plan().flags |= MISSED;
            let cx = Context { flow: NONE, metadata: m.metadata(), miss: true };
            let result = m.miss(cx);
            return if result > step::END { stopped(m, result) } else { end(m) };
        }
        let Some(record) = m.record(flow) else { return Verdict::Drop(DropReason::Inconsistent) };
        let cx = Context { flow, metadata: m.metadata(), miss: record.flags & MISS != 0 };
        if record.flags & SLOW != 0 {
            return slow(u32::from(record.slow));
        }
        if record.meter != NONE {
            let result = m.meter(record.meter, cx);
            if result > step::END {
                return stopped(m, result);
            }
        }
        if record.apply != NONE {
            let result = m.apply(record.apply, cx);
            if result > step::END {
                return stopped(m, result);
            }
        }
        if record.flags & CLEAR != 0 {
            m.clear_set();
        }
        if record.write != NONE {
            let result = m.merge(record.write, cx);
            if result > step::END {
                return stopped(m, result);
            }
        }
        if record.metadata_mask != 0 {
            let metadata = m.metadata() & !record.metadata_mask | record.metadata;
            m.set_metadata(metadata);
        }
        if record.goto == NO_GOTO {
            let cx = Context { metadata: m.metadata(), ..cx };
            let result = m.run_set(cx);
            if result > step::END {
                return stopped(m, result);
            }
            return end(m);
        }
        let result = m.refresh_key();
        if result > step::END {
            return stopped(m, result);
        }
        table = record.goto;
    }
    Verdict::Drop(DropReason::TooManyTables)
}

#[inline(always)]
fn slow(index: u32) -> Verdict {
    match SlowReason::from_index(index) {
        Some(reason) => Verdict::Slow(reason),
        None => Verdict::Drop(DropReason::Inconsistent),
    }
}

#[inline(always)]
fn stopped<M: Machine>(m: &mut M, result: u32) -> Verdict {
    if result == step::STOP {
        end(m)
    } else if result & step::SLOW != 0 {
        slow(result & 0xff)
    } else if result == step::DROP | DropReason::Truncated.index() && m.plan().outputs() {
        // A frame that was whole enough to be sent before it could not be read on.
        Verdict::Done
    } else {
        Verdict::Drop(DropReason::from_index(result & 0xff).unwrap_or(DropReason::Inconsistent))
    }
}

/// What it means that extraction from the window gave `read`: a [`step`]. A header that seems
/// to be cut short where the window ends may be whole in the frame, and so may the options of
/// neighbour discovery.
#[inline(always)]
pub fn refreshed(read: Option<()>, plan: &Plan, layout: &Layout, key: &FlowKey) -> u32 {
    let short = layout.anomalies >> Anomaly::MalformedL4.index() & 1 != 0;
    let neighbour = layout.l4_proto == proto::ICMPV6 && matches!(key.get(TP_SRC), 135 | 136) && key.get(TP_DST) == 0;
    if read.is_none() {
        step::DROP | DropReason::Truncated.index()
    } else if plan.is_cut() && (short || neighbour && layout.l4_off != 0 && layout.nd <= 1) {
        step::SLOW | SlowReason::BeyondWindow.index()
    } else {
        step::NEXT
    }
}

/// The end of the walk: the plan stands, or there is nothing to carry out.
#[inline(always)]
fn end<M: Machine>(m: &mut M) -> Verdict {
    let plan = m.plan();
    if plan.outputs() {
        return Verdict::Done;
    }
    Verdict::Drop(if plan.early.reason != 0 || plan.late.reason != 0 {
        DropReason::ControllerOnly
    } else if plan.has(TO_INGRESS) {
        DropReason::IngressPort
    } else if plan.has(MISSED) {
        DropReason::TableMiss
    } else {
        DropReason::NoOutput
    })
}

/// The action set: one action per slot, run in the order of the slots (§5.10).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ActionSet {
    /// Bit n: slot n is used.
    pub used: u64,
    /// The flow that wrote the output or the group.
    pub flow: u32,
    /// 1: that is a table-miss flow.
    pub miss: u32,
    /// The actions.
    pub ops: [Op; SET_SLOTS],
}

impl Default for ActionSet {
    fn default() -> Self {
        Self { used: 0, flow: NONE, miss: 0, ops: [Op::default(); SET_SLOTS] }
    }
}

impl ActionSet {
    /// Writes an action of the flow `cx`; one of the same slot is replaced.
    #[inline(always)]
    pub fn write(&mut self, op: &Op, cx: Context) {
        if let Some(place) = self.ops.get_mut(op.slot as usize) {
            *place = *op;
            self.used |= 1 << (op.slot & 63);
            if op.slot == slot::GROUP || op.slot == slot::OUTPUT && self.used >> slot::GROUP & 1 == 0 {
                self.flow = cx.flow;
                self.miss = u32::from(cx.miss);
            }
        }
    }

    /// The flow that a slot's action belongs to, when the set is run at the flow `cx`.
    #[inline(always)]
    pub fn context(&self, slot: u8, cx: Context) -> Context {
        if slot >= self::slot::GROUP { Context { flow: self.flow, miss: self.miss != 0, ..cx } } else { cx }
    }
}
