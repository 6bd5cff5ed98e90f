//! The configuration of one site: a TOML file, read into types that cannot hold nonsense.
//!
//! [`Config::load`] either returns a whole configuration or every mistake of the file, each
//! with line, column, what is wrong and what is allowed. Paths in the file are relative to
//! the file. Nothing here looks at the machine (interfaces, routes): the daemon does that
//! when it starts, since `check-config` must work anywhere.
//!
//! * [`error`] — mistakes and their places
//! * [`change`] — what may change while the daemon runs
//! * `address` — reading prefixes and ranges
//! * [`limits`] — what the switch may hold and hand up
//! * `file` — the keys as written; `check` and `check_sites` turn them into [`Config`]

mod address;
pub mod change;
mod check;
mod check_fabric;
mod check_openflow;
mod check_remote;
mod check_sites;
mod check_timers;
pub mod error;
mod file;
pub mod limits;

#[cfg(test)]
mod fabric_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use wamig_openflow::message::ControllerRole;
use wamig_openflow::{DatapathId, MacAddr, PortNo, Version};

use self::limits::SwitchLimits;
use crate::channel::endpoint::Endpoint;
use crate::channel::pin::Pins;
use crate::channel::tls::Trust;
use crate::controller::learning::{self, Settings};
use crate::datapath::fabric::topology::Topology;
use crate::datapath::remote::marks::Marks;
use crate::datapath::remote::profile::Profile;
use crate::fastpath::xdp::XdpMode;
use crate::migration::config::{Damping, Hosting, Server, SiteConfig, Subnet, Timers};
use crate::peer::{Fingerprint, Identity, PeerConfig, PeerTimers, PeeringConfig};
use error::ConfigError;

/// Where the daemon keeps its state unless told otherwise.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/wamig";
/// Where the daemon listens for its clients unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/wamig/ctl.sock";
/// Where the data path is pinned unless told otherwise.
pub const DEFAULT_PIN_PATH: &str = "/sys/fs/bpf/wamig";

/// One site, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The file it came from.
    pub path: PathBuf,
    /// The site's name, as its peers know it.
    pub site: String,
    /// Directory of the state file.
    pub state_dir: PathBuf,
    /// The control socket.
    pub control_socket: PathBuf,
    /// Where Prometheus fetches `/metrics`, a loopback address; `None` = nowhere.
    pub metrics: Option<SocketAddr>,
    /// The switch.
    pub switch: Switch,
    /// The LAN that the switch is part of; `None` = external controllers own the tables.
    pub lan: Option<Lan>,
    /// Who may control the switch from outside.
    pub openflow: OpenFlow,
    /// How this site talks to its peers; `None` = it has none.
    pub peering: Option<Peering>,
    /// Other sites.
    pub peers: Vec<PeerConfig>,
    /// Servers whose home is here.
    pub servers: Vec<Server>,
    /// What other sites' servers may use here.
    pub hosting: Hosting,
    /// The learning switch.
    pub learning: Learning,
    /// When a server has moved too often.
    pub damping: Damping,
    /// Timers of the migration.
    pub timers: Timers,
    /// Timers of the peer sessions.
    pub peer_timers: PeerTimers,
}

/// The switch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Switch {
    /// Its identity; `None` = from the first port's MAC address.
    pub datapath_id: Option<DatapathId>,
    /// Interfaces, with several switches SWITCH:PORT; the first is port 1.
    pub ports: Vec<String>,
    /// The host's interface at port LOCAL; `None` = there is no such port.
    pub local: Option<String>,
    /// Directory in bpffs.
    pub pin_path: PathBuf,
    /// How to attach.
    pub xdp_mode: XdpMode,
    /// A port may carry the machine's default route.
    pub in_band: bool,
    /// What it may hold and hand up.
    pub limits: SwitchLimits,
    /// Who owns the tables.
    pub control: Control,
    /// The switch is elsewhere; `None` = it is in this process, or it is several.
    pub remote: Option<Remote>,
    /// Several switches elsewhere, used as one; `None` = there is one.
    pub fabric: Option<Fabric>,
}

/// Several switches elsewhere under the embedded controller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fabric {
    /// The switches, in the order of the file.
    pub members: Vec<Member>,
    /// Where the ports of [`Switch::ports`] are, and how the switches are connected: a tree.
    pub topology: Topology,
}

/// One of several switches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its name in the file.
    pub name: String,
    /// Its identity.
    pub datapath_id: DatapathId,
    /// Where and how.
    pub remote: Remote,
}

/// Longest name of the host's interface at port LOCAL, in bytes, for the other end's sake.
pub const NAME_MAX: usize = 15 - SWITCH_END.len();
/// Ends the name of the other end.
const SWITCH_END: &str = "-sw";

/// The switch's end of the veth pair whose other end is the host's, at port LOCAL.
pub fn switch_end(local: &str) -> String {
    format!("{local}{SWITCH_END}")
}

/// A switch elsewhere, under the embedded controller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remote {
    /// The section of the file.
    pub section: &'static str,
    /// Where it is, those that are dialled first.
    pub endpoints: Vec<Endpoint>,
    /// The version spoken.
    pub version: Version,
    /// How it is used.
    pub profile: Profile,
    /// Our role at it.
    pub role: ControllerRole,
    /// Seconds of silence until it is asked for an echo; 0 = never.
    pub probe_s: u64,
    /// For TLS.
    pub tls: Option<OpenFlowTls>,
    /// The certificate that the datapath id is bound to; `None` = any that is trusted.
    pub certificate: Option<Fingerprint>,
    /// The cookies and priorities of our flows there.
    pub marks: Marks,
}

impl Remote {
    /// The certificate for every endpoint.
    pub fn pins(&self) -> Pins {
        let all = self.certificate.map(|c| (0..self.endpoints.len()).map(|i| (i, BTreeSet::from([c]))).collect());
        let key = if self.section == "[switch.remote]" {
            "switch_certificate in [switch.remote]"
        } else {
            "switch_certificate in [switch.member.remote]"
        };
        Pins::new(key, all.unwrap_or_default())
    }
}

/// Who owns the switch's tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Control {
    /// The learning switch and the migration.
    #[default]
    Embedded,
    /// External controllers.
    OpenFlow,
}

/// What a switch does while no controller is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FailMode {
    /// Its flows stay as they are.
    #[default]
    Secure,
    /// It learns addresses and forwards by itself.
    Standalone,
}

/// External controllers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OpenFlow {
    /// Where they are, those that are dialled first.
    pub endpoints: Vec<Endpoint>,
    /// Versions offered.
    pub versions: Vec<Version>,
    /// Seconds of silence until a controller is asked for an echo; 0 = never.
    pub probe_s: u64,
    /// What the switch does without them.
    pub fail_mode: FailMode,
    /// Connections that are listened for, at most.
    pub max_connections: usize,
    /// For TLS.
    pub tls: Option<OpenFlowTls>,
    /// Which certificates on which endpoint; any that is trusted on the others.
    pub pins: Pins,
}

/// Certificates for TLS with controllers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenFlowTls {
    /// Certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub private_key: PathBuf,
    /// Whom to trust.
    pub trust: Trust,
}

impl Switch {
    /// Whether no switch is in this process.
    pub fn is_elsewhere(&self) -> bool {
        self.remote.is_some() || self.fabric.is_some()
    }

    /// The number of the port on an interface.
    pub fn port(&self, interface: &str) -> Option<PortNo> {
        self.ports.iter().position(|p| p == interface).map(|i| PortNo(i as u32 + 1))
    }

    /// Ports with their interfaces, ascending.
    pub fn numbered(&self) -> impl Iterator<Item = (PortNo, &str)> {
        self.ports.iter().enumerate().map(|(i, name)| (PortNo(i as u32 + 1), name.as_str()))
    }
}

/// The LAN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lan {
    /// Port towards the router.
    pub uplink: PortNo,
    /// Prefix and router, of IPv4, IPv6 or both.
    pub subnets: Vec<Subnet>,
    /// wamig's own MAC address here; `None` = from the datapath id.
    pub mac: Option<MacAddr>,
}

/// This site's end of the peer sessions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peering {
    /// Address and TCP port to listen on.
    pub listen: SocketAddr,
    /// Certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub private_key: PathBuf,
}

/// The learning switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Learning {
    /// A host that is silent for so many seconds is forgotten.
    pub idle_s: u16,
    /// At most so many hosts are known.
    pub max_addresses: usize,
}

impl Default for Learning {
    fn default() -> Self {
        Self { idle_s: 300, max_addresses: 4096 }
    }
}

impl Config {
    /// Reads and checks a file, the certificate and key files it names included.
    ///
    /// # Errors
    /// [`ConfigError`], with every mistake of the file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(path, &read(path)?)
    }

    /// The control socket that a file names, whatever else is in it: a client need not be able
    /// to read the site's key.
    ///
    /// # Errors
    /// [`ConfigError`] when the file cannot be read or is no TOML.
    pub fn control_socket_of(path: &Path) -> Result<PathBuf, ConfigError> {
        check::control_socket(path, &read(path)?)
    }

    /// wamig's own MAC address on its LAN: as configured, else a locally administered one that
    /// ends like the datapath id.
    pub fn own_mac(&self, dpid: DatapathId) -> MacAddr {
        let [.., a, b, c] = dpid.0.to_be_bytes();
        self.lan.as_ref().and_then(|l| l.mac).unwrap_or(MacAddr([0x02, 0x57, 0x4d, a, b, c]))
    }

    /// What the migration application has to know; `None` = external controllers own the tables.
    pub fn site(&self, dpid: DatapathId) -> Option<SiteConfig> {
        let lan = self.lan.as_ref()?;
        let apart = |port: &PortNo| *port == lan.uplink || self.hosting.ports.contains(port);
        Some(SiteConfig {
            site: self.site.clone(),
            lan: crate::migration::config::Lan {
                uplink: lan.uplink,
                ports: self.switch.numbered().map(|(port, _)| port).filter(|port| !apart(port)).collect(),
                subnets: lan.subnets.clone(),
                mac: self.own_mac(dpid),
            },
            servers: self.servers.clone(),
            hosting: self.hosting.clone(),
            damping: self.damping,
            timers: self.timers.clone(),
        })
    }

    /// What the peer sessions have to know.
    pub fn peering(&self, peering: &Peering, identity: Identity) -> PeeringConfig {
        PeeringConfig {
            site: self.site.clone(),
            listen: peering.listen,
            identity,
            peers: self.peers.clone(),
            timers: self.peer_timers,
        }
    }

    /// What the learning switch has to know.
    pub fn learning(&self, dpid: DatapathId) -> Settings {
        Settings {
            idle_s: self.learning.idle_s,
            max_addresses: self.learning.max_addresses,
            isolated: self.hosting.ports.clone(),
            own: Some(self.own_mac(dpid)),
            cookie: learning::COOKIE,
            learn: learning::LEARN,
            forward: learning::FORWARD,
        }
    }

    /// Checks `text` as if it were the content of the file at `path`.
    ///
    /// # Errors
    /// [`ConfigError::Mistakes`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        check::check(path, text)
    }
}

/// The text of a file.
fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}
