//! Frames that are cut short, contradict themselves or are unusual: matched by what could be
//! read, changed nowhere else, forwarded all the same.

use super::*;
use crate::frames::{ICMP, ICMPV6, TCP, UDP, arp, ip, udp, udp6};

/// Flows that tell how much of a frame was understood: an L4 port or type of 0 to port 4, any
/// address to port 3, the EtherType alone to port 2.
fn by_depth(name: &str, frame: Vec<u8>, port: u32) -> Vector {
    let ip = |v6: bool| Match::any().with(Field::EthType, if v6 { 0x86dd } else { 0x0800 });
    let l4 = |v6, proto: u8, field| {
        ip(v6).with(Field::IpProto, u128::from(proto)).with_masked(field, 0, field.full_mask() & 0xc0ff)
    };
    let vector = when(name)
        .flow(0, 90, l4(false, UDP, Field::UdpSrc), apply([out(4)]))
        .flow(0, 90, l4(true, UDP, Field::UdpSrc), apply([out(4)]))
        .flow(0, 90, l4(false, TCP, Field::TcpDst), apply([out(4)]))
        .flow(0, 90, l4(true, TCP, Field::TcpDst), apply([out(4)]))
        .flow(0, 90, l4(false, ICMP, Field::Icmpv4Type), apply([out(4)]))
        .flow(0, 90, l4(true, ICMPV6, Field::Icmpv6Code), apply([out(4)]))
        .flow(0, 50, ip(false).with_masked(Field::Ipv4Dst, 0, 1 << 20), apply([out(3)]))
        .flow(0, 50, ip(true).with_masked(Field::Ipv6Dst, 0, 1 << 64), apply([out(3)]))
        .flow(0, 10, Match::any(), apply([out(2)]));
    vector.receives_bytes(1, frame).forwards(&[port])
}

/// The frame with some of its bytes replaced.
fn with(frame: &Frame, changes: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = frame.bytes();
    for (at, byte) in changes {
        bytes[*at] = *byte;
    }
    bytes
}

fn cut(frame: &Frame, len: usize) -> Vec<u8> {
    frame.bytes()[..len].to_vec()
}

fn matched() -> Vec<Vector> {
    let zero = |f: Frame| Frame { sport: 0, dport: 0, ..f };
    let (u4, u6) = (zero(udp()), zero(udp6()));
    let tcp = Frame { proto: TCP, ..u4.clone() };
    let ping = Frame { proto: ICMP, ..u4.clone() };
    let later = |f: &Frame| Frame { fragment: Some((3, false)), payload: vec![0; 40], ..f.clone() }.bytes();
    let first = |f: &Frame| Frame { fragment: Some((0, true)), ..f.clone() }.bytes();
    let behind = |f: &Frame, extensions: Vec<(u8, Vec<u8>)>| Frame { extensions, ..f.clone() }.bytes();
    let options = |n: usize| (60u8, [&[(n / 8) as u8][..], &vec![0; n + 6]].concat());
    let nothing = |proto| Frame { proto, payload: vec![], ..u4.clone() };
    vec![
        by_depth("a whole UDP datagram", u4.bytes(), 4),
        by_depth("a whole ICMP message of type 0", ping.bytes(), 4),
        by_depth("a first fragment has ports", first(&u4), 4),
        by_depth("a later fragment has no ports, not even 0", later(&u4), 3),
        by_depth("a later fragment of ICMP is no echo reply", later(&ping), 3),
        by_depth("a first IPv6 fragment has ports", first(&u6), 4),
        by_depth("a later IPv6 fragment has no ports, not even 0", later(&u6), 3),
        by_depth("a TCP header cut short by the packet's length", with(&tcp, &[(17, 39)]), 3),
        by_depth("a UDP header cut short by the packet's length", with(&u4, &[(17, 27)]), 3),
        by_depth("no UDP header at all", with(&u4, &[(17, 20)]), 3),
        by_depth("another protocol has no ports", Frame { proto: 47, ..u4.clone() }.bytes(), 3),
        by_depth("no L4 header is needed for its protocol", nothing(47).bytes(), 3),
        by_depth("ICMPv6 over IPv4 is none", Frame { proto: ICMPV6, payload: vec![0; 20], ..u4.clone() }.bytes(), 3),
        by_depth("IPv4 cut short by the frame's end", cut(&u4, 33), 2),
        by_depth("IPv4 that is longer than the frame", cut(&u4, 58), 2),
        by_depth("IPv4 that says it is version 6", with(&u4, &[(14, 0x65)]), 2),
        by_depth("IPv4 with a header of 16 bytes", with(&u4, &[(14, 0x44)]), 2),
        by_depth("IPv4 with a header longer than the packet", with(&u4, &[(14, 0x4f)]), 2),
        by_depth("IPv4 with a total length of 0", with(&u4, &[(16, 0), (17, 0)]), 2),
        by_depth("IPv4 with nothing behind its EtherType", cut(&u4, 14), 2),
        by_depth("IPv6 cut short", cut(&u6, 53), 2),
        by_depth("IPv6 that is longer than the frame", cut(&u6, 70), 2),
        by_depth("IPv6 that says it is version 4", with(&u6, &[(14, 0x40)]), 2),
        by_depth("IPv6 without a payload", with(&u6, &[(18, 0), (19, 0)]), 3),
        by_depth("six extension headers", behind(&u6, vec![options(0); 6]), 4),
        by_depth("seven extension headers", behind(&u6, vec![options(0); 7]), 3),
        by_depth("an extension header of 264 bytes", behind(&u6, vec![options(256)]), 4),
        by_depth("extension headers beyond what is read", behind(&u6, vec![options(256), options(256)]), 3),
        by_depth(
            "an extension header longer than the packet",
            with(&Frame { extensions: vec![options(0)], ..u6.clone() }, &[(55, 200)]),
            3,
        ),
        by_depth(
            "an extension header that ends in the padding",
            {
                let f = Frame { extensions: vec![options(0)], padding: 64, ..u6.clone() };
                with(&f, &[(18, 0), (19, 8), (55, 1)])
            },
            3,
        ),
        by_depth(
            "an extension header that the packet's end cuts",
            with(&Frame { extensions: vec![options(0)], ..u6.clone() }, &[(18, 0), (19, 7)]),
            3,
        ),
        by_depth("ARP is no IP", arp().bytes(), 2),
    ]
}

fn changed() -> Vec<Vector> {
    let v4 = || Match::any().ipv4();
    let v6 = || Match::any().with(Field::EthType, 0x86dd);
    let set_dst = || Action::set(Field::Ipv4Dst, 7);
    let ports = || vec![Action::set(Field::UdpSrc, 7), Action::set(Field::UdpDst, 8), out(2)];
    let u4 = || v4().with(Field::IpProto, 17);
    let deep = |n: usize| Frame {
        extensions: vec![(60, [&[(n / 8) as u8][..], &vec![0; n + 6]].concat())],
        payload: vec![6; 300],
        ..udp6()
    };
    let exact = |n: usize| Frame { payload: vec![1; n], ..udp() };
    let routed = |left: u8| {
        let route = [&[2, 0, left, 0, 0, 0, 0][..], &(0x2001_0db8_u128 << 96 | 0x99).to_be_bytes()].concat();
        Frame { extensions: vec![(43, route)], ..udp6() }
    };
    let mut all = vec![
        when("a malformed header is not changed")
            .flow(0, 1, v4(), apply([set_dst(), Action::DecNwTtl, out(2)]))
            .receives_bytes(1, cut(&udp(), 50))
            .forwards(&[2]),
        when("a malformed header is not changed, the MAC is")
            .flow(0, 1, v4(), apply([set_dst(), Action::set(Field::EthDst, 0xffff_ffff_ffff), out(2)]))
            .receives_bytes(1, cut(&udp(), 50))
            .sends_bytes(&[2], &[&[0xff; 6][..], &udp().bytes()[6..50]].concat()),
        when("ports of a header cut short are not changed, and no checksum is")
            .flow(0, 1, u4(), apply([[set_dst()].to_vec(), ports()].concat()))
            .receives_bytes(1, with(&udp(), &[(17, 27)]))
            .sends_bytes(&[2], &{
                let mut bytes = with(&udp(), &[(17, 27), (30, 0), (31, 0), (32, 0), (33, 7)]);
                // the header's checksum: 0xc000 + 0x0235 became 0x0000 + 0x0007
                let sum = u16::from_be_bytes([bytes[24], bytes[25]]);
                let mut sum = u32::from(!sum) + u32::from(!0xc000u16) + u32::from(!0x0235u16) + 7;
                while sum > 0xffff {
                    sum = (sum & 0xffff) + (sum >> 16);
                }
                bytes[24..26].copy_from_slice(&(!(sum as u16)).to_be_bytes());
                bytes
            }),
        when("IPv6 headers within the window")
            .flow(0, 1, v6().with(Field::IpProto, 17), apply(ports()))
            .receives(1, &deep(104))
            .sends(&[2], &Frame { sport: 7, dport: 8, ..deep(104) }),
        when("an L4 header beyond the window")
            .flow(0, 1, v6().with(Field::IpProto, 17), apply(ports()))
            .receives(1, &deep(160))
            .slow(SlowReason::BeyondWindow)
            .sends(&[2], &Frame { sport: 7, dport: 8, ..deep(160) }),
        when("an address whose checksum lies beyond the window")
            .flow(0, 1, v6(), apply([Action::set(Field::Ipv6Src, 7), out(2)]))
            .receives(1, &deep(160))
            .slow(SlowReason::BeyondWindow)
            .sends(&[2], &Frame { src: 7, ..deep(160) }),
        when("an edit, then a port beyond the window is matched")
            .flow(0, 1, v6(), apply([Action::set(Field::EthDst, 7)]).then_goto(TableId(1)))
            .flow(1, 2, v6().with(Field::IpProto, 17).with(Field::UdpDst, 53), apply([out(3)]))
            .flow(1, 1, Match::any(), apply([out(2)]))
            .receives(1, &deep(160))
            .slow(SlowReason::BeyondWindow)
            .sends(&[3], &Frame { eth_dst: 7, ..deep(160) }),
        when("the MAC of a frame whose L4 header is beyond the window")
            .flow(0, 1, v6(), apply([Action::set(Field::EthDst, 7), Action::DecNwTtl, out(2)]))
            .receives(1, &deep(160))
            .sends(&[2], &Frame { eth_dst: 7, ttl: 63, ..deep(160) }),
        when("the last stop of a route has the destination of the checksum")
            .flow(0, 1, v6(), apply([Action::set(Field::Ipv6Dst, 7), out(2)]))
            .receives(1, &routed(0))
            .sends(&[2], &Frame { dst: 7, ..routed(0) }),
        when("on the way of a route the checksum is for another destination")
            .flow(0, 1, v6(), apply([Action::set(Field::Ipv6Dst, 7), out(2)]))
            .receives(1, &routed(1))
            .sends_bytes(&[2], &{
                let mut bytes = routed(1).bytes();
                bytes[38..54].copy_from_slice(&7u128.to_be_bytes());
                bytes
            }),
        when("addresses at both ends of the range")
            .flow(
                0,
                1,
                v4(),
                apply([Action::set(Field::Ipv4Src, ip(255, 255, 255, 255)), Action::set(Field::Ipv4Dst, 0), out(2)]),
            )
            .receives(1, &Frame { src: 0, dst: ip(255, 255, 255, 255), ..udp() })
            .sends(&[2], &Frame { src: ip(255, 255, 255, 255), dst: 0, ..udp() }),
    ];
    for len in [149, 150, 151, 1472, 2048, 3400] {
        let frame = exact(len);
        let after = Frame { dst: 7, sport: 7, dport: 8, ..frame.clone() };
        let flow = apply([[set_dst()].to_vec(), ports()].concat());
        all.push(
            when(format!("{} bytes", frame.bytes().len()))
                .flow(0, 1, u4(), flow)
                .receives(1, &frame)
                .sends(&[2], &after),
        );
    }
    all
}

pub fn vectors() -> Vec<Vector> {
    matched().into_iter().chain(changed()).collect()
}
