//! Which switch a site's gateway box has: wamig's own, or Open vSwitch under its control.

use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, Result};

use super::journal::Journal;
use super::topology::Site;
use crate::conformance::ovs::{self, Bridge};

/// A kind of switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Kind {
    /// wamig's XDP data path.
    #[default]
    Xdp,
    /// Open vSwitch with its userspace datapath.
    Ovs,
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
        match text {
            "xdp" => Ok(Self::Xdp),
            "ovs" => Ok(Self::Ovs),
            _ => Err(format!("{text:?} is no switch; allowed: xdp, ovs, or for each site dc1=…,dc2=…")),
        }
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
pub fn start(journal: &Journal, site: Site, namespace: &str, dir: &Path, controller: &Path) -> Result<()> {
    let bridge = Bridge {
        namespace,
        dir: dir.join("ovs"),
        controller: format!("unix:{}", controller.display()),
        datapath_id: &format!("{:016x}", site.number()),
        protocol: "OpenFlow13".to_owned(),
        interfaces: ["up", "lan1", "srv"],
    };
    ovs::start(journal, &bridge).with_context(|| format!("the switch of {}", site.title()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_site_may_have_its_own() {
        assert_eq!("ovs".parse(), Ok(Switches { dc1: Kind::Ovs, dc2: Kind::Ovs }));
        assert_eq!("dc2=ovs".parse(), Ok(Switches { dc1: Kind::Xdp, dc2: Kind::Ovs }));
        assert_eq!("dc1=ovs,dc2=xdp".parse(), Ok(Switches { dc1: Kind::Ovs, dc2: Kind::Xdp }));
        assert!("dc3=ovs".parse::<Switches>().is_err());
        assert!("linux".parse::<Switches>().unwrap_err().contains("allowed"));
    }
}
