//! Why the daemon does not start: what is wrong, and what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::admin::socket::SocketError;
use crate::fastpath::xdp::OpenError;
use crate::migration::record::RecordError;
use crate::peer::PeeringError;
use crate::peer::identity::IdentityError;
use crate::store::StoreError;

/// Each message ends with its remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The audit log.
    #[error("cannot open {}: {source}; state_dir must be a directory that wamig may write", path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The address for `/metrics`.
    #[error("cannot listen on {address} (metrics.listen): {source}; choose another port, or stop what has it")]
    Metrics {
        /// As configured.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// An endpoint for controllers.
    #[error("{0} (openflow.listen)")]
    OpenFlow(#[from] crate::channel::BindError),
    /// An endpoint for the switch.
    #[error("{0} (switch.remote.listen)")]
    Switch(#[source] crate::channel::BindError),
    /// Certificates for OpenFlow.
    #[error("{0}; correct the keys for TLS in [openflow] or [switch.remote]")]
    OpenFlowTls(#[from] crate::channel::tls::TlsError),
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
    #[error("interface {name:?} ({key}) cannot be a port: it is {what}; take it out of {key}")]
    UnfitInterface {
        /// As configured.
        name: String,
        /// By which key.
        key: &'static str,
        /// What it is.
        what: &'static str,
    },
    /// A port would cut the machine off.
    #[error(
        "interface {name:?} ({key}) carries the default route, so that making it a port can cut this machine off; \
         manage the machine by another link, or set in_band = true in [switch] if you mean it"
    )]
    DefaultRoute {
        /// As configured.
        name: String,
        /// By which key.
        key: &'static str,
    },
    /// The LOCAL port has no interface.
    #[error(
        "interface {name:?} (switch.local) cannot be made: {source}; load the module veth, or make the interface yourself"
    )]
    Local {
        /// As configured.
        name: String,
        /// Why.
        source: rtnetlink::Error,
    },
    /// Somebody else removes it.
    #[error("interface {name:?} (switch.local) was there and is gone; find out who removes it, then start again")]
    LocalGone {
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
        address: std::net::IpAddr,
        /// Its interface.
        interface: String,
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
    /// The state file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record in the state file.
    #[error("{}: record {key}: {source}; it is of another version of wamig, or damaged: run that version, or move the file away to begin anew", path.display())]
    Record {
        /// The state file.
        path: PathBuf,
        /// The record's key.
        key: String,
        /// What is wrong with it.
        source: RecordError,
    },
    /// Certificate and key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The peer sessions.
    #[error(transparent)]
    Peering(PeeringError),
    /// The data path.
    #[error(transparent)]
    Datapath(#[from] OpenError),
}

impl From<PeeringError> for StartError {
    fn from(error: PeeringError) -> Self {
        match error {
            PeeringError::Listen { address, source } => match source.kind() {
                io::ErrorKind::AddrInUse => Self::PortTaken { address },
                io::ErrorKind::AddrNotAvailable => Self::NotOurAddress { address },
                _ => Self::Peering(PeeringError::Listen { address, source }),
            },
            other => Self::Peering(other),
        }
    }
}
