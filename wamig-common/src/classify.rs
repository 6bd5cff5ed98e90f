//! Tuple-space search: the best flow of a table for a key.
//!
//! A table's flows are grouped by mask into subtables. For each subtable, highest possible
//! priority first, the key is masked, digested, looked up in the subtable's filter, and only
//! if the filter says "maybe" in the flow map. The search ends when no later subtable can
//! hold anything better. Masks come from flow-mods alone, never from traffic.

use crate::entry::{Slot, SubtableRef, Table, Tables, digest_of_sum, tag_of_digest, tag_subtable, tag_word};
use crate::key::{ETH_TYPE, FlowKey};

/// Looks one subtable up; returns the better of `best` and what it holds.
#[inline(always)]
pub fn probe<T: Tables>(tables: &T, key: &FlowKey, subtable: &SubtableRef, version: u64, best: Slot) -> Slot {
    if subtable.eth_type != 0 && subtable.eth_type != (key.words[ETH_TYPE.word] >> ETH_TYPE.shift) as u16 {
        return best;
    }
    let id = subtable.subtable;
    let Some(mask) = tables.mask(id) else { return best };
    let used = tables.used_words();
    let mut sum = tag_subtable(id);
    // Written out, so that a program whose `used` is a load-time constant loses the rest.
    macro_rules! words {
        ($($i:literal)*) => { $(
            if used >> $i & 1 != 0 {
                sum = sum.wrapping_add(tag_word($i, key.words[$i] & mask.words[$i]));
            }
        )* };
    }
    words!(0 1 2 3 4 5 6 7 8 9 10 11 12);
    let digest = digest_of_sum(sum);
    let tag = tag_of_digest(digest);
    if !tables.may_hold(id, tag) {
        return best;
    }
    let slot = tables.lookup(id, key, mask, digest, version);
    if slot.is_absent() || slot.tag() != tag || (!best.is_absent() && slot.priority() <= best.priority()) {
        return best;
    }
    slot
}

/// Whether the search may stop before `subtable`.
#[inline(always)]
pub const fn is_settled(best: Slot, subtable: &SubtableRef) -> bool {
    !best.is_absent() && best.priority() >= subtable.max_priority
}

/// The whole search, by a plain loop over at most `limit` subtables.
#[inline(always)]
pub fn classify<T: Tables>(tables: &T, key: &FlowKey, table: &Table, limit: usize, version: u64) -> Slot {
    let mut best = Slot::default();
    for subtable in table.subtables.iter().take(limit).take(table.n as usize) {
        if is_settled(best, subtable) {
            break;
        }
        best = probe(tables, key, subtable, version, best);
    }
    best
}
