//! What a connection itself needs: hello, errors, features, switch configuration, roles and
//! asynchronous masks (OpenFlow 1.3.5 §7.3.1, §7.3.2, §7.3.9, §7.3.10, §7.5.1, §7.4.4).

use bytes::Bytes;

use crate::error::{ErrorKind, OfpError};
use crate::message::PortDesc;
use crate::numbers::{flags, numbered};
use crate::types::DatapathId;

/// The first message of either side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// Version in the header: the highest one the sender speaks.
    pub version: u8,
    /// The versions of the `OFPHET_VERSIONBITMAP` element, bit n = version n; `None` = the
    /// sender gave no bitmap and speaks everything up to `version`.
    pub versions: Option<u64>,
}

impl Hello {
    /// A hello that offers 1.0 and 1.3.
    pub const fn ours() -> Self {
        Self { version: 4, versions: Some(1 << 1 | 1 << 4) }
    }

    /// The version two sides speak (§6.3.1): the highest in both bitmaps, or the lower of the
    /// header versions when one side gave no bitmap.
    ///
    /// # Errors
    /// `OFPHFC_INCOMPATIBLE` when there is none.
    pub fn negotiate(&self, other: &Self) -> Result<u8, OfpError> {
        let common = match (self.versions, other.versions) {
            (Some(a), Some(b)) => a & b,
            (Some(one), None) | (None, Some(one)) => {
                one & 1u64.checked_shl(u32::from(self.version.min(other.version))).unwrap_or(0)
            }
            (None, None) => return Ok(self.version.min(other.version)),
        };
        match common.checked_ilog2() {
            Some(version) if version > 0 => Ok(version as u8),
            _ => Err(OfpError::new(ErrorKind::HelloFailedIncompatible, "no OpenFlow version in common")),
        }
    }
}

/// A kind of error, or the numbers of one that this crate has no name for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorCode {
    /// One of the specification's.
    Known(ErrorKind),
    /// Another type and code.
    Other(u16, u16),
    /// An experimenter's: (experimenter, `exp_type`) (1.3).
    Experimenter(u32, u16),
}

/// An error: the answer to a request that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErrorMessage {
    /// What went wrong.
    pub code: ErrorCode,
    /// The start of the offending request, or text after a failed hello.
    pub data: Bytes,
}

/// What a switch is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Features {
    /// Identity.
    pub datapath_id: DatapathId,
    /// Frames it can keep; 0 = none.
    pub buffers: u32,
    /// Flow tables.
    pub tables: u8,
    /// Auxiliary connection, 0 = main (1.3).
    pub auxiliary_id: u8,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Supported actions, bit n = `OFPAT_` n of 1.0 (1.0).
    pub actions: u32,
    /// Ports (1.0; in 1.3 a multipart).
    pub ports: Vec<PortDesc>,
}

flags! {
    /// `ofp_capabilities`; the bits of 1.3, and two that only 1.0 has (its `stp` bit moved).
    pub struct Capabilities: u32 {
        /// Flow statistics.
        flow_stats = 1,
        /// Table statistics.
        table_stats = 2,
        /// Port statistics.
        port_stats = 4,
        /// Group statistics (1.3).
        group_stats = 8,
        /// Reassembles IP fragments.
        ip_reasm = 0x20,
        /// Queue statistics.
        queue_stats = 0x40,
        /// 1.0: matches IP addresses in ARP.
        arp_match_ip = 0x80,
        /// Blocks looping ports (1.3).
        port_blocked = 0x100,
        /// 1.0: spanning tree (bit 3 on its wire).
        stp = 0x8000_0000,
    }
}

numbered! {
    /// What happens to IP fragments (`ofp_config_flags`).
    pub enum Fragments: u16 {
        /// No special handling.
        Normal = 0,
        /// Dropped.
        Drop = 1,
        /// Reassembled.
        Reassemble = 2,
    }
}

/// Switch configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SwitchConfig {
    /// What happens to IP fragments.
    pub fragments: Fragments,
    /// Bytes of a frame in packet-ins that no action asked for.
    pub miss_send_len: u16,
}

numbered! {
    /// A controller's role.
    pub enum ControllerRole: u32 {
        /// Ask without changing.
        NoChange = 0,
        /// Full access, default.
        Equal = 1,
        /// Full access, at most one controller.
        Master = 2,
        /// Read only.
        Slave = 3,
    }
}

/// A role request or reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Role {
    /// The role.
    pub role: ControllerRole,
    /// Age of the mastership election; older ones are refused.
    pub generation_id: u64,
}

/// Which asynchronous messages a controller gets; bit n = reason n, `[master or equal, slave]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AsyncConfig {
    /// Packet-in reasons.
    pub packet_in: [u32; 2],
    /// Port-status reasons.
    pub port_status: [u32; 2],
    /// Flow-removed reasons.
    pub flow_removed: [u32; 2],
}

/// A message of someone else, kept as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Experimenter {
    /// Whose.
    pub experimenter: u32,
    /// Type within the experimenter's space. In 1.0 the first 4 bytes of what the vendor sends,
    /// `None` where it sends fewer (1.0 §5.5.4); 1.3 always has it (§7.5.4).
    pub exp_type: Option<u32>,
    /// The rest.
    pub data: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_common_version_is_spoken() {
        let ours = Hello::ours();
        let old = Hello { version: 1, versions: None };
        let new = Hello { version: 6, versions: Some(1 << 6 | 1 << 4) };
        assert_eq!(ours.negotiate(&old), Ok(1));
        assert_eq!(ours.negotiate(&new), Ok(4));
        assert_eq!(ours.negotiate(&Hello { version: 5, versions: None }), Ok(4));
        let alien = Hello { version: 6, versions: Some(1 << 6) };
        assert_eq!(ours.negotiate(&alien).unwrap_err().kind, ErrorKind::HelloFailedIncompatible);
        assert!(ours.negotiate(&Hello { version: 2, versions: None }).is_err());
    }
}
