//! Port descriptions and port-status (OpenFlow 1.3.5 §7.2.1, §7.4.3).

use crate::types::{MacAddr, PortNo};

/// A port of the switch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortDesc {
    /// Number.
    pub port: PortNo,
    /// Hardware address.
    pub mac: MacAddr,
    /// Interface name (at most 15 characters).
    pub name: String,
    /// Whether the link carries frames.
    pub link_up: bool,
    /// Largest frame payload in bytes (L3 MTU).
    pub mtu: u32,
}

/// What happened to a port.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PortReason {
    /// It appeared.
    Add,
    /// It went away.
    Delete,
    /// Its state changed.
    Modify,
}

/// A change of a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortStatus {
    /// What happened.
    pub reason: PortReason,
    /// The port as it is now, or was last.
    pub desc: PortDesc,
}
