//! Where each reason's counter lives in the statistics map: one per-CPU array of `u64`.

use crate::verdict::{Anomaly, DropReason, PuntLoss, PuntReason, SlowReason};

/// First counter of the drop reasons.
pub const DROPS: u32 = 0;
/// First counter of the punt reasons.
pub const PUNTS: u32 = 32;
/// First counter of the punt losses.
pub const LOSSES: u32 = 40;
/// First counter of the anomalies.
pub const ANOMALIES: u32 = 48;
/// First counter of the slow-path reasons.
pub const SLOW: u32 = 64;
/// Counters in all.
pub const COUNT: u32 = 96;

const _: () = assert!(
    DROPS + DropReason::ALL.len() as u32 <= PUNTS
        && PUNTS + PuntReason::ALL.len() as u32 <= LOSSES
        && LOSSES + PuntLoss::ALL.len() as u32 <= ANOMALIES
        && ANOMALIES + Anomaly::ALL.len() as u32 <= SLOW
        && SLOW + SlowReason::ALL.len() as u32 <= COUNT
);
