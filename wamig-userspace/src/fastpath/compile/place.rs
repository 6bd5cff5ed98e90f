//! Where the fields that actions write are in a frame: as bits of eight bytes at an offset
//! into a header, with what must be there and which checksums cover them (RFC 791, 793, 768,
//! 792, 826, 8200, 4443, 4861, 3032, IEEE 802.1Q and 802.1ah).

use wamig_common::action::{
    BASE_L2, BASE_L3, BASE_L4, BASE_ND_LL, BASE_TYPE, NEED_ARP, NEED_IPV4, NEED_IPV6, NEED_L4, NEED_MPLS, NEED_ND,
    NEED_ND_LL, NEED_PBB, NEED_TAG, SUM_IPV4, SUM_L4, SUM_PSEUDO, slot,
};
use wamig_openflow::flow_match::{ETH_TYPE_IPV4, ETH_TYPE_IPV6};
use wamig_openflow::{Action, Field, Match};

/// All `NEED_*` flags.
pub const NEEDS: u16 =
    NEED_IPV4 | NEED_IPV6 | NEED_ARP | NEED_L4 | NEED_TAG | NEED_MPLS | NEED_PBB | NEED_ND | NEED_ND_LL;

/// The IP version that a match fixes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum L3 {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl L3 {
    /// What the match says.
    pub fn of(matching: &Match) -> Option<Self> {
        Self::named(matching.get(Field::EthType)?.value as u16)
    }

    fn named(eth_type: u16) -> Option<Self> {
        match eth_type {
            ETH_TYPE_IPV4 => Some(Self::V4),
            ETH_TYPE_IPV6 => Some(Self::V6),
            _ => None,
        }
    }

    /// What is known behind an action, when `before` is known in front of it.
    pub fn after(action: &Action, before: Option<Self>) -> Option<Self> {
        match action {
            Action::PopMpls(eth_type) => Self::named(*eth_type),
            Action::SetField { field: Field::EthType, value, .. } => Self::named(*value as u16),
            Action::PushMpls(_) | Action::PushPbb(_) | Action::PopPbb => None,
            _ => before,
        }
    }
}

/// Bits of a field within eight bytes of a header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Header.
    pub base: u8,
    /// First of the eight bytes; even where a checksum covers them.
    pub off: u8,
    /// Lowest bit there; the first byte is most significant.
    pub shift: u32,
    /// Width.
    pub bits: u32,
    /// Lowest bit of the field that lands here.
    pub from: u32,
    /// `NEED_*` and `SUM_*`.
    pub flags: u16,
}

const fn at(base: u8, off: u8, shift: u32, bits: u32, flags: u16) -> Place {
    Place { base, off, shift, bits, from: 0, flags }
}

/// Where a field is; an IPv6 address has two places, any other field one. `None`: the field is not in the frame, its
/// place is not told by the headers that the layout names (the protocol), or it depends on the
/// IP version and that is unknown.
pub fn places(field: Field, l3: Option<L3>) -> Option<[Option<Place>; 2]> {
    const ADDR4: u16 = NEED_IPV4 | SUM_IPV4 | SUM_PSEUDO;
    const ADDR6: u16 = NEED_IPV6 | SUM_PSEUDO;
    const L4: u16 = NEED_L4 | SUM_L4;
    let one = match field {
        Field::InPort | Field::Metadata | Field::IpProto | Field::InPhyPort | Field::TunnelId | Field::Ipv6Exthdr => {
            return None;
        }
        Field::EthType => at(BASE_TYPE, 0, 48, 16, 0),
        Field::EthDst => at(BASE_L2, 0, 16, 48, 0),
        Field::EthSrc => at(BASE_L2, 6, 16, 48, 0),
        Field::VlanVid | Field::VlanPcp => tag(field),
        Field::IpDscp | Field::IpEcn => tos(field, l3?),
        Field::Ipv4Src => at(BASE_L3, 12, 32, 32, ADDR4),
        Field::Ipv4Dst => at(BASE_L3, 16, 32, 32, ADDR4),
        Field::TcpSrc | Field::UdpSrc | Field::TcpDst | Field::UdpDst => port(field),
        // CRC32c covers the whole packet: the slow path computes it anew.
        Field::SctpSrc => at(BASE_L4, 0, 48, 16, NEED_L4),
        Field::SctpDst => at(BASE_L4, 2, 48, 16, NEED_L4),
        Field::Icmpv4Type | Field::Icmpv6Type => at(BASE_L4, 0, 56, 8, L4),
        Field::Icmpv4Code | Field::Icmpv6Code => at(BASE_L4, 0, 48, 8, L4),
        Field::ArpOp => at(BASE_L3, 6, 48, 16, NEED_ARP),
        Field::ArpSha => at(BASE_L3, 8, 16, 48, NEED_ARP),
        Field::ArpSpa => at(BASE_L3, 14, 32, 32, NEED_ARP),
        Field::ArpTha => at(BASE_L3, 18, 16, 48, NEED_ARP),
        Field::ArpTpa => at(BASE_L3, 24, 32, 32, NEED_ARP),
        Field::Ipv6Flabel => at(BASE_L3, 0, 32, 20, NEED_IPV6),
        Field::Ipv6NdTarget => return Some(of_halves(BASE_L4, 8, L4 | NEED_ND)),
        Field::Ipv6NdSll | Field::Ipv6NdTll => at(BASE_ND_LL, 0, 16, 48, L4 | NEED_ND_LL),
        Field::MplsLabel => at(BASE_L3, 0, 44, 20, NEED_MPLS),
        Field::MplsTc => at(BASE_L3, 0, 41, 3, NEED_MPLS),
        Field::MplsBos => at(BASE_L3, 0, 40, 1, NEED_MPLS),
        Field::PbbIsid => at(BASE_L3, 0, 32, 24, NEED_PBB),
        Field::Ipv6Src => return Some(of_halves(BASE_L3, 8, ADDR6)),
        Field::Ipv6Dst => return Some(of_halves(BASE_L3, 24, ADDR6)),
    };
    Some([Some(one), None])
}

/// Where [`Field::VlanVid`] or [`Field::VlanPcp`] is, in the outermost tag.
pub fn tag(field: Field) -> Place {
    // Behind the tag's type; the present bit has no place in the frame.
    if field == Field::VlanVid { at(BASE_L2, 12, 32, 12, NEED_TAG) } else { at(BASE_L2, 12, 45, 3, NEED_TAG) }
}

/// Where a source or destination port of TCP or UDP is.
pub fn port(field: Field) -> Place {
    let source = matches!(field, Field::TcpSrc | Field::UdpSrc);
    at(BASE_L4, if source { 0 } else { 2 }, 48, 16, NEED_L4 | SUM_L4)
}

fn of_halves(base: u8, off: u8, flags: u16) -> [Option<Place>; 2] {
    [Some(Place { from: 64, ..at(base, off, 0, 64, flags) }), Some(at(base, off + 8, 0, 64, flags))]
}

fn tos(field: Field, l3: L3) -> Place {
    // IPv4: the second byte. IPv6: the eight bits behind the version.
    let (byte, flags) = match l3 {
        L3::V4 => (48, NEED_IPV4 | SUM_IPV4),
        L3::V6 => (52, NEED_IPV6),
    };
    if field == Field::IpDscp { at(BASE_L3, 0, byte + 2, 6, flags) } else { at(BASE_L3, 0, byte, 2, flags) }
}

/// Where the TTL or hop limit is.
pub fn ttl(l3: L3) -> Place {
    match l3 {
        L3::V4 => at(BASE_L3, 8, 56, 8, NEED_IPV4 | SUM_IPV4),
        L3::V6 => at(BASE_L3, 0, 0, 8, NEED_IPV6),
    }
}

/// Where the TTL of the outermost MPLS label stack entry is.
pub fn mpls_ttl() -> Place {
    at(BASE_L3, 0, 32, 8, NEED_MPLS)
}

/// A field's slot in the action set; IPv6 addresses have the next one as well.
pub fn slot(field: Field) -> u8 {
    SLOTS[field as usize]
}

const SLOTS: [u8; Field::ALL.len()] = {
    let (mut slots, mut next, mut i) = ([0; Field::ALL.len()], slot::FIRST_SET, 0);
    while i < slots.len() {
        slots[i] = next;
        if Field::ALL[i].settable() {
            next += if Field::ALL[i].bits() > 64 { 2 } else { 1 };
        }
        i += 1;
    }
    slots
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_settable_field_has_a_slot_of_its_own() {
        let mut taken = Vec::new();
        for f in Field::ALL.iter().filter(|f| f.settable()) {
            for i in 0..places(*f, Some(L3::V4)).map_or(1, |p| p.iter().flatten().count()) as u8 {
                let s = slot(*f) + i;
                assert!((slot::FIRST_SET..=slot::LAST_SET).contains(&s), "{f:?}");
                assert!(!taken.contains(&s), "{f:?}");
                taken.push(s);
            }
        }
        assert_eq!(taken.last(), Some(&slot::LAST_SET));
    }

    #[test]
    fn places_are_as_wide_as_their_fields_and_checksummed_ones_are_even() {
        for f in Field::ALL.iter().filter(|f| f.settable() && **f != Field::VlanVid) {
            for l3 in [L3::V4, L3::V6] {
                let Some(places) = places(*f, Some(l3)) else { continue };
                assert_eq!(places.iter().flatten().map(|p| p.bits).sum::<u32>(), u32::from(f.bits()), "{f:?}");
                for p in places.iter().flatten().chain([&ttl(l3)]) {
                    assert!(p.shift + p.bits <= 64, "{f:?}");
                    assert!(p.flags & (SUM_IPV4 | SUM_PSEUDO | SUM_L4) == 0 || p.off % 2 == 0, "{f:?}");
                }
            }
        }
    }
}
