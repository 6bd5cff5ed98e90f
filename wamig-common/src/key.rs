//! The key that a frame is classified by: 104 bytes, 13 words.
//!
//! The key is an array of words rather than a struct of fields, so that masking, hashing and
//! comparing are loops over words on every target, and no byte order or padding can leak into
//! a map. All fields are numbers in host order, most significant bit first: an IPv4 address
//! `10.0.0.1` is `0x0a00_0001`, a MAC address its 48 bits.
//!
//! ```text
//! word 63..56   55..48    47..32      31..16     15..0
//!  0   metadata .....................................
//!  1   eth_type(16)       vlan_tci    in_port (32) ..
//!  2   ip_tos   ip_proto  eth_dst (48) ..............
//!  3   has      frag      eth_src (48) ..............
//!  4   l3_src, high half of IPv6   | IPv4/ARP sender address in 31..0
//!  5   l3_src, low half of IPv6    | ARP sender MAC in 47..0
//!  6   l3_dst, high half of IPv6   | IPv4/ARP target address in 31..0
//!  7   l3_dst, low half of IPv6    | ARP target MAC in 47..0
//!  8   label (32: IPv6 flow label, MPLS entry or PBB I-SID)  tp_dst  tp_src
//!  9   nd_target, high half
//! 10   nd_target, low half
//! 11   exthdr (16)        nd_ll (48)
//! 12   tunnel_id
//! ```
//!
//! `label`, `nd_ll` and the words of addresses serve several fields: a match says by its
//! EtherType, protocol and ICMPv6 type which one it means.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Words of a key.
pub const KEY_WORDS: usize = 13;
/// A bit for each word: "all words are used".
pub const ALL_WORDS: u32 = (1 << KEY_WORDS) - 1;

/// `vlan_tci`: the bit that says "a tag is there" (the place of CFI/DEI in the frame).
pub const VLAN_PRESENT: u16 = 0x1000;
/// `has`: the L3 header that the EtherType names could be read. A match on one of its fields
/// compares this bit as well: a field that is not there is not a field of value 0.
pub const HAS_L3: u8 = 1;
/// `has`: so could the L4 header (none in later fragments; OpenFlow 1.3.5 §7.3.2).
pub const HAS_L4: u8 = 2;
/// `has`: the ICMPv6 message is a neighbour solicitation or advertisement, whole to its target.
pub const HAS_ND: u8 = 4;
/// `has`: it has a link-layer address option (source of a solicitation, target of an advertisement).
pub const HAS_ND_LL: u8 = 8;
/// `has`: no frame has this bit, so that a match which contradicts itself meets none.
pub const HAS_NEVER: u8 = 0x80;
/// `frag`: the frame is a fragment.
pub const FRAG_ANY: u8 = 1;
/// `frag`: it is not the first one, so it has no L4 header.
pub const FRAG_LATER: u8 = 2;

/// A key, or the mask of a key.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FlowKey {
    /// The words laid out above.
    pub words: [u64; KEY_WORDS],
}

/// The mask of a key: a bit that is set is compared.
pub type FlowMask = FlowKey;

const _: () = assert!(size_of::<FlowKey>() == 104);

/// Where a field lives in the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyField {
    /// Word, 0..[`KEY_WORDS`].
    pub word: usize,
    /// Lowest bit in that word.
    pub shift: u32,
    /// Width, 1..=64.
    pub bits: u32,
}

const fn field(word: usize, shift: u32, bits: u32) -> KeyField {
    KeyField { word, shift, bits }
}

/// Pipeline metadata.
pub const METADATA: KeyField = field(0, 0, 64);
/// Ingress port, OpenFlow number.
pub const IN_PORT: KeyField = field(1, 0, 32);
/// Outer tag: priority 15..13, [`VLAN_PRESENT`] 12, id 11..0; 0 = untagged.
pub const VLAN_TCI: KeyField = field(1, 32, 16);
/// EtherType behind at most two tags; 0x05ff for an 802.3 frame without one.
pub const ETH_TYPE: KeyField = field(1, 48, 16);
/// Destination MAC.
pub const ETH_DST: KeyField = field(2, 0, 48);
/// IPv4 protocol, IPv6 upper-layer header.
pub const IP_PROTO: KeyField = field(2, 48, 8);
/// IPv4 type of service, IPv6 traffic class: DSCP 7..2, ECN 1..0.
pub const IP_TOS: KeyField = field(2, 56, 8);
/// [`HAS_L3`] to [`HAS_ND_LL`].
pub const HAS: KeyField = field(3, 56, 8);
/// ARP opcode, where IP packets have type of service and protocol.
pub const ARP_OP: KeyField = field(2, 48, 16);
/// Source MAC.
pub const ETH_SRC: KeyField = field(3, 0, 48);
/// [`FRAG_ANY`], [`FRAG_LATER`].
pub const FRAG: KeyField = field(3, 48, 8);
/// IPv4 source or ARP sender protocol address.
pub const IPV4_SRC: KeyField = field(4, 0, 32);
/// IPv4 destination or ARP target protocol address.
pub const IPV4_DST: KeyField = field(6, 0, 32);
/// ARP sender hardware address.
pub const ARP_SHA: KeyField = field(5, 0, 48);
/// ARP target hardware address.
pub const ARP_THA: KeyField = field(7, 0, 48);
/// IPv6 source, bits 127..64.
pub const IPV6_SRC_HI: KeyField = field(4, 0, 64);
/// IPv6 source, bits 63..0.
pub const IPV6_SRC_LO: KeyField = field(5, 0, 64);
/// IPv6 destination, bits 127..64.
pub const IPV6_DST_HI: KeyField = field(6, 0, 64);
/// IPv6 destination, bits 63..0.
pub const IPV6_DST_LO: KeyField = field(7, 0, 64);
/// L4 source port, or ICMP type.
pub const TP_SRC: KeyField = field(8, 0, 16);
/// L4 destination port, or ICMP code.
pub const TP_DST: KeyField = field(8, 16, 16);
/// IPv6 flow label (20 bits); outermost MPLS label stack entry without its TTL (label 31..12,
/// traffic class 11..9, bottom of stack 8); or PBB I-SID (24 bits).
pub const LABEL: KeyField = field(8, 32, 32);
/// Target of a neighbour solicitation or advertisement, bits 127..64.
pub const ND_TARGET_HI: KeyField = field(9, 0, 64);
/// Its bits 63..0.
pub const ND_TARGET_LO: KeyField = field(10, 0, 64);
/// Link-layer address option of such a message.
pub const ND_LL: KeyField = field(11, 0, 48);
/// IPv6 extension headers (`ofp_ipv6exthdr_flags`): see [`crate::extract::exthdr`].
pub const EXTHDR: KeyField = field(11, 48, 16);
/// Tunnel id: 0 unless an action has set it.
pub const TUNNEL_ID: KeyField = field(12, 0, 64);

impl KeyField {
    /// All bits of the field set, at bit 0.
    pub const fn ones(self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }
}

impl FlowKey {
    /// The field's number.
    pub const fn get(&self, f: KeyField) -> u64 {
        (self.words[f.word] >> f.shift) & f.ones()
    }

    /// Replaces the field; bits of `value` beyond its width are dropped.
    pub const fn set(&mut self, f: KeyField, value: u64) {
        let ones = f.ones();
        self.words[f.word] = self.words[f.word] & !(ones << f.shift) | (value & ones) << f.shift;
    }

    /// The key with every bit outside `mask` cleared.
    #[must_use]
    pub fn masked(&self, mask: &FlowMask) -> Self {
        let mut out = *self;
        for (w, m) in out.words.iter_mut().zip(&mask.words) {
            *w &= m;
        }
        out
    }

    /// True when `self` agrees with `key` in every bit of `mask`.
    pub fn matches(&self, key: &Self, mask: &FlowMask) -> bool {
        (0..KEY_WORDS).all(|i| (self.words[i] ^ key.words[i]) & mask.words[i] == 0)
    }

    /// Which words are not zero, a bit each.
    pub fn used_words(&self) -> u32 {
        (0..KEY_WORDS).fold(0, |used, i| used | u32::from(self.words[i] != 0) << i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_reads_back_and_leaves_its_neighbours() {
        let mut key = FlowKey { words: [u64::MAX; KEY_WORDS] };
        key.set(VLAN_TCI, 0);
        assert_eq!(key.get(VLAN_TCI), 0);
        assert_eq!(key.get(IN_PORT), 0xffff_ffff);
        assert_eq!(key.get(ETH_TYPE), 0xffff);
        key.set(VLAN_TCI, 0x1_2345);
        assert_eq!(key.get(VLAN_TCI), 0x2345);
    }

    #[test]
    fn used_words_follow_the_mask() {
        let mut mask = FlowMask::default();
        mask.set(IN_PORT, 1);
        mask.set(TP_DST, 1);
        assert_eq!(mask.used_words(), 1 << 1 | 1 << 8);
    }
}
