//! Which flow each record number of the fast path stands for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::FlowId;

/// A table shared between the writer and the reader of punts. Clones are the same table.
#[derive(Clone, Debug)]
pub struct Owners(Arc<[AtomicU64]>);

impl Owners {
    /// Numbers 0..`records`, none owned.
    pub fn new(records: u32) -> Self {
        Self((0..records).map(|_| AtomicU64::new(0)).collect())
    }

    /// Gives a number to a flow, or to none. A number out of range is ignored.
    pub fn set(&self, record: u32, flow: Option<FlowId>) {
        if let Some(place) = self.0.get(record as usize) {
            // 0 is "none", so that ids start at 1 here
            place.store(flow.map_or(0, |f| f.0 + 1), Ordering::Release);
        }
    }

    /// The flow of a number.
    pub fn get(&self, record: u32) -> Option<FlowId> {
        self.0.get(record as usize)?.load(Ordering::Acquire).checked_sub(1).map(FlowId)
    }
}
