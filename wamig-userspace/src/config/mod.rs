//! The configuration of one site: a TOML file, read into types that cannot hold nonsense.
//!
//! [`Config::load`] either returns a whole configuration or every mistake of the file, each
//! with line, column, what is wrong and what is allowed. Paths in the file are relative to
//! the file. Nothing here looks at the machine (interfaces, routes): the daemon does that
//! when it starts, since `check-config` must work anywhere.
//!
//! * [`error`] — mistakes and their places
//! * [`address`] — prefixes and ranges
//! * `file` — the keys as written; `check` and `check_sites` turn them into [`Config`]

pub mod address;
mod check;
mod check_sites;
pub mod error;
mod file;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use wamig_openflow::{DatapathId, MacAddr, PortNo};

use address::{Prefix, Span};
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
    /// The switch.
    pub switch: Switch,
    /// The LAN that the switch is part of.
    pub lan: Lan,
    /// How this site talks to its peers; `None` = it has none.
    pub peering: Option<Peering>,
    /// Other sites.
    pub peers: Vec<Peer>,
    /// Servers whose home is here.
    pub servers: Vec<Server>,
    /// What other sites' servers may use here; `None` = nothing.
    pub hosting: Option<Hosting>,
    /// The learning switch.
    pub learning: Learning,
    /// Timers of the migration.
    pub timers: Timers,
}

/// The switch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Switch {
    /// Its identity; `None` = from the first port's MAC address.
    pub datapath_id: Option<DatapathId>,
    /// Interfaces; the first is port 1.
    pub ports: Vec<String>,
    /// Directory in bpffs.
    pub pin_path: PathBuf,
    /// How to attach.
    pub xdp_mode: XdpMode,
    /// A port may carry the machine's default route.
    pub in_band: bool,
}

impl Switch {
    /// The number of the port on an interface.
    pub fn port(&self, interface: &str) -> Option<PortNo> {
        self.ports.iter().position(|p| p == interface).map(|i| PortNo(i as u32 + 1))
    }

    /// Ports with their interfaces, ascending.
    pub fn numbered(&self) -> impl Iterator<Item = (PortNo, &str)> {
        self.ports.iter().enumerate().map(|(i, name)| (PortNo(i as u32 + 1), name.as_str()))
    }
}

/// How XDP is attached to an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum XdpMode {
    /// Native, or else generic with a warning.
    #[default]
    Auto,
    /// Native or not at all.
    Native,
    /// In the network stack: works with every driver, at a fraction of the speed.
    Generic,
}

/// The LAN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lan {
    /// Port towards the router.
    pub uplink: PortNo,
    /// The LAN's prefix.
    pub prefix: Prefix,
    /// The router.
    pub gateway: Ipv4Addr,
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

/// Another site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Address and TCP port it listens on.
    pub endpoint: SocketAddr,
    /// SHA-256 of its certificate (DER).
    pub fingerprint: [u8; 32],
}

/// A server whose home is here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// Its address (the paper's S).
    pub address: Ipv4Addr,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Peers that may host it.
    pub hosts: Vec<String>,
}

/// Hosting other sites' servers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hosting {
    /// Ports that guests may appear on.
    pub ports: Vec<PortNo>,
    /// Transfer addresses, ascending as written.
    pub pool: Vec<Span>,
    /// How long a transfer address rests after use.
    pub quarantine: Duration,
    /// Who may bring what.
    pub guests: Vec<Guest>,
}

impl Hosting {
    /// Every transfer address.
    pub fn pool_addresses(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.pool.iter().flat_map(|span| span.addresses())
    }
}

/// A peer's right to be hosted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Guest {
    /// The peer.
    pub peer: String,
    /// Its servers' addresses are in these.
    pub prefixes: Vec<Prefix>,
    /// At most so many at a time.
    pub max: usize,
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

/// Timers of the migration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    /// A claim is repeated after this.
    pub claim_retry: Duration,
    /// A grant lapses after this unless renewed.
    pub lease: Duration,
    /// Grants are renewed this often.
    pub renew: Duration,
    /// A peer that is silent for this long is down.
    pub peer_down: Duration,
    /// How long a home waits for its server's answer before it grants a claim.
    pub home_probe: Duration,
    /// How long late packets are still delivered after a return.
    pub drain: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            claim_retry: Duration::from_millis(500),
            lease: Duration::from_secs(30),
            renew: Duration::from_secs(10),
            peer_down: Duration::from_secs(5),
            home_probe: Duration::from_millis(150),
            drain: Duration::from_secs(2),
        }
    }
}

impl Config {
    /// Reads and checks a file, the certificate and key files it names included.
    ///
    /// # Errors
    /// [`ConfigError`], with every mistake of the file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// The control socket that a file names, whatever else is in it: a client need not be able
    /// to read the site's key.
    ///
    /// # Errors
    /// [`ConfigError`] when the file cannot be read or is no TOML.
    pub fn control_socket_of(path: &Path) -> Result<PathBuf, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        check::control_socket(path, &text)
    }

    /// Checks `text` as if it were the content of the file at `path`.
    ///
    /// # Errors
    /// [`ConfigError::Mistakes`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        check::check(path, text)
    }
}
