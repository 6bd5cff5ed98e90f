//! A match: which frames a flow takes (OpenFlow 1.3.5 §7.2.3).

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use crate::error::{ErrorKind, OfpError};
use crate::field::Field;
use crate::types::{MacAddr, PortNo};

/// `OFPVID_PRESENT`: the bit of [`Field::VlanVid`] that says "tagged".
pub const VID_PRESENT: u16 = 0x1000;
/// EtherType of IPv4.
pub const ETH_TYPE_IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ETH_TYPE_ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub const ETH_TYPE_IPV6: u16 = 0x86dd;

/// Value and mask of one field; `value & !mask` is always 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Masked {
    /// The bits compared with the frame's.
    pub value: u128,
    /// Which bits are compared.
    pub mask: u128,
}

/// Fields with value and mask; a field that is absent matches everything.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Match {
    /// Ascending, each field once.
    fields: Vec<(Field, Masked)>,
}

/// An address as the number that a field holds.
pub const fn address_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => a.to_bits() as u128,
        IpAddr::V6(a) => a.to_bits(),
    }
}

impl fmt::Debug for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Match").field("fields", &self.iter().collect::<BTreeMap<_, _>>()).finish()
    }
}

impl Match {
    /// The match that takes every frame.
    pub fn any() -> Self {
        Self::default()
    }

    /// Adds an exact value; bits beyond the field's width are dropped.
    #[must_use]
    pub fn with(self, field: Field, value: u128) -> Self {
        self.with_masked(field, value, field.full_mask())
    }

    /// Adds a masked value; a zero mask removes the field.
    #[must_use]
    pub fn with_masked(mut self, field: Field, value: u128, mask: u128) -> Self {
        let mask = mask & field.full_mask();
        let masked = Masked { value: value & mask, mask };
        match (self.place(field), mask) {
            (Ok(at), 0) => drop(self.fields.remove(at)),
            (Err(_), 0) => {}
            (Ok(at), _) => self.fields[at].1 = masked,
            (Err(at), _) => self.fields.insert(at, (field, masked)),
        }
        self
    }

    /// `in_port=PORT`.
    #[must_use]
    pub fn in_port(self, port: PortNo) -> Self {
        self.with(Field::InPort, u128::from(port.0))
    }

    /// `eth_type=0x0806`.
    #[must_use]
    pub fn arp(self) -> Self {
        self.with(Field::EthType, u128::from(ETH_TYPE_ARP))
    }

    /// `eth_type=0x0800`.
    #[must_use]
    pub fn ipv4(self) -> Self {
        self.with(Field::EthType, u128::from(ETH_TYPE_IPV4))
    }

    /// A MAC field, exact.
    #[must_use]
    pub fn mac(self, field: Field, mac: MacAddr) -> Self {
        self.with(field, u128::from(mac.to_u64()))
    }

    /// `eth_type=0x86dd`.
    #[must_use]
    pub fn ipv6(self) -> Self {
        self.with(Field::EthType, u128::from(ETH_TYPE_IPV6))
    }

    /// A field that holds an IP address (of IP, ARP or ND), exact. The address is of the field's family.
    #[must_use]
    pub fn ip(self, field: Field, addr: impl Into<IpAddr>) -> Self {
        self.with(field, address_bits(addr.into()))
    }

    /// The same under a prefix of `len` bits (more than the field has count as all).
    #[must_use]
    pub fn ip_prefix(self, field: Field, addr: impl Into<IpAddr>, len: u8) -> Self {
        let hosts = u32::from(field.bits().saturating_sub(len));
        let mask = field.full_mask().checked_shl(hosts).unwrap_or(0);
        self.with_masked(field, address_bits(addr.into()), mask)
    }

    /// Where a field is, or belongs.
    fn place(&self, field: Field) -> Result<usize, usize> {
        self.fields.binary_search_by_key(&field, |(field, _)| *field)
    }

    /// What the match says about one field.
    pub fn get(&self, field: Field) -> Option<Masked> {
        self.place(field).ok().map(|at| self.fields[at].1)
    }

    /// The fields, in OXM order.
    pub fn iter(&self) -> impl Iterator<Item = (Field, Masked)> + '_ {
        self.fields.iter().copied()
    }

    /// True when the match takes every frame.
    pub fn is_any(&self) -> bool {
        self.fields.is_empty()
    }

    /// True when every frame that `self` takes is taken by `wider` as well (the loose
    /// matching of modify and delete, §6.4).
    pub fn is_within(&self, wider: &Self) -> bool {
        wider
            .iter()
            .all(|(field, w)| self.get(field).is_some_and(|m| m.mask & w.mask == w.mask && m.value & w.mask == w.value))
    }

    /// True when some frame could match both (the overlap check of §6.4).
    pub fn overlaps(&self, other: &Self) -> bool {
        self.iter().all(|(field, a)| other.get(field).is_none_or(|b| (a.value ^ b.value) & a.mask & b.mask == 0))
    }

    /// Checks prerequisites (§7.2.3.8) and masks.
    ///
    /// # Errors
    /// `OFPBMC_BAD_PREREQ` or `OFPBMC_BAD_MASK`, naming the field.
    pub fn validate(&self) -> Result<(), OfpError> {
        self.iter().try_for_each(|(field, m)| check(field, m, |other| self.get(other)))
    }
}

/// Checks one field of a match, of which `get` says what it has, as [`Match::validate`] does.
///
/// # Errors
/// `OFPBMC_BAD_PREREQ` or `OFPBMC_BAD_MASK`, naming the field.
pub fn check(field: Field, m: Masked, get: impl Fn(Field) -> Option<Masked>) -> Result<(), OfpError> {
    if !field.maskable() && m.mask != field.full_mask() {
        return Err(OfpError::new(ErrorKind::BadMatchBadMask, format!("{} takes no mask", field.name())));
    }
    prerequisite(field, get)
        .map_err(|needs| OfpError::new(ErrorKind::BadMatchBadPrereq, format!("{} needs {needs}", field.name())))
}

fn prerequisite(field: Field, get: impl Fn(Field) -> Option<Masked>) -> Result<(), &'static str> {
    let exactly = |field: Field| get(field).filter(|m| m.mask == field.full_mask()).map(|m| m.value);
    let eth = || exactly(Field::EthType);
    let proto = |number: u128| exactly(Field::IpProto) == Some(number);
    let v4 = || eth() == Some(u128::from(ETH_TYPE_IPV4));
    let v6 = || eth() == Some(u128::from(ETH_TYPE_IPV6));
    let ip = || matches!(eth().map(|n| n as u16), Some(ETH_TYPE_IPV4 | ETH_TYPE_IPV6));
    let nd = |types: &[u128]| v6() && proto(58) && exactly(Field::Icmpv6Type).is_some_and(|t| types.contains(&t));
    let need = |ok: bool, what| if ok { Ok(()) } else { Err(what) };
    match field {
        Field::InPort
        | Field::Metadata
        | Field::EthDst
        | Field::EthSrc
        | Field::EthType
        | Field::VlanVid
        | Field::TunnelId => Ok(()),
        Field::InPhyPort => need(get(Field::InPort).is_some(), "in_port"),
        Field::VlanPcp => need(
            get(Field::VlanVid).is_some_and(|m| m.value & u128::from(VID_PRESENT) != 0),
            "vlan_vid with the present bit",
        ),
        Field::IpDscp | Field::IpEcn | Field::IpProto => need(ip(), "eth_type=0x0800 or 0x86dd"),
        Field::Ipv4Src | Field::Ipv4Dst => need(v4(), "eth_type=0x0800"),
        Field::TcpSrc | Field::TcpDst => need(ip() && proto(6), "nw_proto=6"),
        Field::UdpSrc | Field::UdpDst => need(ip() && proto(17), "nw_proto=17"),
        Field::SctpSrc | Field::SctpDst => need(ip() && proto(132), "nw_proto=132"),
        Field::Icmpv4Type | Field::Icmpv4Code => need(v4() && proto(1), "eth_type=0x0800 and nw_proto=1"),
        Field::ArpOp | Field::ArpSpa | Field::ArpTpa | Field::ArpSha | Field::ArpTha => {
            need(eth() == Some(u128::from(ETH_TYPE_ARP)), "eth_type=0x0806")
        }
        Field::Ipv6Src | Field::Ipv6Dst | Field::Ipv6Flabel | Field::Ipv6Exthdr => need(v6(), "eth_type=0x86dd"),
        Field::Icmpv6Type | Field::Icmpv6Code => need(v6() && proto(58), "eth_type=0x86dd and nw_proto=58"),
        Field::Ipv6NdTarget => need(nd(&[135, 136]), "icmpv6_type=135 or 136"),
        Field::Ipv6NdSll => need(nd(&[135]), "icmpv6_type=135"),
        Field::Ipv6NdTll => need(nd(&[136]), "icmpv6_type=136"),
        Field::MplsLabel | Field::MplsTc | Field::MplsBos => {
            need(matches!(eth(), Some(0x8847 | 0x8848)), "eth_type=0x8847 or 0x8848")
        }
        Field::PbbIsid => need(eth() == Some(0x88e7), "eth_type=0x88e7"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

    #[test]
    fn a_prefix_holds_the_network_bits_only() {
        let m = Match::any().ipv4().ip_prefix(Field::Ipv4Dst, A, 24);
        assert_eq!(m.get(Field::Ipv4Dst), Some(Masked { value: 0x0a00_0000, mask: 0xffff_ff00 }));
        assert!(Match::any().ip_prefix(Field::Ipv4Dst, A, 0).is_any());
    }

    #[test]
    fn within_is_about_every_field_of_the_wider_match() {
        let narrow = Match::any().ipv4().ip(Field::Ipv4Dst, A).in_port(PortNo(1));
        let wide = Match::any().ipv4().ip_prefix(Field::Ipv4Dst, A, 8);
        assert!(narrow.is_within(&wide) && !wide.is_within(&narrow));
        assert!(narrow.is_within(&Match::any()));
    }

    #[test]
    fn overlap_needs_agreement_on_common_bits_only() {
        let a = Match::any().in_port(PortNo(1));
        let b = Match::any().ipv4();
        assert!(a.overlaps(&b));
        assert!(!a.overlaps(&Match::any().in_port(PortNo(2))));
    }

    #[test]
    fn a_missing_prerequisite_is_named() {
        let err = Match::any().ip(Field::Ipv4Dst, A).validate().unwrap_err();
        assert_eq!(err.kind, ErrorKind::BadMatchBadPrereq);
        assert!(err.to_string().contains("eth_type=0x0800"), "{err}");
    }

    #[test]
    fn a_mask_where_none_is_allowed_is_refused() {
        let err = Match::any().with_masked(Field::EthType, 0x0800, 0xff00).validate().unwrap_err();
        assert_eq!(err.kind, ErrorKind::BadMatchBadMask);
    }
}
