//! The one writer of a fast path's maps: batches of flows become visible by one store.
//!
//! A batch moves the version from T-1 to T:
//! 1. what nobody reads yet is written: lists, records, masks, filter bits;
//! 2. every changed key is staged as "T-1's flow before T, T's flow from T on", in place;
//! 3. changed search orders go to the parity of T;
//! 4. one store of T makes all of it visible; readers use the version that they read first;
//! 5. after a grace period, when no reader of an older version is left, entries are deleted,
//!    filter bits cleared and numbers recycled.
//!
//! Steps 2 and 3 overwrite what readers of T-2 may be using. So a batch first waits for the
//! grace of those before it if it touches a key that they changed, or if it or the one before
//! changes a search order (the parity of T is that of T-2). Other batches do not wait.

mod beside;
mod grace;
mod view;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;

use wamig_common::action::{ActionList, OUTPUT_SET, Op};
use wamig_common::entry::{
    CLEAR, FlowCount, FlowEntry, FlowMapKey, FlowRecord, FlowValue, MAX_FLOW_ID, MISS, NO_GOTO, NONE, SLOW,
    SubtableRef, Table, TableCount, tag_of_digest,
};
use wamig_common::key::{ETH_TYPE, FlowKey, FlowMask};
use wamig_common::limits::{FILTER_WORDS, MAX_SUBTABLES};
use wamig_openflow::{ErrorKind, OfpError, PortNo};

use super::held::{Claim, Held, Keys};
use super::intern::Interned;
use super::maps::Maps;
use super::needs::{Constants, Masks, Needs, Share};
use super::owners::Owners;
use super::port_state::PortState;
use super::room::{Room, check_room};
use super::subtable::Subtable;
use super::{Batch, Change, CompiledFlow, FlowId};
use crate::hash::Map;

/// Number of the set of all ports.
pub const SET_ALL: u32 = 0;
/// Number of the set that FLOOD uses.
pub const SET_FLOOD: u32 = 1;

struct Entry {
    table: u8,
    priority: u16,
    subtable: u32,
    /// That of its key in the subtable.
    digest: u64,
    /// The record in force, and those whose readers may still be counting.
    record: u32,
    retiring: Vec<u32>,
    /// Counted under records that are gone.
    carried: FlowCount,
    /// Apply- and write-actions; [`NONE`] = none.
    lists: [u32; 2],
    sets: Vec<u32>,
    share: Share,
}

/// What batches left behind for the end of their grace period.
#[derive(Default)]
struct Left {
    /// Digests of the keys that lost their last flow.
    keys: Vec<u64>,
    records: Vec<(u32, FlowId)>,
    lists: Vec<u32>,
    sets: Vec<u32>,
    subtables: Vec<u32>,
}

impl Left {
    fn append(&mut self, mut other: Self) {
        self.keys.append(&mut other.keys);
        self.records.append(&mut other.records);
        self.lists.append(&mut other.lists);
        self.sets.append(&mut other.sets);
        self.subtables.append(&mut other.subtables);
    }
}

/// What one batch changes.
#[derive(Default)]
struct Staged {
    /// Digests of keys, each as often as it was touched.
    touched: Vec<u64>,
    /// Some of them were changed by a batch whose grace is not over.
    ungraced: bool,
    orders: BTreeSet<u8>,
    left: Left,
}

impl Staged {
    /// `graced` is the version whose grace is over.
    fn touch(&mut self, digest: u64, held: &Held, graced: u64) {
        self.touched.push(digest);
        self.ungraced |= held.since() > graced;
    }
}

/// The writer.
pub struct Writer<M> {
    maps: M,
    version: u64,
    subtables: Map<u32, Subtable>,
    by_mask: Map<(u8, FlowMask), u32>,
    free_subtables: Vec<u32>,
    flows: Map<FlowId, Entry>,
    needs: Needs,
    masks: Masks,
    owners: Owners,
    /// First in, first out: a number rests as long as possible before a punt that still
    /// carries it could be taken for another flow's.
    free_records: VecDeque<u32>,
    lists: Interned<[Op]>,
    sets: Interned<[u32]>,
    /// The flow map, by digest as in the kernel; newest slot absent = to be deleted.
    installed: Keys,
    /// The tables' search orders, as the present version sees them.
    orders: Map<u8, Table>,
    /// Tables whose order for the other parity is older.
    stale_orders: BTreeSet<u8>,
    /// Left by batches whose grace has not begun.
    left: Option<Left>,
    /// Left by batches whose grace is running, and the version of the last of them.
    in_grace: Option<(u64, Left)>,
    /// Nobody reads an older version than this any more.
    graced: u64,
    broken: Option<String>,
    port_state: PortState,
    /// Counted at tables by others than the fast path.
    beside: HashMap<u8, TableCount>,
}

fn refused(e: &io::Error) -> OfpError {
    OfpError::new(ErrorKind::FlowModUnknown, format!("the kernel refused a map update: {e}"))
}

fn add(sum: &mut FlowCount, more: &FlowCount) {
    sum.packets += more.packets;
    sum.bytes += more.bytes;
    sum.last = sum.last.max(more.last);
}

impl<M: Maps> Writer<M> {
    /// A writer of maps that hold nothing.
    pub fn new(mut maps: M) -> Self {
        let capacity = maps.capacity();
        maps.publish(1);
        Self {
            maps,
            version: 1,
            subtables: Map::default(),
            by_mask: Map::default(),
            free_subtables: (1..capacity.subtables).rev().collect(),
            flows: Map::default(),
            needs: Needs::default(),
            masks: Masks::default(),
            owners: Owners::new(capacity.flows),
            free_records: (1..capacity.flows.min(MAX_FLOW_ID)).collect(),
            lists: Interned::new(1, capacity.lists),
            sets: Interned::new(SET_FLOOD + 1, capacity.port_sets),
            installed: Keys::default(),
            orders: Map::default(),
            stale_orders: BTreeSet::new(),
            left: None,
            in_grace: None,
            graced: 1,
            beside: HashMap::new(),
            broken: None,
            port_state: PortState::default(),
        }
    }

    /// The maps.
    pub fn maps(&self) -> &M {
        &self.maps
    }

    /// The maps, for counters and ports.
    pub fn maps_mut(&mut self) -> &mut M {
        &mut self.maps
    }

    /// The ports as the switch told them.
    pub(super) fn port_state(&mut self) -> &mut PortState {
        &mut self.port_state
    }

    /// Writes the sets that ALL and FLOOD stand for.
    pub(super) fn write_port_sets(&mut self) -> io::Result<()> {
        self.maps.set_port_set(SET_ALL, &self.port_state.all())?;
        self.maps.set_port_set(SET_FLOOD, &self.port_state.flood())
    }

    /// Which flow a record number stands for; shared with the reader of punts.
    pub fn owners(&self) -> &Owners {
        &self.owners
    }

    /// What the flows need of the program that runs them.
    pub fn needs(&self) -> Constants {
        self.needs.constants(&self.masks)
    }

    /// A flow's counters since it was added; zeros if it is unknown.
    pub fn count(&mut self, id: FlowId) -> FlowCount {
        let Some(entry) = self.flows.get(&id) else { return FlowCount::default() };
        let mut sum = entry.carried;
        for record in entry.retiring.iter().chain([&entry.record]) {
            add(&mut sum, &self.maps.flow_count(*record));
        }
        sum
    }

    /// Zeroes a flow's counters.
    pub fn reset_count(&mut self, id: FlowId) {
        if let Some(entry) = self.flows.get_mut(&id) {
            entry.carried = FlowCount::default();
            for record in entry.retiring.iter().chain([&entry.record]) {
                // A refusal leaves the old count, which is no worse than not having asked.
                let _ = self.maps.clear_flow_count(*record);
            }
        }
    }

    /// Applies a batch as one change; when it returns, the next frame follows it.
    ///
    /// # Errors
    /// `OFPFMFC_TABLE_FULL` (also for a key that has the digest of another) or `OFPBAC_TOO_MANY`
    /// before anything is changed. Should the kernel
    /// refuse an update on the way (out of memory), no reader sees anything of the batch, and
    /// the writer refuses further ones, because it no longer knows what the maps hold.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), OfpError> {
        if let Some(why) = &self.broken {
            let detail = format!("the fast path must be rebuilt by a restart of wamig: {why}");
            return Err(OfpError::new(ErrorKind::FlowModUnknown, detail));
        }
        if batch.changes.is_empty() {
            return Ok(());
        }
        self.collect(false);
        if self.check_room(batch).is_err() {
            // room may be waiting for the end of a grace
            self.collect(true);
            self.check_room(batch)?;
        }
        let joined = self.needs.with(&self.masks, batch);
        self.maps.will_need(&joined).map_err(|e| refused(&e))?;
        let done = self.apply(batch);
        if let Err(e) = &done {
            self.broken = Some(e.to_string());
        }
        done.map_err(|e| refused(&e))
    }

    fn check_room(&self, batch: &Batch) -> Result<(), OfpError> {
        let room = Room {
            records: self.free_records.len(),
            keys: (self.maps.capacity().flows as usize).saturating_sub(self.installed.len()),
            subtables: &self.free_subtables,
            masks: &self.by_mask,
            by_id: &self.subtables,
            installed: &self.installed,
            lists: &self.lists,
            sets: &self.sets,
        };
        check_room(batch, &room, |id| self.flows.get(&id).map(|entry| entry.subtable))
    }

    fn apply(&mut self, batch: &Batch) -> io::Result<()> {
        // What nobody reads yet.
        let mut staged = Staged::default();
        for change in &batch.changes {
            match change {
                Change::Insert(flow) => self.insert(flow, &mut staged)?,
                Change::Replace(flow) => self.replace(flow, &mut staged)?,
                Change::Remove(id) => self.remove(*id, &mut staged),
            }
        }
        // What readers of older versions may be reading.
        let ungraced = self.left.is_some() || self.in_grace.is_some();
        if !self.stale_orders.is_empty() || (ungraced && !staged.orders.is_empty()) || staged.ungraced {
            self.collect(true);
        }
        let version = self.version + 1;
        self.stage(version, &mut staged)?;
        let stale = std::mem::replace(&mut self.stale_orders, staged.orders);
        for table in self.stale_orders.clone() {
            self.list(table);
        }
        let changed: BTreeSet<u8> = stale.union(&self.stale_orders).copied().collect();
        let changed: Vec<(u8, Table)> = changed.into_iter().map(|table| (table, self.order(table))).collect();
        for (table, order) in &changed {
            self.maps.set_table(*table, (version & 1) as u8, order)?;
        }
        self.maps.publish(version);
        self.version = version;
        self.orders.extend(changed);
        self.maps.needs(&self.needs());
        self.left.get_or_insert_default().append(staged.left);
        self.begin_grace();
        Ok(())
    }

    fn insert(&mut self, flow: &CompiledFlow, staged: &mut Staged) -> io::Result<()> {
        let subtable = self.subtable_of(flow)?;
        let key = FlowMapKey { words: flow.key.words, subtable: u64::from(subtable) };
        let digest = key.digest();
        let mut entry = Entry {
            table: flow.table,
            priority: flow.priority,
            subtable,
            digest,
            record: self.free_records.pop_front().ok_or(io::ErrorKind::StorageFull)?,
            retiring: Vec::new(),
            carried: FlowCount::default(),
            lists: [NONE; 2],
            sets: Vec::new(),
            share: Share::of(flow),
        };
        self.write_record(flow, &mut entry)?;
        self.needs.add(entry.share);
        let claim = Claim { priority: flow.priority, record: entry.record, flow: flow.id };
        self.flows.insert(flow.id, entry);
        if let Some(s) = self.subtables.get_mut(&subtable) {
            if s.is_empty() {
                self.masks.add(s.table, &s.mask);
            }
            s.insert(flow.key.get(ETH_TYPE) as u16, flow.priority);
            if s.listed
                .is_none_or(|listed| listed.max_priority < flow.priority || !listed.admits(flow.key.get(ETH_TYPE)))
            {
                staged.orders.insert(flow.table);
            }
        }
        let held = self.installed.entry(digest).or_insert_with(|| Held::new(key));
        held.add(claim);
        staged.touch(digest, held, self.graced);
        Ok(())
    }

    /// The subtable of a flow's mask, made if there is none.
    fn subtable_of(&mut self, flow: &CompiledFlow) -> io::Result<u32> {
        if let Some(id) = self.by_mask.get(&(flow.table, flow.mask)) {
            return Ok(*id);
        }
        let id = self.free_subtables.pop().ok_or(io::ErrorKind::StorageFull)?;
        self.maps.set_mask(id, &flow.mask)?;
        self.maps.set_filter(id, &[0; FILTER_WORDS])?;
        self.by_mask.insert((flow.table, flow.mask), id);
        self.subtables.insert(id, Subtable::new(id, flow.table, flow.mask));
        Ok(id)
    }

    fn replace(&mut self, flow: &CompiledFlow, staged: &mut Staged) -> io::Result<()> {
        let Some(mut entry) = self.flows.remove(&flow.id) else {
            return Err(io::Error::other("a flow to be changed is not in the fast path"));
        };
        staged.left.lists.extend(entry.lists.iter().filter(|list| **list != NONE));
        staged.left.sets.append(&mut entry.sets);
        staged.left.records.push((entry.record, flow.id));
        entry.retiring.push(entry.record);
        entry.record = self.free_records.pop_front().ok_or(io::ErrorKind::StorageFull)?;
        self.write_record(flow, &mut entry)?;
        self.needs.remove(entry.share);
        entry.share = Share::of(flow);
        self.needs.add(entry.share);
        if let Some(held) = self.installed.get_mut(&entry.digest) {
            held.set_record(flow.id, entry.record);
            staged.touch(entry.digest, held, self.graced);
        }
        self.flows.insert(flow.id, entry);
        Ok(())
    }

    fn remove(&mut self, id: FlowId, staged: &mut Staged) {
        let Some(entry) = self.flows.remove(&id) else { return };
        self.needs.remove(entry.share);
        staged.left.records.push((entry.record, id));
        staged.left.lists.extend(entry.lists.iter().filter(|list| **list != NONE));
        staged.left.sets.extend(&entry.sets);
        let Some(held) = self.installed.get_mut(&entry.digest) else { return };
        held.take(id);
        staged.touch(entry.digest, held, self.graced);
        if let Some(s) = self.subtables.get_mut(&entry.subtable) {
            s.remove(FlowKey { words: held.entry.key.words }.get(ETH_TYPE) as u16, entry.priority);
            if s.is_empty() {
                self.masks.remove(s.table, &s.mask);
                staged.orders.insert(entry.table);
                staged.left.subtables.push(s.id);
            }
        }
    }

    fn write_record(&mut self, flow: &CompiledFlow, entry: &mut Entry) -> io::Result<()> {
        let apply = self.write_list(&flow.apply, &flow.sets, entry)?;
        let write = self.write_list(&flow.write, &flow.sets, entry)?;
        entry.lists = [apply, write];
        let mut flags = 0;
        if flow.clear {
            flags |= CLEAR;
        }
        if flow.priority == 0 && flow.mask == FlowMask::default() {
            flags |= MISS;
        }
        if flow.slow.is_some() {
            flags |= SLOW;
        }
        let record = FlowRecord {
            apply,
            write,
            metadata: flow.metadata.0 & flow.metadata.1,
            metadata_mask: flow.metadata.1,
            meter: flow.meter,
            goto: flow.goto.unwrap_or(NO_GOTO),
            flags,
            table: flow.table,
            slow: flow.slow.map_or(0, |s| s.index() as u8),
        };
        self.maps.set_record(entry.record, &record)?;
        self.owners.set(entry.record, Some(flow.id));
        Ok(())
    }

    fn write_list(&mut self, ops: &[Op], sets: &[Vec<u32>], entry: &mut Entry) -> io::Result<u32> {
        if ops.is_empty() {
            return Ok(NONE);
        }
        let mut ops = Cow::Borrowed(ops);
        if ops.iter().any(|op| op.kind == OUTPUT_SET) {
            for op in ops.to_mut().iter_mut().filter(|op| op.kind == OUTPUT_SET) {
                let members = sets.get(op.value as usize).ok_or(io::ErrorKind::InvalidInput)?;
                op.value = u64::from(match members.as_slice() {
                    [port] if *port == PortNo::ALL.0 => SET_ALL,
                    [port] if *port == PortNo::FLOOD.0 => SET_FLOOD,
                    _ => self.port_set(members, entry)?,
                });
            }
        }
        let (id, new) = self.lists.take(&ops).ok_or(io::ErrorKind::StorageFull)?;
        if new {
            let list = ActionList::from_ops(&ops).ok_or(io::ErrorKind::InvalidInput)?;
            self.maps.set_list(id, &list)?;
        }
        Ok(id)
    }

    fn port_set(&mut self, members: &[u32], entry: &mut Entry) -> io::Result<u32> {
        let (id, new) = self.sets.take(members).ok_or(io::ErrorKind::StorageFull)?;
        entry.sets.push(id);
        if new {
            self.maps.set_port_set(id, members)?;
        }
        Ok(id)
    }

    /// Stages every touched key: the flow that it had, and the one that it gets.
    fn stage(&mut self, version: u64, staged: &mut Staged) -> io::Result<()> {
        let touched = std::mem::take(&mut staged.touched);
        let (mut digests, mut entries) = (Vec::with_capacity(touched.len()), Vec::with_capacity(touched.len()));
        let mut changed = Vec::new();
        let mut filters = BTreeSet::new();
        for digest in touched {
            let Some(held) = self.installed.get_mut(&digest) else { continue };
            if held.since() == version {
                continue;
            }
            let next = held.slot(digest);
            if held.is_there() {
                held.entry.value = held.entry.value.then(version, next);
                changed.push(held.entry);
                if next.is_absent() {
                    staged.left.keys.push(digest);
                }
            } else if next.is_absent() {
                self.installed.remove(&digest);
            } else {
                held.entry.value = FlowValue::new(version, next);
                digests.push(digest);
                entries.push(held.entry);
                let subtable = held.entry.key.subtable as u32;
                if let Some(s) = self.subtables.get_mut(&subtable) {
                    s.admit(tag_of_digest(digest));
                    filters.insert(subtable);
                }
            }
        }
        for subtable in filters {
            if let Some(s) = self.subtables.get(&subtable) {
                self.maps.set_filter(subtable, s.filter())?;
            }
        }
        self.maps.add_flows(&digests, &entries)?;
        for FlowEntry { key, value } in changed {
            self.maps.set_flow(&key, &value)?;
        }
        Ok(())
    }

    /// Lists a table's subtables anew, under the priorities that they have now.
    fn list(&mut self, table: u8) {
        for s in self.subtables.values_mut().filter(|s| s.table == table) {
            s.listed = (!s.is_empty()).then(|| s.listing());
        }
    }

    /// A table's search order as listed, best possible priority first. Between equals the mask
    /// decides: which of two flows of equal priority wins is undefined (OpenFlow 1.3.5 §5.3),
    /// but must not differ between two writers that were told the same.
    fn order(&self, table: u8) -> Table {
        let of_table = self.subtables.values().filter(|s| s.table == table);
        let mut listed: Vec<(SubtableRef, &Subtable)> = of_table.filter_map(|s| Some((s.listed?, s))).collect();
        listed.sort_by_key(|(listing, s)| (std::cmp::Reverse(listing.max_priority), s.mask.words));
        let mut order = Table::default();
        for (place, (listing, _)) in order.subtables.iter_mut().zip(&listed) {
            *place = *listing;
        }
        order.n = listed.len().min(MAX_SUBTABLES) as u32;
        order
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
