//! VLAN tags: matched, pushed, popped, changed.

use super::*;
use crate::frames::{CTAG, STAG, TCP, udp, udp6};

/// Drop eligible.
const DEI: u16 = 0x1000;

const fn tci(priority: u16, id: u16) -> u16 {
    priority << 13 | id
}

pub fn vectors() -> Vec<Vector> {
    let tagged = |tags: &[(u16, u16)]| Frame { tags: tags.to_vec(), ..udp() };
    let vid = |vid: u128| Match::any().with(Field::VlanVid, 0x1000 | vid);
    let any_tag = || Match::any().with_masked(Field::VlanVid, 0x1000, 0x1000);
    let untagged = || Match::any().with(Field::VlanVid, 0);
    let set_vid = |vid: u128| Action::set(Field::VlanVid, 0x1000 | vid);
    let set_pcp = |pcp| Action::set(Field::VlanPcp, pcp);
    let push = |kind| Action::PushVlan(kind);
    let pop = || Action::PopVlan;
    let deep: Vec<(u16, u16)> = (1..=9).map(|n| (CTAG, n)).collect();
    let by_tag = |name: &str, frame: Frame, port: u32| {
        when(name)
            .flow(0, 9, vid(100).with(Field::VlanPcp, 5), apply([out(4)]))
            .flow(0, 8, vid(100), apply([out(3)]))
            .flow(0, 7, any_tag(), apply([out(2)]))
            .flow(0, 6, untagged(), apply([out(LOCAL)]))
            .receives(1, &frame)
            .forwards(&[port])
    };
    vec![
        by_tag("a tag by id", tagged(&[(CTAG, 100)]), 3),
        by_tag("a tag by id and priority", tagged(&[(CTAG, tci(5, 100))]), 4),
        by_tag("the drop-eligible bit is not matched", tagged(&[(CTAG, tci(5, 100) | DEI)]), 4),
        by_tag("any tag", tagged(&[(CTAG, 101)]), 2),
        by_tag("a priority tag is a tag", tagged(&[(CTAG, tci(5, 0))]), 2),
        by_tag("no tag", udp(), LOCAL),
        by_tag("a provider's tag is the outer one", tagged(&[(STAG, 100), (CTAG, 7)]), 3),
        when("a tag is pushed, with id 0")
            .all([push(CTAG), out(2)])
            .receives(1, &udp())
            .sends(&[2], &tagged(&[(CTAG, 0)])),
        when("a tag is pushed and set")
            .all([push(CTAG), set_vid(100), set_pcp(5), out(2)])
            .receives(1, &udp())
            .sends(&[2], &tagged(&[(CTAG, tci(5, 100))])),
        when("a pushed tag copies id and priority of the outer one")
            .all([push(STAG), out(2)])
            .receives(1, &tagged(&[(CTAG, tci(3, 7))]))
            .sends(&[2], &tagged(&[(STAG, tci(3, 7)), (CTAG, tci(3, 7))])),
        when("a tag is popped")
            .flow(0, 1, any_tag(), apply([pop(), out(2)]))
            .receives(1, &tagged(&[(CTAG, 100)]))
            .sends(&[2], &udp()),
        when("the outer of two tags is popped")
            .flow(0, 1, any_tag(), apply([pop(), out(2)]))
            .receives(1, &tagged(&[(STAG, 100), (CTAG, 7)]))
            .sends(&[2], &tagged(&[(CTAG, 7)])),
        when("both tags are popped")
            .flow(0, 1, any_tag(), apply([pop(), pop(), out(2)]))
            .receives(1, &tagged(&[(STAG, 100), (CTAG, 7)]))
            .sends(&[2], &udp()),
        when("popping where no tag is changes nothing").all([pop(), out(2)]).receives(1, &udp()).forwards(&[2]),
        when("an only tag is popped and another pushed: nothing to copy")
            .flow(0, 1, any_tag(), apply([pop(), push(CTAG), out(2)]))
            .receives(1, &tagged(&[(CTAG, tci(5, 100))]))
            .sends(&[2], &tagged(&[(CTAG, 0)])),
        when("a tag is changed")
            .flow(0, 1, any_tag(), apply([set_vid(4095), set_pcp(7), out(2)]))
            .receives(1, &tagged(&[(CTAG, tci(1, 100) | DEI)]))
            .sends(&[2], &tagged(&[(CTAG, 0xffff)])),
        when("the outer of two tags is changed")
            .flow(0, 1, any_tag(), apply([set_vid(1), out(2)]))
            .receives(1, &tagged(&[(STAG, 100), (CTAG, 7)]))
            .sends(&[2], &tagged(&[(STAG, 1), (CTAG, 7)])),
        when("pop, then the next table sees no tag")
            .flow(0, 1, any_tag(), apply([pop()]).then_goto(TableId(1)))
            .flow(1, 2, any_tag(), apply([out(3)]))
            .flow(1, 1, untagged(), apply([out(2)]))
            .receives(1, &tagged(&[(CTAG, 100)]))
            .sends(&[2], &udp()),
        when("pop, then the next table sees the inner tag and the headers behind it")
            .flow(0, 1, any_tag(), apply([pop()]).then_goto(TableId(1)))
            .flow(1, 2, vid(7).with(Field::EthType, 0x86dd).with(Field::Ipv6Dst, udp6().dst), apply([pop(), out(3)]))
            .receives(1, &Frame { tags: vec![(STAG, 100), (CTAG, 7)], ..udp6() })
            .sends(&[3], &udp6()),
        when("push, then the next table sees the new tag and sets it")
            .flow(0, 1, untagged(), apply([push(CTAG), set_vid(9)]).then_goto(TableId(1)))
            .flow(1, 1, vid(9), apply([set_pcp(1), out(2)]))
            .receives(1, &udp())
            .sends(&[2], &tagged(&[(CTAG, tci(1, 9))])),
        when("tag and headers behind it are changed together")
            .flow(
                0,
                1,
                any_tag().ipv4().with(Field::IpProto, u128::from(TCP)),
                apply([pop(), Action::set(Field::TcpDst, 8080), push(STAG), set_vid(2), Action::DecNwTtl, out(2)]),
            )
            .receives(1, &Frame { proto: TCP, ..tagged(&[(CTAG, 100)]) })
            .sends(&[2], &Frame { proto: TCP, dport: 8080, ttl: 63, ..tagged(&[(STAG, 2)]) }),
        when("eight tags are pushed")
            .all([vec![push(CTAG); 8], vec![out(2)]].concat())
            .receives(1, &udp())
            .sends(&[2], &tagged(&[(CTAG, 0); 8])),
        when("for a ninth tag only the slow path has room")
            .all([vec![push(CTAG); 9], vec![out(2)]].concat())
            .receives(1, &udp())
            .slow(SlowReason::Headroom)
            .sends(&[2], &tagged(&[(CTAG, 0); 9])),
        when("nine tags are popped")
            .all([vec![pop(); 9], vec![out(2)]].concat())
            .receives(1, &tagged(&deep))
            .sends(&[2], &udp()),
        when("more than two tags: the inner ones are no EtherType that is known")
            .flow(0, 9, Match::any().with(Field::EthType, u128::from(CTAG)), apply([out(2)]))
            .receives(1, &tagged(&deep))
            .forwards(&[2]),
        when("a tag on a long frame")
            .all([push(CTAG), set_vid(3), out(2)])
            .receives(1, &long(Vec::new()))
            .sends(&[2], &long(vec![(CTAG, 3)])),
        when("no tag on a long frame")
            .all([pop(), out(2)])
            .receives(1, &long(vec![(CTAG, 3)]))
            .sends(&[2], &long(Vec::new())),
        when("write-actions pop before they push")
            .flow(0, 1, any_tag(), write([set_vid(5), push(STAG), pop(), out(2)]))
            .receives(1, &tagged(&[(CTAG, tci(7, 100)), (CTAG, 7)]))
            .sends(&[2], &tagged(&[(STAG, 5), (CTAG, 7)])),
        when("a tag cut short")
            .all([out(2)])
            .receives_bytes(1, tagged(&[(CTAG, 1)]).bytes()[..16].to_vec())
            .drops(DropReason::Truncated),
        when("a second tag cut short")
            .all([out(2)])
            .receives_bytes(1, tagged(&[(CTAG, 1), (CTAG, 2)]).bytes()[..21].to_vec())
            .drops(DropReason::Truncated),
        when("after a pop the next tag turns out to be cut short")
            .flow(0, 1, Match::any(), apply([pop()]).then_goto(TableId(1)))
            .flow(1, 1, Match::any(), apply([out(2)]))
            .receives_bytes(1, tagged(&[(CTAG, 1), (CTAG, 2), (CTAG, 3)]).bytes()[..24].to_vec())
            .drops(DropReason::Truncated),
    ]
}

/// Longer than the header window.
fn long(tags: Vec<(u16, u16)>) -> Frame {
    Frame { tags, payload: vec![0x5a; 1400], ..udp() }
}
