//! Which switch a site's gateway box has: wamig's own, or Open vSwitch under its control, as one
//! bridge or as two.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result};

use super::journal::Journal;
use super::topology::Site;
use super::{netns, offload};
use crate::conformance::ovs::{self, Bridge, Datapath};

/// A kind of switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Kind {
    /// wamig's XDP data path.
    #[default]
    Xdp,
    /// Open vSwitch, used by a profile.
    Ovs(Profile),
    /// wamig's XDP data path in a process of its own, used over OpenFlow by a profile.
    Elsewhere(Profile),
    /// Two of Open vSwitch, used as one: the router and the site's host at `leaf1`, the server's
    /// slot at `leaf2`, a cable in between.
    Pair,
}

/// The bridges of a pair, with their names in wamig's configuration.
pub const PAIR: [(&str, &str); 2] = [("leaf1", "br0"), ("leaf2", "br1")];

/// How much of Open vSwitch is used; the names are those of `switch.remote.profile`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Profile {
    /// All of it.
    #[default]
    Ovs,
    /// One table of OpenFlow 1.3.
    Of13,
    /// The same without fields of ARP.
    Of13ArpPunt,
    /// OpenFlow 1.0.
    Of10,
}

impl Profile {
    /// Every profile.
    const ALL: [Self; 4] = [Self::Ovs, Self::Of13, Self::Of13ArpPunt, Self::Of10];

    /// The name in wamig's configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ovs => "ovs",
            Self::Of13 => "of13",
            Self::Of13ArpPunt => "of13-arp-punt",
            Self::Of10 => "of10",
        }
    }

    /// The version that the switch has to speak, as Open vSwitch names it.
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::Ovs | Self::Of13 | Self::Of13ArpPunt => "OpenFlow13",
            Self::Of10 => "OpenFlow10",
        }
    }
}

/// The switches of both sites.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Switches {
    /// DC1's.
    pub dc1: Kind,
    /// DC2's.
    pub dc2: Kind,
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let profile = match text.split_once(':') {
            None if text == "xdp" => return Ok(Self::Xdp),
            None if text == "ovs" => Some(Profile::default()),
            None if text == "ovs*2" => return Ok(Self::Pair),
            Some(("ovs", name)) => Profile::ALL.into_iter().find(|p| p.as_str() == name),
            _ => None,
        };
        profile.map(Self::Ovs).ok_or_else(|| {
            let profiles = Profile::ALL.map(|p| format!("ovs:{}", p.as_str())).join(", ");
            format!("{text:?} is no switch; allowed: xdp, ovs, ovs*2, {profiles}, or for each site dc1=…,dc2=…")
        })
    }
}

impl Switches {
    /// With Open vSwitch used over OpenFlow 1.0.
    #[must_use]
    pub const fn over_openflow_10(self) -> Self {
        const fn over(kind: Kind) -> Kind {
            match kind {
                Kind::Xdp | Kind::Pair => kind,
                Kind::Ovs(_) => Kind::Ovs(Profile::Of10),
                Kind::Elsewhere(_) => Kind::Elsewhere(Profile::Of10),
            }
        }
        Self { dc1: over(self.dc1), dc2: over(self.dc2) }
    }

    /// Whether one of them is used over OpenFlow 1.0.
    pub const fn any_over_openflow_10(self) -> bool {
        const fn is(kind: Kind) -> bool {
            matches!(kind, Kind::Ovs(Profile::Of10) | Kind::Elsewhere(Profile::Of10))
        }
        is(self.dc1) || is(self.dc2)
    }
}

impl FromStr for Switches {
    type Err = String;

    /// `ovs`, or `dc1=ovs,dc2=xdp`; a site that is not named has wamig's own.
    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains('=') {
            let kind = text.parse()?;
            return Ok(Self { dc1: kind, dc2: kind });
        }
        let mut switches = Self::default();
        for part in text.split(',') {
            match part.split_once('=') {
                Some(("dc1", kind)) => switches.dc1 = kind.parse()?,
                Some(("dc2", kind)) => switches.dc2 = kind.parse()?,
                _ => return Err(format!("{part:?} is no site's switch; the sites are dc1 and dc2")),
            }
        }
        Ok(switches)
    }
}

/// Starts Open vSwitch in the gateway box of a site; it waits for wamig at the socket `controller`.
///
/// # Errors
/// As [`ovs::start`].
pub fn start(
    journal: &Journal,
    site: Site,
    (protocol, datapath): (&str, Datapath),
    namespace: &str,
    dir: &Path,
    controller: &Path,
) -> Result<()> {
    let bridge = Bridge {
        namespace,
        dir: dir.join("ovs"),
        controller: format!("unix:{}", controller.display()),
        datapath_id: &format!("{:016x}", site.number()),
        protocol: protocol.to_owned(),
        datapath,
        interfaces: &["up", "lan1", "srv"],
    };
    ovs::start(journal, &bridge).with_context(|| format!("the switch of {}", site.title()))
}

/// Starts two bridges in the gateway box of a site, and lays the cable between them.
///
/// # Errors
/// As [`ovs::start`].
pub fn start_pair(journal: &Journal, site: Site, datapath: Datapath, namespace: &str, dir: &Path) -> Result<()> {
    // A link carries frames with one tag more.
    let cable = "link add trunk1 mtu 1504 type veth peer name trunk2 mtu 1504\nlink set trunk1 up\nlink set trunk2 up";
    netns::ip(namespace, cable)?;
    for trunk in ["trunk1", "trunk2"] {
        offload::like_a_wire(namespace, trunk)?;
    }
    let dir = dir.join("ovs");
    let ports: [&[&str]; 2] = [&["up", "lan1", "trunk1"], &["srv", "trunk2"]];
    for (index, ((_, name), interfaces)) in PAIR.into_iter().zip(ports).enumerate() {
        let bridge = Bridge {
            namespace,
            dir: dir.clone(),
            controller: format!("unix:{}", socket(&dir, name).display()),
            datapath_id: &pair_id(site, index),
            protocol: Profile::Ovs.protocol().to_owned(),
            datapath,
            interfaces,
        };
        let started = if index == 0 { ovs::start(journal, &bridge) } else { ovs::add_bridge(&bridge, name) };
        started.with_context(|| format!("bridge {name} of {}", site.title()))?;
    }
    Ok(())
}

/// Where a bridge agrees to connect to a unix socket.
pub fn socket(dir: &Path, bridge: &str) -> PathBuf {
    dir.join(format!("{bridge}.controller"))
}

/// The datapath id of a bridge of a pair.
fn pair_id(site: Site, index: usize) -> String {
    format!("{:016x}", usize::from(site.number()) << 4 | (index + 1))
}

/// What wamig's configuration says in `[switch]` of a pair whose sockets are in `dir`.
pub fn pair_keys(site: Site, dir: &Path) -> String {
    let member = |index: usize| {
        let (name, bridge) = PAIR[index];
        format!(
            "[[switch.member]]\nname = \"{name}\"\ndatapath_id = \"{}\"\n\
             remote = {{ listen = [\"punix:{}\"], profile = \"ovs\" }}\n",
            pair_id(site, index),
            socket(dir, bridge).display()
        )
    };
    let link = "[[switch.link]]\nends = [\"leaf1:trunk1\", \"leaf2:trunk2\"]\n";
    format!("{}{}{link}", member(0), member(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_site_may_have_its_own() {
        let ovs = Kind::Ovs(Profile::Ovs);
        assert_eq!("ovs".parse(), Ok(Switches { dc1: ovs, dc2: ovs }));
        assert_eq!("dc1=ovs*2".parse(), Ok(Switches { dc1: Kind::Pair, dc2: Kind::Xdp }));
        assert_eq!("dc2=ovs".parse(), Ok(Switches { dc1: Kind::Xdp, dc2: ovs }));
        let punting = Kind::Ovs(Profile::Of13ArpPunt);
        assert_eq!("dc1=ovs:of13-arp-punt,dc2=xdp".parse(), Ok(Switches { dc1: punting, dc2: Kind::Xdp }));
        let old = "dc1=ovs".parse::<Switches>().unwrap().over_openflow_10();
        assert_eq!(old, Switches { dc1: Kind::Ovs(Profile::Of10), dc2: Kind::Xdp });
        assert!("ovs:of14".parse::<Switches>().unwrap_err().contains("ovs:of13-arp-punt"));
        assert!("dc3=ovs".parse::<Switches>().is_err());
        assert!("linux".parse::<Switches>().unwrap_err().contains("allowed"));
    }
}
