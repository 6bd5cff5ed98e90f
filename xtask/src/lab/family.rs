//! The families of addresses that a lab plays with, and who has which address in each.
//!
//! A lab has one of them, or both side by side. What is played and what is proven is the same
//! for each; the peer session and the management links are IPv4 in any case.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::topology::{
    CLIENT, CLIENT6, GATEWAY1, GATEWAY2, LOCAL, LOCAL6, POOL, POOL6, ROUTER6, SECONDARY, SECONDARY6, SERVER, SERVER6,
    Site, WEB, WEB6,
};

/// The file in a lab's directory that says which families it has.
const FILE: &str = "families";

/// A family of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The families of a lab.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Families {
    /// IPv4 only.
    #[default]
    V4,
    /// IPv6 only.
    V6,
    /// Both.
    Dual,
}

/// Who has which address in a family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The client.
    pub client: IpAddr,
    /// The secondary name server, at the client's place.
    pub secondary: IpAddr,
    /// The server that moves.
    pub server: IpAddr,
    /// DC1's web server.
    pub web: IpAddr,
    /// DC2's own host.
    pub local: IpAddr,
    /// The default gateway of DC1's hosts.
    pub gateway1: IpAddr,
    /// The default gateway of DC2's hosts.
    pub gateway2: IpAddr,
    /// DC1's LAN.
    pub prefix1: &'static str,
    /// DC2's LAN.
    pub prefix2: &'static str,
    /// DC2's transfer addresses.
    pub pool: &'static str,
}

const PLAN4: Plan = Plan {
    client: IpAddr::V4(CLIENT),
    secondary: IpAddr::V4(SECONDARY),
    server: IpAddr::V4(SERVER),
    web: IpAddr::V4(WEB),
    local: IpAddr::V4(LOCAL),
    gateway1: IpAddr::V4(GATEWAY1),
    gateway2: IpAddr::V4(GATEWAY2),
    prefix1: "192.0.2.0/24",
    prefix2: "198.51.100.0/24",
    pool: POOL,
};

const PLAN6: Plan = Plan {
    client: IpAddr::V6(CLIENT6),
    secondary: IpAddr::V6(SECONDARY6),
    server: IpAddr::V6(SERVER6),
    web: IpAddr::V6(WEB6),
    local: IpAddr::V6(LOCAL6),
    gateway1: IpAddr::V6(ROUTER6),
    gateway2: IpAddr::V6(ROUTER6),
    prefix1: "2001:db8:1::/64",
    prefix2: "2001:db8:2::/64",
    pool: POOL6,
};

impl Family {
    /// The name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// Who has which address.
    pub const fn plan(self) -> &'static Plan {
        match self {
            Self::V4 => &PLAN4,
            Self::V6 => &PLAN6,
        }
    }

    /// Which way a host asks for a neighbour, in one word.
    pub const fn question(self) -> &'static str {
        match self {
            Self::V4 => "ARP",
            Self::V6 => "NS",
        }
    }
}

impl Plan {
    /// The default gateway of a site's hosts.
    pub const fn gateway(&self, site: Site) -> IpAddr {
        match site {
            Site::Dc1 => self.gateway1,
            Site::Dc2 => self.gateway2,
        }
    }

    /// A site's LAN.
    pub const fn prefix(&self, site: Site) -> &'static str {
        match site {
            Site::Dc1 => self.prefix1,
            Site::Dc2 => self.prefix2,
        }
    }
}

impl Families {
    /// Each of them, IPv4 first.
    pub const fn each(self) -> &'static [Family] {
        match self {
            Self::V4 => &[Family::V4],
            Self::V6 => &[Family::V6],
            Self::Dual => &[Family::V4, Family::V6],
        }
    }

    /// Whether this one is among them.
    pub fn has(self, family: Family) -> bool {
        self.each().contains(&family)
    }

    /// Something of each plan as a sentence writes it: `a and b`.
    pub fn and(self, of: impl Fn(&Plan) -> IpAddr) -> String {
        self.each().iter().map(|family| of(family.plan()).to_string()).collect::<Vec<_>>().join(" and ")
    }

    const fn word(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
            Self::Dual => "dual-stack",
        }
    }

    /// Writes down in a lab's directory which families it has.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn note(self, dir: &Path) -> Result<()> {
        let path = dir.join(FILE);
        fs::write(&path, self.word()).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Which families the lab of this directory has.
    ///
    /// # Errors
    /// Nothing, or nothing known, is written down there.
    pub fn noted(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("no lab was left up, there is no {}: run demo --keep first", path.display()))?;
        let known = [Self::V4, Self::V6, Self::Dual].into_iter().find(|families| families.word() == text);
        let Some(families) = known else {
            bail!("{} says {text:?}, which is no family: take the lab down by `cargo xtask lab clean`", path.display())
        };
        Ok(families)
    }
}

/// Any address of the family of `address`, and any port: what a socket that talks to it is bound to.
pub const fn any_beside(address: IpAddr) -> SocketAddr {
    let unspecified = match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(unspecified, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_a_plan_is_of_its_family() {
        for family in Families::Dual.each() {
            let Plan { client, secondary, server, web, local, gateway1, gateway2, .. } = family.plan();
            let all = [client, secondary, server, web, local, gateway1, gateway2];
            assert!(all.into_iter().all(|address| address.is_ipv4() == (*family == Family::V4)), "{all:?}");
        }
    }

    #[test]
    fn what_is_written_down_is_read_again() -> Result<()> {
        let dir = tempfile::tempdir()?;
        assert!(Families::noted(dir.path()).is_err());
        for families in [Families::V4, Families::V6, Families::Dual] {
            families.note(dir.path())?;
            assert_eq!(Families::noted(dir.path())?, families);
        }
        Ok(())
    }

    #[test]
    fn both_are_named_in_a_sentence() {
        assert_eq!(Families::Dual.and(|plan| plan.server), "192.0.2.53 and 2001:db8:1::53");
        assert_eq!(Families::V6.and(|plan| plan.gateway1), "fe80::1");
    }
}
