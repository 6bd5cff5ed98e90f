//! Counters, per CPU: one addition each.

use wamig_common::stats::{ANOMALIES, DROPS, LOSSES, PUNTS, SLOW};
use wamig_common::verdict::{Anomaly, DropReason, PuntLoss};

use crate::constants;
use crate::maps::{FLOW_COUNTS, PORT_COUNTS, STATS, TABLE_COUNTS};

#[inline(always)]
fn add(index: u32) {
    if let Some(counter) = STATS.get_ptr_mut(index) {
        // SAFETY: a per-CPU value.
        unsafe { *counter += 1 };
    }
}

/// A frame came in.
#[inline(always)]
pub fn received(bytes: u32) {
    if let Some(port) = PORT_COUNTS.get_ptr_mut(constants::port_index()) {
        // SAFETY: a per-CPU value.
        unsafe {
            (*port).rx_packets += 1;
            (*port).rx_bytes += u64::from(bytes);
        }
    }
}

/// A frame goes out of one port.
#[inline(always)]
pub fn sent(port: u32, bytes: u32) {
    if let Some(port) = PORT_COUNTS.get_ptr_mut(port) {
        // SAFETY: a per-CPU value.
        unsafe {
            (*port).tx_packets += 1;
            (*port).tx_bytes += u64::from(bytes);
        }
    }
}

/// A frame ends here.
#[inline(always)]
pub fn drop(reason: DropReason) {
    add(DROPS + reason.index());
    if let Some(port) = PORT_COUNTS.get_ptr_mut(constants::port_index()) {
        // SAFETY: a per-CPU value.
        unsafe { (*port).rx_dropped += 1 };
    }
}

/// A lookup.
#[inline(always)]
pub fn table(table: u32, matched: bool) {
    if let Some(count) = TABLE_COUNTS.get_ptr_mut(table) {
        // SAFETY: a per-CPU value.
        unsafe {
            if matched {
                (*count).matched += 1;
            } else {
                (*count).missed += 1;
            }
        }
    }
}

/// A frame met a flow.
#[inline(always)]
pub fn flow(flow: u32, bytes: u32, jiffies: u64) {
    if let Some(count) = FLOW_COUNTS.get_ptr_mut(flow) {
        // SAFETY: a per-CPU value.
        unsafe {
            (*count).packets += 1;
            (*count).bytes += u64::from(bytes);
            (*count).last = jiffies;
        }
    }
}

/// A frame went up; `reason` is an index.
#[inline(always)]
pub fn punt(reason: u32) {
    add(PUNTS + reason);
}

/// A frame should have gone up.
#[inline(always)]
pub fn loss(loss: PuntLoss) {
    add(LOSSES + loss.index());
}

/// A frame takes the slow path; `reason` is an index.
#[inline(always)]
pub fn slow(reason: u32) {
    add(SLOW + reason);
}

/// Oddities of a frame, a bit each.
#[inline(always)]
pub fn anomalies(bits: u8) {
    let mut i = 0;
    while i < Anomaly::ALL.len() as u32 {
        if bits >> i & 1 != 0 {
            add(ANOMALIES + i);
        }
        i += 1;
    }
}
