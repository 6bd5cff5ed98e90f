//! Two sites as in the paper's experiment: dc1 is the home, dc2 the host; dc3 is another host.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use wamig_openflow::{MacAddr, PortNo};

use crate::migration::config::{
    AddressRange, Damping, GuestPolicy, Hosting, Lan, Prefix, Server, SiteConfig, Subnet, Timers,
};

/// The port towards the router, at both sites.
pub(in crate::migration) const UP: PortNo = PortNo(1);
/// A port of the LAN, at both sites.
pub(in crate::migration) const LAN: PortNo = PortNo(2);
/// Home: the port where the server is plugged in. Host: the hosting port.
pub(in crate::migration) const SRV: PortNo = PortNo(3);

/// The server's address.
pub(in crate::migration) const S: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53));
/// The server's MAC address.
pub(in crate::migration) const S_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x53]);
/// dc1's router.
pub(in crate::migration) const G1: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// Its MAC address.
pub(in crate::migration) const G1_MAC: MacAddr = MacAddr([2, 0, 0, 0, 1, 1]);
/// dc2's router.
pub(in crate::migration) const G2: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
/// Its MAC address.
pub(in crate::migration) const G2_MAC: MacAddr = MacAddr([2, 0, 0, 0, 2, 1]);
/// wamig's MAC address at dc1.
pub(in crate::migration) const W1: MacAddr = MacAddr([2, 0x57, 0x4d, 0, 0, 1]);
/// wamig's MAC address at dc2.
pub(in crate::migration) const W2: MacAddr = MacAddr([2, 0x57, 0x4d, 0, 0, 2]);
/// dc2's first transfer address.
pub(in crate::migration) const T1: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 200));
/// dc2's second transfer address.
pub(in crate::migration) const T2: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 201));
/// dc2's last transfer address.
pub(in crate::migration) const T3: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 202));

/// dc3's router.
pub(in crate::migration) const G3: IpAddr = IpAddr::V4(Ipv4Addr::new(100, 64, 3, 1));
/// Its MAC address.
pub(in crate::migration) const G3_MAC: MacAddr = MacAddr([2, 0, 0, 0, 3, 1]);
/// wamig's MAC address at dc3.
pub(in crate::migration) const W3: MacAddr = MacAddr([2, 0x57, 0x4d, 0, 0, 3]);

/// How long a planned move may take to begin.
pub(in crate::migration) const PREPARED: Duration = Duration::from_secs(20);

/// The router's subnet.
fn subnet(gateway: IpAddr) -> Subnet {
    Subnet { prefix: Prefix::new(gateway, 24), gateway }
}

/// dc1.
pub(in crate::migration) fn home() -> SiteConfig {
    SiteConfig {
        site: "dc1".into(),
        lan: Lan { uplink: UP, ports: vec![LAN, SRV], subnets: vec![subnet(G1)], mac: W1 },
        servers: vec![Server { address: S, mac: S_MAC, hosts: vec!["dc2".into(), "dc3".into()] }],
        hosting: Hosting::default(),
        damping: Damping::default(),
        timers: Timers { prepared: PREPARED, ..Timers::default() },
    }
}

/// dc2.
pub(in crate::migration) fn host() -> SiteConfig {
    SiteConfig {
        site: "dc2".into(),
        lan: Lan { uplink: UP, ports: vec![LAN], subnets: vec![subnet(G2)], mac: W2 },
        servers: Vec::new(),
        hosting: Hosting {
            ports: vec![SRV],
            pool: AddressRange::new(T1, T3).into_iter().collect(),
            guests: vec![GuestPolicy { peer: "dc1".into(), prefixes: vec![Prefix::new(G1, 24)], max: 2 }],
            ..Hosting::default()
        },
        damping: Damping::default(),
        timers: Timers::default(),
    }
}

/// dc3: as dc2, with addresses of its own.
pub(in crate::migration) fn third() -> SiteConfig {
    let host = host();
    let pool =
        AddressRange::new(IpAddr::V4(Ipv4Addr::new(100, 64, 3, 200)), IpAddr::V4(Ipv4Addr::new(100, 64, 3, 202)));
    SiteConfig {
        site: "dc3".into(),
        lan: Lan { subnets: vec![subnet(G3)], mac: W3, ..host.lan },
        hosting: Hosting { pool: pool.into_iter().collect(), ..host.hosting },
        ..host
    }
}
