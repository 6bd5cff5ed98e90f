//! The verdict cache's memory; what it means is told in [`wamig_common::cache`].

use wamig_common::cache::{Entry, PlainKey};
use wamig_common::limits::MAX_TABLES;

use crate::maps::{CACHE, Scratch};

/// What is remembered of a key at this version.
#[inline(always)]
pub fn find(key: &PlainKey, version: u64) -> Option<&'static Entry> {
    let set = CACHE.get(key.set())?;
    set.0.iter().find(|entry| entry.holds(key, version))
}

/// Remembers the way that is in the scratch memory, where there is room.
#[inline(always)]
pub fn keep(scratch: &Scratch, key: PlainKey, version: u64, apply: u32, steps: u32) {
    let Some(set) = CACHE.get_ptr_mut(key.set()) else { return };
    // SAFETY: a per-CPU value; a program is not interrupted by another run of itself on the
    // same CPU, and no reference to it is kept.
    let [first, second] = unsafe { &mut (*set).0 };
    let entry = if first.version != version {
        first
    } else if second.version != version || scratch.luck.replaces() {
        second
    } else {
        return;
    };
    entry.version = version;
    entry.key = key;
    entry.apply = apply;
    entry.steps = steps;
    let mut i = 0;
    while i < MAX_TABLES {
        entry.path[i] = scratch.path[i];
        i += 1;
    }
}
