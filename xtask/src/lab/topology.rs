//! The places of the lab, their addresses and the links between them.
//!
//! ```text
//!                      ┌── WAN, delay line ── r1 ─── up│gw1│lan1 ── web      DC1 192.0.2.0/24, 2001:db8:1::/64
//! client ── inet ──────┤                      └─ mgmt ─┘   │srv ─── slot1
//!                      └── WAN, delay line ── r2 ─── up│gw2│lan1 ── local    DC2 198.51.100.0/24, 2001:db8:2::/64
//!                                             └─ mgmt ─┘   │srv ─── slot2
//! ```
//!
//! `gw1` and `gw2` run `wamig`; their ports `up`, `lan1` and `srv` carry no address. What the
//! two daemons say to each other leaves by `mgmt` and crosses the WAN like everything else.
//! The two slots hold the same server: same address, same MAC, same default gateway.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::delay_line::{DelayLine, End};
use super::family::Families;
use super::journal::Journal;
use super::{addressing, netns, offload};

/// The client.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// Where the server sends its NOTIFY at boot: a secondary name server at the client's place.
pub const SECONDARY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 53);
/// The server that moves.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
/// The server's MAC.
pub const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x53];
/// The server's default gateway.
pub const GATEWAY1: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// DC1's web server, the server's neighbour.
pub const WEB: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
/// DC2's router.
pub const GATEWAY2: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// A host of DC2's own.
pub const LOCAL: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 20);
/// DC2's transfer addresses as the configuration writes them.
pub const POOL: &str = "198.51.100.200-198.51.100.209";

const fn v6(net: u16, host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, host)
}

/// The client's IPv6 address.
pub const CLIENT6: Ipv6Addr = v6(0x99, 0x10);
/// The secondary name server's.
pub const SECONDARY6: Ipv6Addr = v6(0x99, 0x53);
/// The server's.
pub const SERVER6: Ipv6Addr = v6(1, 0x53);
/// The default gateway of all hosts of either site: a link-local address.
pub const ROUTER6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// DC1's web server's.
pub const WEB6: Ipv6Addr = v6(1, 0x80);
/// DC2's own host's.
pub const LOCAL6: Ipv6Addr = v6(2, 0x20);
/// DC2's transfer addresses of IPv6 as the configuration writes them.
pub const POOL6: &str = "2001:db8:2::c8-2001:db8:2::d1";

/// A site.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Site {
    /// The server's home.
    Dc1,
    /// The site that may host it.
    Dc2,
}

impl Site {
    /// Both, the home first.
    pub const BOTH: [Self; 2] = [Self::Dc1, Self::Dc2];

    /// 1 or 2.
    pub fn number(self) -> u8 {
        match self {
            Self::Dc1 => 1,
            Self::Dc2 => 2,
        }
    }

    /// The name in configurations, and the marker of the server's copy here.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dc1 => "dc1",
            Self::Dc2 => "dc2",
        }
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Dc1 => "DC1",
            Self::Dc2 => "DC2",
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Dc1 => Self::Dc2,
            Self::Dc2 => Self::Dc1,
        }
    }

    /// The gateway box's address on its management link.
    pub fn management(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 255, self.number(), 2)
    }
}

/// A network namespace of the lab.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    /// The client, and the secondary name server.
    Client,
    /// The internet's router.
    Internet,
    /// A site's router.
    Router(Site),
    /// A site's gateway box.
    Gateway(Site),
    /// The site's own host: DC1's web server, DC2's local host.
    Host(Site),
    /// The site's slot for the server.
    Slot(Site),
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Client,
        Self::Internet,
        Self::Router(Site::Dc1),
        Self::Router(Site::Dc2),
        Self::Gateway(Site::Dc1),
        Self::Gateway(Site::Dc2),
        Self::Host(Site::Dc1),
        Self::Host(Site::Dc2),
        Self::Slot(Site::Dc1),
        Self::Slot(Site::Dc2),
    ];

    /// The MAC of its own interface, fixed so that flows and captures read well.
    pub fn mac(self) -> [u8; 6] {
        match self {
            Self::Client => [2, 0, 0, 0, 3, 0x10],
            Self::Internet => [2, 0, 0, 0, 3, 1],
            Self::Router(site) => [2, 0, 0, 0, site.number(), 1],
            Self::Gateway(site) => [2, 0, 0, 0, site.number(), 2],
            Self::Host(Site::Dc1) => [2, 0, 0, 0, 0, 0x80],
            Self::Host(Site::Dc2) => [2, 0, 0, 0, 2, 0x20],
            Self::Slot(_) => SERVER_MAC,
        }
    }

    /// The namespace's name without the prefix of the run.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Internet => "inet",
            Self::Router(Site::Dc1) => "r1",
            Self::Router(Site::Dc2) => "r2",
            Self::Gateway(Site::Dc1) => "gw1",
            Self::Gateway(Site::Dc2) => "gw2",
            Self::Host(Site::Dc1) => "web",
            Self::Host(Site::Dc2) => "local",
            Self::Slot(Site::Dc1) => "slot1",
            Self::Slot(Site::Dc2) => "slot2",
        }
    }
}

/// How the links are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Links {
    /// Delay of each WAN link, one way.
    pub delay: Duration,
    /// The kernel's netem delays, at either end, and the process between them does not.
    pub netem: bool,
    /// Each site's uplink is this VLAN of a trunk.
    pub uplink_vlan: Option<u16>,
    /// Which addresses the places have.
    pub families: Families,
}

/// Makes every namespace and link, all up but the slots' own; returns the two WAN links,
/// DC1's first.
///
/// # Errors
/// No privilege, a name is taken, or the kernel lacks veth or tap.
pub fn build(
    journal: &Journal,
    name: impl Fn(Place) -> String,
    helper: &Path,
    links: &Links,
) -> Result<[DelayLine; 2]> {
    for place in Place::ALL {
        netns::create(journal, &name(place))?;
    }
    addressing::admit(&name, links.families)?;
    let wan = |site: Site| {
        let interface = format!("wan{}", site.number());
        let ends = [
            End { namespace: name(Place::Internet), interface: interface.clone() },
            End { namespace: name(Place::Router(site)), interface: "wan".to_owned() },
        ];
        let label = format!("WAN link of {}", site.title());
        let log = journal.dir().join(format!("{interface}.log"));
        let delay = if links.netem { Duration::ZERO } else { links.delay };
        let line = DelayLine::start(journal, helper, &label, [&ends[0], &ends[1]], delay, &log)?;
        for end in ends.iter().filter(|_| links.netem) {
            netns::delay(&end.namespace, &end.interface, links.delay)?;
        }
        Ok::<_, anyhow::Error>(line)
    };
    let lines = [wan(Site::Dc1)?, wan(Site::Dc2)?];

    // Every cable is made from its host's end, so that the switch's end has the port's name.
    let cable = |host: Place, interface: &str, far: Place, port: &str| -> Result<()> {
        let far = name(far);
        let mac = mac_text(host.mac());
        netns::ip(
            &name(host),
            &format!("link add name {interface} address {mac} type veth peer name {port} netns {far}"),
        )?;
        netns::ip(&far, &format!("link set dev {port} up"))
    };
    cable(Place::Client, "eth0", Place::Internet, "client")?;
    for site in Site::BOTH {
        let (router, gateway) = (Place::Router(site), Place::Gateway(site));
        match links.uplink_vlan {
            None => cable(router, "lan", gateway, "up")?,
            Some(vlan) => {
                cable(router, "trunk", gateway, "trunk")?;
                for (place, interface) in [(router, "lan"), (gateway, "up")] {
                    let trunk = format!("link add link trunk name {interface} type vlan id {vlan}");
                    netns::ip(&name(place), &format!("link set trunk up\n{trunk}\nlink set dev {interface} up"))?;
                }
            }
        }
        cable(Place::Host(site), "eth0", gateway, "lan1")?;
        cable(Place::Slot(site), "eth0", gateway, "srv")?;
        cable(gateway, "mgmt", router, "mgmt")?;
    }

    addressing::assign(&name, links.families)?;
    for (place, interface) in wires() {
        // The kernel lets a peer's XDP send to it only if GRO is switched on while it is up.
        netns::ip(&name(place), &format!("link set dev {interface} up"))?;
        offload::like_a_wire(&name(place), interface).context("cannot set the offloads of a test interface")?;
    }
    for site in Site::BOTH {
        // No server yet.
        netns::ip(&name(Place::Slot(site)), "link set eth0 down")?;
    }
    Ok(lines)
}

/// The far ends of all switch ports: they must send what a wire would carry, and accept what
/// an XDP program sends.
fn wires() -> impl Iterator<Item = (Place, &'static str)> {
    Site::BOTH
        .into_iter()
        .flat_map(|site| [(Place::Router(site), "lan"), (Place::Host(site), "eth0"), (Place::Slot(site), "eth0")])
}

/// A MAC as people write it.
pub fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}
