//! What batches left behind is cleaned up once no reader of an older version is left.

use std::collections::BTreeSet;

use wamig_common::entry::{FlowCount, FlowValue, tag_of_digest};

use super::{Left, Subtable, Writer, add};
use crate::fastpath::maps::Maps;

impl<M: Maps> Writer<M> {
    pub(super) fn begin_grace(&mut self) {
        if self.in_grace.is_none()
            && let Some(left) = self.left.take()
        {
            self.maps.begin_grace();
            self.in_grace = Some((self.version, left));
        }
    }

    /// Cleans up behind batches whose grace is over; with `wait`, behind all.
    pub fn collect(&mut self, wait: bool) {
        while self.in_grace.is_some() {
            if !self.maps.grace_is_over(wait) {
                return;
            }
            if let Some((version, left)) = self.in_grace.take() {
                self.graced = version;
                self.clean_up(left);
            }
            self.begin_grace();
        }
    }

    /// Nobody reads any more what these batches replaced. A refusal by the kernel here costs
    /// room, not correctness, so it is only logged.
    fn clean_up(&mut self, left: Left) {
        let mut filters = BTreeSet::new();
        for digest in left.keys {
            let Some(held) = self.installed.get_mut(&digest) else { continue };
            let (key, value) = (held.entry.key, held.entry.value);
            if !value.newest().is_absent() || held.since() > self.graced {
                continue;
            }
            let emptied = self.maps.set_flow(&key, &value.emptied());
            if let Err(e) = emptied.and_then(|()| self.maps.remove_flow(&key)) {
                tracing::warn!("a flow map entry could not be deleted: {e}");
                continue;
            }
            // A batch under way may have a new flow for it.
            held.entry.value = FlowValue::default();
            if held.is_free() {
                self.installed.remove(&digest);
            }
            let subtable = key.subtable as u32;
            if let Some(s) = self.subtables.get_mut(&subtable) {
                s.forget(tag_of_digest(digest));
                filters.insert(subtable);
            }
        }
        for (record, owner) in left.records {
            let count = self.maps.flow_count(record);
            if let Some(entry) = self.flows.get_mut(&owner) {
                entry.retiring.retain(|r| *r != record);
                add(&mut entry.carried, &count);
            }
            // Numbers that can be taken have counted nothing.
            if count != FlowCount::default()
                && let Err(e) = self.maps.clear_flow_count(record)
            {
                tracing::warn!("the counters of a flow could not be cleared, and its number is lost: {e}");
                self.owners.set(record, None);
                continue;
            }
            self.owners.set(record, None);
            self.free_records.push_back(record);
        }
        for list in left.lists {
            if self.lists.release(list) {
                self.lists.recycle(list);
            }
        }
        for set in left.sets {
            if self.sets.release(set) {
                self.sets.recycle(set);
            }
        }
        for id in left.subtables {
            // A search order of the other parity may still list it: that is rewritten before
            // anybody reads it again.
            let unused = |s: &Subtable| s.is_empty() && s.listed.is_none();
            if self.subtables.get(&id).is_some_and(unused)
                && let Some(s) = self.subtables.remove(&id)
            {
                self.by_mask.remove(&(s.table, s.mask));
                self.free_subtables.push(id);
                filters.remove(&id);
            }
        }
        for id in filters {
            if let Some(s) = self.subtables.get(&id)
                && let Err(e) = self.maps.set_filter(id, s.filter())
            {
                tracing::warn!("a filter could not be narrowed: {e}");
            }
        }
    }
}
