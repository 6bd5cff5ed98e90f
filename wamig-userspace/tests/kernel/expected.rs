//! What the program must make of a frame, out of what the memory fast path made of it.

use wamig_common::action::OUTPUT_IN_PORT;
use wamig_common::native::Outcome;
use wamig_common::plan::Plan;
use wamig_common::verdict::{Anomaly, PuntReason, Verdict};
use wamig_userspace::fastpath::memory::Memory;

use super::counters::Counters;
use super::plans::comparable;
use crate::paths::{self, Up};

/// `XDP_DROP`
pub const DROP: u32 = 1;
/// `XDP_TX`
pub const TX: u32 = 3;
/// `XDP_REDIRECT`
pub const REDIRECT: u32 = 4;

/// What is seen of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected {
    /// `XDP_*`
    pub action: u32,
    /// The frame as the program leaves it.
    pub frame: Vec<u8>,
    /// The plan.
    pub plan: Plan,
    /// What comes up: packet-ins, or the frame as received for the slow path.
    pub ups: Vec<Up>,
    /// What is counted by name.
    pub counts: Counters,
}

/// What the program must do where the memory fast path came to this outcome.
pub fn expected(memory: &Memory, outcome: &Outcome, frame: &[u8]) -> Expected {
    let plan = outcome.plan;
    let as_received = Up {
        flow: None,
        reason: PuntReason::Slow.as_str(),
        metadata: 0,
        frame_len: frame.len(),
        frame: frame.to_vec(),
    };
    let (action, mut ups) = match outcome.verdict {
        Verdict::Slow(_) => (DROP, vec![as_received]),
        Verdict::Done if plan.out_kind == u32::from(OUTPUT_IN_PORT) => (TX, paths::packet_ins(memory, outcome, frame)),
        Verdict::Done => (REDIRECT, paths::packet_ins(memory, outcome, frame)),
        Verdict::Drop(_) => (DROP, paths::packet_ins(memory, outcome, frame)),
    };
    ups.sort();
    // The frame is written back if someone is to see it so.
    let shown = match outcome.verdict {
        Verdict::Slow(_) => false,
        Verdict::Done => true,
        Verdict::Drop(_) => plan.late.reason != 0,
    };
    let after = if shown { paths::edited(outcome, frame) } else { frame.to_vec() };

    let mut counts = Counters::new();
    let mut add = |name| *counts.entry(name).or_default() += 1;
    match outcome.verdict {
        Verdict::Drop(reason) => add(reason.as_str()),
        Verdict::Slow(reason) => add(reason.as_str()),
        Verdict::Done => {}
    }
    for up in &ups {
        add(up.reason);
    }
    for anomaly in Anomaly::ALL.iter().filter(|a| outcome.layout.anomalies >> a.index() & 1 != 0) {
        add(anomaly.as_str());
    }
    Expected { action, frame: after, plan: comparable(plan), ups, counts }
}
