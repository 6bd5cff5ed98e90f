//! What the tables hold: the values of the BPF maps, and how they are read.
//!
//! A flow is found by (subtable, masked key) → [`FlowValue`] → [`Slot`] → [`FlowRecord`] →
//! action lists. A `FlowValue` holds the slot of the present version and of the next one, so
//! that a whole batch becomes visible by one store of the version number.
//!
//! The value of a key that is there is changed in place, word by word: the kernel's own update
//! puts a new element beside the old one and frees that at once, so that a reader on its way
//! through the bucket may find neither, or another key's value.

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

/// Value of the flow map: two slots, each from a version on. A reader takes the newest that is
/// not newer than itself, so the older one can be replaced under its eyes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FlowValue {
    /// The version from which each slot counts. Stored after the slot.
    pub since: [u64; 2],
    /// The slots.
    pub slots: [Slot; 2],
}

impl FlowValue {
    /// The value of a key that has a flow from `version` on, and had none before.
    pub const fn new(version: u64, slot: Slot) -> Self {
        Self { since: [version, 0], slots: [slot, Slot(0)] }
    }

    /// The same with another slot from `version` on, in the place of the older one.
    #[must_use]
    pub const fn then(mut self, version: u64, slot: Slot) -> Self {
        let older = if self.since[0] > self.since[1] { 1 } else { 0 };
        self.since[older] = version;
        self.slots[older] = slot;
        self
    }

    /// Which slot a reader of `version` takes. It is not older than both: a value is changed
    /// again only when no reader is left that is older than the last change.
    #[inline(always)]
    pub const fn choose(since: [u64; 2], version: u64) -> usize {
        let first = since[0] <= version && (since[1] > version || since[0] > since[1]);
        if first { 0 } else { 1 }
    }

    /// The slot that a reader of `version` sees.
    #[inline(always)]
    pub const fn slot(&self, version: u64) -> Slot {
        self.slots[Self::choose(self.since, version)]
    }

    /// The newest slot.
    pub const fn newest(&self) -> Slot {
        self.slot(u64::MAX)
    }

    /// The value with nothing in it for anybody, before its key is deleted: the kernel may give
    /// the memory to another key at once, and a reader that has it in hand must not put words
    /// of both together.
    #[must_use]
    pub const fn emptied(mut self) -> Self {
        self.slots = [Slot(0); 2];
        self
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

/// Entry of the flow map: its key is the [`digest`] of this key, which a reader compares.
/// Hashing eight bytes is what makes a lookup cheap. Two keys in use of one digest (one in
/// some 10^7 tables of a million flows, unless somebody looks for a pair) cannot both be held.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FlowEntry {
    /// Value.
    pub value: FlowValue,
    /// Key.
    pub key: FlowMapKey,
}

/// A mask in a table's search order.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SubtableRef {
    /// Subtable id.
    pub subtable: u32,
    /// Highest priority in it; the search ends when a better flow is known.
    pub max_priority: u16,
    /// The EtherType that all its flows ask for; 0 = not all ask for the same.
    pub eth_type: u16,
}

impl SubtableRef {
    /// Whether a flow that asks for this EtherType (0 = for none) may be found in it.
    pub const fn admits(&self, eth_type: u64) -> bool {
        self.eth_type == 0 || self.eth_type as u64 == eth_type
    }
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
    /// The meter's OpenFlow number, [`NONE`] = none; slow path only.
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

const _: () = assert!(
    size_of::<FlowRecord>() == 32
        && size_of::<FlowMapKey>() == 112
        && size_of::<FlowEntry>() == 144
        && size_of::<Table>() == 520
);

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
    /// The flow map's value for `key` under `mask` in `subtable`, as `version` sees it; absent
    /// if there is no such key. `digest` is that of the masked key.
    fn lookup(&self, subtable: u32, key: &FlowKey, mask: &FlowMask, digest: u64, version: u64) -> Slot;
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

/// The digest of a sum of [`tag_word`]s.
#[inline(always)]
pub const fn digest_of_sum(sum: u64) -> u64 {
    sum.wrapping_mul(0xff51_afd7_ed55_8ccd)
}

/// A digest's tag: its upper 24 bits.
#[inline(always)]
pub const fn tag_of_digest(digest: u64) -> u32 {
    (digest >> 40) as u32
}

/// The share of the subtable's id in a tag.
#[inline(always)]
pub const fn tag_subtable(subtable: u32) -> u64 {
    tag_word(KEY_WORDS, subtable as u64)
}

/// Digest of subtable and masked key.
pub fn digest(subtable: u32, masked: &FlowKey) -> u64 {
    let sum = (0..KEY_WORDS).fold(tag_subtable(subtable), |s, i| s.wrapping_add(tag_word(i, masked.words[i])));
    digest_of_sum(sum)
}

/// Its tag: 24 bits.
pub fn tag(subtable: u32, masked: &FlowKey) -> u32 {
    tag_of_digest(digest(subtable, masked))
}

impl FlowMapKey {
    /// Its digest.
    pub fn digest(&self) -> u64 {
        digest(self.subtable as u32, &FlowKey { words: self.words })
    }
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
    fn a_reader_takes_the_newest_slot_that_is_not_newer_than_itself() {
        let seen = |v: &FlowValue, from| (from..from + 5).map(|version| v.slot(version).0).collect::<Vec<_>>();
        let first = FlowValue::new(5, Slot(1));
        assert_eq!(seen(&first, 3), [0, 0, 1, 1, 1]);
        let second = first.then(7, Slot(2));
        assert_eq!(seen(&second, 5), [1, 1, 2, 2, 2]);
        let gone = second.then(9, Slot(0));
        assert_eq!(seen(&gone, 7), [2, 2, 0, 0, 0]);
        assert_eq!((second.newest(), gone.newest()), (Slot(2), Slot(0)));
    }

    #[test]
    fn the_older_slot_is_replaced_unseen() {
        let value = FlowValue::new(5, Slot(1)).then(7, Slot(2));
        let new = value.then(9, Slot(3));
        let place = usize::from(new.since[0] != 9);
        let mut half = value;
        half.slots[place] = Slot(3);
        for stage in [value, half, new] {
            assert_eq!((stage.slot(7), stage.slot(8)), (Slot(2), Slot(2)), "{stage:?}");
        }
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
