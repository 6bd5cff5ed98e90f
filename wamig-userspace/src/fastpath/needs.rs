//! What a set of flows needs of the program that runs them: a pure function of the flows.
//!
//! What is not needed is left out of the program by load-time constants. A program that
//! offers more than is needed does the same; one that offers less does not.

use std::collections::{BTreeMap, BTreeSet};

use wamig_common::action::Op;
use wamig_common::key::{ALL_WORDS, FlowMask, KEY_WORDS};
use wamig_common::limits::{MAX_SUBTABLES, MAX_TABLES};
use wamig_openflow::FlowMod;

use super::compile::compile;
use super::{Batch, Change, CompiledFlow, FlowId};

/// What the verifier is told, so that it can leave out what the tables do not need. The
/// default is the general program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Constants {
    /// Tables in use: those that have flows, and those that flows go to.
    pub tables: u32,
    /// Masks of the fullest table.
    pub masks: u32,
    /// Key words that some mask reads, a bit each.
    pub words: u32,
    /// Whether some flow writes to the action set.
    pub action_set: bool,
    /// Whether some flow changes headers.
    pub edits: bool,
    /// Whether ways through the tables are remembered. No program needs it, but every one is
    /// the faster for it.
    pub cache: bool,
}

impl Default for Constants {
    fn default() -> Self {
        Self {
            tables: MAX_TABLES as u32,
            masks: MAX_SUBTABLES as u32,
            words: ALL_WORDS,
            action_set: true,
            edits: true,
            cache: true,
        }
    }
}

impl Constants {
    /// What is needed without any flow: one table, which is searched in vain.
    pub const NOTHING: Self = Self { tables: 1, masks: 0, words: 0, action_set: false, edits: false, cache: true };

    /// What these flows need, and no more.
    pub fn needed<'a>(flows: impl IntoIterator<Item = &'a CompiledFlow>) -> Self {
        let mut needs = Needs::default();
        let mut masks = Masks::default();
        for flow in flows {
            needs.add(Share::of(flow));
            masks.add(flow.table, &flow.mask);
        }
        needs.constants(&masks)
    }

    /// What the flows will need that these add, if they can be had at all.
    pub fn of_adds(mods: &[FlowMod]) -> Self {
        let flow = |(m, id): (&FlowMod, u64)| compile(FlowId(id), m.table, m.priority, &m.matching, &m.instructions);
        let flows: Vec<CompiledFlow> = mods.iter().zip(1..).filter_map(|flow_mod| flow(flow_mod).ok()).collect();
        Self::needed(&flows)
    }

    /// Whether a program that offers `self` is enough for what needs `other`.
    pub fn covers(&self, other: &Self) -> bool {
        self.tables >= other.tables
            && self.masks >= other.masks
            && other.words & !self.words == 0
            && self.action_set >= other.action_set
            && self.edits >= other.edits
    }

    /// What covers both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            tables: self.tables.max(other.tables),
            masks: self.masks.max(other.masks),
            words: self.words | other.words,
            action_set: self.action_set || other.action_set,
            edits: self.edits || other.edits,
            cache: self.cache || other.cache,
        }
    }

    /// What covers `self`, with numbers rounded up, so that a few flows more or less do not
    /// ask for another program.
    #[must_use]
    pub fn rounded(&self) -> Self {
        let up = |n: u32, steps: &[u32], most: u32| steps.iter().copied().find(|s| *s >= n).unwrap_or(most);
        Self {
            tables: up(self.tables, &[1, 2, 4, 8], MAX_TABLES as u32),
            masks: up(self.masks, &[1, 2, 4, 8], MAX_SUBTABLES as u32),
            ..*self
        }
    }
}

/// The masks of each table that has flows.
#[derive(Clone, Default)]
pub struct Masks {
    by_table: BTreeMap<u8, BTreeSet<[u64; KEY_WORDS]>>,
    /// Of the fullest table.
    most: usize,
    words: u32,
}

impl Masks {
    /// A table has this mask now.
    pub fn add(&mut self, table: u8, mask: &FlowMask) {
        let of_table = self.by_table.entry(table).or_default();
        of_table.insert(mask.words);
        self.most = self.most.max(of_table.len());
        self.words |= mask.used_words();
    }

    /// A table has no flow of this mask any more.
    pub fn remove(&mut self, table: u8, mask: &FlowMask) {
        if let Some(of_table) = self.by_table.get_mut(&table) {
            of_table.remove(&mask.words);
        }
        self.most = self.by_table.values().map(BTreeSet::len).max().unwrap_or(0);
        let all = self.by_table.values().flatten();
        self.words = all.fold(0, |used, mask| used | FlowMask { words: *mask }.used_words());
    }

    fn of(&self, table: u8) -> usize {
        self.by_table.get(&table).map_or(0, BTreeSet::len)
    }
}

/// What one flow contributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    table: u8,
    goto: Option<u8>,
    action_set: bool,
    edits: bool,
}

impl Share {
    /// That of a flow.
    pub fn of(flow: &CompiledFlow) -> Self {
        Self {
            table: flow.table,
            goto: flow.goto,
            action_set: !flow.write.is_empty(),
            edits: flow.apply.iter().chain(&flow.write).any(Op::is_edit),
        }
    }
}

/// What flows that come and go need: how many of them need each thing.
#[derive(Clone, Default)]
pub struct Needs {
    /// Flows in each table or going there.
    tables: [u32; MAX_TABLES],
    action_set: u32,
    edits: u32,
}

impl Needs {
    /// A flow comes.
    pub fn add(&mut self, share: Share) {
        self.change(share, |n| *n += 1);
    }

    /// A flow goes.
    pub fn remove(&mut self, share: Share) {
        self.change(share, |n| *n -= 1);
    }

    fn change(&mut self, share: Share, change: impl Fn(&mut u32)) {
        for table in [Some(share.table), share.goto].into_iter().flatten() {
            if let Some(n) = self.tables.get_mut(usize::from(table)) {
                change(n);
            }
        }
        if share.action_set {
            change(&mut self.action_set);
        }
        if share.edits {
            change(&mut self.edits);
        }
    }

    /// All of it. Table 0 is searched whether it has flows or not, and a walk visits each
    /// table once at most.
    pub fn constants(&self, masks: &Masks) -> Constants {
        Constants {
            tables: 1 + self.tables.iter().skip(1).filter(|n| **n != 0).count() as u32,
            masks: masks.most as u32,
            words: masks.words,
            action_set: self.action_set != 0,
            edits: self.edits != 0,
            cache: true,
        }
    }

    /// What is enough both before and after a batch: nothing that goes is taken off.
    pub fn with(&self, masks: &Masks, batch: &Batch) -> Constants {
        let mut needs = self.clone();
        let mut fresh = Masks::default();
        let mut last = None;
        for change in &batch.changes {
            match change {
                Change::Insert(flow) => {
                    needs.add(Share::of(flow));
                    // Neighbours in a batch are often of one mask.
                    if last.replace((flow.table, &flow.mask)) == Some((flow.table, &flow.mask)) {
                        continue;
                    }
                    if masks.by_table.get(&flow.table).is_none_or(|of| !of.contains(&flow.mask.words)) {
                        fresh.add(flow.table, &flow.mask);
                    }
                }
                Change::Replace(flow) => needs.add(Share::of(flow)),
                Change::Remove(_) => {}
            }
        }
        let fuller = fresh.by_table.keys().map(|table| masks.of(*table) + fresh.of(*table)).max();
        let most = masks.most.max(fuller.unwrap_or(0)) as u32;
        Constants { masks: most, words: masks.words | fresh.words, ..needs.constants(masks) }
    }
}

#[cfg(test)]
#[path = "needs_tests.rs"]
mod tests;
