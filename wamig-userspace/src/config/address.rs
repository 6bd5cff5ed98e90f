//! IPv4 prefixes and ranges as the configuration writes them.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 network: address and length, no host bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Prefix {
    /// The network's address.
    pub network: Ipv4Addr,
    /// Bits of the network (0..=32).
    pub len: u8,
}

/// The text is not a prefix.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadPrefix {
    /// No `ADDRESS/LENGTH`.
    #[error("not an IPv4 prefix")]
    Form,
    /// The address has bits beyond the length; the network meant is given.
    #[error("the address has host bits; the network is {0}")]
    HostBits(Prefix),
}

impl Prefix {
    fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.len)).unwrap_or(0)
    }

    /// Whether the address is in the network.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & self.mask() == u32::from(self.network)
    }

    /// Whether the networks share an address.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.network) || other.contains(self.network)
    }

    /// The network's last address.
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.network) | !self.mask())
    }

    /// Whether a host may have the address: in the network, and neither its first nor its last.
    pub fn is_host(self, address: Ipv4Addr) -> bool {
        self.contains(address) && address != self.network && address != self.broadcast()
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.len)
    }
}

impl FromStr for Prefix {
    type Err = BadPrefix;

    fn from_str(s: &str) -> Result<Self, BadPrefix> {
        let (address, len) = s.split_once('/').ok_or(BadPrefix::Form)?;
        let address: Ipv4Addr = address.parse().map_err(|_| BadPrefix::Form)?;
        let len = len.parse().ok().filter(|l| *l <= 32).ok_or(BadPrefix::Form)?;
        let whole = Self { network: address, len };
        let network = Self { network: Ipv4Addr::from(u32::from(address) & whole.mask()), len };
        if network == whole { Ok(network) } else { Err(BadPrefix::HostBits(network)) }
    }
}

/// Addresses from `first` to `last`, both included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Lowest.
    pub first: Ipv4Addr,
    /// Highest.
    pub last: Ipv4Addr,
}

/// The text is not a range of addresses.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadSpan {
    /// Neither an address nor two.
    #[error("not a range of IPv4 addresses")]
    Form,
    /// The last address is below the first.
    #[error("the range ends before it begins")]
    Backwards,
}

impl Span {
    /// Whether the address is in the range.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }

    /// Whether the ranges share an address.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// How many addresses.
    pub fn size(self) -> u64 {
        u64::from(u32::from(self.last)) - u64::from(u32::from(self.first)) + 1
    }

    /// The addresses, ascending.
    pub fn addresses(self) -> impl Iterator<Item = Ipv4Addr> {
        (u32::from(self.first)..=u32::from(self.last)).map(Ipv4Addr::from)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

impl FromStr for Span {
    type Err = BadSpan;

    fn from_str(s: &str) -> Result<Self, BadSpan> {
        let (first, last) = s.split_once('-').unwrap_or((s, s));
        let read = |s: &str| s.trim().parse().map_err(|_| BadSpan::Form);
        let span = Self { first: read(first)?, last: read(last)? };
        if span.last < span.first { Err(BadSpan::Backwards) } else { Ok(span) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_has_no_host_bits() {
        let p: Prefix = "198.51.100.0/24".parse().unwrap();
        assert!(p.contains(Ipv4Addr::new(198, 51, 100, 255)) && !p.is_host(Ipv4Addr::new(198, 51, 100, 255)));
        assert!(!p.contains(Ipv4Addr::new(198, 51, 101, 0)));
        assert_eq!("198.51.100.7/24".parse::<Prefix>(), Err(BadPrefix::HostBits(p)));
        for bad in ["198.51.100.0", "198.51.100.0/33", "/24", "198.51.100/24", "198.51.100.0/"] {
            assert_eq!(bad.parse::<Prefix>(), Err(BadPrefix::Form), "{bad}");
        }
        assert!("0.0.0.0/0".parse::<Prefix>().unwrap().overlaps(p));
    }

    #[test]
    fn a_range_counts_both_ends() {
        let s: Span = "198.51.100.200-198.51.100.209".parse().unwrap();
        assert_eq!((s.size(), s.addresses().count()), (10, 10));
        assert_eq!("198.51.100.9".parse::<Span>().unwrap().size(), 1);
        assert_eq!("198.51.100.9-198.51.100.8".parse::<Span>(), Err(BadSpan::Backwards));
        assert_eq!("198.51.100.9-8".parse::<Span>(), Err(BadSpan::Form));
    }
}
