//! Several tables: goto, metadata, frames matched anew after an edit, the action set, and what
//! one plan cannot hold.

use super::*;
use crate::frames::{CTAG, TCP, arp, udp};

const S: u128 = 0xc633_64c8;

pub fn vectors() -> Vec<Vector> {
    let v4 = || Match::any().ipv4();
    let to = |addr| v4().with(Field::Ipv4Dst, addr);
    let set_dst = |addr| Action::set(Field::Ipv4Dst, addr);
    let meta = |value, mask| Instructions { metadata: Some((value, mask)), ..Instructions::default() };
    let at = |value, mask| Match::any().with_masked(Field::Metadata, value, mask);
    let then = |i: Instructions, table| i.then_goto(TableId(table));
    let fport = |f: Frame, port| Frame { dport: port, ..f };
    let moved = Frame { dst: S, ..udp() };
    let tcp = || Frame { proto: TCP, ..udp() };
    vec![
        when("goto skips tables")
            .flow(0, 1, Match::any(), goto(15))
            .flow(1, 1, Match::any(), apply([out(4)]))
            .flow(15, 1, Match::any(), apply([out(2)]))
            .receives(1, &udp())
            .forwards(&[2]),
        when("a miss in the second table")
            .flow(0, 1, Match::any(), goto(1))
            .flow(1, 1, to(9), apply([out(2)]))
            .receives(1, &udp())
            .drops(DropReason::TableMiss),
        when("a miss in the second table keeps what the first has sent")
            .flow(0, 1, Match::any(), then(apply([out(2)]), 1))
            .flow(1, 1, to(9), apply([out(3)]))
            .receives(1, &udp())
            .forwards(&[2]),
        when("a miss forgets the action set")
            .flow(0, 1, Match::any(), then(write([out(2)]), 1))
            .flow(1, 1, to(9), apply([out(3)]))
            .receives(1, &udp())
            .drops(DropReason::TableMiss),
        when("all sixteen tables").flows_to_the_end().receives(1, &udp()).forwards(&[3]),
        when("metadata is matched")
            .flow(0, 1, Match::any(), then(meta(0x1234_5678_9abc_def0, u64::MAX), 1))
            .flow(1, 2, at(0x1234_5678_9abc_def1, u128::MAX), apply([out(3)]))
            .flow(1, 1, at(0x1234_5678_9abc_def0, u128::MAX), apply([out(2)]))
            .receives(1, &udp())
            .forwards(&[2]),
        when("metadata is written and matched under masks")
            .flow(0, 1, Match::any(), then(meta(0xff00, 0xff00), 1))
            .flow(1, 1, at(0x0f00, 0x0f00), then(meta(0x0012, 0x00ff), 2))
            .flow(2, 2, at(0x0f12, u128::MAX), apply([out(3)]))
            .flow(2, 1, at(0xff12, u128::MAX), apply([out(2)]))
            .receives(1, &udp())
            .forwards(&[2]),
        when("metadata survives an edit")
            .flow(
                0,
                1,
                v4(),
                Instructions { metadata: Some((7, 7)), ..then(apply([set_dst(S), Action::PushVlan(CTAG)]), 1) },
            )
            .flow(1, 1, at(7, 7).ipv4().with(Field::Ipv4Dst, S), apply([out(2)]))
            .receives(1, &udp())
            .sends(&[2], &Frame { tags: vec![(CTAG, 0)], ..moved.clone() }),
        when("an edited address is what the next table matches")
            .flow(0, 1, v4(), then(apply([set_dst(S)]), 1))
            .flow(1, 9, to(udp().dst), apply([out(3)]))
            .flow(1, 8, to(S), apply([out(2)]))
            .receives(1, &udp())
            .sends(&[2], &moved),
        when("an edited port is what the next table matches")
            .flow(0, 1, v4().with(Field::IpProto, 6), then(apply([Action::set(Field::TcpDst, 80)]), 1))
            .flow(
                1,
                9,
                v4().with(Field::IpProto, 6).with(Field::TcpDst, 80),
                apply([Action::set(Field::TcpDst, 81), out(2)]),
            )
            .receives(1, &tcp())
            .sends(&[2], &fport(tcp(), 81)),
        when("a hairpin to another address of the same port")
            .flow(0, 1, Match::any().in_port(PortNo(3)), then(meta(3, 255), 1))
            .flow(
                1,
                1,
                at(3, 255).ipv4().with(Field::Ipv4Dst, udp().dst),
                apply([set_dst(S), Action::DecNwTtl, Action::output(PortNo::IN_PORT)]),
            )
            .receives(3, &udp())
            .sends(&[3], &Frame { dst: S, ttl: 63, ..udp() }),
        when("write-actions run in the order of the action set")
            .flow(
                0,
                1,
                v4(),
                write([
                    out(2),
                    set_dst(S),
                    Action::DecNwTtl,
                    Action::PushVlan(CTAG),
                    Action::set(Field::VlanVid, 0x1007),
                ]),
            )
            .receives(1, &udp())
            .sends(&[2], &Frame { tags: vec![(CTAG, 7)], ttl: 63, ..moved.clone() }),
        when("a later table replaces what the action set holds")
            .flow(0, 1, v4(), then(write([set_dst(9), Action::set(Field::EthDst, 9), out(3)]), 1))
            .flow(1, 1, v4(), write([set_dst(S), out(2)]))
            .receives(1, &udp())
            .sends(&[2], &Frame { eth_dst: 9, ..moved.clone() }),
        when("of two writes in one list the last stays")
            .flow(0, 1, v4(), write([set_dst(9), out(3), set_dst(S), out(2)]))
            .receives(1, &udp())
            .sends(&[2], &moved),
        when("clear-actions before write-actions of the same flow")
            .flow(0, 1, v4(), then(write([set_dst(9), out(3)]), 1))
            .flow(1, 1, v4(), Instructions { clear: true, ..write([out(2)]) })
            .receives(1, &udp())
            .forwards(&[2]),
        when("clear-actions leave nothing")
            .flow(0, 1, v4(), then(write([out(3)]), 1))
            .flow(1, 1, v4(), Instructions { clear: true, ..Instructions::drop() })
            .receives(1, &udp())
            .drops(DropReason::NoOutput),
        when("clear-actions do not undo what was applied")
            .flow(0, 1, v4(), Instructions { goto: Some(TableId(1)), write: vec![out(3)], ..apply([set_dst(S)]) })
            .flow(1, 1, to(S), Instructions { clear: true, ..apply([out(2)]) })
            .receives(1, &udp())
            .sends(&[2], &moved),
        when("an action set without an output")
            .flow(0, 1, v4(), write([set_dst(S)]))
            .receives(1, &udp())
            .drops(DropReason::NoOutput),
        when("an action set that outputs to the ingress port")
            .flow(0, 1, v4(), write([out(1)]))
            .receives(1, &udp())
            .drops(DropReason::IngressPort),
        when("an action set that floods")
            .flow(0, 1, v4(), write([Action::output(PortNo::FLOOD)]))
            .receives(1, &udp())
            .forwards(&others(1)),
        when("the action set of an ARP frame does not touch what it has not")
            .flow(0, 1, v4(), write([out(3)]))
            .flow(0, 0, Match::any(), write([Action::PushVlan(CTAG), Action::DecNwTtl, out(2)]))
            .receives(1, &arp())
            .sends(&[2], &Frame { tags: vec![(CTAG, 0)], ..arp() }),
        when("applied edits, then the action set")
            .flow(0, 1, v4(), Instructions { write: vec![Action::DecNwTtl, out(2)], ..apply([set_dst(S)]) })
            .receives(1, &udp())
            .sends(&[2], &Frame { ttl: 63, ..moved.clone() }),
        when("outputs in two tables")
            .flow(0, 1, Match::any(), then(apply([out(2)]), 1))
            .flow(1, 1, Match::any(), apply([out(3)]))
            .receives(1, &udp())
            .slow(SlowReason::SeveralOutputs)
            .forwards(&[2, 3]),
        when("an output, then the action set's")
            .flow(0, 1, v4(), Instructions { write: vec![out(3)], ..apply([out(2)]) })
            .receives(1, &udp())
            .slow(SlowReason::SeveralOutputs)
            .forwards(&[2, 3]),
        when("a port twice is two copies")
            .all([out(2), out(2)])
            .receives(1, &udp())
            .slow(SlowReason::SeveralOutputs)
            .forwards(&[2, 2]),
        when("an edit after an output")
            .flow(0, 1, v4(), apply([out(2), set_dst(S), out(3)]))
            .receives(1, &udp())
            .slow(SlowReason::EditAfterOutput)
            .forwards(&[2])
            .sends(&[3], &moved),
        when("an edit after an output in the table before")
            .flow(0, 1, Match::any(), then(apply([out(2)]), 1))
            .flow(1, 1, v4(), apply([set_dst(S), out(3)]))
            .receives(1, &udp())
            .slow(SlowReason::EditAfterOutput)
            .forwards(&[2])
            .sends(&[3], &moved),
        when("a frame changed for every port")
            .flow(0, 1, v4(), apply([out(2), Action::DecNwTtl, out(3), Action::DecNwTtl, Action::output(PortNo::ALL)]))
            .receives(4, &udp())
            .slow(SlowReason::EditAfterOutput)
            .forwards(&[2])
            .sends(&[3], &Frame { ttl: 63, ..udp() })
            .sends(&others(4), &Frame { ttl: 62, ..udp() }),
        when("an edit after the edited frame went to the controller")
            .flow(0, 1, v4(), apply([Action::DecNwTtl, Action::controller(), Action::DecNwTtl, out(2)]))
            .receives(1, &udp())
            .slow(SlowReason::EditAfterOutput)
            .sends(&[2], &Frame { ttl: 62, ..udp() })
            .tells(1, PuntReason::Action, &Frame { ttl: 63, ..udp() }),
        when("sixteen actions")
            .flow(0, 1, v4(), apply([vec![Action::DecNwTtl; 15], vec![out(2)]].concat()))
            .receives(1, &udp())
            .sends(&[2], &Frame { ttl: 49, ..udp() }),
    ]
}

impl Vector {
    /// A flow in every table, the last of which sends.
    fn flows_to_the_end(self) -> Self {
        let chain = (0..15).fold(self, |v, table| v.flow(table, 1, Match::any(), goto(table + 1)));
        chain.flow(15, 1, Match::any(), apply([out(3)]))
    }
}
