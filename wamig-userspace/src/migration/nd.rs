//! Neighbour Discovery over Ethernet (RFC 4861, RFC 4862): solicitations and advertisements, frames in and out as
//! values. What the two are to IPv6, a request and a reply of [`super::arp`] are to IPv4.
//!
//! Reading is strict and total, as there: whatever is truncated, tagged, has come from beyond the link (hop limit
//! below 255), has a wrong checksum or contradicts itself gives `None`.

use std::net::Ipv6Addr;

use bytes::Bytes;
use wamig_openflow::MacAddr;
use wamig_openflow::flow_match::ETH_TYPE_IPV6;

/// ICMPv6 type of a router solicitation.
pub const ROUTER_SOLICITATION: u8 = 133;
/// ICMPv6 type of a neighbour solicitation.
pub const SOLICITATION: u8 = 135;
/// ICMPv6 type of a neighbour advertisement.
pub const ADVERTISEMENT: u8 = 136;
/// IPv6's next header of ICMPv6.
pub const ICMPV6: u8 = 58;

/// All nodes of a link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Where a solicited-node group begins; the last three octets are the address's (RFC 4291 §2.7.1).
const SOLICITED_NODE: [u8; 13] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff];
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;
const HOP_LIMIT: u8 = 255;
/// Ethernet header, bytes.
const ETHERNET: usize = 14;
/// IPv6 header, bytes.
const IPV6: usize = 40;
/// A message up to its options, bytes.
const MESSAGE: usize = 24;
/// An option with a MAC address, bytes.
const LINK_LAYER: usize = 8;

/// What an advertisement says beside the address (RFC 4861 §4.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Flags {
    /// The sender is a router.
    pub router: bool,
    /// It answers a solicitation.
    pub solicited: bool,
    /// It replaces what caches hold.
    pub overrides: bool,
}

/// What is asked or said.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// Who has the target?
    Solicit,
    /// The sender has the target.
    Advertise(Flags),
}

/// A solicitation or an advertisement in its frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Nd {
    /// Ethernet destination.
    pub eth_dst: MacAddr,
    /// Ethernet source, and the MAC address of the option where there is one.
    pub sender: MacAddr,
    /// IPv6 source; unspecified in a probe for duplicates (RFC 4862 §5.4.2).
    pub src: Ipv6Addr,
    /// IPv6 destination.
    pub dst: Ipv6Addr,
    /// What is asked or said.
    pub op: Op,
    /// The address that it is about.
    pub target: Ipv6Addr,
}

/// The link-local address of a MAC address (RFC 4291, appendix A).
pub fn link_local(mac: MacAddr) -> Ipv6Addr {
    let mut octets = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 0];
    octets[8..11].copy_from_slice(&mac.0[..3]);
    octets[13..].copy_from_slice(&mac.0[3..]);
    octets[8] ^= 2;
    octets.into()
}

/// The group that a host with the address listens to (RFC 4291 §2.7.1).
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let mut octets = address.octets();
    octets[..13].copy_from_slice(&SOLICITED_NODE);
    octets.into()
}

/// Ethernet's address of a group (RFC 2464 §7).
fn group_mac(group: Ipv6Addr) -> MacAddr {
    let o = group.octets();
    MacAddr([0x33, 0x33, o[12], o[13], o[14], o[15]])
}

/// The checksum of an ICMPv6 message, whose own checksum counts as it stands (RFC 4443 §2.3).
fn checksum(src: Ipv6Addr, dst: Ipv6Addr, message: &[u8]) -> u16 {
    let mut sum = message.len() as u64 + u64::from(ICMPV6);
    for part in [&src.octets()[..], &dst.octets()[..], message] {
        for pair in part.chunks(2) {
            sum += u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |b| u64::from(*b));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// The MAC addresses in the options of a kind; `None` = the options are malformed.
fn link_layer(mut options: &[u8], kind: u8) -> Option<Vec<MacAddr>> {
    let mut found = Vec::new();
    while let Some((&ty, rest)) = options.split_first() {
        let len = usize::from(*rest.first()?) * 8;
        if len == 0 || len > options.len() {
            return None;
        }
        if ty == kind {
            found.push(MacAddr(array(options, 2)?));
        }
        options = &options[len..];
    }
    Some(found)
}

impl Nd {
    /// Reads an untagged frame (RFC 4861 §7.1: what must be checked). A sender that is a group, or not the one that
    /// the Ethernet header names, makes the frame a lie: nothing is concluded from it.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        if array::<2>(frame, 12)? != ETH_TYPE_IPV6.to_be_bytes() {
            return None;
        }
        let header: [u8; IPV6] = array(frame, ETHERNET)?;
        let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
        if header[0] >> 4 != 6 || header[6] != ICMPV6 || header[7] != HOP_LIMIT || len < MESSAGE {
            return None;
        }
        let (src, dst) = (Ipv6Addr::from(array::<16>(&header, 8)?), Ipv6Addr::from(array::<16>(&header, 24)?));
        let message = frame.get(ETHERNET + IPV6..ETHERNET + IPV6 + len)?;
        if message[1] != 0 || checksum(src, dst, message) != 0 {
            return None;
        }
        let (op, kind) = match message[0] {
            SOLICITATION => (Op::Solicit, SOURCE_LINK_LAYER),
            ADVERTISEMENT => {
                let [router, solicited, overrides] = [0x80, 0x40, 0x20].map(|bit| message[4] & bit != 0);
                (Op::Advertise(Flags { router, solicited, overrides }), TARGET_LINK_LAYER)
            }
            _ => return None,
        };
        let named = link_layer(&message[MESSAGE..], kind)?;
        let target = Ipv6Addr::from(array::<16>(message, 8)?);
        let nd = Self { eth_dst: MacAddr(array(frame, 0)?), sender: MacAddr(array(frame, 6)?), src, dst, op, target };
        let sane = match op {
            Op::Solicit if src.is_unspecified() => named.is_empty() && dst == solicited_node(target),
            Op::Solicit => !src.is_multicast(),
            Op::Advertise(flags) => {
                !(src.is_unspecified() || src.is_multicast() || dst.is_multicast() && flags.solicited)
            }
        };
        let honest =
            named.iter().all(|mac| *mac == nd.sender) && !nd.sender.is_multicast() && nd.sender != MacAddr::ZERO;
        (sane && honest && !target.is_multicast() && !target.is_unspecified()).then_some(nd)
    }

    /// The frame. Everything but a probe for duplicates names the sender's MAC address in an option.
    pub fn build(&self) -> Bytes {
        let (ty, flags, option) = match self.op {
            Op::Solicit => (SOLICITATION, 0, SOURCE_LINK_LAYER),
            Op::Advertise(f) => {
                let flags = u8::from(f.router) << 7 | u8::from(f.solicited) << 6 | u8::from(f.overrides) << 5;
                (ADVERTISEMENT, flags, TARGET_LINK_LAYER)
            }
        };
        let mut message = vec![ty, 0, 0, 0, flags, 0, 0, 0];
        message.extend(self.target.octets());
        if !self.src.is_unspecified() {
            message.extend([option, (LINK_LAYER / 8) as u8]);
            message.extend(self.sender.0);
        }
        let sum = checksum(self.src, self.dst, &message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let mut frame = Vec::with_capacity(ETHERNET + IPV6 + message.len());
        frame.extend(self.eth_dst.0);
        frame.extend(self.sender.0);
        frame.extend(ETH_TYPE_IPV6.to_be_bytes());
        frame.extend([0x60, 0, 0, 0]);
        frame.extend((message.len() as u16).to_be_bytes());
        frame.extend([ICMPV6, HOP_LIMIT]);
        frame.extend(self.src.octets());
        frame.extend(self.dst.octets());
        frame.extend(message);
        frame.into()
    }

    /// `sender` asks everybody who has `target`, and can be answered.
    pub fn solicit(sender: MacAddr, target: Ipv6Addr) -> Self {
        let dst = solicited_node(target);
        Self { eth_dst: group_mac(dst), sender, src: link_local(sender), dst, op: Op::Solicit, target }
    }

    /// `sender` probes whether anybody has `target` (RFC 4862 §5.4.2).
    pub fn probe(sender: MacAddr, target: Ipv6Addr) -> Self {
        Self { src: Ipv6Addr::UNSPECIFIED, ..Self::solicit(sender, target) }
    }

    /// `sender` tells everybody that it has `address` (RFC 4861 §7.2.6).
    pub fn announce(sender: MacAddr, address: Ipv6Addr) -> Self {
        let op = Op::Advertise(Flags { overrides: true, ..Flags::default() });
        Self { eth_dst: group_mac(ALL_NODES), sender, src: address, dst: ALL_NODES, op, target: address }
    }

    /// `sender` answers `to` that it has `address`; one that has no address yet is told with everybody (RFC 4861
    /// §7.2.4).
    pub fn advertise(sender: MacAddr, address: Ipv6Addr, to: MacAddr, to_address: Ipv6Addr, router: bool) -> Self {
        let flags = Flags { router, solicited: true, overrides: true };
        if to_address.is_unspecified() {
            let op = Op::Advertise(Flags { solicited: false, ..flags });
            return Self { op, ..Self::announce(sender, address) };
        }
        Self { eth_dst: to, sender, src: address, dst: to_address, op: Op::Advertise(flags), target: address }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x53);
    const G: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x53]);
    const OTHER: MacAddr = MacAddr([4; 6]);

    fn all() -> Vec<Nd> {
        vec![
            Nd { src: S, ..Nd::solicit(MAC, G) },
            Nd::solicit(MAC, G),
            Nd::probe(MAC, S),
            Nd::announce(MAC, S),
            Nd::advertise(MAC, S, OTHER, G, false),
            Nd::advertise(MAC, G, OTHER, S, true),
            Nd::advertise(MAC, S, OTHER, Ipv6Addr::UNSPECIFIED, false),
        ]
    }

    #[test]
    fn what_is_built_is_read_back() {
        for nd in all() {
            assert_eq!(Nd::parse(&nd.build()), Some(nd));
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_rfcs() {
        let frame = Nd::solicit(MAC, S).build();
        let expected = [
            0x33, 0x33, 0xff, 0, 0, 0x53, 2, 0, 0, 0, 0, 0x53, 0x86, 0xdd, // Ethernet
            0x60, 0, 0, 0, 0, 32, 58, 255, // IPv6
            0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 0x53, // source
            0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0x53, // destination
            135, 0, 0x4b, 0x18, 0, 0, 0, 0, // ICMPv6
            0x20, 1, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53, // target
            1, 1, 2, 0, 0, 0, 0, 0x53, // option
        ];

        assert_eq!(frame[..], expected);
    }

    #[test]
    fn every_truncation_is_refused() {
        for nd in all() {
            let frame = nd.build();
            for len in 0..frame.len() {
                assert_eq!(Nd::parse(&frame[..len]), None, "{len}");
            }
        }
    }

    #[test]
    fn padding_is_no_part_of_it() {
        let mut frame = Nd::probe(MAC, S).build().to_vec();
        frame.resize(100, 0xaa);
        assert_eq!(Nd::parse(&frame), Some(Nd::probe(MAC, S)));
    }

    #[test]
    fn a_frame_that_lies_is_refused() {
        // The checksum is set right, so that it is the lie that is found.
        let lie = |nd: Nd, at: usize, byte: u8| {
            let mut frame = nd.build().to_vec();
            frame[at] = byte;
            frame[56..58].fill(0);
            let (src, dst) = (array::<16>(&frame, 22).unwrap(), array::<16>(&frame, 38).unwrap());
            let sum = checksum(src.into(), dst.into(), &frame[54..]);
            frame[56..58].copy_from_slice(&sum.to_be_bytes());
            Nd::parse(&frame)
        };
        let ask = Nd { src: S, ..Nd::solicit(MAC, G) };
        assert_eq!(lie(ask, 12, 0x86), Some(ask));
        assert_eq!(lie(ask, 11, 0x54), None, "Ethernet and the option name different senders");
        assert_eq!(lie(ask, 12, 0x08), None, "not IPv6");
        assert_eq!(lie(ask, 20, 17), None, "not ICMPv6");
        assert_eq!(lie(ask, 21, 254), None, "from beyond the link");
        assert_eq!(lie(ask, 54, 134), None, "a router advertisement");
        assert_eq!(lie(ask, 55, 1), None, "code");
        assert_eq!(lie(ask, 62, 0xff), None, "a group as target");
        assert_eq!(lie(ask, 79, 0), None, "an option without length");
        assert_eq!(lie(ask, 79, 2), None, "an option beyond the end");
        assert_eq!(lie(Nd::probe(MAC, S), 53, 0x54), None, "a probe to another group");
        assert_eq!(lie(Nd::announce(MAC, S), 58, 0x60), None, "solicited, and to everybody");
        let group = Nd { sender: MacAddr([3; 6]), ..ask };
        assert_eq!(Nd::parse(&group.build()), None, "a group as sender");
        let mut frame = ask.build().to_vec();
        frame[57] ^= 1;
        assert_eq!(Nd::parse(&frame), None, "checksum");
    }

    #[test]
    fn a_tagged_frame_is_not_ours() {
        let plain = Nd::probe(MAC, S).build();
        let tagged = [&plain[..12], &[0x81, 0, 0, 7], &plain[12..]].concat();
        assert_eq!(Nd::parse(&tagged), None);
    }

    proptest! {
        #[test]
        fn no_frame_stops_the_reader(frame in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = Nd::parse(&frame);
        }

        #[test]
        fn no_damage_stops_the_reader(at in 0usize..86, byte in any::<u8>()) {
            let mut frame = Nd::solicit(MAC, S).build().to_vec();
            frame[at] = byte;
            let _ = Nd::parse(&frame);
        }
    }
}
