//! ARP over Ethernet (RFC 826, RFC 5227): frames in and out as values.
//!
//! Reading is strict and total: whatever is truncated, tagged, of another hardware or
//! protocol type, or contradicts itself gives `None`, never an error and never a panic.

use std::net::Ipv4Addr;

use bytes::Bytes;
use wamig_openflow::MacAddr;
use wamig_openflow::flow_match::ETH_TYPE_ARP;

/// Ethernet header and ARP payload, bytes.
const FRAME_LEN: usize = 42;
/// Shortest Ethernet frame without its checksum, bytes.
const MIN_FRAME_LEN: usize = 60;

/// Request or reply; other opcodes are not ARP's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// Who has the target address?
    Request = 1,
    /// The sender has the sender address.
    Reply = 2,
}

/// An ARP packet in its Ethernet frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Arp {
    /// Ethernet destination.
    pub eth_dst: MacAddr,
    /// Ethernet source; equal to `sha` in every frame that was read.
    pub eth_src: MacAddr,
    /// Opcode.
    pub op: Op,
    /// Sender hardware address.
    pub sha: MacAddr,
    /// Sender protocol address.
    pub spa: Ipv4Addr,
    /// Target hardware address.
    pub tha: MacAddr,
    /// Target protocol address.
    pub tpa: Ipv4Addr,
}

fn array<const N: usize>(frame: &[u8], at: usize) -> Option<[u8; N]> {
    frame.get(at..at + N)?.try_into().ok()
}

fn number(frame: &[u8], at: usize) -> Option<u16> {
    array(frame, at).map(u16::from_be_bytes)
}

impl Arp {
    /// Reads an untagged frame. A sender that is a group, or not the one that the Ethernet
    /// header names, makes the frame a lie: nothing is concluded from it.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let head = [number(frame, 12)?, number(frame, 14)?, number(frame, 16)?, number(frame, 18)?];
        if head != [ETH_TYPE_ARP, 1, 0x0800, 0x0604] {
            return None;
        }
        let op = match number(frame, 20)? {
            1 => Op::Request,
            2 => Op::Reply,
            _ => return None,
        };
        let arp = Self {
            eth_dst: MacAddr(array(frame, 0)?),
            eth_src: MacAddr(array(frame, 6)?),
            op,
            sha: MacAddr(array(frame, 22)?),
            spa: Ipv4Addr::from(array::<4>(frame, 28)?),
            tha: MacAddr(array(frame, 32)?),
            tpa: Ipv4Addr::from(array::<4>(frame, 38)?),
        };
        let honest = arp.sha == arp.eth_src && !arp.sha.is_multicast() && arp.sha != MacAddr::ZERO;
        honest.then_some(arp)
    }

    /// The frame, padded to Ethernet's least length.
    pub fn build(&self) -> Bytes {
        let mut frame = Vec::with_capacity(MIN_FRAME_LEN);
        frame.extend_from_slice(&self.eth_dst.0);
        frame.extend_from_slice(&self.eth_src.0);
        for n in [ETH_TYPE_ARP, 1, 0x0800, 0x0604, self.op as u16] {
            frame.extend_from_slice(&n.to_be_bytes());
        }
        frame.extend_from_slice(&self.sha.0);
        frame.extend_from_slice(&self.spa.octets());
        frame.extend_from_slice(&self.tha.0);
        frame.extend_from_slice(&self.tpa.octets());
        debug_assert_eq!(frame.len(), FRAME_LEN);
        frame.resize(MIN_FRAME_LEN, 0);
        frame.into()
    }

    /// A broadcast probe for `target` (RFC 5227 §2.1.1: the sender address is zero, so that
    /// no neighbour's cache changes).
    pub fn probe(sender: MacAddr, target: Ipv4Addr) -> Self {
        Self {
            eth_dst: MacAddr::BROADCAST,
            eth_src: sender,
            op: Op::Request,
            sha: sender,
            spa: Ipv4Addr::UNSPECIFIED,
            tha: MacAddr::ZERO,
            tpa: target,
        }
    }

    /// A broadcast announcement: `sender` has `address` (RFC 5227 §2.3).
    pub fn announcement(sender: MacAddr, address: Ipv4Addr) -> Self {
        Self { spa: address, ..Self::probe(sender, address) }
    }

    /// A reply to `to`: `sender` has `address`.
    pub fn reply(sender: MacAddr, address: Ipv4Addr, to: MacAddr, to_address: Ipv4Addr) -> Self {
        Self { eth_dst: to, eth_src: sender, op: Op::Reply, sha: sender, spa: address, tha: to, tpa: to_address }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
    const G: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x53]);

    fn request() -> Arp {
        Arp { spa: S, ..Arp::probe(MAC, G) }
    }

    #[test]
    fn what_is_built_is_read_back() {
        for arp in [request(), Arp::probe(MAC, S), Arp::announcement(MAC, S), Arp::reply(MAC, S, MacAddr([4; 6]), G)] {
            let frame = arp.build();
            assert_eq!(frame.len(), 60);
            assert_eq!(Arp::parse(&frame), Some(arp));
        }
    }

    #[test]
    fn the_bytes_are_those_of_rfc_826() {
        let frame = request().build();
        let expected = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0x53, 8, 6, // Ethernet
            0, 1, 8, 0, 6, 4, 0, 1, // hardware, protocol, lengths, opcode
            2, 0, 0, 0, 0, 0x53, 192, 0, 2, 53, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1,
        ];
        assert_eq!(frame[..42], expected);
    }

    #[test]
    fn every_truncation_is_refused() {
        let frame = request().build();
        for len in 0..42 {
            assert_eq!(Arp::parse(&frame[..len]), None, "{len}");
        }
        assert!(Arp::parse(&frame[..42]).is_some());
    }

    #[test]
    fn a_frame_that_lies_is_refused() {
        let lie = |at: usize, byte: u8| {
            let mut frame = request().build().to_vec();
            frame[at] = byte;
            Arp::parse(&frame)
        };
        assert_eq!(lie(11, 0x54), None, "Ethernet and ARP name different senders");
        assert_eq!(lie(15, 6), None, "hardware type");
        assert_eq!(lie(16, 0x86), None, "protocol type");
        assert_eq!(lie(18, 8), None, "hardware address length");
        assert_eq!(lie(19, 16), None, "protocol address length");
        assert_eq!(lie(21, 3), None, "opcode of RARP");
        assert_eq!(lie(21, 0), None, "no opcode");
        let group = Arp { eth_src: MacAddr([3; 6]), sha: MacAddr([3; 6]), ..request() };
        assert_eq!(Arp::parse(&group.build()), None, "a group as sender");
        let zero = Arp { eth_src: MacAddr::ZERO, sha: MacAddr::ZERO, ..request() };
        assert_eq!(Arp::parse(&zero.build()), None, "no sender");
    }

    #[test]
    fn a_tagged_frame_is_not_ours() {
        let plain = request().build();
        let mut tagged = plain[..12].to_vec();
        tagged.extend_from_slice(&[0x81, 0, 0, 7]);
        tagged.extend_from_slice(&plain[12..]);
        assert_eq!(Arp::parse(&tagged), None);
    }

    proptest! {
        #[test]
        fn no_frame_stops_the_reader(frame in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Arp::parse(&frame);
        }

        #[test]
        fn no_damage_stops_the_reader(at in 0usize..42, byte in any::<u8>()) {
            let mut frame = request().build().to_vec();
            frame[at] = byte;
            let _ = Arp::parse(&frame);
        }
    }
}
