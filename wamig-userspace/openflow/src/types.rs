//! Small typed numbers of the protocol (OpenFlow 1.3.5 §7.2) and the MAC address.

use std::fmt;
use std::str::FromStr;

/// An OpenFlow port number, 1.3 numbering (32 bits; reserved ports from `0xffff_fff8`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct PortNo(pub u32);

impl PortNo {
    /// Highest number a physical or logical port may have (`OFPP_MAX`).
    pub const MAX: Self = Self(0xffff_ff00);
    /// Send back out of the port the frame came in by (`OFPP_IN_PORT`).
    pub const IN_PORT: Self = Self(0xffff_fff8);
    /// Start the pipeline; packet-out only (`OFPP_TABLE`).
    pub const TABLE: Self = Self(0xffff_fff9);
    /// Traditional switching (`OFPP_NORMAL`); the XDP switch refuses it.
    pub const NORMAL: Self = Self(0xffff_fffa);
    /// All ports but the ingress port and those marked no-flood (`OFPP_FLOOD`).
    pub const FLOOD: Self = Self(0xffff_fffb);
    /// All ports but the ingress port (`OFPP_ALL`).
    pub const ALL: Self = Self(0xffff_fffc);
    /// A packet-in to the controller (`OFPP_CONTROLLER`).
    pub const CONTROLLER: Self = Self(0xffff_fffd);
    /// The switch's own host stack (`OFPP_LOCAL`).
    pub const LOCAL: Self = Self(0xffff_fffe);
    /// Wildcard in requests (`OFPP_ANY`, in 1.0 `OFPP_NONE`).
    pub const ANY: Self = Self(0xffff_ffff);

    /// The name ovs-ofctl prints for a reserved port.
    pub const fn reserved_name(self) -> Option<&'static str> {
        match self {
            Self::IN_PORT => Some("IN_PORT"),
            Self::TABLE => Some("TABLE"),
            Self::NORMAL => Some("NORMAL"),
            Self::FLOOD => Some("FLOOD"),
            Self::ALL => Some("ALL"),
            Self::CONTROLLER => Some("CONTROLLER"),
            Self::LOCAL => Some("LOCAL"),
            Self::ANY => Some("ANY"),
            _ => None,
        }
    }
}

impl fmt::Display for PortNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reserved_name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A flow table's number; [`TableId::ALL`] is the wildcard of delete and stats requests.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TableId(pub u8);

impl TableId {
    /// `OFPTT_ALL`.
    pub const ALL: Self = Self(0xff);
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A flow's opaque 64-bit cookie.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Cookie(pub u64);

impl fmt::Display for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A transaction id: a reply carries its request's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Xid(pub u32);

/// A group's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct GroupId(pub u32);

impl GroupId {
    /// Highest number a group may have (`OFPG_MAX`).
    pub const MAX: Self = Self(0xffff_ff00);
    /// All groups; delete and stats requests only (`OFPG_ALL`).
    pub const ALL: Self = Self(0xffff_fffc);
    /// No restriction; flow requests only (`OFPG_ANY`).
    pub const ANY: Self = Self(0xffff_ffff);
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A meter's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct MeterId(pub u32);

impl MeterId {
    /// Highest number a flow's meter may have (`OFPM_MAX`).
    pub const MAX: Self = Self(0xffff_0000);
    /// Meter of the slow data path (`OFPM_SLOWPATH`).
    pub const SLOWPATH: Self = Self(0xffff_fffd);
    /// Meter of the controller connection (`OFPM_CONTROLLER`).
    pub const CONTROLLER: Self = Self(0xffff_fffe);
    /// All meters; stats requests only (`OFPM_ALL`).
    pub const ALL: Self = Self(0xffff_ffff);
}

impl fmt::Display for MeterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A switch's 64-bit identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct DatapathId(pub u64);

impl fmt::Display for DatapathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// An Ethernet address, in transmission order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// All ones.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// All zeros, as in the target of an ARP request.
    pub const ZERO: Self = Self([0; 6]);

    /// True for group addresses, broadcast included (IEEE 802: the I/G bit).
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// The address as a number of 48 bits, first octet most significant.
    pub fn to_u64(self) -> u64 {
        self.0.iter().fold(0, |n, b| n << 8 | u64::from(*b))
    }

    /// The address from the low 48 bits of a number, first octet most significant.
    pub fn from_u64(n: u64) -> Self {
        let b = n.to_be_bytes();
        Self([b[2], b[3], b[4], b[5], b[6], b[7]])
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, octet) in self.0.iter().enumerate() {
            let colon = if i == 0 { "" } else { ":" };
            write!(f, "{colon}{octet:02x}")?;
        }
        Ok(())
    }
}

/// The text was not six hexadecimal octets separated by colons.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a MAC address is six hexadecimal octets separated by colons, as in 02:00:00:00:00:01")]
pub struct BadMac;

impl FromStr for MacAddr {
    type Err = BadMac;

    fn from_str(s: &str) -> Result<Self, BadMac> {
        let mut out = [0u8; 6];
        let mut parts = s.split(':');
        for octet in &mut out {
            let part = parts.next().ok_or(BadMac)?;
            if part.is_empty() || part.len() > 2 || !part.bytes().all(|c| c.is_ascii_hexdigit()) {
                return Err(BadMac);
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| BadMac)?;
        }
        if parts.next().is_some() {
            return Err(BadMac);
        }
        Ok(Self(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_reads_what_it_prints() {
        let mac = MacAddr([2, 0xab, 0, 1, 0xff, 9]);
        assert_eq!(mac.to_string().parse(), Ok(mac));
        assert_eq!(MacAddr::from_u64(mac.to_u64()), mac);
    }

    #[test]
    fn mac_refuses_what_is_not_one() {
        for bad in ["", "02:00:00:00:00", "02:00:00:00:00:01:02", "02:00:00:00:00:+1", "zz:0:0:0:0:0", "2:0:0:0:0:001"]
        {
            assert_eq!(bad.parse::<MacAddr>(), Err(BadMac), "{bad:?}");
        }
    }

    #[test]
    fn reserved_ports_print_by_name() {
        assert_eq!(PortNo::IN_PORT.to_string(), "IN_PORT");
        assert_eq!(PortNo(7).to_string(), "7");
    }
}
