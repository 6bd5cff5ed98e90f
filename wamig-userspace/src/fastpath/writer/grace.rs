//! What batches left behind is cleaned up once no reader of an older version is left.

use std::collections::BTreeSet;

use wamig_common::entry::{FlowCount, FlowEntry, FlowValue, tag_of_digest};

use super::{Left, Subtable, Writer, add};
use crate::fastpath::maps::Maps;

/// Keys and records that may wait for the next batch.
const UNTIDY: usize = 256;

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
    fn clean_up(&mut self, mut left: Left) {
        let mut filters = BTreeSet::new();
        self.delete(&left.keys, &mut filters);
        left.records.sort_unstable_by_key(|(record, _)| *record);
        let numbers: Vec<u32> = left.records.iter().map(|(record, _)| *record).collect();
        let counts = self.maps.flow_counts(&numbers);
        for ((record, owner), count) in left.records.into_iter().zip(counts) {
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

    /// Deletes those of these keys that still have no flow; adds the subtables whose filter that
    /// narrows.
    fn delete(&mut self, digests: &[u64], filters: &mut BTreeSet<u32>) {
        let (mut gone, mut keys) = (Vec::with_capacity(digests.len()), Vec::with_capacity(digests.len()));
        for digest in digests {
            let Some(held) = self.installed.get(digest) else { continue };
            let FlowEntry { key, value } = held.entry;
            if !value.newest().is_absent() || held.since() > self.graced {
                continue;
            }
            match self.maps.set_flow(&key, &value.emptied()) {
                Ok(()) => {
                    gone.push(*digest);
                    keys.push(key);
                }
                Err(e) => tracing::warn!("a flow map entry could not be emptied: {e}"),
            }
        }
        if let Err((deleted, e)) = self.maps.remove_flows(&keys) {
            tracing::warn!("{} flow map entries could not be deleted: {e}", keys.len() - deleted);
            gone.truncate(deleted);
        }
        for (digest, key) in gone.into_iter().zip(keys) {
            let Some(held) = self.installed.get_mut(&digest) else { continue };
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
    }

    /// Whether so much is left behind that it is worth being cleaned up without a next batch.
    pub fn is_untidy(&self) -> bool {
        let of = |left: &Left| left.keys.len() + left.records.len();
        let (left, in_grace) = (self.left.as_ref(), self.in_grace.as_ref().map(|(_, left)| left));
        left.into_iter().chain(in_grace).map(of).sum::<usize>() >= UNTIDY
    }
}
