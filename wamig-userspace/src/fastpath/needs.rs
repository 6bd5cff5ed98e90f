//! What a set of flows needs of the program that runs them: a pure function of the flows.
//!
//! What is not needed is left out of the program by load-time constants. A program that
//! offers more than is needed does the same; one that offers less does not.

use std::collections::{BTreeMap, BTreeSet};

use wamig_common::key::FlowMask;

use super::CompiledFlow;
use super::xdp::open::Constants;

impl Constants {
    /// What these flows need, and no more.
    pub fn needed<'a>(flows: impl IntoIterator<Item = &'a CompiledFlow>) -> Self {
        let mut tables = BTreeSet::from([0]);
        let mut masks: BTreeMap<u8, BTreeSet<[u64; size_of::<FlowMask>() / 8]>> = BTreeMap::new();
        let mut needed = Self { tables: 1, masks: 0, words: 0, action_set: false, edits: false };
        for flow in flows {
            tables.extend([Some(flow.table), flow.goto].into_iter().flatten());
            masks.entry(flow.table).or_default().insert(flow.mask.words);
            needed.words |= flow.mask.used_words();
            needed.action_set |= !flow.write.is_empty();
            needed.edits |= flow.apply.iter().chain(&flow.write).any(wamig_common::action::Op::is_edit);
        }
        // A walk visits each table once at most.
        needed.tables = tables.len() as u32;
        needed.masks = masks.values().map(BTreeSet::len).max().unwrap_or(0) as u32;
        needed
    }

    /// Whether a program that offers `self` is enough for what needs `other`.
    pub fn covers(&self, other: &Self) -> bool {
        self.tables >= other.tables
            && self.masks >= other.masks
            && other.words & !self.words == 0
            && self.action_set >= other.action_set
            && self.edits >= other.edits
    }
}

#[cfg(test)]
#[path = "needs_tests.rs"]
mod tests;
