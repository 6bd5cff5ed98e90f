//! What the migration application has to know of its own site. Everything about the other
//! site is learned by message (paper §3: neither controller can know the other's network).

use std::net::IpAddr;
use std::time::Duration;

use wamig_openflow::{MacAddr, PortNo};

pub use super::prefix::{AddressRange, Family, Prefix};

/// One family's part of a LAN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subnet {
    /// The LAN's prefix.
    pub prefix: Prefix,
    /// The router's address: of the prefix, or IPv6's link-local one.
    pub gateway: IpAddr,
}

/// The site's own LAN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lan {
    /// The port towards the router.
    pub uplink: PortNo,
    /// Every other port of the LAN; hosting ports are not among them.
    pub ports: Vec<PortNo>,
    /// IPv4, IPv6 or both, in this order.
    pub subnets: Vec<Subnet>,
    /// wamig's own MAC address here (W).
    pub mac: MacAddr,
}

impl Lan {
    /// Whether frames of this port belong to the LAN.
    pub fn has(&self, port: PortNo) -> bool {
        port == self.uplink || self.ports.contains(&port)
    }

    /// The part of the LAN that is of a family.
    pub fn subnet(&self, family: Family) -> Option<&Subnet> {
        self.subnets.iter().find(|s| s.prefix.family() == family)
    }

    /// Whether the address is one of the LAN's.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.subnets.iter().any(|s| s.prefix.contains(address))
    }
}

/// A server whose home is this site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// Its address (S).
    pub address: IpAddr,
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
    /// Transfer addresses (T), inside the LAN's prefixes.
    pub pool: Vec<AddressRange>,
    /// How long a transfer address rests after use or conflict.
    pub quarantine: Duration,
    /// How many transfer addresses of a family are kept probed and ready.
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
    pub fn policy(&self, address: IpAddr) -> Option<&GuestPolicy> {
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
