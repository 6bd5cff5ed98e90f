//! What the tables hold: the values of the BPF maps, and how they are read.
//!
//! A flow is found by (subtable, masked key) → [`FlowValue`] → [`Slot`] → [`FlowRecord`] →
//! action lists. A `FlowValue` holds the slot of the present version and of the next one, so
//! that a whole batch becomes visible by one store of the version number.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::action::Op;
use crate::key::{FlowKey, FlowMask, KEY_WORDS};
use crate::limits::MAX_SUBTABLES;

/// Flow id of "no flow"; also the id of the empty action list.
pub const NONE: u32 = 0;
/// Highest flow id (24 bits).
pub const MAX_FLOW_ID: u32 = 0x00ff_ffff;

/// A reference to a flow as the flow map holds it, one word so that a reader never sees half
/// of it: flow id 63..40, priority 39..24, tag 23..0. 0 = absent.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Slot(pub u64);

impl Slot {
    /// A slot; `flow` is 1..=[`MAX_FLOW_ID`], `tag` 24 bits.
    pub const fn new(flow: u32, priority: u16, tag: u32) -> Self {
        Self((flow as u64) << 40 | (priority as u64) << 24 | (tag & 0x00ff_ffff) as u64)
    }

    /// Flow id.
    pub const fn flow(self) -> u32 {
        (self.0 >> 40) as u32
    }

    /// Priority.
    pub const fn priority(self) -> u16 {
        (self.0 >> 24) as u16
    }

    /// Digest of subtable and masked key. The kernel recycles deleted hash elements at once, so
    /// a reader may be handed another key's value: it believes only its own tag.
    pub const fn tag(self) -> u32 {
        (self.0 & 0x00ff_ffff) as u32
    }

    /// True when no flow is there.
    pub const fn is_absent(self) -> bool {
        self.0 == 0
    }
}

/// Value of the flow map.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FlowValue {
    /// Before `ver_next`.
    pub current: Slot,
    /// From `ver_next` on.
    pub next: Slot,
    /// The version at which `next` takes over.
    pub ver_next: u64,
}

impl FlowValue {
    /// The slot that a reader of `version` sees.
    #[inline(always)]
    pub const fn slot(&self, version: u64) -> Slot {
        if version >= self.ver_next { self.next } else { self.current }
    }
}

/// Key of the flow map: the masked words, then the subtable's id.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FlowMapKey {
    /// Masked key.
    pub words: [u64; KEY_WORDS],
    /// Globally unique subtable id: a table's number needs no key space.
    pub subtable: u64,
}

/// A mask in a table's search order.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SubtableRef {
    /// Subtable id.
    pub subtable: u32,
    /// Highest priority in it; the search ends when a better flow is known.
    pub max_priority: u32,
}

/// A table's search order, highest `max_priority` first. Each table has two, used in turn by
/// even and odd versions.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Table {
    /// Subtables in use.
    pub n: u32,
    /// Zero.
    pub reserved: u32,
    /// The subtables.
    pub subtables: [SubtableRef; MAX_SUBTABLES],
}

impl Default for Table {
    fn default() -> Self {
        Self { n: 0, reserved: 0, subtables: [SubtableRef::default(); MAX_SUBTABLES] }
    }
}

/// `FlowRecord::goto`: no goto-table.
pub const NO_GOTO: u8 = 0xff;
/// `FlowRecord::flags`: clear-actions.
pub const CLEAR: u8 = 1;
/// `FlowRecord::flags`: every frame takes the slow path, for the reason in `slow`.
pub const SLOW: u8 = 2;
/// `FlowRecord::flags`: a table-miss flow (priority 0, no match): packet-ins say "no match".
pub const MISS: u8 = 4;

/// A flow's instructions.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FlowRecord {
    /// Apply-actions: id of the list, [`NONE`] = none.
    pub apply: u32,
    /// Write-actions: id of the list, [`NONE`] = none.
    pub write: u32,
    /// Write-metadata: value.
    pub metadata: u64,
    /// Write-metadata: mask, 0 = none.
    pub metadata_mask: u64,
    /// Meter; its place, until meters are there always [`NONE`].
    pub meter: u32,
    /// Goto-table or [`NO_GOTO`].
    pub goto: u8,
    /// [`CLEAR`], [`SLOW`], [`MISS`].
    pub flags: u8,
    /// The table it is in.
    pub table: u8,
    /// Index of the [`crate::verdict::SlowReason`].
    pub slow: u8,
}

const _: () = assert!(size_of::<FlowRecord>() == 32 && size_of::<FlowMapKey>() == 112 && size_of::<Table>() == 520);

/// Counters of a flow on one CPU.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FlowCount {
    /// Frames.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Jiffies (64 bit) of the last frame; 0 = none yet.
    pub last: u64,
}

/// Counters of a table on one CPU.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TableCount {
    /// Lookups that found a flow.
    pub matched: u64,
    /// Lookups that found none.
    pub missed: u64,
}

/// Counters of a port on one CPU.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PortCount {
    /// Frames received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Frames sent out of this port alone.
    pub tx_packets: u64,
    /// Bytes of those.
    pub tx_bytes: u64,
    /// Frames received here and dropped.
    pub rx_dropped: u64,
}

/// The lookups that classification needs. The XDP program answers from its maps, the memory
/// fast path from process memory.
pub trait Tables {
    /// The words that some mask in force may read, a bit each; others need not be hashed.
    fn used_words(&self) -> u32;
    /// The mask of a subtable.
    fn mask(&self, subtable: u32) -> Option<&FlowMask>;
    /// Whether some key of the subtable may have this tag (a filter: false is certain).
    fn may_hold(&self, subtable: u32, tag: u32) -> bool;
    /// The flow map's value as `version` sees it; absent if the key is.
    fn lookup(&self, key: &FlowMapKey, version: u64) -> Slot;
}

/// The records that translation needs.
pub trait Records {
    /// A flow's instructions.
    fn record(&self, flow: u32) -> Option<&FlowRecord>;
    /// An action of a list; [`crate::action::END`] behind the last.
    fn op(&self, list: u32, index: u32) -> Option<&Op>;
}

const fn odd(n: u64) -> u64 {
    n | 1
}

const MULTIPLIERS: [u64; KEY_WORDS + 1] = {
    // A Weyl sequence of odd multipliers: cheap, and fixed for good, because tags are stored.
    let mut m = [0u64; KEY_WORDS + 1];
    let mut x = 0x9e37_79b9_7f4a_7c15u64;
    let mut i = 0;
    while i <= KEY_WORDS {
        x = x.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(0x9e37_79b9_7f4a_7c15);
        m[i] = odd(x ^ x >> 29);
        i += 1;
    }
    m
};

/// One word's share of a tag. A zero word contributes nothing, so that a program which leaves
/// unused words out computes the same tag.
#[inline(always)]
pub const fn tag_word(i: usize, word: u64) -> u64 {
    // folded first: the top bit alone times an odd number is the top bit, whatever the number
    (word ^ word >> 32).wrapping_mul(MULTIPLIERS[i])
}

/// The tag of a sum of [`tag_word`]s.
#[inline(always)]
pub const fn tag_of_sum(sum: u64) -> u32 {
    (sum.wrapping_mul(0xff51_afd7_ed55_8ccd) >> 40) as u32
}

/// The share of the subtable's id in a tag.
#[inline(always)]
pub const fn tag_subtable(subtable: u32) -> u64 {
    tag_word(KEY_WORDS, subtable as u64)
}

/// Digest of subtable and masked key: 24 bits.
pub fn tag(subtable: u32, masked: &FlowKey) -> u32 {
    let sum = (0..KEY_WORDS).fold(tag_subtable(subtable), |s, i| s.wrapping_add(tag_word(i, masked.words[i])));
    tag_of_sum(sum)
}

/// Word index and bit of a tag in a subtable's filter of 64 Kbit.
#[inline(always)]
pub const fn filter_bit(tag: u32) -> (u32, u32) {
    (tag >> 6 & 1023, tag & 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_keeps_its_three_parts() {
        let s = Slot::new(MAX_FLOW_ID, 0xabcd, 0x12_3456);
        assert_eq!((s.flow(), s.priority(), s.tag()), (MAX_FLOW_ID, 0xabcd, 0x12_3456));
        assert!(Slot::default().is_absent());
    }

    #[test]
    fn the_next_slot_takes_over_at_its_version() {
        let v = FlowValue { current: Slot(1), next: Slot(2), ver_next: 7 };
        assert_eq!((v.slot(6), v.slot(7), v.slot(8)), (Slot(1), Slot(2), Slot(2)));
    }

    #[test]
    fn tags_depend_on_subtable_and_every_word() {
        let mut seen = std::collections::HashSet::new();
        seen.insert(tag(1, &FlowKey::default()));
        seen.insert(tag(2, &FlowKey::default()));
        for i in 0..KEY_WORDS {
            let mut k = FlowKey::default();
            k.words[i] = 1;
            seen.insert(tag(1, &k));
            k.words[i] = 1 << 63;
            seen.insert(tag(1, &k));
        }
        assert_eq!(seen.len(), 2 + 2 * KEY_WORDS);
    }
}
