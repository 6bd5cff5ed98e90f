//! Everything that is counted by name, before and after.

use std::collections::BTreeMap;

use wamig_userspace::fastpath::{FastPath, ReasonCounters};

/// Counters by name.
pub type Counters = BTreeMap<&'static str, u64>;

/// All drops, punts, losses and anomalies.
pub fn read(fastpath: &mut impl FastPath) -> Counters {
    let ReasonCounters { drops, punts, anomalies } = fastpath.reasons();
    drops.into_iter().chain(punts).chain(anomalies).collect()
}

/// What was counted in between; names that did not change are left out.
pub fn since(before: &Counters, now: &Counters) -> Counters {
    now.iter().map(|(name, n)| (*name, n - before[name])).filter(|(_, n)| *n != 0).collect()
}
