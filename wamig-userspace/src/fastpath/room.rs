//! Whether a batch fits, asked before anything is changed.

use std::collections::HashMap;

use wamig_common::action::Op;
use wamig_common::entry::FlowMapKey;
use wamig_common::key::FlowMask;
use wamig_common::limits::{MAX_OPS, MAX_SUBTABLES, MAX_TABLES};
use wamig_openflow::{ErrorKind, OfpError};

use super::held::Keys;
use super::intern::Interned;
use super::subtable::Subtable;
use super::{Batch, Change, CompiledFlow, FlowId};
use crate::hash::{Map, Set, State};

/// What is left.
pub struct Room<'a> {
    /// Flow records.
    pub records: usize,
    /// Flow map entries.
    pub keys: usize,
    /// Ids of subtables in all tables together; the last is given out next.
    pub subtables: &'a [u32],
    /// Masks that have a subtable.
    pub masks: &'a Map<(u8, FlowMask), u32>,
    /// Those subtables.
    pub by_id: &'a Map<u32, Subtable>,
    /// Flow map entries by their digests.
    pub installed: &'a Keys,
    /// Action lists.
    pub lists: &'a Interned<[Op]>,
    /// Port sets.
    pub sets: &'a Interned<[u32]>,
}

fn full(what: impl Into<String>) -> OfpError {
    OfpError::new(ErrorKind::FlowModTableFull, what)
}

/// The flows that a batch brings or changes.
fn flows(batch: &Batch) -> impl Iterator<Item = (&CompiledFlow, bool)> {
    batch.changes.iter().filter_map(|change| match change {
        Change::Insert(flow) => Some((flow, true)),
        Change::Replace(flow) => Some((flow, false)),
        Change::Remove(_) => None,
    })
}

/// Refuses a batch that the maps have no room for. It may count what removals of the same
/// batch will free as still taken: readers may be using that until the batch is visible.
/// `subtable_of` says where a flow is.
pub fn check_room(batch: &Batch, room: &Room<'_>, subtable_of: impl Fn(FlowId) -> Option<u32>) -> Result<(), OfpError> {
    let mut count = 0;
    let mut places = Places::new(room);
    let mut added: Map<u64, FlowMapKey> = Map::with_capacity_and_hasher(batch.changes.len(), State::default());
    for (flow, is_new) in flows(batch) {
        count += 1;
        if usize::from(flow.table) >= MAX_TABLES {
            return Err(OfpError::new(ErrorKind::FlowModBadTableId, format!("tables are 0 to {}", MAX_TABLES - 1)));
        }
        let subtable = places.of(flow);
        // Without an id left the batch is refused for that.
        if let (true, Some(id)) = (is_new, subtable) {
            check_digest(flow, id, room, &mut added)?;
        }
        if flow.apply.len().max(flow.write.len()) > MAX_OPS {
            let detail = format!("at most {MAX_OPS} actions in a list");
            return Err(OfpError::new(ErrorKind::BadActionTooMany, detail));
        }
    }
    if count > room.records.min(room.keys) {
        return Err(full(format!("the tables have room for {} more flows", room.records.min(room.keys))));
    }
    for table in places.grown {
        if masks_after(table, batch, room, &subtable_of) > MAX_SUBTABLES {
            return Err(full(format!("table {table} would hold more than {MAX_SUBTABLES} different masks")));
        }
    }
    if places.fresh.len() > room.subtables.len() {
        return Err(full(format!("all tables together have room for {} more masks", room.subtables.len())));
    }
    // Two lists for a flow at most: which of them are there already is asked only where it matters.
    if 2 * count > room.lists.room() && new_lists(batch, room) > room.lists.room() {
        return Err(full(format!("there is room for {} more action lists", room.lists.room())));
    }
    if flows(batch).map(|(flow, _)| flow.sets.len()).sum::<usize>() > room.sets.room() {
        let sets: Set<&[u32]> = flows(batch).flat_map(|(flow, _)| flow.sets.iter().map(Vec::as_slice)).collect();
        if sets.into_iter().filter(|set| room.sets.id(set).is_none()).count() > room.sets.room() {
            return Err(full(format!("there is room for {} more port sets", room.sets.room())));
        }
    }
    Ok(())
}

/// How many action lists are not there yet.
fn new_lists(batch: &Batch, room: &Room<'_>) -> usize {
    let mut lists: Set<&[Op]> = Set::default();
    for (flow, _) in flows(batch) {
        // A list with port sets of its own is known by their numbers, which it has not got yet.
        let is_new = |ops: &&[Op]| !ops.is_empty() && (!flow.sets.is_empty() || room.lists.id(ops).is_none());
        lists.extend([flow.apply.as_slice(), &flow.write].into_iter().filter(is_new));
    }
    lists.len()
}

/// The subtables of a batch's flows.
struct Places<'a> {
    room: &'a Room<'a>,
    /// New masks, and the ids that they will get.
    fresh: Map<(u8, FlowMask), Option<u32>>,
    /// Tables whose search order gets longer.
    grown: Set<u8>,
    /// The last one asked for: neighbours in a batch are often of one mask.
    last: Option<((u8, FlowMask), Option<u32>)>,
}

impl<'a> Places<'a> {
    fn new(room: &'a Room<'a>) -> Self {
        Self { room, fresh: Map::default(), grown: Set::default(), last: None }
    }

    /// The subtable that a flow is, or will be, in.
    fn of(&mut self, flow: &CompiledFlow) -> Option<u32> {
        let place = (flow.table, flow.mask);
        if let Some((last, id)) = self.last
            && last == place
        {
            return id;
        }
        let present = self.room.masks.get(&place).copied();
        if present.and_then(|id| self.room.by_id.get(&id)).is_none_or(Subtable::is_empty) {
            self.grown.insert(flow.table);
        }
        let id = present.or_else(|| {
            let next = self.room.subtables.iter().rev().nth(self.fresh.len()).copied();
            *self.fresh.entry(place).or_insert(next)
        });
        self.last = Some((place, id));
        id
    }
}

/// Refuses a flow whose key has the digest of another key: the map can hold one of them.
fn check_digest(
    flow: &CompiledFlow,
    subtable: u32,
    room: &Room<'_>,
    added: &mut Map<u64, FlowMapKey>,
) -> Result<(), OfpError> {
    let key = FlowMapKey { words: flow.key.words, subtable: u64::from(subtable) };
    let digest = key.digest();
    let holder = room.installed.get(&digest).map(|held| held.entry.key);
    if holder.or_else(|| added.insert(digest, key)).is_some_and(|holder| holder != key) {
        let detail = format!("table {}: the match has the digest {digest:#018x} of another flow's", flow.table);
        return Err(full(format!("{detail}; change the match, or take out that flow")));
    }
    Ok(())
}

/// How many masks a table has once the batch is in force: those that it empties do not count,
/// since the search order that lists them is replaced as a whole.
fn masks_after(table: u8, batch: &Batch, room: &Room<'_>, subtable_of: impl Fn(FlowId) -> Option<u32>) -> usize {
    let of_table = room.by_id.values().filter(|s| s.table == table);
    let mut flows: HashMap<FlowMask, usize> = of_table.map(|s| (s.mask, s.flows())).collect();
    let mut added: HashMap<FlowId, FlowMask> = HashMap::new();
    for change in &batch.changes {
        match change {
            Change::Insert(flow) if flow.table == table => {
                *flows.entry(flow.mask).or_default() += 1;
                added.insert(flow.id, flow.mask);
            }
            Change::Remove(id) => {
                let present = || subtable_of(*id).and_then(|s| room.by_id.get(&s)).filter(|s| s.table == table);
                let mask = added.remove(id).or_else(|| present().map(|s| s.mask));
                if let Some(left) = mask.and_then(|mask| flows.get_mut(&mask)) {
                    *left = left.saturating_sub(1);
                }
            }
            Change::Insert(_) | Change::Replace(_) => {}
        }
    }
    flows.values().filter(|left| **left > 0).count()
}
