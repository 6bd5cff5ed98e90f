//! When flows expire (OpenFlow 1.3.5 §5.5): a queue of the next moment each flow must be
//! looked at. Counters are read only of flows that are due; a flow that was used meanwhile
//! is put back. No clock is read here.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use wamig_openflow::FlowRemovedReason;

use super::flow_table::Flow;
use crate::fastpath::{FlowCounters, FlowId};
use crate::hash::Map;

/// What a due flow turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiry {
    /// It is over, and why.
    Expired(FlowRemovedReason),
    /// Look again then.
    Until(Instant),
    /// It never expires.
    Never,
}

/// The queue.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Timeouts {
    queue: BTreeSet<(Instant, FlowId)>,
    due_at: Map<FlowId, Instant>,
}

impl Timeouts {
    /// (Re)arms a flow that was added or changed.
    pub fn arm(&mut self, flow: &Flow) {
        match first_look(flow) {
            Some(at) => self.set(flow.id, at),
            None => self.forget(flow.id),
        }
    }

    /// Looks at a flow again at this moment.
    pub fn set(&mut self, id: FlowId, at: Instant) {
        self.forget(id);
        self.queue.insert((at, id));
        self.due_at.insert(id, at);
    }

    /// A flow that is gone.
    pub fn forget(&mut self, id: FlowId) {
        if !self.due_at.is_empty()
            && let Some(at) = self.due_at.remove(&id)
        {
            self.queue.remove(&(at, id));
        }
    }

    /// When the first flow is due.
    pub fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes the flows that are due, earliest first; the caller puts back those that live on.
    pub fn take_due(&mut self, now: Instant) -> Vec<FlowId> {
        let mut due = Vec::new();
        while let Some(&(at, id)) = self.queue.first() {
            if at > now {
                break;
            }
            self.queue.pop_first();
            self.due_at.remove(&id);
            due.push(id);
        }
        due
    }
}

/// Whether a flow is over, given its counters.
pub fn judge(flow: &Flow, counters: FlowCounters, now: Instant) -> Expiry {
    let hard = deadline(flow.added, flow.hard_timeout);
    if hard.is_some_and(|at| at <= now) {
        return Expiry::Expired(FlowRemovedReason::HardTimeout);
    }
    // Counters survive a replacing add, so the last frame may be older than the flow.
    let idle = deadline(last_used(flow, counters, now), flow.idle_timeout);
    if idle.is_some_and(|at| at <= now) {
        return Expiry::Expired(FlowRemovedReason::IdleTimeout);
    }
    match (hard, idle) {
        (Some(a), Some(b)) => Expiry::Until(a.min(b)),
        (Some(at), None) | (None, Some(at)) => Expiry::Until(at),
        (None, None) => Expiry::Never,
    }
}

/// When the last frame matched the flow, or when it was added if there was none since.
pub fn last_used(flow: &Flow, counters: FlowCounters, now: Instant) -> Instant {
    let seen = counters.idle_ms.and_then(|ms| now.checked_sub(Duration::from_millis(ms)));
    seen.map_or(flow.added, |at| at.max(flow.added))
}

fn first_look(flow: &Flow) -> Option<Instant> {
    match (deadline(flow.added, flow.hard_timeout), deadline(flow.added, flow.idle_timeout)) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn deadline(from: Instant, seconds: u16) -> Option<Instant> {
    (seconds != 0).then(|| from + Duration::from_secs(u64::from(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switch::fixtures::flow;

    const S: Duration = Duration::from_secs(1);

    fn used(idle_ms: u64) -> FlowCounters {
        FlowCounters { packets: 1, bytes: 60, idle_ms: Some(idle_ms) }
    }

    #[test]
    fn a_hard_timeout_does_not_care_for_traffic() {
        let t = Instant::now();
        let f = Flow { hard_timeout: 5, ..flow(1, 0, 1, t) };
        assert_eq!(judge(&f, used(0), t + 4 * S), Expiry::Until(t + 5 * S));
        assert_eq!(judge(&f, used(0), t + 5 * S), Expiry::Expired(FlowRemovedReason::HardTimeout));
    }

    #[test]
    fn an_idle_timeout_counts_from_the_last_frame() {
        let t = Instant::now();
        let f = Flow { idle_timeout: 3, ..flow(1, 0, 1, t) };
        assert_eq!(judge(&f, used(500), t + 3 * S), Expiry::Until(t + 5 * S + S / 2));
        assert_eq!(judge(&f, FlowCounters::default(), t + 3 * S), Expiry::Expired(FlowRemovedReason::IdleTimeout));
    }

    #[test]
    fn a_replaced_flow_is_not_as_idle_as_the_counters_it_inherited() {
        let t = Instant::now();
        let f = Flow { idle_timeout: 3, ..flow(1, 0, 1, t) };
        assert_eq!(judge(&f, used(60_000), t + S), Expiry::Until(t + 3 * S));
    }

    #[test]
    fn only_due_flows_are_taken_and_rearming_moves_them() {
        let t = Instant::now();
        let mut q = Timeouts::default();
        q.arm(&Flow { idle_timeout: 1, ..flow(1, 0, 1, t) });
        q.arm(&Flow { hard_timeout: 2, ..flow(2, 0, 2, t) });
        q.arm(&flow(3, 0, 3, t));
        assert_eq!(q.next(), Some(t + S));
        q.set(FlowId(1), t + 9 * S);
        assert_eq!(q.take_due(t + 2 * S), vec![FlowId(2)]);
        q.forget(FlowId(1));
        assert_eq!(q.next(), None);
    }
}
