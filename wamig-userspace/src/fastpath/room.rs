//! Whether a batch fits, asked before anything is changed.

use std::collections::{HashMap, HashSet};

use wamig_common::action::ActionList;
use wamig_common::key::FlowMask;
use wamig_common::limits::{MAX_OPS, MAX_SUBTABLES, MAX_TABLES};
use wamig_openflow::{ErrorKind, OfpError};

use super::intern::Interned;
use super::{Batch, Change};

/// What is left.
pub struct Room<'a> {
    /// Flow records.
    pub records: usize,
    /// Flow map entries.
    pub keys: usize,
    /// Subtables in all tables together.
    pub subtables: usize,
    /// Masks that have a subtable.
    pub masks: &'a HashMap<(u8, FlowMask), u32>,
    /// Action lists.
    pub lists: &'a Interned<ActionList>,
    /// Port sets.
    pub sets: &'a Interned<Vec<u32>>,
}

fn full(what: impl Into<String>) -> OfpError {
    OfpError::new(ErrorKind::FlowModTableFull, what)
}

/// Refuses a batch that the maps have no room for. It may count what removals of the same
/// batch will free as still taken: readers may be using that until the batch is visible.
pub fn check_room(batch: &Batch, room: &Room<'_>) -> Result<(), OfpError> {
    let mut flows = 0;
    let mut masks: HashSet<(u8, FlowMask)> = HashSet::new();
    let mut lists: HashSet<ActionList> = HashSet::new();
    let mut sets: HashSet<&Vec<u32>> = HashSet::new();
    for change in &batch.changes {
        let (Change::Insert(flow) | Change::Replace(flow)) = change else { continue };
        flows += 1;
        if usize::from(flow.table) >= MAX_TABLES {
            return Err(OfpError::new(ErrorKind::FlowModBadTableId, format!("tables are 0 to {}", MAX_TABLES - 1)));
        }
        if !room.masks.contains_key(&(flow.table, flow.mask)) {
            masks.insert((flow.table, flow.mask));
        }
        sets.extend(flow.sets.iter().filter(|s| room.sets.id(s).is_none()));
        for ops in [&flow.apply, &flow.write] {
            let list = ActionList::from_ops(ops).ok_or_else(|| {
                OfpError::new(ErrorKind::BadActionTooMany, format!("at most {MAX_OPS} actions in a list"))
            })?;
            // A list with port sets of its own is known by their numbers, which it has not got yet.
            if list.n > 0 && (!flow.sets.is_empty() || room.lists.id(&list).is_none()) {
                lists.insert(list);
            }
        }
    }
    if flows > room.records.min(room.keys) {
        return Err(full(format!("the tables have room for {} more flows", room.records.min(room.keys))));
    }
    for table in 0..MAX_TABLES as u8 {
        let masks = room.masks.keys().chain(&masks).filter(|(t, _)| *t == table).count();
        if masks > MAX_SUBTABLES {
            return Err(full(format!("table {table} would hold more than {MAX_SUBTABLES} different masks")));
        }
    }
    if masks.len() > room.subtables {
        return Err(full(format!("all tables together have room for {} more masks", room.subtables)));
    }
    if lists.len() > room.lists.room() {
        return Err(full(format!("there is room for {} more action lists", room.lists.room())));
    }
    if sets.len() > room.sets.room() {
        return Err(full(format!("there is room for {} more port sets", room.sets.room())));
    }
    Ok(())
}
