//! Frames that others than the fast path lead through the tables, counted beside its own.

use wamig_common::entry::{FlowCount, TableCount};

use super::{Writer, add};
use crate::fastpath::FlowId;
use crate::fastpath::maps::Maps;

impl<M: Maps> Writer<M> {
    /// Counts a frame that was led through these tables by others than the fast path.
    pub fn count_beside(&mut self, steps: &[(u8, Option<FlowId>)], bytes: u64) {
        if steps.is_empty() {
            return;
        }
        let last = self.maps.stamp();
        for (table, flow) in steps {
            let count = self.beside.entry(*table).or_default();
            let Some(flow) = flow else {
                count.missed += 1;
                continue;
            };
            count.matched += 1;
            if let Some(entry) = self.flows.get_mut(flow) {
                add(&mut entry.carried, &FlowCount { packets: 1, bytes, last });
            }
        }
    }

    /// What [`Self::count_beside`] counted at a table.
    pub fn table_count_beside(&self, table: u8) -> TableCount {
        self.beside.get(&table).copied().unwrap_or_default()
    }
}
