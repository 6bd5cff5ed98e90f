//! Flows as a stats reply describes them (OpenFlow 1.3.5 §7.3.5.2): the tables say what was
//! asked for, the fast path what came of it.

use std::time::Instant;

use wamig_common::verdict::SlowReason;
use wamig_openflow::{FlowRemoved, FlowStats};

use super::flow_table::Flow;
use super::timeout::last_used;
use super::transaction::Removed;
use crate::fastpath::FlowCounters;

/// One flow with its counters.
pub fn describe(flow: &Flow, counters: FlowCounters, now: Instant) -> FlowStats {
    FlowStats {
        table: flow.table,
        priority: flow.priority,
        matching: (*flow.matching).clone(),
        cookie: flow.cookie,
        duration: now.saturating_duration_since(flow.added),
        idle_age: now.saturating_duration_since(last_used(flow, counters, now)),
        idle_timeout: flow.idle_timeout,
        hard_timeout: flow.hard_timeout,
        flags: flow.flags,
        packets: counters.packets,
        bytes: counters.bytes,
        instructions: (*flow.instructions).clone(),
        slow: flow.slow.map(SlowReason::as_str),
    }
}

/// The notice of a flow that is gone.
pub fn removed(removed: &Removed, counters: FlowCounters, now: Instant) -> FlowRemoved {
    FlowRemoved { reason: removed.reason, stats: describe(&removed.flow, counters, now) }
}
