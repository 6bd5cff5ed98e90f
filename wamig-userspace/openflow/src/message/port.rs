//! Port descriptions and port-status (OpenFlow 1.3.5 §7.2.1, §7.4.3).

use std::time::Duration;

use crate::numbers::{flags, numbered};
use crate::types::{MacAddr, PortNo};

/// A port of the switch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PortDesc {
    /// Number.
    pub port: PortNo,
    /// Hardware address.
    pub mac: MacAddr,
    /// Interface name (at most 15 characters).
    pub name: String,
    /// Whether the link carries frames.
    pub link_up: bool,
    /// Largest frame payload in bytes (L3 MTU); no wire form carries it, 0 after decoding.
    pub mtu: u32,
    /// What the controller set.
    pub config: PortConfig,
    /// State beside the link.
    pub state: PortState,
    /// Speeds and media.
    pub features: PortFeatures,
}

flags! {
    /// `ofp_port_config`; the bits of 1.3, and three that only 1.0 has.
    pub struct PortConfig: u32 {
        /// Administratively down.
        down = 1,
        /// 1.0: no spanning tree on the port.
        no_stp = 2,
        /// Drop frames that come in.
        no_recv = 4,
        /// 1.0: drop spanning tree frames that come in.
        no_recv_stp = 8,
        /// 1.0: leave the port out of floods.
        no_flood = 16,
        /// Drop frames sent to the port.
        no_fwd = 32,
        /// No packet-ins for the port.
        no_packet_in = 64,
    }
}

impl PortConfig {
    /// The bits that 1.3 knows.
    pub const V13: u32 = 1 | 4 | 32 | 64;
    /// The bits that 1.0 knows.
    pub const V10: u32 = 0x7f;
}

/// State of a port beside its link (`ofp_port_state`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct PortState {
    /// 1.3: blocked by a protocol outside of OpenFlow.
    pub blocked: bool,
    /// 1.3: live for fast failover.
    pub live: bool,
    /// 1.0: spanning tree state, 0 listen to 3 block.
    pub stp: u8,
}

/// Speeds and media of a port, `ofp_port_features` bits as 1.3 numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct PortFeatures {
    /// Current.
    pub current: u32,
    /// Advertised by the port.
    pub advertised: u32,
    /// Supported by the port.
    pub supported: u32,
    /// Advertised by the link partner.
    pub peer: u32,
    /// Current bit rate in kbit/s (1.3).
    pub current_speed: u32,
    /// Highest bit rate in kbit/s (1.3).
    pub max_speed: u32,
}

/// A change of a port's configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortMod {
    /// Which port.
    pub port: PortNo,
    /// Its hardware address, as a guard against renumbering.
    pub mac: MacAddr,
    /// New configuration.
    pub config: PortConfig,
    /// Which of its flags change.
    pub mask: PortConfig,
    /// Features to advertise, as 1.3 numbers them; 0 = unchanged.
    pub advertise: u32,
}

/// Counters of a port; `u64::MAX` = not counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PortStats {
    /// Which port.
    pub port: PortNo,
    /// Frames received.
    pub rx_packets: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames dropped on receipt.
    pub rx_dropped: u64,
    /// Frames dropped on sending.
    pub tx_dropped: u64,
    /// Receive errors of any kind.
    pub rx_errors: u64,
    /// Send errors of any kind.
    pub tx_errors: u64,
    /// Alignment errors.
    pub rx_frame_err: u64,
    /// Overruns.
    pub rx_over_err: u64,
    /// Checksum errors.
    pub rx_crc_err: u64,
    /// Collisions.
    pub collisions: u64,
    /// How long the port has been alive (1.3).
    pub duration: Duration,
}

numbered! {
    /// What happened to a port.
    pub enum PortReason: u8 {
        /// It appeared.
        Add = 0,
        /// It went away.
        Delete = 1,
        /// Its state changed.
        Modify = 2,
    }
}

/// A change of a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortStatus {
    /// What happened.
    pub reason: PortReason,
    /// The port as it is now, or was last.
    pub desc: PortDesc,
}
