//! Reading IPv4 prefixes and ranges, with a reason when they are none; and what a LAN allows.

use std::fmt;
use std::net::Ipv4Addr;

use crate::migration::config::{AddressRange, Prefix};

/// The text is not a prefix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum BadPrefix {
    /// No `ADDRESS/LENGTH`.
    Form,
    /// The address has bits beyond the length; the network that was meant.
    HostBits(Prefix),
}

/// Reads `ADDRESS/LENGTH`.
pub(super) fn prefix(text: &str) -> Result<Prefix, BadPrefix> {
    let (address, len) = text.split_once('/').ok_or(BadPrefix::Form)?;
    let address: Ipv4Addr = address.parse().map_err(|_| BadPrefix::Form)?;
    let len = len.parse().ok().filter(|l| *l <= 32).ok_or(BadPrefix::Form)?;
    let network = Prefix::new(address, len);
    if network.address() == address { Ok(network) } else { Err(BadPrefix::HostBits(network)) }
}

/// The prefix's last address.
pub(super) fn broadcast(prefix: Prefix) -> Ipv4Addr {
    let hosts = u32::MAX.checked_shr(u32::from(prefix.len())).unwrap_or(0);
    Ipv4Addr::from(u32::from(prefix.address()) | hosts)
}

/// Whether a host may have the address: inside, and neither the first nor the last.
pub(super) fn is_host(prefix: Prefix, address: Ipv4Addr) -> bool {
    prefix.contains(address) && address != prefix.address() && address != broadcast(prefix)
}

/// Whether the prefixes share an address.
pub(super) fn overlap(a: Prefix, b: Prefix) -> bool {
    a.contains(b.address()) || b.contains(a.address())
}

/// The text is not a range of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BadRange {
    /// Neither an address nor two.
    Form,
    /// The last address is below the first.
    Backwards,
}

/// A range with its ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Block {
    pub(super) first: Ipv4Addr,
    pub(super) last: Ipv4Addr,
    pub(super) range: AddressRange,
}

impl Block {
    /// Reads `FIRST-LAST` or one address.
    pub(super) fn read(text: &str) -> Result<Self, BadRange> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let read = |s: &str| s.trim().parse().map_err(|_| BadRange::Form);
        let (first, last) = (read(first)?, read(last)?);
        let range = AddressRange::new(first, last).ok_or(BadRange::Backwards)?;
        Ok(Self { first, last, range })
    }

    /// How many addresses.
    pub(super) fn size(self) -> u64 {
        u64::from(u32::from(self.last)) - u64::from(u32::from(self.first)) + 1
    }

    /// Whether the ranges share an address.
    pub(super) fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { self.range.fmt(f) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_has_no_host_bits() {
        let lan = prefix("198.51.100.0/24").unwrap();
        assert_eq!(broadcast(lan), Ipv4Addr::new(198, 51, 100, 255));
        assert!(is_host(lan, Ipv4Addr::new(198, 51, 100, 254)) && !is_host(lan, broadcast(lan)));
        assert_eq!(prefix("198.51.100.7/24"), Err(BadPrefix::HostBits(lan)));
        for bad in ["198.51.100.0", "198.51.100.0/33", "/24", "198.51.100/24", "198.51.100.0/"] {
            assert_eq!(prefix(bad), Err(BadPrefix::Form), "{bad}");
        }
        assert!(overlap(prefix("0.0.0.0/0").unwrap(), lan));
        assert_eq!(broadcast(prefix("10.0.0.1/32").unwrap()), Ipv4Addr::new(10, 0, 0, 1));
    }

    #[test]
    fn a_range_counts_both_ends() {
        let range = Block::read("198.51.100.200-198.51.100.209").unwrap();
        assert_eq!((range.size(), range.range.iter().count()), (10, 10));
        assert_eq!(Block::read("198.51.100.9").unwrap().size(), 1);
        assert_eq!(Block::read("198.51.100.9-198.51.100.8"), Err(BadRange::Backwards));
        assert_eq!(Block::read("198.51.100.9-8"), Err(BadRange::Form));
    }
}
