//! Reads captured frames as far as the proofs need them: Ethernet, ARP, IPv4, UDP, TCP.

use std::net::Ipv4Addr;

/// A MAC address.
pub type Mac = [u8; 6];

/// A frame, its addresses and what it carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// Destination MAC.
    pub to: Mac,
    /// Source MAC.
    pub from: Mac,
    /// What it carries.
    pub carries: Carries<'a>,
    bytes: &'a [u8],
}

/// The network layer of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carries<'a> {
    /// An ARP packet for Ethernet and IPv4.
    Arp(Arp),
    /// An IPv4 packet.
    Ip(Ip<'a>),
    /// Something else, or cut short.
    Other,
}

/// An ARP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arp {
    /// 1 request, 2 reply.
    pub operation: u16,
    /// Sender's MAC.
    pub sender_mac: Mac,
    /// Sender's address; 0.0.0.0 in an address probe.
    pub sender: Ipv4Addr,
    /// Target's address.
    pub target: Ipv4Addr,
}

/// An IPv4 packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ip<'a> {
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Protocol number.
    pub protocol: u8,
    /// UDP or TCP ports, source first; zeroes where there are none.
    pub ports: (u16, u16),
    /// What is behind the UDP header; empty for everything else.
    pub payload: &'a [u8],
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn ipv4(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?))
}

fn mac(bytes: &[u8], at: usize) -> Option<Mac> {
    bytes.get(at..at + 6)?.try_into().ok()
}

impl<'a> Frame<'a> {
    /// Reads a frame; `None` if it is shorter than its Ethernet header.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let carries = match be16(bytes, 12)? {
            0x0806 => arp(&bytes[14..]).map(Carries::Arp),
            0x0800 => ip(&bytes[14..]).map(Carries::Ip),
            _ => None,
        };
        Some(Self { to: mac(bytes, 0)?, from: mac(bytes, 6)?, carries: carries.unwrap_or(Carries::Other), bytes })
    }

    /// Its IPv4 packet, if it carries one.
    pub fn ip(&self) -> Option<&Ip<'a>> {
        match &self.carries {
            Carries::Ip(ip) => Some(ip),
            _ => None,
        }
    }

    /// Its ARP packet, if it carries one.
    pub fn arp(&self) -> Option<&Arp> {
        match &self.carries {
            Carries::Arp(arp) => Some(arp),
            _ => None,
        }
    }

    /// Whether the four bytes of an address occur anywhere behind the Ethernet header: in an
    /// address field, in an ICMP error's quotation, in a payload.
    pub fn mentions(&self, address: Ipv4Addr) -> bool {
        let wanted = address.octets();
        self.bytes.get(14..).is_some_and(|rest| rest.windows(4).any(|four| four == wanted))
    }
}

fn arp(packet: &[u8]) -> Option<Arp> {
    let fixed = [0, 1, 8, 0, 6, 4];
    if packet.get(..6)? != fixed {
        return None;
    }
    Some(Arp {
        operation: be16(packet, 6)?,
        sender_mac: mac(packet, 8)?,
        sender: ipv4(packet, 14)?,
        target: ipv4(packet, 24)?,
    })
}

fn ip(packet: &[u8]) -> Option<Ip<'_>> {
    let first = *packet.first()?;
    let header = usize::from(first & 15) * 4;
    if first >> 4 != 4 || header < 20 {
        return None;
    }
    let protocol = *packet.get(9)?;
    let total = usize::from(be16(packet, 2)?).min(packet.len());
    let later_fragment = be16(packet, 6)? & 0x1fff != 0;
    let behind = packet.get(header..total).unwrap_or_default();
    let ports = match (protocol, later_fragment) {
        (6 | 17, false) => (be16(behind, 0)?, be16(behind, 2)?),
        _ => (0, 0),
    };
    let payload = if protocol == 17 && !later_fragment { behind.get(8..).unwrap_or_default() } else { &[] };
    Some(Ip { source: ipv4(packet, 12)?, destination: ipv4(packet, 16)?, protocol, ports, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp() -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        bytes.extend([0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 53]);
        bytes.extend([0x30, 0x39, 0, 53, 0, 12, 0, 0, 0xca, 0xfe, 1, 0]);
        bytes.extend([0; 14]);
        bytes
    }

    #[test]
    fn reads_udp_without_the_padding() {
        let bytes = udp();
        let frame = Frame::read(&bytes).unwrap();
        let ip = frame.ip().unwrap();
        assert_eq!(ip.destination, Ipv4Addr::new(192, 0, 2, 53));
        assert_eq!(ip.ports, (12345, 53));
        assert_eq!(ip.payload, [0xca, 0xfe, 1, 0]);
        assert!(frame.mentions(Ipv4Addr::new(192, 0, 2, 53)));
        assert!(!frame.mentions(Ipv4Addr::new(198, 51, 100, 200)));
    }

    #[test]
    fn frames_cut_anywhere_are_read_without_harm() {
        let bytes = udp();
        for end in 0..bytes.len() {
            let _ = Frame::read(&bytes[..end]);
        }
    }
}
