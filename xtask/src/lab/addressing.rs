//! The addresses and routes of the lab's places, in the families in play.
//!
//! The WAN and the management links have IPv4 whatever the families are: the sites talk to each
//! other by it. A gateway box has no IPv6 at all, so that nothing but `wamig` speaks on its ports.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use anyhow::{Result, ensure};

use super::family::{Families, Family};
use super::netns;
use super::topology::{Place, ROUTER6, Site};

/// The client's default gateways, in the internet's router.
const INTERNET: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const INTERNET6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x99, 0, 0, 0, 0, 1);

/// Switches IPv6 on wherever it is played with; to be called before there are interfaces.
///
/// Nobody listens to advertisements of routers: there are none. Only the server's kernel looks
/// for duplicates of its addresses, as Linux does by default, since that is what the move is
/// told by; elsewhere it would cost a second of each start.
///
/// # Errors
/// The kernel has no IPv6.
pub fn admit(name: &impl Fn(Place) -> String, families: Families) -> Result<()> {
    if !families.has(Family::V6) {
        return Ok(());
    }
    ensure!(
        Path::new("/proc/sys/net/ipv6").exists(),
        "this kernel has no IPv6: boot it without ipv6.disable=1, or play without --ipv6 and --dual-stack"
    );
    for place in Place::ALL {
        let name = name(place);
        let quick: &[&str] = match place {
            Place::Gateway(_) => continue,
            Place::Slot(_) => &[],
            _ => &["accept_dad", "dad_transmits"],
        };
        let off = ["accept_ra", "autoconf", "accept_redirects"];
        for scope in ["all", "default"] {
            for key in off.iter().chain(quick) {
                netns::sysctl(&name, &format!("ipv6/conf/{scope}/{key}"), "0")?;
            }
            netns::sysctl(&name, &format!("ipv6/conf/{scope}/disable_ipv6"), "0")?;
        }
    }
    Ok(())
}

/// Gives every place its addresses and routes, and makes it one that is up, but for the slots.
///
/// # Errors
/// `ip` refuses one; its words are in the error.
pub fn assign(name: &impl Fn(Place) -> String, families: Families) -> Result<()> {
    let each = families.each();
    let all = |of: &dyn Fn(Family) -> String| each.iter().map(|&family| of(family)).collect::<String>();

    netns::ip(&name(Place::Client), &all(&client))?;
    netns::ip(&name(Place::Internet), &(internet_links() + &all(&internet)))?;
    netns::ip(&name(Place::Host(Site::Dc1)), &all(&|family| host(family.plan().web, family.plan().gateway1)))?;
    netns::ip(&name(Place::Host(Site::Dc2)), &all(&|family| host(family.plan().local, family.plan().gateway2)))?;
    for site in Site::BOTH {
        let n = site.number();
        // Its only link-local address is the one that it is given.
        let quiet = if families.has(Family::V6) { "link set dev lan addrgenmode none\n" } else { "" };
        let router = router_links(site) + &all(&|family| router(family, site));
        netns::ip(&name(Place::Router(site)), &format!("{quiet}{router}"))?;
        netns::ip(
            &name(Place::Gateway(site)),
            &format!(
                "addr add 10.255.{n}.2/24 dev mgmt
                 link set mgmt up
                 route add default via 10.255.{n}.1"
            ),
        )?;
        if families.has(Family::V4) {
            // An IPv6 address is gone when its link goes down: the slot gives it at each boot.
            netns::ip(&name(Place::Slot(site)), &format!("addr add {}/24 dev eth0", Family::V4.plan().server))?;
        }
    }
    for router in [Place::Internet, Place::Router(Site::Dc1), Place::Router(Site::Dc2)] {
        netns::sysctl(&name(router), "ipv4/ip_forward", "1")?;
        if families.has(Family::V6) {
            netns::sysctl(&name(router), "ipv6/conf/all/forwarding", "1")?;
        }
    }
    Ok(())
}

/// Bits of every prefix of a LAN.
const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 24,
        IpAddr::V6(_) => 64,
    }
}

fn host(address: IpAddr, gateway: IpAddr) -> String {
    format!(
        "addr add {address}/{} dev eth0\nlink set eth0 up\nroute add default via {gateway} dev eth0\n",
        bits(address)
    )
}

fn client(family: Family) -> String {
    let plan = family.plan();
    let (gateway, lifetime) = match family {
        Family::V4 => (IpAddr::V4(INTERNET), ""),
        // Of several addresses IPv6 may take any as the source: never one that is deprecated.
        Family::V6 => (IpAddr::V6(INTERNET6), "preferred_lft 0"),
    };
    let secondary = format!("addr add {}/{} dev eth0 {lifetime}\n", plan.secondary, bits(plan.secondary));
    host(plan.client, gateway) + &secondary
}

fn internet_links() -> String {
    "addr add 10.254.1.1/30 dev wan1
     addr add 10.254.2.1/30 dev wan2
     link set wan1 up
     link set wan2 up
     route add 10.255.1.0/24 via 10.254.1.2
     route add 10.255.2.0/24 via 10.254.2.2\n"
        .to_owned()
}

fn internet(family: Family) -> String {
    let mut text = match family {
        Family::V4 => format!("addr add {INTERNET}/24 dev client\n"),
        Family::V6 => format!("addr add {INTERNET6}/64 dev client\n"),
    };
    for site in Site::BOTH {
        let (n, lan) = (site.number(), family.plan().prefix(site));
        let _ = match family {
            Family::V4 => writeln!(text, "route add {lan} via 10.254.{n}.2"),
            Family::V6 => writeln!(
                text,
                "addr add 2001:db8:ff0{n}::1/64 dev wan{n}\nroute add {lan} via 2001:db8:ff0{n}::2 dev wan{n}"
            ),
        };
    }
    text
}

fn router_links(site: Site) -> String {
    let n = site.number();
    format!(
        "addr add 10.255.{n}.1/24 dev mgmt
         addr add 10.254.{n}.2/30 dev wan
         link set lan up
         link set wan up
         route add default via 10.254.{n}.1\n"
    )
}

fn router(family: Family, site: Site) -> String {
    let n = site.number();
    match family {
        Family::V4 => format!("addr add {}/24 dev lan\n", family.plan().gateway(site)),
        // The same link-local address at both sites, on purpose: it says nothing of whose router it is.
        Family::V6 => format!(
            "addr add {ROUTER6}/64 dev lan
             addr add 2001:db8:{n}::1/64 dev lan
             addr add 2001:db8:ff0{n}::2/64 dev wan
             route add default via 2001:db8:ff0{n}::1 dev wan\n"
        ),
    }
}
