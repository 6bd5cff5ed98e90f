//! ARP: matched, and answered by the switch itself.

use super::*;
use crate::frames::{CTAG, arp, ip, udp};

/// The moves and set-fields that turn a request for `S` into its own reply.
fn reply(mac: u64) -> Vec<Action> {
    let moved = |src, dst| Action::Move { src, dst };
    let mac = u128::from(mac);
    vec![
        moved(Field::EthSrc, Field::EthDst),
        Action::set(Field::EthSrc, mac),
        Action::set(Field::ArpOp, 2),
        moved(Field::ArpSha, Field::ArpTha),
        Action::set(Field::ArpSha, mac),
        moved(Field::ArpSpa, Field::ArpTpa),
        Action::set(Field::ArpSpa, arp().dst),
        Action::output(PortNo::IN_PORT),
    ]
}

pub fn vectors() -> Vec<Vector> {
    const MAC: u64 = 0x0200_0000_0053;
    let asks = || Match::any().arp().with(Field::ArpOp, 1).with(Field::ArpTpa, arp().dst);
    let answer = |asked: &Frame| Frame {
        eth_dst: asked.eth_src,
        eth_src: MAC,
        arp: (2, MAC, asked.arp.1),
        src: asked.dst,
        dst: asked.src,
        ..asked.clone()
    };
    let tagged = Frame { tags: vec![(CTAG, 9)], ..arp() };
    // What RFC 5227 calls a probe: a sender that has no address yet.
    let probe = Frame { src: 0, ..arp() };
    let by_op = |op: u128| Match::any().arp().with(Field::ArpOp, op);
    let of_op = |op| Frame { arp: (op, udp().eth_src, 0), ..arp() };
    vec![
        when("an ARP request becomes its own reply")
            .flow(0, 9, asks(), apply(reply(MAC)))
            .receives(2, &arp())
            .sends(&[2], &answer(&arp())),
        when("an ARP request becomes its own reply behind a tag")
            .flow(0, 9, asks(), apply(reply(MAC)))
            .receives(2, &tagged)
            .sends(&[2], &answer(&tagged)),
        when("a request for another address floods")
            .flow(0, 9, asks(), apply(reply(MAC)))
            .flow(0, 1, Match::any(), apply([Action::output(PortNo::FLOOD)]))
            .receives(2, &Frame { dst: ip(192, 0, 2, 54), ..arp() })
            .forwards(&others(2)),
        when("a probe is told from a request by its sender")
            .flow(0, 9, asks().with(Field::ArpSpa, 0), Instructions::drop())
            .flow(0, 8, asks(), apply(reply(MAC)))
            .receives(2, &probe)
            .drops(DropReason::NoOutput),
        when("a request is told from a probe by its sender")
            .flow(0, 9, asks().with(Field::ArpSpa, 0), Instructions::drop())
            .flow(0, 8, asks(), apply(reply(MAC)))
            .receives(2, &arp())
            .sends(&[2], &answer(&arp())),
        when("a sender's prefix")
            .flow(
                0,
                9,
                Match::any().arp().with_masked(Field::ArpSpa, ip(192, 0, 2, 0), ip(255, 255, 255, 0)),
                apply([out(3)]),
            )
            .receives(1, &arp())
            .forwards(&[3]),
        when("hardware addresses")
            .flow(
                0,
                9,
                Match::any().arp().with(Field::ArpSha, u128::from(arp().arp.1)).with(Field::ArpTha, 0),
                apply([out(3)]),
            )
            .receives(1, &arp())
            .forwards(&[3]),
        when("opcode 0").flow(0, 9, by_op(0), apply([out(3)])).receives(1, &of_op(0)).forwards(&[3]),
        when("an opcode of two bytes is not its low byte")
            .flow(0, 9, by_op(1), apply([out(3)]))
            .receives(1, &of_op(257))
            .drops(DropReason::TableMiss),
        when("an opcode of two bytes is not 0")
            .flow(0, 9, by_op(0), apply([out(3)]))
            .receives(1, &of_op(256))
            .drops(DropReason::TableMiss),
        when("ARP for another kind of hardware has no addresses that could match")
            .flow(0, 9, Match::any().arp().with_masked(Field::ArpTpa, 0, 1 << 31), apply([out(3)]))
            .flow(0, 8, Match::any().arp(), apply([Action::set(Field::ArpTpa, 7), out(4)]))
            .receives_bytes(1, {
                let mut other = arp().bytes();
                other[15] = 6;
                other
            })
            .forwards(&[4]),
        when("ARP cut short has no addresses that could match")
            .flow(0, 9, Match::any().arp().with_masked(Field::ArpSpa, 0, 1), apply([out(3)]))
            .flow(0, 8, Match::any().arp(), apply([out(4)]))
            .receives_bytes(1, arp().bytes()[..41].to_vec())
            .forwards(&[4]),
    ]
}
