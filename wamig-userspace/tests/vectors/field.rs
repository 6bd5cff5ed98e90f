//! Every field that an action may set, on every kind of frame that has it; checksums follow.

use super::*;
use crate::frames::{CTAG, ICMP, ICMPV6, IPV6, SCTP, Sum, TCP, UDP, arp, udp, udp6};

/// A change by one action, and the same change made to the frame that is expected.
struct Change {
    action: Action,
    edit: fn(&mut Frame),
}

fn set(field: Field, value: u128, edit: fn(&mut Frame)) -> Change {
    Change { action: Action::set(field, value), edit }
}

/// Changes of what every IP packet has.
fn ip_changes() -> Vec<Change> {
    vec![
        set(Field::EthDst, 0xfe_dc_ba_98_76_54, |f| f.eth_dst = 0xfe_dc_ba_98_76_54),
        set(Field::EthSrc, 0x02_ff_ff_00_00_01, |f| f.eth_src = 0x02_ff_ff_00_00_01),
        set(Field::IpDscp, 46, |f| f.tos = 46 << 2 | f.tos & 3),
        set(Field::IpEcn, 3, |f| f.tos |= 3),
        Change { action: Action::SetNwTtl(255), edit: |f| f.ttl = 255 },
        Change { action: Action::DecNwTtl, edit: |f| f.ttl -= 1 },
    ]
}

fn v4_changes() -> Vec<Change> {
    let mask = Action::SetField { field: Field::Ipv4Src, value: 0x0000_0700, mask: 0x0000_ff00 };
    let changes = vec![
        set(Field::Ipv4Src, 0, |f| f.src = 0),
        set(Field::Ipv4Src, 0xffff_ffff, |f| f.src = 0xffff_ffff),
        set(Field::Ipv4Dst, 0xc633_64c8, |f| f.dst = 0xc633_64c8),
        set(Field::Ipv4Dst, udp().dst, |_| {}),
        Change { action: mask, edit: |f| f.src = f.src & !0xff00 | 0x0700 },
        Change { action: Action::Move { src: Field::Ipv4Src, dst: Field::Ipv4Dst }, edit: |f| f.dst = f.src },
    ];
    ip_changes().into_iter().chain(changes).collect()
}

fn v6_changes() -> Vec<Change> {
    const TO: u128 = 0xffff_0000_0000_0001_8000_0000_0000_0bad;
    let changes = vec![
        set(Field::Ipv6Src, TO, |f| f.src = TO),
        set(Field::Ipv6Dst, TO, |f| f.dst = TO),
        set(Field::Ipv6Dst, 0, |f| f.dst = 0),
        set(Field::Ipv6Flabel, 0xa_bcde, |f| f.label = 0xa_bcde),
        Change { action: Action::Move { src: Field::Ipv6Dst, dst: Field::Ipv6Src }, edit: |f| f.src = f.dst },
    ];
    ip_changes().into_iter().chain(changes).collect()
}

fn l4_changes(frame: &Frame) -> Vec<Change> {
    let ports = |src, dst| {
        vec![
            set(src, 0xffff, |f| f.sport = 0xffff),
            set(dst, 0, |f| f.dport = 0),
            Change { action: Action::Move { src, dst }, edit: |f| f.dport = f.sport },
        ]
    };
    let icmp = |kind, code| vec![set(kind, 129, |f| f.sport = 129), set(code, 4, |f| f.dport = 4)];
    match frame.proto {
        TCP => ports(Field::TcpSrc, Field::TcpDst),
        UDP => ports(Field::UdpSrc, Field::UdpDst),
        SCTP => ports(Field::SctpSrc, Field::SctpDst),
        ICMP => icmp(Field::Icmpv4Type, Field::Icmpv4Code),
        ICMPV6 if frame.eth_type == IPV6 => icmp(Field::Icmpv6Type, Field::Icmpv6Code),
        _ => vec![],
    }
}

fn arp_changes() -> Vec<Change> {
    vec![
        set(Field::EthDst, 7, |f| f.eth_dst = 7),
        set(Field::ArpOp, 2, |f| f.arp.0 = 2),
        set(Field::ArpSha, 0xfedc_ba98_7654, |f| f.arp.1 = 0xfedc_ba98_7654),
        set(Field::ArpTha, 0xffff_ffff_ffff, |f| f.arp.2 = 0xffff_ffff_ffff),
        set(Field::ArpSpa, 0xffff_ffff, |f| f.src = 0xffff_ffff),
        set(Field::ArpTpa, 0x0102_0304, |f| f.dst = 0x0102_0304),
        Change { action: Action::Move { src: Field::ArpSpa, dst: Field::ArpTpa }, edit: |f| f.dst = f.src },
        Change { action: Action::Move { src: Field::EthSrc, dst: Field::ArpTha }, edit: |f| f.arp.2 = f.eth_src },
    ]
}

/// The frames, by what is special about them.
pub fn kinds() -> Vec<(&'static str, Frame)> {
    let tagged = |f: Frame| Frame { tags: vec![(CTAG, 5)], ..f };
    let ping = |f: Frame, proto| Frame { proto, sport: 128, dport: 0, ..f };
    vec![
        ("UDP", udp()),
        ("UDP without checksum", Frame { sum: Sum::Zero, ..udp() }),
        ("UDP damaged on the way", Frame { sum: Sum::Damaged(0xbeef), ..udp() }),
        ("UDP of odd length with padding", Frame { payload: b"odd".to_vec(), padding: 15, ..udp() }),
        ("UDP behind IPv4 options", Frame { options: [7; 40].to_vec(), ..udp() }),
        ("UDP behind a tag", tagged(udp())),
        ("UDP, first fragment", Frame { fragment: Some((0, true)), ..udp() }),
        ("UDP, later fragment", Frame { fragment: Some((185, true)), payload: [9; 64].to_vec(), ..udp() }),
        ("TCP", Frame { proto: TCP, ..udp() }),
        ("TCP of 1400 bytes", Frame { proto: TCP, payload: [0xa5; 1400].to_vec(), ..udp() }),
        ("ICMP", ping(udp(), ICMP)),
        ("SCTP", Frame { proto: SCTP, payload: [3; 16].to_vec(), ..udp() }),
        ("another protocol", Frame { proto: 47, payload: [8; 40].to_vec(), ..udp() }),
        ("protocol 58 over IPv4", Frame { proto: ICMPV6, payload: [8; 40].to_vec(), ..udp() }),
        ("UDP/IPv6", udp6()),
        ("UDP/IPv6 behind a tag", tagged(udp6())),
        ("TCP/IPv6", Frame { proto: TCP, ..udp6() }),
        ("ICMPv6", ping(udp6(), ICMPV6)),
        ("TCP/IPv6 behind extension headers", Frame { proto: TCP, extensions: extensions(), ..udp6() }),
        (
            "TCP/IPv6, later fragment",
            Frame { proto: TCP, fragment: Some((2, false)), payload: [1; 20].to_vec(), ..udp6() },
        ),
        ("ARP", arp()),
        ("ARP behind a tag", tagged(arp())),
    ]
}

fn extensions() -> Vec<(u8, Vec<u8>)> {
    let authentication = [&[4][..], &[0; 22]].concat();
    vec![(0, vec![0, 1, 4, 0, 0, 0, 0]), (60, [&[1][..], &[0; 14]].concat()), (51, authentication)]
}

pub fn vectors() -> Vec<Vector> {
    let mut all = Vec::new();
    for (kind, frame) in kinds() {
        let matching = Match::any().with(Field::EthType, u128::from(frame.eth_type));
        let (matching, changes) = match frame.eth_type {
            0x0806 => (matching, arp_changes()),
            eth_type => {
                let ip = if eth_type == 0x0800 { v4_changes() } else { v6_changes() };
                let later = frame.fragment.is_some_and(|(offset, _)| offset != 0);
                let l4 = if later { vec![] } else { l4_changes(&frame) };
                (matching.with(Field::IpProto, u128::from(frame.proto)), ip.into_iter().chain(l4).collect())
            }
        };
        for Change { action, edit } in changes {
            let mut expected = frame.clone();
            edit(&mut expected);
            let sctp = matches!(&action, Action::SetField { field: Field::SctpSrc | Field::SctpDst, .. })
                || matches!(&action, Action::Move { src: Field::SctpSrc, .. });
            let vector = when(format!("{kind}: {action}"))
                .flow(0, 1, matching.clone(), apply([action, out(2)]))
                .receives(1, &frame);
            let vector = if sctp { vector.slow(SlowReason::Sctp) } else { vector };
            all.push(vector.sends(&[2], &expected));
        }
    }
    all
}
