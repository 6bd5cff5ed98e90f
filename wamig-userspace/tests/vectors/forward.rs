//! Forwarding by L2: ports, floods, misses.

use super::*;
use crate::frames::{arp, udp, udp6};

pub fn vectors() -> Vec<Vector> {
    let to = |mac: u64| Match::any().with(Field::EthDst, u128::from(mac));
    let group = Match::any().with_masked(Field::EthDst, 1 << 40, 1 << 40);
    let flood = || Action::output(PortNo::FLOOD);
    vec![
        when("a known destination").flow(0, 10, to(udp().eth_dst), apply([out(2)])).receives(1, &udp()).forwards(&[2]),
        when("a table without a miss flow")
            .flow(0, 10, to(9), apply([out(2)]))
            .receives(1, &udp())
            .drops(DropReason::TableMiss),
        when("no flow at all").receives(1, &udp()).drops(DropReason::TableMiss),
        when("the miss flow asks the controller")
            .flow(0, 10, to(9), apply([out(2)]))
            .flow(0, 0, Match::any(), apply([Action::controller()]))
            .receives(1, &udp())
            .tells(2, PuntReason::NoMatch, &udp()),
        when("a flow of priority 0 with a match is no miss flow")
            .flow(0, 0, to(udp().eth_dst), apply([Action::controller()]))
            .receives(1, &udp())
            .tells(1, PuntReason::Action, &udp()),
        when("a flow without instructions")
            .flow(0, 10, to(udp().eth_dst), Instructions::drop())
            .receives(1, &udp())
            .drops(DropReason::NoOutput),
        when("FLOOD leaves the ingress port out").all([flood()]).receives(3, &arp()).forwards(&others(3)),
        when("ALL leaves the ingress port out")
            .all([Action::output(PortNo::ALL)])
            .receives(1, &udp6())
            .forwards(&others(1)),
        when("a group address, masked")
            .flow(0, 9, group.clone(), apply([flood()]))
            .flow(0, 8, Match::any(), apply([out(2)]))
            .receives(1, &arp())
            .forwards(&others(1)),
        when("not a group address")
            .flow(0, 9, group, apply([flood()]))
            .flow(0, 8, Match::any(), apply([out(2)]))
            .receives(1, &udp())
            .forwards(&[2]),
        when("several ports are one set").all([out(3), out(2), out(4)]).receives(1, &udp()).forwards(&[2, 3, 4]),
        when("a set with the ingress port in it").all([out(1), out(2), out(4)]).receives(1, &udp()).forwards(&[2, 4]),
        when("a set with LOCAL in it").all([out(2), out(LOCAL)]).receives(1, &udp()).forwards(&[2, LOCAL]),
        when("an output to the ingress port").all([out(1)]).receives(1, &udp()).drops(DropReason::IngressPort),
        when("hairpin by IN_PORT").all([Action::output(PortNo::IN_PORT)]).receives(2, &udp()).forwards(&[2]),
        when("hairpin of the host by IN_PORT")
            .all([Action::output(PortNo::IN_PORT)])
            .receives(LOCAL, &udp())
            .forwards(&[LOCAL]),
        when("to the host").all([out(LOCAL)]).receives(2, &udp()).forwards(&[LOCAL]),
        when("from the host")
            .flow(0, 5, Match::any().in_port(PortNo::LOCAL), apply([out(2)]))
            .receives(LOCAL, &udp())
            .forwards(&[2]),
        when("from the host to the host").all([out(LOCAL)]).receives(LOCAL, &udp()).drops(DropReason::IngressPort),
        when("the highest priority of four masks wins")
            .flow(0, 10, to(udp().eth_dst), apply([out(2)]))
            .flow(0, 30, Match::any().with(Field::InPort, 1), apply([out(3)]))
            .flow(0, 20, Match::any().with(Field::EthSrc, u128::from(udp().eth_src)), apply([out(4)]))
            .flow(0, 0, Match::any(), Instructions::drop())
            .receives(1, &udp())
            .forwards(&[3]),
        when("the highest priority of one match wins")
            .flow(0, 65535, to(udp().eth_dst), apply([out(3)]))
            .flow(0, 10, to(udp().eth_dst), apply([out(2)]))
            .receives(1, &udp())
            .forwards(&[3]),
        when("the shortest frame")
            .all([out(2)])
            .receives_bytes(1, udp().bytes()[..12].iter().copied().chain([0x88, 0xb5]).collect())
            .forwards(&[2]),
        when("802.3 without an EtherType")
            .flow(0, 9, Match::any().with(Field::EthType, 0x05ff), apply([out(4)]))
            .flow(0, 8, Match::any(), apply([out(2)]))
            .receives(1, &Frame { eth_type: 39, payload: [&[0x42, 0x42, 3][..], &[0; 36]].concat(), ..udp() })
            .forwards(&[4]),
        when("802.3 with SNAP and IPv4 in it")
            .flow(
                0,
                9,
                Match::any().ipv4().with(Field::Ipv4Dst, udp().dst),
                apply([Action::set(Field::Ipv4Dst, 7), out(4)]),
            )
            .receives(1, &Frame { snap: true, ..udp() })
            .sends(&[4], &Frame { snap: true, dst: 7, ..udp() }),
        when("1500 bytes of payload").all([out(2)]).receives(1, &long()).forwards(&[2]),
        when("1500 bytes of payload to two ports").all([out(2), out(3)]).receives(1, &long()).forwards(&[2, 3]),
    ]
}

fn long() -> Frame {
    Frame { payload: (0..1472).map(|n| n as u8).collect(), ..udp() }
}
