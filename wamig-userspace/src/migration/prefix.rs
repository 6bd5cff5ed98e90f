//! IP prefixes and ranges of addresses, of either family.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

pub(super) use wamig_openflow::flow_match::address_bits as number;

/// IPv4 or IPv6.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// That of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Bits of an address.
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The address with this number; bits beyond the family's are dropped.
    pub const fn address(self, number: u128) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::from_bits(number as u32)),
            Self::V6 => IpAddr::V6(Ipv6Addr::from_bits(number)),
        }
    }

    /// The address that is none: all zero.
    pub const fn unspecified(self) -> IpAddr {
        self.address(0)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// Whether an address is of one link only: `169.254/16`, `fe80::/10`.
pub const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    }
}

/// Whether one host can have the address and be reached at it from elsewhere.
pub fn is_of_a_host(address: IpAddr) -> bool {
    let everyone = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    !(address.is_unspecified() || address.is_multicast() || address.is_loopback() || everyone)
}

/// A prefix; its host bits are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Prefix {
    address: IpAddr,
    len: u8,
}

impl Prefix {
    /// The prefix of `len` bits (more than the family's count as all) that `address` is in.
    pub fn new(address: impl Into<IpAddr>, len: u8) -> Self {
        let address = address.into();
        let family = Family::of(address);
        let len = len.min(family.bits());
        let mask = u128::MAX.checked_shl(u32::from(family.bits() - len)).unwrap_or(0);
        Self { address: family.address(number(address) & mask), len }
    }

    /// The lowest address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// The highest address.
    pub fn last(self) -> IpAddr {
        let family = self.family();
        let hosts = u128::MAX.checked_shl(u32::from(family.bits() - self.len)).unwrap_or(0);
        family.address(number(self.address) | !hosts)
    }

    /// Length in bits (0..=32, 0..=128).
    pub fn len(self) -> u8 {
        self.len
    }

    /// True for the prefix of length 0, which every address of the family is in.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// IPv4 or IPv6.
    pub fn family(self) -> Family {
        Family::of(self.address)
    }

    /// Whether `address` is inside.
    pub fn contains(self, address: IpAddr) -> bool {
        Self::new(address, self.len) == self
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

/// The text was not a prefix without host bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a prefix is an IP address and its length, host bits zero, as in 192.0.2.0/24 or 2001:db8:1::/64")]
pub struct BadPrefix;

impl FromStr for Prefix {
    type Err = BadPrefix;

    fn from_str(s: &str) -> Result<Self, BadPrefix> {
        let (address, len) = s.split_once('/').ok_or(BadPrefix)?;
        let address: IpAddr = address.parse().map_err(|_| BadPrefix)?;
        let len: u8 = len.parse().map_err(|_| BadPrefix)?;
        let prefix = Self::new(address, len);
        if len > Family::of(address).bits() || prefix.address != address { Err(BadPrefix) } else { Ok(prefix) }
    }
}

/// A range of addresses of one family, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

impl AddressRange {
    /// The range; `None` when `last` lies below `first` or is of another family.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (first <= last && Family::of(first) == Family::of(last)).then_some(Self { first, last })
    }

    /// The lowest address.
    pub fn first(self) -> IpAddr {
        self.first
    }

    /// The highest address.
    pub fn last(self) -> IpAddr {
        self.last
    }

    /// IPv4 or IPv6.
    pub fn family(self) -> Family {
        Family::of(self.first)
    }

    /// How many addresses.
    pub fn size(self) -> u128 {
        (number(self.last) - number(self.first)).saturating_add(1)
    }

    /// Whether `address` is inside.
    pub fn contains(self, address: IpAddr) -> bool {
        self.first <= address && address <= self.last
    }

    /// Whether the ranges share an address.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Every address, ascending.
    pub fn iter(self) -> impl Iterator<Item = IpAddr> {
        let family = self.family();
        (number(self.first)..=number(self.last)).map(move |n| family.address(n))
    }

    /// The fewest prefixes that hold exactly these addresses, ascending.
    pub fn prefixes(self) -> Vec<Prefix> {
        let (family, last) = (self.family(), number(self.last));
        let width = u32::from(family.bits());
        let (mut at, mut out) = (number(self.first), Vec::new());
        loop {
            // As large as the alignment of `at` and the rest of the range allow.
            let fits = (last - at).checked_add(1).map_or(width, u128::ilog2);
            let bits = at.trailing_zeros().min(width).min(fits);
            out.push(Prefix::new(family.address(at), (width - bits) as u8));
            match 1u128.checked_shl(bits).and_then(|size| at.checked_add(size)) {
                Some(next) if next <= last => at = next,
                _ => return out,
            }
        }
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

/// The text was not a range of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a range is one IP address or two of one family in ascending order, as in 198.51.100.200-198.51.100.209")]
pub struct BadRange;

impl FromStr for AddressRange {
    type Err = BadRange;

    fn from_str(s: &str) -> Result<Self, BadRange> {
        let (first, last) = s.split_once('-').unwrap_or((s, s));
        let first = first.trim().parse().map_err(|_| BadRange)?;
        let last = last.trim().parse().map_err(|_| BadRange)?;
        Self::new(first, last).ok_or(BadRange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(s: &str) -> IpAddr {
        s.parse().unwrap()
    }

    #[test]
    fn a_prefix_reads_what_it_prints_and_refuses_host_bits() {
        let p: Prefix = "192.0.2.0/24".parse().unwrap();
        assert_eq!(p.to_string(), "192.0.2.0/24");
        assert!(p.contains(ip("192.0.2.255")) && !p.contains(ip("192.0.3.0")));
        assert_eq!(p.last(), ip("192.0.2.255"));
        let p: Prefix = "2001:db8:1::/64".parse().unwrap();
        assert_eq!((p.to_string().as_str(), p.last()), ("2001:db8:1::/64", ip("2001:db8:1::ffff:ffff:ffff:ffff")));
        assert!(p.contains(ip("2001:db8:1::53")) && !p.contains(ip("2001:db8:1:1::53")));
        for bad in ["192.0.2.1/24", "192.0.2.0", "192.0.2.0/33", "/", "a/8", "2001:db8::1/64", "::/129"] {
            assert_eq!(bad.parse::<Prefix>(), Err(BadPrefix), "{bad}");
        }
    }

    #[test]
    fn a_prefix_holds_nothing_of_the_other_family() {
        assert!(Prefix::new(ip("10.1.2.3"), 0).contains(ip("255.255.255.255")));
        assert!(!Prefix::new(ip("10.1.2.3"), 0).contains(ip("::")));
        assert!(!Prefix::new(ip("::"), 0).contains(ip("0.0.0.0")));
    }

    #[test]
    fn a_range_is_covered_by_prefixes_without_gap_or_overlap() {
        for text in [
            "198.51.100.200-198.51.100.209",
            "10.0.0.0-10.0.0.255",
            "10.0.0.7",
            "0.0.0.0-255.255.255.255",
            "2001:db8:2::c8-2001:db8:2::d1",
            "::-7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            let range: AddressRange = text.parse().unwrap();
            let covers = range.prefixes();
            let size = |p: &Prefix| 1u128 << (range.family().bits() - p.len());
            assert_eq!(covers.iter().map(size).sum::<u128>(), range.size(), "{text}");
            assert_eq!((covers[0].address(), covers[covers.len() - 1].last()), (range.first(), range.last()));
        }
        let all: AddressRange = "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap();
        assert_eq!(all.prefixes(), [Prefix::new(ip("::"), 0)]);
        let cover = |text: &str| {
            let range: AddressRange = text.parse().unwrap();
            range.prefixes().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(cover("198.51.100.200-198.51.100.209"), "198.51.100.200/29 198.51.100.208/31");
        assert_eq!(cover("2001:db8::c8-2001:db8::d1"), "2001:db8::c8/125 2001:db8::d0/127");
    }

    #[test]
    fn a_range_in_the_wrong_order_or_of_two_families_is_refused() {
        for bad in ["10.0.0.2-10.0.0.1", "10.0.0.1-::2", "10.0.0.1-2", ""] {
            assert_eq!(bad.parse::<AddressRange>(), Err(BadRange), "{bad}");
        }
    }
}
