//! IPv6 neighbour discovery and extension headers, types and protocols that are written, tunnel
//! ids, and physical ports.

use super::*;
use crate::frames::{CTAG, ICMPV6, IPV6, TCP, udp, udp6};

const TARGET: u128 = 0x2001_0db8 << 96 | 0x53;
const ADDRESS: u64 = 0x0200_0000_0001;

/// `ofp_ipv6exthdr_flags`
const NO_NEXT: u128 = 1;
const AUTH: u128 = 4;
const DEST: u128 = 8;
const FRAG: u128 = 16;
const ROUTER: u128 = 32;
const HOP: u128 = 64;
const UNREP: u128 = 128;
const UNSEQ: u128 = 256;

/// A solicitation (135) or advertisement (136) with these options: (type, address).
fn message(kind: u16, target: u128, options: &[(u8, u64)]) -> Frame {
    let option = |(kind, address): &(u8, u64)| [&[*kind, 1][..], &address.to_be_bytes()[2..]].concat();
    let payload = target.to_be_bytes().into_iter().chain(options.iter().flat_map(option)).collect();
    Frame { proto: ICMPV6, sport: kind, dport: 0, payload, ..udp6() }
}

fn v6() -> Match {
    Match::any().with(Field::EthType, u128::from(IPV6))
}

fn nd(kind: u128) -> Match {
    v6().with(Field::IpProto, u128::from(ICMPV6)).with(Field::Icmpv6Type, kind)
}

fn discovery() -> Vec<Vector> {
    let by = |name: &str, matching: Match, frame: &Frame, hits: bool| {
        let v = when(name).flow(0, 1, matching, apply([out(2)])).receives(1, frame);
        if hits { v.forwards(&[2]) } else { v.drops(DropReason::TableMiss) }
    };
    let asks = message(135, TARGET, &[(1, ADDRESS)]);
    let tells = message(136, TARGET, &[(2, ADDRESS)]);
    let ll = u128::from(ADDRESS);
    let set = |kind: u128, field, value| apply([Action::set(field, value), out(2)]).then(nd(kind));
    let edit = |name: &str, (matching, i): (Match, Instructions), before: &Frame, after: &Frame| {
        when(name).flow(0, 1, matching, i).receives(1, before).sends(&[2], after)
    };
    let far = |options: &[(u8, u64)]| {
        let padding = [&[13][..], &[0; 110]].concat();
        Frame { extensions: vec![(0, padding)], ..message(136, TARGET, options) }
    };
    let behind_an_edit = |name: &str, frame: &Frame, port: u32| {
        when(name)
            .flow(0, 1, v6(), apply([Action::set(Field::EthDst, 7)]).then_goto(TableId(1)))
            .flow(1, 2, nd(136).with(Field::Ipv6NdTll, ll), apply([out(3)]))
            .flow(1, 1, Match::any(), apply([out(2)]))
            .receives(1, frame)
            .slow(SlowReason::BeyondWindow)
            .sends(&[port], &Frame { eth_dst: 7, ..frame.clone() })
    };
    vec![
        behind_an_edit("an edit, then an option beyond the window is matched", &far(&[(2, ADDRESS)]), 3),
        behind_an_edit("an edit, then an option that would be beyond the window is not there", &far(&[(14, 1)]), 2),
        by("the target of a solicitation", nd(135).with(Field::Ipv6NdTarget, TARGET), &asks, true),
        by("another target", nd(135).with(Field::Ipv6NdTarget, 1), &asks, false),
        by("the source address of a solicitation", nd(135).with(Field::Ipv6NdSll, ll), &asks, true),
        by("the target address of an advertisement", nd(136).with(Field::Ipv6NdTll, ll), &tells, true),
        by("no option is not one of zeros", nd(135).with(Field::Ipv6NdSll, 0), &message(135, TARGET, &[]), false),
        by(
            "an option of the other kind",
            nd(135).with(Field::Ipv6NdSll, ll),
            &message(135, TARGET, &[(2, ADDRESS)]),
            false,
        ),
        by(
            "the third option",
            nd(135).with(Field::Ipv6NdSll, ll),
            &message(135, TARGET, &[(14, 1), (5, 2), (1, ADDRESS)]),
            true,
        ),
        by(
            "a message without target",
            nd(135).with(Field::Ipv6NdTarget, 0),
            &Frame { payload: vec![0; 15], ..asks.clone() },
            false,
        ),
        edit("a target is written", set(136, Field::Ipv6NdTarget, 9), &tells, &message(136, 9, &[(2, ADDRESS)])),
        edit("a source address is written", set(135, Field::Ipv6NdSll, 9), &asks, &message(135, TARGET, &[(1, 9)])),
        edit(
            "a target address is written behind another option",
            set(136, Field::Ipv6NdTll, 9),
            &message(136, TARGET, &[(14, 1), (2, ADDRESS)]),
            &message(136, TARGET, &[(14, 1), (2, 9)]),
        ),
        edit(
            "where there is no option nothing is written",
            set(135, Field::Ipv6NdSll, 9),
            &message(135, TARGET, &[]),
            &message(135, TARGET, &[]),
        ),
    ]
}

/// Instructions with the match that they need.
trait Then {
    fn then(self, matching: Match) -> (Match, Instructions);
}

impl Then for Instructions {
    fn then(self, matching: Match) -> (Match, Instructions) {
        (matching, self)
    }
}

fn extensions() -> Vec<Vector> {
    let frame = |kinds: &[u8], proto: u8| {
        // Authentication counts in units of four bytes, less two.
        let extension = |kind: &u8| (*kind, if *kind == 51 { [&[2][..], &[0; 14]].concat() } else { vec![0; 7] });
        Frame { extensions: kinds.iter().map(extension).collect(), proto, ..udp6() }
    };
    let flags = |name: &str, kinds: &[u8], proto: u8, flags: u128| {
        let frame = frame(kinds, proto);
        when(name).flow(0, 1, v6().with(Field::Ipv6Exthdr, flags), apply([out(2)])).receives(1, &frame).forwards(&[2])
    };
    vec![
        flags("no extension header", &[], 17, 0),
        flags("nothing behind the header", &[], 59, NO_NEXT),
        flags("the preferred order", &[0, 60, 43, 44, 51, 60], 17, HOP | DEST | ROUTER | FRAG | AUTH),
        flags("hop-by-hop options behind others", &[60, 0], 17, HOP | DEST | UNSEQ),
        flags("hop-by-hop options twice", &[0, 0], 17, HOP | UNREP | UNSEQ),
        flags("a route behind a fragment header", &[44, 43], 17, FRAG | ROUTER | UNSEQ),
        flags("two headers of destination options", &[60, 60], 17, DEST),
        flags("three headers of destination options", &[60, 60, 60], 17, DEST | UNREP),
        when("some of the flags")
            .flow(0, 1, v6().with_masked(Field::Ipv6Exthdr, HOP, HOP | UNREP), apply([out(2)]))
            .receives(1, &frame(&[0, 43], 17))
            .forwards(&[2]),
    ]
}

fn written() -> Vec<Vector> {
    let typed = |to: u128| [Action::set(Field::EthType, to), out(2)];
    let tcp = Frame { proto: TCP, ..udp() };
    let renamed = |frame: &Frame, proto: u8| {
        // The sum of TCP or UDP holds the protocol; where it is stays the same.
        let mut bytes = frame.bytes();
        let (ip, l4) = if frame.eth_type == IPV6 { (20, 54) } else { (23, 34) };
        let at = l4 + if frame.proto == TCP { 16 } else { 6 };
        let less = |sum: u16| !add(!sum, add(!u16::from(frame.proto), u16::from(proto)));
        let put = |bytes: &mut [u8], at: usize| {
            let sum = less(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
            bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        };
        bytes[ip] = proto;
        put(&mut bytes, at);
        if frame.eth_type != IPV6 {
            put(&mut bytes, 24);
        }
        bytes
    };
    let proto = |of: Match, to: u128| (of, apply([Action::set(Field::IpProto, to), out(2)]));
    let slow = |name: &str, (matching, i): (Match, Instructions), frame: &Frame, after: &[u8]| {
        when(name).flow(0, 1, matching, i).receives(1, frame).slow(SlowReason::IpProto).sends_bytes(&[2], after)
    };
    let tunnel = |value: u128| Action::set(Field::TunnelId, value);
    vec![
        when("a type is written")
            .all(typed(0x88cc))
            .receives(1, &udp())
            .sends_bytes(&[2], &[&udp().bytes()[..12], &[0x88, 0xcc], &udp().bytes()[14..]].concat()),
        when("a type is written behind the tag")
            .all(typed(0x88cc))
            .receives(1, &Frame { tags: vec![(CTAG, 7)], ..udp() })
            .sends_bytes(&[2], &{
                let mut bytes = Frame { tags: vec![(CTAG, 7)], ..udp() }.bytes();
                bytes[16..18].copy_from_slice(&[0x88, 0xcc]);
                bytes
            }),
        slow("a protocol of IPv4 is written", proto(Match::any().ipv4(), 17), &tcp, &renamed(&tcp, 17)),
        slow("a protocol of IPv6 is written", proto(v6(), 6), &udp6(), &renamed(&udp6(), 6)),
        when("a tunnel id is 0 unless it is set")
            .flow(0, 2, Match::any().with(Field::TunnelId, 5), apply([out(3)]))
            .flow(0, 1, Match::any().with(Field::TunnelId, 0), apply([out(2)]))
            .receives(1, &udp())
            .forwards(&[2]),
        when("the next table matches a tunnel id")
            .flow(0, 1, Match::any(), apply([tunnel(u128::from(u64::MAX))]).then_goto(TableId(1)))
            .flow(1, 1, Match::any().with_masked(Field::TunnelId, 0xff, 0xff), apply([out(2)]))
            .receives(1, &udp())
            .slow(SlowReason::TunnelId)
            .forwards(&[2]),
        when("the physical port is the port")
            .flow(0, 1, Match::any().with(Field::InPort, 1).with(Field::InPhyPort, 1), apply([out(2)]))
            .receives(1, &udp())
            .forwards(&[2]),
        when("no port lies on another one")
            .flow(0, 1, Match::any().with(Field::InPort, 1).with(Field::InPhyPort, 2), apply([out(2)]))
            .receives(1, &udp())
            .drops(DropReason::TableMiss),
    ]
}

/// One's-complement sum.
fn add(a: u16, b: u16) -> u16 {
    let sum = u32::from(a) + u32::from(b);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

pub fn vectors() -> Vec<Vector> {
    [discovery(), extensions(), written()].into_iter().flatten().collect()
}
