//! Random frames: of every kind, of few values, some of them damaged.

use wamig_openflow::Field;

use super::Dice;
use crate::frames::{ARP, CTAG, Frame, ICMP, ICMPV6, IPV4, IPV6, SCTP, STAG, Sum, TCP, UDP, arp, ip, udp, udp6};

const MACS: [u64; 5] = [0x0200_0000_0001, 0x0200_0000_0002, 0x0200_0000_0003, 0xffff_ffff_ffff, 0x0100_5e00_0001];
const ADDRESSES: [u128; 6] =
    [0, ip(10, 0, 0, 1), ip(10, 0, 0, 2), ip(10, 0, 1, 1), ip(192, 0, 2, 53), ip(255, 255, 255, 255)];
const NET6: u128 = 0x2001_0db8 << 96;
const ADDRESSES6: [u128; 6] = [0, NET6 | 1, NET6 | 2, NET6 | 1 << 64, !0, NET6 | 0xffff << 48];
const PORTS: [u16; 5] = [0, 53, 80, 40000, 0xffff];
const TYPES: [u16; 5] = [0, 3, 8, 128, 129];
const IDS: [u16; 4] = [0, 1, 100, 4095];
const CLASSES: [u8; 4] = [0, 3, 46 << 2, 0xff];
const LABELS: [u32; 4] = [0, 16, 100, 0xf_ffff];
const TTLS: [u8; 5] = [0, 1, 2, 64, 255];

/// A value that frames of this world have in a field.
pub fn some_value(dice: &mut Dice, field: Field) -> u128 {
    match field {
        Field::EthDst | Field::EthSrc | Field::ArpSha | Field::ArpTha | Field::Ipv6NdSll | Field::Ipv6NdTll => {
            u128::from(dice.pick(&MACS))
        }
        Field::Ipv4Src | Field::Ipv4Dst | Field::ArpSpa | Field::ArpTpa => dice.pick(&ADDRESSES),
        Field::Ipv6Src | Field::Ipv6Dst | Field::Ipv6NdTarget => dice.pick(&ADDRESSES6),
        Field::TcpSrc | Field::TcpDst | Field::UdpSrc | Field::UdpDst | Field::SctpSrc | Field::SctpDst => {
            u128::from(dice.pick(&PORTS))
        }
        Field::Icmpv4Type | Field::Icmpv4Code | Field::Icmpv6Type | Field::Icmpv6Code => u128::from(dice.pick(&TYPES)),
        Field::VlanVid => 0x1000 | u128::from(dice.pick(&IDS)),
        Field::ArpOp => u128::from(dice.pick(&[0u16, 1, 2, 257])),
        Field::MplsLabel => u128::from(dice.pick(&LABELS)),
        Field::MplsTc => u128::from(dice.pick(&[0u8, 3, 7])),
        Field::InPort => u128::from(dice.pick(&crate::paths::PORTS).0),
        Field::IpDscp => u128::from(dice.pick(&CLASSES) >> 2),
        Field::IpEcn => u128::from(dice.pick(&CLASSES) & 3),
        Field::Metadata => u128::from(dice.pick(&[0, 1, 0x00ff, 0xff00_0000_0000_0001, u64::MAX])),
        _ => u128::from(dice.any()) & field.full_mask(),
    }
}

/// A frame of any kind.
pub fn some_frame(dice: &mut Dice) -> Frame {
    let mut f = match dice.below(10) {
        0 => arp(),
        8 => some_neighbour(dice),
        9 => Frame { labels: some_stack(dice), ..if dice.chance(50) { udp() } else { udp6() } },
        1..4 => udp6(),
        4 => Frame { eth_type: dice.pick(&[0x88cc, 0x0100, 0x0000]), payload: vec![0; 46], ..udp() },
        _ => udp(),
    };
    for _ in 0..12 {
        change(dice, &mut f);
    }
    if dice.chance(10) {
        f.snap = true;
    }
    f.tags = (0..dice.pick(&[0, 0, 0, 1, 1, 2, 3])).map(|_| some_tag(dice)).collect();
    f
}

/// A stack of labels, of which the last one says that it is the last.
fn some_stack(dice: &mut Dice) -> Vec<u32> {
    let depth = dice.pick(&[1, 1, 2, 3]);
    let entry = |n: usize| {
        let (label, class, ttl) = (dice.pick(&LABELS), dice.pick(&[0, 3, 7]), dice.pick(&TTLS));
        label << 12 | class << 9 | u32::from(n + 1 == depth) << 8 | u32::from(ttl)
    };
    (0..depth).map(entry).collect()
}

/// Who is there, or I am here: with the options that say where, or without (RFC 4861 §4.3, §4.4).
fn some_neighbour(dice: &mut Dice) -> Frame {
    let target = dice.pick(&ADDRESSES6).to_be_bytes();
    let mut payload = target.to_vec();
    for _ in 0..dice.pick(&[0, 1, 1, 1, 2, 3]) {
        let mac = &dice.pick(&MACS).to_be_bytes()[2..];
        match dice.below(6) {
            0 => payload.extend([dice.pick(&[1, 2, 14]), 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            1 => payload.extend([[14, 1].as_slice(), mac].concat()),
            _ => payload.extend([[dice.pick(&[1, 2]), 1].as_slice(), mac].concat()),
        }
    }
    if dice.chance(5) {
        payload.truncate(dice.below(payload.len()));
    }
    Frame {
        proto: ICMPV6,
        sport: dice.pick(&[135, 136]),
        dport: dice.pick(&[0, 0, 0, 0, 1]),
        ttl: 255,
        payload,
        ..udp6()
    }
}

fn some_tag(dice: &mut Dice) -> (u16, u16) {
    (dice.pick(&[CTAG, STAG]), dice.pick(&[0, 5 << 13, 1 << 12]) | dice.pick(&IDS))
}

/// Another value somewhere in a frame.
pub fn change(dice: &mut Dice, f: &mut Frame) {
    match dice.below(13) {
        0 => f.eth_dst = dice.pick(&MACS),
        1 => f.eth_src = dice.pick(&MACS),
        2 if f.eth_type == IPV6 => f.src = dice.pick(&ADDRESSES6),
        3 if f.eth_type == IPV6 => f.dst = dice.pick(&ADDRESSES6),
        2 => f.src = dice.pick(&ADDRESSES),
        3 => f.dst = dice.pick(&ADDRESSES),
        4 => f.tos = dice.pick(&CLASSES),
        5 => f.ttl = dice.pick(&TTLS),
        6 if is_neighbour(f) && dice.chance(70) => f.sport = dice.pick(&[135, 136]),
        6 => {
            let v6 = f.eth_type == IPV6;
            f.proto = dice.pick(&[UDP, UDP, TCP, TCP, SCTP, if v6 { ICMPV6 } else { ICMP }, ICMP, ICMPV6, 47]);
            (f.sport, f.dport) = if matches!(f.proto, ICMP | ICMPV6) {
                (dice.pick(&TYPES), dice.pick(&TYPES))
            } else {
                (dice.pick(&PORTS), dice.pick(&PORTS))
            };
        }
        7 if !matches!(f.proto, ICMP | ICMPV6) => f.sport = dice.pick(&PORTS),
        8 if !matches!(f.proto, ICMP | ICMPV6) => f.dport = dice.pick(&PORTS),
        9 => f.sum = dice.pick(&[Sum::Right, Sum::Right, Sum::Zero, Sum::Damaged(0x1234)]),
        10 => unusual(dice, f),
        11 if f.eth_type == ARP => f.arp = (dice.pick(&[0, 1, 1, 2, 257]), dice.pick(&MACS), dice.pick(&MACS)),
        11 if is_neighbour(f) => f.payload[..16].copy_from_slice(&dice.pick(&ADDRESSES6).to_be_bytes()),
        11 if !f.labels.is_empty() && dice.chance(50) => f.labels = some_stack(dice),
        11 => f.payload = vec![dice.any() as u8; dice.pick(&[0, 1, 20, 150, 300, 1400])],
        _ => f.padding = dice.pick(&[0, 0, 18]),
    }
}

fn is_neighbour(f: &Frame) -> bool {
    f.eth_type == IPV6 && f.proto == ICMPV6 && matches!(f.sport, 135 | 136) && f.payload.len() >= 16
}

/// Options, extension headers, fragments.
fn unusual(dice: &mut Dice, f: &mut Frame) {
    match f.eth_type {
        IPV4 if dice.chance(50) => f.options = vec![1; 4 * dice.below(11)],
        IPV6 if dice.chance(30) => f.label = dice.pick(&[0, 1, 0xf_ffff]),
        IPV6 if dice.chance(60) => {
            f.extensions = (0..dice.pick(&[0, 1, 1, 2, 7])).map(|_| some_extension(dice)).collect();
        }
        _ => f.fragment = dice.pick(&[None, Some((0, true)), Some((3, true)), Some((185, false)), Some((0, false))]),
    }
}

fn some_extension(dice: &mut Dice) -> (u8, Vec<u8>) {
    let words = dice.pick(&[0, 0, 1, 6, 18, 40]);
    let rest = |length: u8, bytes: usize| [vec![length], vec![0; bytes]].concat();
    match dice.below(4) {
        // authentication: units of four bytes, two less than there are
        0 => (51, rest(words as u8 * 2, words * 8 + 6)),
        1 => {
            let mut route = rest(words as u8, words * 8 + 6);
            route[2] = dice.pick(&[0, 0, 1]);
            (43, route)
        }
        _ => (dice.pick(&[0, 60, 135]), rest(words as u8, words * 8 + 6)),
    }
}

/// Cuts a frame short, or makes it lie, now and then.
pub fn damage(dice: &mut Dice, frame: &mut Vec<u8>) {
    if dice.chance(8) {
        frame.truncate(14 + dice.below(frame.len() - 13));
    }
    if dice.chance(8) {
        for _ in 0..=dice.below(3) {
            let at = 12 + dice.below(frame.len().min(90) - 12);
            // Checksums of all ones are left out: they mean the same as 0, and either may be
            // what comes of a change that does not change the sum.
            frame[at] = dice.pick(&[0, 1, 6, 17, 40, 0x45, 0x60, 0x81, 0xfe]);
        }
    }
}
