//! Why the daemon does not start: what is wrong, and what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::admin::socket::SocketError;

/// Each message ends with its remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No such interface.
    #[error(
        "interface {name:?} (switch.ports) does not exist; create it or correct switch.ports; there are: {there_are}"
    )]
    NoInterface {
        /// As configured.
        name: String,
        /// Names of the machine's interfaces.
        there_are: String,
    },
    /// An interface that XDP cannot be a port on.
    #[error("interface {name:?} (switch.ports) cannot be a port: it is {what}; take it out of switch.ports")]
    UnfitInterface {
        /// As configured.
        name: String,
        /// What it is.
        what: &'static str,
    },
    /// A port would cut the machine off.
    #[error(
        "interface {name:?} (switch.ports) carries the default route, so that making it a port can cut this machine off; \
         manage the machine by another link, or set in_band = true in [switch] if you mean it"
    )]
    DefaultRoute {
        /// As configured.
        name: String,
    },
    /// A transfer address is in use by this machine.
    #[error(
        "the pool (hosting.pool) contains {address}, which this machine has on {interface}; \
         take it out of the pool or off the interface"
    )]
    PoolOverlap {
        /// The address.
        address: std::net::Ipv4Addr,
        /// Its interface.
        interface: String,
    },
    /// Too old a kernel.
    #[error("the kernel is {release}; wamig needs Linux 6.1 or later: boot a newer one (Debian 12's own will do)")]
    Kernel {
        /// As uname tells.
        release: String,
    },
    /// Missing capabilities.
    #[error(
        "no privilege: {missing} missing; run as root, or with \
         AmbientCapabilities=CAP_BPF CAP_NET_ADMIN CAP_NET_RAW CAP_PERFMON in the systemd unit"
    )]
    Privilege {
        /// Names of the capabilities.
        missing: String,
    },
    /// The pin path is not in a BPF file system.
    #[error(
        "{} (switch.pin_path) is not in a BPF file system{why}; \
         mount one with `mount -t bpf bpf /sys/fs/bpf`, or set switch.pin_path", path.display()
    )]
    NoBpffs {
        /// As configured.
        path: PathBuf,
        /// Why mounting it failed, if that was tried.
        why: String,
    },
    /// Someone listens there already.
    #[error(
        "{address} (peering.listen) is taken; stop who listens there (`ss -ltnp`), or set another port here and at the peers"
    )]
    PortTaken {
        /// As configured.
        address: SocketAddr,
    },
    /// No such address.
    #[error(
        "{address} (peering.listen) is no address of this machine; add it to an interface, or correct peering.listen"
    )]
    NotOurAddress {
        /// As configured.
        address: SocketAddr,
    },
    /// Listening failed otherwise.
    #[error("cannot listen on {address} (peering.listen): {source}; correct peering.listen")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The control socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// rtnetlink does not work.
    #[error("the kernel does not tell about interfaces: {0}; rtnetlink must be allowed (seccomp, container)")]
    Netlink(String),
    /// The operating system refuses something elementary.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The state file, its own remedy included.
    #[error("{0}")]
    Store(String),
    /// Certificate and key, the remedy included.
    #[error("{0}")]
    Identity(String),
    /// The data path, the remedy included.
    #[error("{0}")]
    Datapath(String),
}

impl StartError {
    /// The reason why `address` cannot be listened on.
    pub fn listen(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortTaken { address },
            io::ErrorKind::AddrNotAvailable => Self::NotOurAddress { address },
            _ => Self::Listen { address, source },
        }
    }
}
