//! The verdict cache: the way that a plain frame took through the tables, found again by the
//! frame's key and the version of the tables.
//!
//! It makes many masks and many tables cost no more than one, and saves even a single lookup
//! in a large table. Each CPU has a cache of its own. Any change of any table makes all of it old at once, since the version is compared;
//! so an entry names flows and lists that are still what they were. Whatever counts a frame
//! on the long way counts it on this one, from the flows in the entry.

use crate::entry::{digest_of_sum, tag_word};
use crate::key::FlowKey;
use crate::limits::{CACHE_SETS, MAX_TABLES};

/// [`Entry::apply`]: some table had no flow for the frame.
pub const MISS: u32 = u32::MAX;
/// [`Entry::apply`]: the frame takes the general walk.
pub const GENERAL: u32 = u32::MAX - 1;
/// Entries that a digest may be in.
pub const WAYS: usize = 2;

/// All that a plain frame's key can differ in from another's: MAC addresses with protocol and
/// type of service, IPv4 addresses, ports with the ingress port. Words that no mask reads are
/// zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct PlainKey(pub [u64; 4]);

impl PlainKey {
    /// The key of a plain frame of which the words `used` were read; metadata is zero.
    #[inline(always)]
    pub fn of(key: &FlowKey, used: u32) -> Self {
        let word = |i: usize| if used >> i & 1 != 0 { key.words[i] } else { 0 };
        // A plain frame has no tag, IPv4 addresses of 32 bits, and no label.
        Self([word(2), word(3), word(4) << 32 | word(6), word(8) << 32 | word(1) & 0xffff_ffff])
    }

    /// The set of the cache that it may be in.
    #[inline(always)]
    pub const fn set(&self) -> u32 {
        let sum = tag_word(0, self.0[0])
            .wrapping_add(tag_word(1, self.0[1]))
            .wrapping_add(tag_word(2, self.0[2]))
            .wrapping_add(tag_word(3, self.0[3]));
        (digest_of_sum(sum) >> 40) as u32 & (CACHE_SETS - 1)
    }
}

/// A way through the tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Entry {
    /// The version of the tables that it holds for; 0 = none.
    pub version: u64,
    /// Whose it is.
    pub key: PlainKey,
    /// List of actions of the last flow (0 = none), [`MISS`] or [`GENERAL`].
    pub apply: u32,
    /// Tables that were searched.
    pub steps: u32,
    /// Flow and table (in the upper 8 bits) of each.
    pub path: [u32; MAX_TABLES],
    /// Zero: an entry takes two cache lines.
    pub reserved: [u64; 2],
}

const _: () = assert!(size_of::<Entry>() == 128);

impl Entry {
    /// Whether it tells what `key` meets at `version`.
    #[inline(always)]
    pub const fn holds(&self, key: &PlainKey, version: u64) -> bool {
        let differs = self.key.0[0] ^ key.0[0] | self.key.0[1] ^ key.0[1];
        let differs = differs | self.key.0[2] ^ key.0[2] | self.key.0[3] ^ key.0[3];
        differs | (self.version ^ version) == 0
    }
}

/// The entries of the digests that share them.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Set(pub [Entry; WAYS]);

/// A frame that is not found costs time, and so does remembering it. Where nothing is ever
/// found again (a scan), only some frames are looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Luck {
    /// Frames found.
    pub hits: u64,
    /// Frames since one was found.
    pub cold: u64,
}

/// So many frames in a row may be looked for in vain.
const PATIENCE: u64 = 512;
/// After that, and where an entry of another frame would have to go, one frame of so many.
const SELDOM: u64 = 16;

impl Luck {
    /// Whether to look for the next frame.
    #[inline(always)]
    pub const fn tries(&self) -> bool {
        self.cold < PATIENCE || self.cold.is_multiple_of(SELDOM)
    }

    /// Whether a frame that was not found takes the place of another.
    #[inline(always)]
    pub const fn replaces(&self) -> bool {
        self.cold.is_multiple_of(SELDOM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{
        ALL_WORDS, ETH_DST, ETH_SRC, FlowKey, IN_PORT, IP_PROTO, IP_TOS, IPV4_DST, IPV4_SRC, TP_DST, TP_SRC,
    };

    #[test]
    fn every_field_of_a_plain_frame_makes_another_key() {
        let fields = [IN_PORT, ETH_DST, ETH_SRC, IP_PROTO, IP_TOS, IPV4_SRC, IPV4_DST, TP_SRC, TP_DST];
        let mut keys = std::collections::HashSet::from([PlainKey::default().0]);
        for field in fields {
            for bit in 0..field.bits {
                let mut key = FlowKey::default();
                key.set(field, 1 << bit);
                assert!(keys.insert(PlainKey::of(&key, ALL_WORDS).0), "{field:?} bit {bit}");
                assert_eq!(PlainKey::of(&key, ALL_WORDS & !(1 << field.word)), PlainKey::default());
            }
        }
    }

    #[test]
    fn an_entry_holds_for_its_key_and_version_only() {
        let key = PlainKey([1, 2, 3, 4]);
        let entry = Entry { version: 7, key, ..Entry::default() };
        assert!(entry.holds(&key, 7) && !entry.holds(&key, 8) && !Entry::default().holds(&PlainKey::default(), 1));
        for i in 0..4 {
            let mut other = key;
            other.0[i] ^= 1 << 63;
            assert!(!entry.holds(&other, 7));
        }
    }

    #[test]
    fn sets_are_used_evenly() {
        let mut frames = vec![0u32; CACHE_SETS as usize];
        for i in 0..4 * u64::from(CACHE_SETS) {
            frames[PlainKey([0x35, 7, 0x0a00_0001_c000_0200 + i, 0x9c40_0035_0000_0001]).set() as usize] += 1;
        }
        assert!(frames.iter().all(|n| *n <= 20), "{:?}", frames.iter().max());
    }

    #[test]
    fn a_scan_is_looked_for_seldom_and_a_hit_ends_that() {
        let tried = |from| (from..from + 1600).filter(|cold| Luck { cold: *cold, hits: 0 }.tries()).count();
        assert_eq!((tried(PATIENCE), Luck::default().tries()), (100, true));
    }
}
