//! What the migration application has to know of its own site. Everything about the other
//! site is learned by message (paper §3: neither controller can know the other's network).

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use wamig_openflow::{MacAddr, PortNo};

/// An IPv4 prefix; its host bits are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Prefix {
    address: Ipv4Addr,
    len: u8,
}

impl Prefix {
    /// The prefix of `len` bits (more than 32 counts as 32) that `address` is in.
    pub fn new(address: Ipv4Addr, len: u8) -> Self {
        let len = len.min(32);
        let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
        Self { address: Ipv4Addr::from(u32::from(address) & mask), len }
    }

    /// The lowest address.
    pub fn address(self) -> Ipv4Addr {
        self.address
    }

    /// Length in bits (0..=32).
    pub fn len(self) -> u8 {
        self.len
    }

    /// True for the prefix of length 0, which every address is in.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Whether `address` is inside.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        Self::new(address, self.len) == self
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

/// The text was not an IPv4 prefix without host bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a prefix is an IPv4 address and its length, host bits zero, as in 192.0.2.0/24")]
pub struct BadPrefix;

impl FromStr for Prefix {
    type Err = BadPrefix;

    fn from_str(s: &str) -> Result<Self, BadPrefix> {
        let (address, len) = s.split_once('/').ok_or(BadPrefix)?;
        let address: Ipv4Addr = address.parse().map_err(|_| BadPrefix)?;
        let len: u8 = len.parse().map_err(|_| BadPrefix)?;
        let prefix = Self::new(address, len);
        if len > 32 || prefix.address != address { Err(BadPrefix) } else { Ok(prefix) }
    }
}

/// A range of IPv4 addresses, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AddressRange {
    first: Ipv4Addr,
    last: Ipv4Addr,
}

impl AddressRange {
    /// The range; `None` when `last` lies below `first`.
    pub fn new(first: Ipv4Addr, last: Ipv4Addr) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// Whether `address` is inside.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        self.first <= address && address <= self.last
    }

    /// Every address, ascending.
    pub fn iter(self) -> impl Iterator<Item = Ipv4Addr> {
        (u32::from(self.first)..=u32::from(self.last)).map(Ipv4Addr::from)
    }

    /// The fewest prefixes that hold exactly these addresses, ascending.
    pub fn prefixes(self) -> Vec<Prefix> {
        let (mut at, last) = (u64::from(u32::from(self.first)), u64::from(u32::from(self.last)));
        let mut out = Vec::new();
        while at <= last {
            // As large as the alignment of `at` and the rest of the range allow.
            let aligned = at.trailing_zeros().min(32);
            let fits = (last - at + 1).ilog2();
            let bits = aligned.min(fits);
            out.push(Prefix::new(Ipv4Addr::from(at as u32), (32 - bits) as u8));
            at += 1 << bits;
        }
        out
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// The text was not a range of IPv4 addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a range is one IPv4 address or two in ascending order, as in 198.51.100.200-198.51.100.209")]
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

/// The site's own LAN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lan {
    /// The port towards the router.
    pub uplink: PortNo,
    /// Every other port of the LAN; hosting ports are not among them.
    pub ports: Vec<PortNo>,
    /// The LAN's subnet.
    pub prefix: Prefix,
    /// The router's address.
    pub gateway: Ipv4Addr,
    /// wamig's own MAC address here (W).
    pub mac: MacAddr,
}

impl Lan {
    /// Whether frames of this port belong to the LAN.
    pub fn has(&self, port: PortNo) -> bool {
        port == self.uplink || self.ports.contains(&port)
    }
}

/// A server whose home is this site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// Its address (S).
    pub address: Ipv4Addr,
    /// Its MAC address (s).
    pub mac: MacAddr,
    /// Names of the peers that may host it.
    pub hosts: Vec<String>,
}

/// Which servers of a peer may be hosted here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GuestPolicy {
    /// The peer's name.
    pub peer: String,
    /// Where its servers' addresses must lie.
    pub prefixes: Vec<Prefix>,
    /// How many at a time.
    pub max: usize,
}

/// What this site lends to others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hosting {
    /// Ports that guests are plugged into; no other port ever talks to them.
    pub ports: Vec<PortNo>,
    /// Transfer addresses (T), inside the LAN's prefix.
    pub pool: Vec<AddressRange>,
    /// How long a transfer address rests after use or conflict.
    pub quarantine: Duration,
    /// How many transfer addresses are kept probed and ready.
    pub ready: usize,
    /// Who may come.
    pub guests: Vec<GuestPolicy>,
}

impl Default for Hosting {
    /// Hosts nobody; quarantine 300 s, 8 addresses kept ready.
    fn default() -> Self {
        Self { ports: Vec::new(), pool: Vec::new(), quarantine: Duration::from_mins(5), ready: 8, guests: Vec::new() }
    }
}

impl Hosting {
    /// The policy that `address` comes under.
    pub fn policy(&self, address: Ipv4Addr) -> Option<&GuestPolicy> {
        self.guests.iter().find(|g| g.prefixes.iter().any(|p| p.contains(address)))
    }
}

/// Every time span of the state machines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timers {
    /// Host: between repetitions of a claim.
    pub claim_retry: Duration,
    /// Host: how often a claim is sent before the home counts as unreachable.
    pub claim_tries: u8,
    /// Home: between the probes for a server that is claimed, and after the last.
    pub home_probe: Duration,
    /// Home: number of those probes.
    pub home_probes: u8,
    /// Home: how long a granted claim waits for Ready.
    pub claimed: Duration,
    /// Host: between repetitions of Ready.
    pub ready_retry: Duration,
    /// How long a placement counts as renewed.
    pub lease: Duration,
    /// Host: between renewals.
    pub renew: Duration,
    /// Home: how long the host has to answer a query.
    pub query: Duration,
    /// Home: between repetitions of a query.
    pub query_retry: Duration,
    /// Host: between the probes for a guest that is asked about, and after the last.
    pub alive_probe: Duration,
    /// Host: number of those probes.
    pub alive_probes: u8,
    /// How long late packets are still delivered after a return.
    pub drain: Duration,
    /// Host: first pause after a claim failed; doubles up to `backoff_max`.
    pub backoff_min: Duration,
    /// Host: longest pause after a claim failed.
    pub backoff_max: Duration,
    /// Between repetitions of Revoke and of Release.
    pub revoke_retry: Duration,
    /// Host: a fenced copy that is silent for so long is let go.
    pub fence_silence: Duration,
    /// Host: a guest that is not hosted and silent for so long is forgotten.
    pub forget: Duration,
    /// Pool: least time between address probes (RFC 5227 PROBE_MIN).
    pub arp_probe_min: Duration,
    /// Pool: most time between address probes (RFC 5227 PROBE_MAX).
    pub arp_probe_max: Duration,
    /// Pool: from the last probe until the address is ready (RFC 5227 ANNOUNCE_WAIT).
    pub announce_wait: Duration,
    /// Between ARP requests for a gateway that has not answered.
    pub gateway_retry: Duration,
    /// Between ARP requests for a gateway that has.
    pub gateway_refresh: Duration,
    /// Pause before flows that the switch refused are sent again.
    pub program_retry: Duration,
    /// Home: how long a planned move may take to begin.
    pub prepared: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            claim_retry: ms(500),
            claim_tries: 4,
            home_probe: ms(150),
            home_probes: 2,
            claimed: ms(2000),
            ready_retry: ms(1000),
            lease: ms(30_000),
            renew: ms(10_000),
            query: ms(1000),
            query_retry: ms(300),
            alive_probe: ms(200),
            alive_probes: 3,
            drain: ms(2000),
            backoff_min: ms(1000),
            backoff_max: ms(60_000),
            revoke_retry: ms(500),
            fence_silence: ms(30_000),
            forget: ms(300_000),
            arp_probe_min: ms(1000),
            arp_probe_max: ms(2000),
            announce_wait: ms(2000),
            gateway_retry: ms(1000),
            gateway_refresh: ms(60_000),
            program_retry: ms(1000),
            prepared: ms(600_000),
        }
    }
}

/// How many moves in how short a time are too many: as the duplicate detection of EVPN (RFC
/// 7432 §15.1), per address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damping {
    /// So many moves are borne; one more within `window` freezes the address. 0 = any number.
    pub moves: usize,
    /// How long a move counts.
    pub window: Duration,
}

impl Default for Damping {
    /// RFC 7432's: 5 moves in 180 s.
    fn default() -> Self {
        Self { moves: 5, window: Duration::from_mins(3) }
    }
}

/// One site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SiteConfig {
    /// The site's name.
    pub site: String,
    /// Its LAN.
    pub lan: Lan,
    /// Servers whose home is here.
    pub servers: Vec<Server>,
    /// What it lends to others.
    pub hosting: Hosting,
    /// When a server whose home is here has moved too often.
    pub damping: Damping,
    /// Time spans.
    pub timers: Timers,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_reads_what_it_prints_and_refuses_host_bits() {
        let p: Prefix = "192.0.2.0/24".parse().unwrap();
        assert_eq!(p.to_string(), "192.0.2.0/24");
        assert!(p.contains(Ipv4Addr::new(192, 0, 2, 255)) && !p.contains(Ipv4Addr::new(192, 0, 3, 0)));
        for bad in ["192.0.2.1/24", "192.0.2.0", "192.0.2.0/33", "/", "a/8"] {
            assert_eq!(bad.parse::<Prefix>(), Err(BadPrefix), "{bad}");
        }
        assert!(Prefix::new(Ipv4Addr::new(10, 1, 2, 3), 0).contains(Ipv4Addr::BROADCAST));
    }

    #[test]
    fn a_range_is_covered_by_prefixes_without_gap_or_overlap() {
        for text in ["198.51.100.200-198.51.100.209", "10.0.0.0-10.0.0.255", "10.0.0.7", "0.0.0.0-255.255.255.255"] {
            let range: AddressRange = text.parse().unwrap();
            let covers = range.prefixes();
            let sum: u64 = covers.iter().map(|p| 1u64 << (32 - p.len())).sum();
            assert_eq!(sum, u64::from(u32::from(range.last)) - u64::from(u32::from(range.first)) + 1, "{text}");
            assert_eq!(covers[0].address(), range.first);
        }
        let cover: Vec<_> = "198.51.100.200-198.51.100.209".parse::<AddressRange>().unwrap().prefixes();
        assert_eq!(
            cover.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["198.51.100.200/29", "198.51.100.208/31"]
        );
    }

    #[test]
    fn a_range_in_the_wrong_order_is_refused() {
        assert_eq!("10.0.0.2-10.0.0.1".parse::<AddressRange>(), Err(BadRange));
    }
}
