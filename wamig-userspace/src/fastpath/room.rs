//! Whether a batch fits, asked before anything is changed.

use std::collections::HashMap;

use wamig_common::action::Op;
use wamig_common::entry::{FlowEntry, FlowMapKey};
use wamig_common::key::FlowMask;
use wamig_common::limits::{MAX_OPS, MAX_SUBTABLES, MAX_TABLES};
use wamig_openflow::{ErrorKind, OfpError};

use super::intern::Interned;
use super::subtable::Subtable;
use super::{Batch, Change, CompiledFlow, FlowId};
use crate::hash::{Map, Set};

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
    pub by_id: &'a HashMap<u32, Subtable>,
    /// Flow map entries by their digests.
    pub installed: &'a Map<u64, FlowEntry>,
    /// Action lists.
    pub lists: &'a Interned<Vec<Op>>,
    /// Port sets.
    pub sets: &'a Interned<Vec<u32>>,
}

fn full(what: impl Into<String>) -> OfpError {
    OfpError::new(ErrorKind::FlowModTableFull, what)
}

/// Refuses a batch that the maps have no room for. It may count what removals of the same
/// batch will free as still taken: readers may be using that until the batch is visible.
/// `subtable_of` says where a flow is.
pub fn check_room(batch: &Batch, room: &Room<'_>, subtable_of: impl Fn(FlowId) -> Option<u32>) -> Result<(), OfpError> {
    let mut flows = 0;
    let mut masks: Set<(u8, FlowMask)> = Set::default();
    let mut grown: Set<u8> = Set::default();
    let mut lists: Set<&[Op]> = Set::default();
    let mut sets: Set<&Vec<u32>> = Set::default();
    let mut digests = Digests::default();
    for change in &batch.changes {
        let (Change::Insert(flow) | Change::Replace(flow)) = change else { continue };
        flows += 1;
        if usize::from(flow.table) >= MAX_TABLES {
            return Err(OfpError::new(ErrorKind::FlowModBadTableId, format!("tables are 0 to {}", MAX_TABLES - 1)));
        }
        let subtable = room.masks.get(&(flow.table, flow.mask));
        if subtable.is_none() {
            masks.insert((flow.table, flow.mask));
        }
        if subtable.and_then(|id| room.by_id.get(id)).is_none_or(Subtable::is_empty) {
            grown.insert(flow.table);
        }
        if matches!(change, Change::Insert(_)) {
            digests.take(flow, room)?;
        }
        sets.extend(flow.sets.iter().filter(|s| room.sets.id(s).is_none()));
        for ops in [&flow.apply, &flow.write] {
            if ops.len() > MAX_OPS {
                let detail = format!("at most {MAX_OPS} actions in a list");
                return Err(OfpError::new(ErrorKind::BadActionTooMany, detail));
            }
            // A list with port sets of its own is known by their numbers, which it has not got yet.
            if !ops.is_empty() && (!flow.sets.is_empty() || room.lists.id(ops).is_none()) {
                lists.insert(ops);
            }
        }
    }
    if flows > room.records.min(room.keys) {
        return Err(full(format!("the tables have room for {} more flows", room.records.min(room.keys))));
    }
    for table in grown {
        if masks_after(table, batch, room, &subtable_of) > MAX_SUBTABLES {
            return Err(full(format!("table {table} would hold more than {MAX_SUBTABLES} different masks")));
        }
    }
    if masks.len() > room.subtables.len() {
        return Err(full(format!("all tables together have room for {} more masks", room.subtables.len())));
    }
    if lists.len() > room.lists.room() {
        return Err(full(format!("there is room for {} more action lists", room.lists.room())));
    }
    if sets.len() > room.sets.room() {
        return Err(full(format!("there is room for {} more port sets", room.sets.room())));
    }
    Ok(())
}

/// Digests that a batch adds to the flow map.
#[derive(Default)]
struct Digests {
    /// Ids that its new masks will get.
    ids: Map<(u8, FlowMask), u32>,
    added: Map<u64, FlowMapKey>,
}

impl Digests {
    /// Refuses a flow whose key has the digest of another key: the map can hold one of them.
    fn take(&mut self, flow: &CompiledFlow, room: &Room<'_>) -> Result<(), OfpError> {
        let place = (flow.table, flow.mask);
        let fresh = room.subtables.iter().rev().nth(self.ids.len());
        let id = room.masks.get(&place).or_else(|| self.ids.get(&place)).or(fresh).copied();
        // Without an id left the batch is refused for that.
        let Some(id) = id else { return Ok(()) };
        if !room.masks.contains_key(&place) {
            self.ids.insert(place, id);
        }
        let key = FlowMapKey { words: flow.key.words, subtable: u64::from(id) };
        let digest = key.digest();
        let holder = room.installed.get(&digest).map(|e| e.key);
        if holder.or_else(|| self.added.insert(digest, key)).is_some_and(|holder| holder != key) {
            let detail = format!("table {}: the match has the digest {digest:#018x} of another flow's", flow.table);
            return Err(full(format!("{detail}; change the match, or take out that flow")));
        }
        Ok(())
    }
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
