//! Table misses where they are packet-ins (OpenFlow 1.0 §3.4): of the frame as it stands, whatever
//! the flows before have made of it.

use super::*;
use crate::frames::{CTAG, arp, udp, udp6};

pub fn vectors() -> Vec<Vector> {
    let ctl = || Action::controller();
    let set = || Action::set(Field::Ipv4Dst, 0xc633_64c8);
    let to = || Frame { dst: 0xc633_64c8, ..udp() };
    let v4 = || Match::any().ipv4();
    let then = |actions: Vec<Action>| apply(actions).then_goto(TableId(1));
    let when = |name: &str| super::when(format!("misses go up: {name}")).misses_go_up();
    let long = || Frame { payload: vec![0x55; 1400], ..udp() };
    let metadata = |set: (u64, u64), instructions| Instructions { metadata: Some(set), ..instructions };
    vec![
        when("no flow at all").receives(1, &udp()).tells_miss(0, &udp()),
        when("no flow at all, ARP").receives(3, &arp()).tells_miss(0, &arp()),
        when("a long frame goes up whole").receives(1, &long()).tells_miss(0, &long()),
        when("flows of other frames")
            .flow(0, 7, v4().in_port(PortNo(2)), apply([out(3)]))
            .receives(1, &udp6())
            .tells_miss(0, &udp6()),
        when("a flow that takes the frame").flow(0, 7, v4(), apply([out(2)])).receives(1, &udp()).forwards(&[2]),
        when("a flow that drops the frame")
            .flow(0, 0, Match::any(), Instructions::drop())
            .receives(1, &udp())
            .drops(DropReason::NoOutput),
        when("a miss flow is a flow").flow(0, 0, Match::any(), apply([ctl()])).receives(1, &udp()).tells(
            1,
            PuntReason::NoMatch,
            &udp(),
        ),
        when("in the second table, of the frame as edited, with its metadata")
            .flow(0, 1, v4(), metadata((0xbeef, 0xffff), then(vec![set()])))
            .receives(1, &udp())
            .tells_miss(0xbeef, &to()),
        when("of a frame that has become longer")
            .flow(0, 1, Match::any(), then(vec![Action::PushVlan(CTAG)]))
            .receives(1, &long())
            .tells_miss(0, &Frame { tags: vec![(CTAG, 0)], ..long() }),
        when("beside a copy that was sent before")
            .flow(0, 1, v4(), then(vec![set(), out(2)]))
            .receives(1, &udp())
            .sends(&[2], &to())
            .tells_miss(0, &to()),
        when("after a packet-in of the same frame")
            .flow(0, 1, v4(), then(vec![ctl()]))
            .receives(1, &udp())
            .slow(SlowReason::SeveralPacketIns)
            .tells(1, PuntReason::Action, &udp())
            .tells_miss(0, &udp()),
        when("after a packet-in of the frame as it was")
            .flow(0, 1, v4(), then(vec![ctl(), set()]))
            .receives(1, &udp())
            .tells(1, PuntReason::Action, &udp())
            .tells_miss(0, &to()),
        when("the action set is not run")
            .flow(0, 1, v4(), Instructions { goto: Some(TableId(1)), ..write([set(), out(2)]) })
            .receives(1, &udp())
            .tells_miss(0, &udp()),
    ]
}
