//! Reading IP prefixes and ranges, with a reason when they are none; and what a LAN allows.

use std::net::IpAddr;

use crate::migration::config::{AddressRange, Family, Prefix};

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
    let address: IpAddr = address.parse().map_err(|_| BadPrefix::Form)?;
    let len = len.parse().ok().filter(|l| *l <= Family::of(address).bits()).ok_or(BadPrefix::Form)?;
    let network = Prefix::new(address, len);
    if network.address() == address { Ok(network) } else { Err(BadPrefix::HostBits(network)) }
}

/// What no host of a LAN may have: its first address, and of IPv4 the last (broadcast).
pub(super) fn reserved(prefix: Prefix) -> Vec<IpAddr> {
    match prefix.family() {
        Family::V4 => vec![prefix.address(), prefix.last()],
        Family::V6 => vec![prefix.address()],
    }
}

/// Whether a host may have the address.
pub(super) fn is_host(prefix: Prefix, address: IpAddr) -> bool {
    prefix.contains(address) && !reserved(prefix).contains(&address)
}

/// Whether the prefixes share an address.
pub(super) fn overlap(a: Prefix, b: Prefix) -> bool {
    a.contains(b.address()) || b.contains(a.address())
}

/// The text is not a range of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BadRange {
    /// Neither an address nor two of one family.
    Form,
    /// The last address is below the first.
    Backwards,
}

/// Reads `FIRST-LAST` or one address.
pub(super) fn range(text: &str) -> Result<AddressRange, BadRange> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let read = |s: &str| s.trim().parse().map_err(|_| BadRange::Form);
    let (first, last): (IpAddr, IpAddr) = (read(first)?, read(last)?);
    if Family::of(first) != Family::of(last) {
        return Err(BadRange::Form);
    }
    AddressRange::new(first, last).ok_or(BadRange::Backwards)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(s: &str) -> IpAddr {
        s.parse().unwrap()
    }

    #[test]
    fn a_prefix_has_no_host_bits() {
        let lan = prefix("198.51.100.0/24").unwrap();
        assert!(is_host(lan, ip("198.51.100.254")) && !is_host(lan, ip("198.51.100.255")));
        assert_eq!(prefix("198.51.100.7/24"), Err(BadPrefix::HostBits(lan)));
        let bad = ["198.51.100.0", "198.51.100.0/33", "/24", "198.51.100/24", "198.51.100.0/", "2001:db8::/129"];
        for bad in bad {
            assert_eq!(prefix(bad), Err(BadPrefix::Form), "{bad}");
        }
        assert!(overlap(prefix("0.0.0.0/0").unwrap(), lan) && !overlap(prefix("::/0").unwrap(), lan));
        let lan = prefix("2001:db8:2::/64").unwrap();
        assert!(is_host(lan, ip("2001:db8:2::ffff:ffff:ffff:ffff")) && !is_host(lan, ip("2001:db8:2::")));
        assert_eq!(prefix("2001:db8:2::1/64"), Err(BadPrefix::HostBits(lan)));
    }

    #[test]
    fn a_range_counts_both_ends() {
        let ten = range("198.51.100.200-198.51.100.209").unwrap();
        assert_eq!((ten.size(), ten.iter().count()), (10, 10));
        assert_eq!(range("198.51.100.9").unwrap().size(), 1);
        assert_eq!(range("2001:db8::c8 - 2001:db8::d1").unwrap().size(), 10);
        assert_eq!(range("198.51.100.9-198.51.100.8"), Err(BadRange::Backwards));
        for bad in ["198.51.100.9-8", "198.51.100.9-::1", ""] {
            assert_eq!(range(bad), Err(BadRange::Form), "{bad}");
        }
    }
}
