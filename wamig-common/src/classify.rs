//! Tuple-space search: the best flow of a table for a key.
//!
//! A table's flows are grouped by mask into subtables. For each subtable, highest possible
//! priority first, the key is masked, digested, looked up in the subtable's filter, and only
//! if the filter says "maybe" in the flow map. The search ends when no later subtable can
//! hold anything better. Masks come from flow-mods alone, never from traffic.

use crate::entry::{FlowMapKey, Slot, SubtableRef, Table, Tables, tag_of_sum, tag_subtable, tag_word};
use crate::key::FlowKey;

/// Looks one subtable up; returns the better of `best` and what it holds. `scratch` is
/// overwritten (it would not fit the BPF stack).
#[inline(always)]
pub fn probe<T: Tables>(
    tables: &T,
    key: &FlowKey,
    scratch: &mut FlowMapKey,
    subtable: u32,
    version: u64,
    best: Slot,
) -> Slot {
    let Some(mask) = tables.mask(subtable) else { return best };
    let used = tables.used_words();
    let mut sum = tag_subtable(subtable);
    scratch.subtable = u64::from(subtable);
    // Written out, so that a program whose `used` is a load-time constant loses the rest.
    macro_rules! words {
        ($($i:literal)*) => { $(
            if used >> $i & 1 != 0 {
                let w = key.words[$i] & mask.words[$i];
                scratch.words[$i] = w;
                sum = sum.wrapping_add(tag_word($i, w));
            } else {
                scratch.words[$i] = 0;
            }
        )* };
    }
    words!(0 1 2 3 4 5 6 7 8 9 10 11 12);
    let tag = tag_of_sum(sum);
    if !tables.may_hold(subtable, tag) {
        return best;
    }
    let slot = tables.lookup(scratch, version);
    if slot.is_absent() || slot.tag() != tag || (!best.is_absent() && slot.priority() <= best.priority()) {
        return best;
    }
    slot
}

/// Whether the search may stop before `subtable`.
#[inline(always)]
pub const fn is_settled(best: Slot, subtable: &SubtableRef) -> bool {
    !best.is_absent() && best.priority() as u32 >= subtable.max_priority
}

/// The whole search, by a plain loop over at most `limit` subtables.
#[inline(always)]
pub fn classify<T: Tables>(
    tables: &T,
    key: &FlowKey,
    scratch: &mut FlowMapKey,
    table: &Table,
    limit: usize,
    version: u64,
) -> Slot {
    let mut best = Slot::default();
    for subtable in table.subtables.iter().take(limit).take(table.n as usize) {
        if is_settled(best, subtable) {
            break;
        }
        best = probe(tables, key, scratch, subtable.subtable, version, best);
    }
    best
}
