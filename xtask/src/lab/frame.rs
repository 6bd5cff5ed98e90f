//! Reads captured frames as far as the proofs need them: Ethernet, ARP, IPv4, IPv6, UDP, TCP,
//! neighbour discovery.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
    /// An IPv4 or IPv6 packet.
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

/// An IPv4 or IPv6 packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ip<'a> {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Protocol number, of IPv6 the one behind the extension headers.
    pub protocol: u8,
    /// UDP or TCP ports, source first; zeroes where there are none.
    pub ports: (u16, u16),
    /// What is behind the UDP header, or the ICMPv6 message; empty for everything else.
    pub payload: &'a [u8],
}

/// A neighbour solicitation or advertisement (RFC 4861).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Neighbour {
    /// A question, not an answer.
    pub asks: bool,
    /// Source address; `::` in duplicate address detection.
    pub source: IpAddr,
    /// Whose MAC is asked for, or told.
    pub target: IpAddr,
    /// The MAC of an answer's target, or of who asks, if the message says it.
    pub link: Option<Mac>,
}

/// Protocol numbers.
const TCP: u8 = 6;
const UDP: u8 = 17;
const FRAGMENT: u8 = 44;
const ICMPV6: u8 = 58;

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn ipv4(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?))
}

fn ipv6(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?))
}

fn mac(bytes: &[u8], at: usize) -> Option<Mac> {
    bytes.get(at..at + 6)?.try_into().ok()
}

impl<'a> Frame<'a> {
    /// Reads a frame; `None` if it is shorter than its Ethernet header.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let carries = match be16(bytes, 12)? {
            0x0806 => arp(&bytes[14..]).map(Carries::Arp),
            0x0800 => packet4(&bytes[14..]).map(Carries::Ip),
            0x86dd => packet6(&bytes[14..]).map(Carries::Ip),
            _ => None,
        };
        Some(Self { to: mac(bytes, 0)?, from: mac(bytes, 6)?, carries: carries.unwrap_or(Carries::Other), bytes })
    }

    /// Its IPv4 or IPv6 packet, if it carries one.
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

    /// The neighbour solicitation or advertisement that it carries.
    pub fn neighbour(&self) -> Option<Neighbour> {
        self.ip().and_then(neighbour)
    }

    /// Whether it is IPv6, readable or not.
    pub fn is_ipv6(&self) -> bool {
        be16(self.bytes, 12) == Some(0x86dd)
    }

    /// Whether the bytes of an address occur anywhere behind the Ethernet header: in an
    /// address field, in an ICMP error's quotation, in a payload.
    pub fn mentions(&self, address: IpAddr) -> bool {
        let rest = self.bytes.get(14..).unwrap_or_default();
        match address {
            IpAddr::V4(address) => rest.windows(4).any(|part| part == address.octets()),
            IpAddr::V6(address) => rest.windows(16).any(|part| part == address.octets()),
        }
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

fn packet4(packet: &[u8]) -> Option<Ip<'_>> {
    let first = *packet.first()?;
    let header = usize::from(first & 15) * 4;
    if first >> 4 != 4 || header < 20 {
        return None;
    }
    let protocol = *packet.get(9)?;
    let total = usize::from(be16(packet, 2)?).min(packet.len());
    let later_fragment = be16(packet, 6)? & 0x1fff != 0;
    let behind = (!later_fragment).then(|| packet.get(header..total).unwrap_or_default());
    transport((ipv4(packet, 12)?.into(), ipv4(packet, 16)?.into()), protocol, behind)
}

fn packet6(packet: &[u8]) -> Option<Ip<'_>> {
    if packet.first()? >> 4 != 6 {
        return None;
    }
    let total = (40 + usize::from(be16(packet, 4)?)).min(packet.len());
    let mut protocol = *packet.get(6)?;
    let mut behind = Some(packet.get(40..total)?);
    // Hop-by-hop options, routing, fragment, destination options.
    while let (0 | 43 | FRAGMENT | 60, Some(header)) = (protocol, behind) {
        let length = if protocol == FRAGMENT { 8 } else { 8 + 8 * usize::from(*header.get(1)?) };
        let later_fragment = protocol == FRAGMENT && be16(header, 2)? >> 3 != 0;
        protocol = *header.first()?;
        behind = if later_fragment { None } else { Some(header.get(length..)?) };
    }
    transport((ipv6(packet, 8)?.into(), ipv6(packet, 24)?.into()), protocol, behind)
}

/// What is behind the network layer's headers; nothing is in a later fragment.
fn transport((source, destination): (IpAddr, IpAddr), protocol: u8, behind: Option<&[u8]>) -> Option<Ip<'_>> {
    let ports = match (protocol, behind) {
        (TCP | UDP, Some(behind)) => (be16(behind, 0)?, be16(behind, 2)?),
        _ => (0, 0),
    };
    let payload = match protocol {
        UDP => behind.and_then(|behind| behind.get(8..)),
        ICMPV6 => behind,
        _ => None,
    };
    Some(Ip { source, destination, protocol, ports, payload: payload.unwrap_or_default() })
}

fn neighbour(ip: &Ip<'_>) -> Option<Neighbour> {
    let asks = match (ip.protocol, ip.payload.first()?) {
        (ICMPV6, 135) => true,
        (ICMPV6, 136) => false,
        _ => return None,
    };
    let target = ipv6(ip.payload, 8)?.into();
    let wanted = if asks { 1 } else { 2 };
    let (mut at, mut link) = (24, None);
    while let Some(&[kind, units]) = ip.payload.get(at..at + 2) {
        if units == 0 {
            return None;
        }
        if kind == wanted && link.is_none() {
            link = mac(ip.payload, at + 2);
        }
        at += 8 * usize::from(units);
    }
    Some(Neighbour { asks, source: ip.source, target, link })
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

    const HOST: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x53);
    const OTHER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0xc8);

    /// A frame from `OTHER` to `HOST`; `next` is the first header behind IPv6's own.
    fn six(next: u8, behind: &[u8]) -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd];
        bytes.extend([0x60, 0, 0, 0, 0, behind.len() as u8, next, 64]);
        bytes.extend([OTHER.octets(), HOST.octets()].concat());
        bytes.extend(behind);
        bytes
    }

    const DATAGRAM: [u8; 12] = [0x30, 0x39, 0, 53, 0, 12, 0, 0, 0xca, 0xfe, 1, 0];

    fn solicitation(kind: u8, options: &[u8]) -> Vec<u8> {
        six(58, &[&[kind, 0, 0, 0, 0, 0, 0, 0], &HOST.octets()[..], options].concat())
    }

    #[test]
    fn reads_udp_without_the_padding() {
        let bytes = udp();
        let frame = Frame::read(&bytes).unwrap();
        let ip = frame.ip().unwrap();
        assert_eq!(ip.destination, Ipv4Addr::new(192, 0, 2, 53));
        assert_eq!(ip.ports, (12345, 53));
        assert_eq!(ip.payload, [0xca, 0xfe, 1, 0]);
        assert!(!frame.is_ipv6());
        assert!(frame.mentions(Ipv4Addr::new(192, 0, 2, 53).into()));
        assert!(!frame.mentions(Ipv4Addr::new(198, 51, 100, 200).into()));
    }

    #[test]
    fn reads_udp_over_ipv6_behind_extension_headers() {
        let options = [17, 0, 1, 4, 0, 0, 0, 0];
        let fragment = |offset: u8| [17, 0, 0, offset, 0, 0, 0, 1];
        let first = six(FRAGMENT, &[&fragment(1)[..], &DATAGRAM].concat());
        for bytes in [six(17, &DATAGRAM), six(0, &[&options[..], &DATAGRAM].concat()), first] {
            let frame = Frame::read(&bytes).unwrap();
            let ip = frame.ip().unwrap();
            assert_eq!((ip.source, ip.destination), (OTHER.into(), HOST.into()));
            assert_eq!((ip.protocol, ip.ports, ip.payload), (17, (12345, 53), &[0xca, 0xfe, 1, 0][..]));
            assert!(frame.is_ipv6() && frame.mentions(HOST.into()) && !frame.mentions(Ipv6Addr::LOCALHOST.into()));
        }
        let later = six(FRAGMENT, &[&fragment(8)[..], &DATAGRAM].concat());
        let frame = Frame::read(&later).unwrap();
        assert_eq!(frame.ip().map(|ip| (ip.protocol, ip.ports, ip.payload)), Some((17, (0, 0), &[][..])));
    }

    #[test]
    fn reads_neighbour_discovery() {
        let told = [2, 1, 2, 0, 0, 0, 1, 1];
        // A nonce comes first, as in duplicate address detection.
        let bytes = solicitation(136, &[&[14, 1, 1, 2, 3, 4, 5, 6][..], &told].concat());
        let expected =
            Neighbour { asks: false, source: OTHER.into(), target: HOST.into(), link: Some([2, 0, 0, 0, 1, 1]) };
        assert_eq!(Frame::read(&bytes).unwrap().neighbour(), Some(expected));
        // An answer's option in a question is none.
        let bytes = solicitation(135, &told);
        let found = Frame::read(&bytes).unwrap().neighbour().unwrap();
        assert_eq!((found.asks, found.link), (true, None));
        assert_eq!(Frame::read(&solicitation(135, &[1, 0])).unwrap().neighbour(), None);
        assert_eq!(Frame::read(&six(17, &DATAGRAM)).unwrap().neighbour(), None);
    }

    #[test]
    fn frames_cut_anywhere_are_read_without_harm() {
        let hops = six(0, &[17, 1, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for bytes in [udp(), six(17, &DATAGRAM), solicitation(135, &[1, 1, 2, 0, 0, 0, 0, 2]), hops] {
            for end in 0..bytes.len() {
                let _ = Frame::read(&bytes[..end]).and_then(|frame| frame.neighbour());
            }
        }
    }
}
