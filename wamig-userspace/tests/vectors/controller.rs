//! Frames for the controller: as they stand at the action, and no more of them than asked for.

use super::*;
use crate::frames::{CTAG, arp, udp, udp6};

pub fn vectors() -> Vec<Vector> {
    let ctl = |max_len| Action::Output { port: PortNo::CONTROLLER, max_len };
    let set = || Action::set(Field::Ipv4Dst, 0xc633_64c8);
    let to = Frame { dst: 0xc633_64c8, ..udp() };
    let v4 = || Match::any().ipv4();
    let long = |tags: Vec<(u16, u16)>| Frame { tags, payload: vec![0x77; 1430], ..udp() };
    let action = PuntReason::Action;
    let ttl = |ttl| Frame { ttl, ..udp() };
    let cut = |held: usize| {
        let frame = long(vec![]);
        when(format!("{held} bytes of a long frame"))
            .all([ctl(held as u16), out(2)])
            .receives(1, &frame)
            .forwards(&[2])
            .tells_cut(1, action, 0, &frame.bytes(), held)
    };
    let mut all: Vec<Vector> = [0, 1, 128, 255, 256, 257, 1000].map(cut).into();
    all.extend([
        when("the controller and a port").all([ctl(0xffff), out(2)]).receives(1, &udp()).forwards(&[2]).tells(
            1,
            action,
            &udp(),
        ),
        when("a port and the controller").all([out(2), ctl(0xffff)]).receives(1, &udp()).forwards(&[2]).tells(
            1,
            action,
            &udp(),
        ),
        when("the controller alone").all([ctl(0xffff)]).receives(1, &arp()).tells(1, action, &arp()),
        when("the controller before an edit")
            .flow(0, 1, v4(), apply([ctl(0xffff), set(), out(2)]))
            .receives(1, &udp())
            .sends(&[2], &to)
            .tells(1, action, &udp()),
        when("the controller after an edit")
            .flow(0, 1, v4(), apply([set(), ctl(64), out(2)]))
            .receives(1, &udp())
            .sends(&[2], &to)
            .tells_cut(1, action, 0, &to.bytes(), to.bytes().len().min(64)),
        when("the controller before and after an edit")
            .flow(0, 1, v4(), apply([ctl(20), set(), out(2), ctl(0xffff)]))
            .receives(1, &udp())
            .sends(&[2], &to)
            .tells_cut(1, action, 0, &udp().bytes(), 20)
            .tells(1, action, &to),
        when("the controller after an edit, and no port")
            .flow(0, 1, v4(), apply([set(), ctl(0xffff)]))
            .receives(1, &udp())
            .tells(1, action, &to),
        when("a long frame that has become longer")
            .all([Action::PushVlan(CTAG), ctl(0xffff), out(2)])
            .receives(1, &long(vec![]))
            .sends(&[2], &long(vec![(CTAG, 0)]))
            .tells(1, action, &long(vec![(CTAG, 0)])),
        when("metadata of the flows before")
            .flow(0, 1, Match::any(), Instructions { metadata: Some((0xdead_0000_0000_beef, u64::MAX)), ..goto(1) })
            .flow(1, 1, Match::any(), apply([ctl(0xffff)]))
            .receives(1, &udp6())
            .tells_cut(2, action, 0xdead_0000_0000_beef, &udp6().bytes(), udp6().bytes().len()),
        when("two packet-ins of one and the same frame")
            .flow(0, 1, Match::any(), apply([ctl(0xffff)]).then_goto(TableId(1)))
            .flow(1, 1, Match::any(), apply([ctl(30)]))
            .receives(1, &udp())
            .slow(SlowReason::SeveralPacketIns)
            .tells(1, action, &udp())
            .tells_cut(2, action, 0, &udp().bytes(), 30),
        when("the controller in the action set")
            .flow(
                0,
                1,
                v4(),
                Instructions { metadata: Some((5, 7)), goto: Some(TableId(1)), ..write([set(), ctl(0xffff)]) },
            )
            .flow(1, 1, Match::any(), Instructions::drop())
            .receives(1, &udp())
            .tells_cut(1, action, 5, &to.bytes(), to.bytes().len()),
        when("the reason is that of the flow that wrote the action")
            .flow(
                0,
                1,
                Match::any().in_port(PortNo(1)),
                Instructions { goto: Some(TableId(1)), ..write([ctl(0xffff)]) },
            )
            .flow(1, 0, Match::any(), Instructions::drop())
            .receives(1, &udp())
            .tells(1, action, &udp()),
        when("a miss flow's packet-in from the action set")
            .flow(0, 0, Match::any(), Instructions { goto: Some(TableId(1)), ..write([ctl(0xffff)]) })
            .flow(1, 7, Match::any(), Instructions::drop())
            .receives(1, &udp())
            .tells(1, PuntReason::NoMatch, &udp()),
        when("a TTL that runs out").flow(0, 1, v4(), apply([Action::DecNwTtl, out(2)])).receives(1, &ttl(1)).tells(
            1,
            PuntReason::InvalidTtl,
            &ttl(1),
        ),
        when("a TTL of 0").flow(0, 1, v4(), apply([Action::DecNwTtl, out(2)])).receives(1, &ttl(0)).tells(
            1,
            PuntReason::InvalidTtl,
            &ttl(0),
        ),
        when("a TTL that does not")
            .flow(0, 1, v4(), apply([Action::DecNwTtl, out(2)]))
            .receives(1, &ttl(2))
            .sends(&[2], &ttl(1)),
        when("a hop limit that runs out after an edit")
            .flow(
                0,
                1,
                Match::any().with(Field::EthType, 0x86dd),
                apply([Action::set(Field::EthDst, 5), Action::DecNwTtl, out(2)]),
            )
            .receives(1, &Frame { ttl: 1, ..udp6() })
            .tells(1, PuntReason::InvalidTtl, &Frame { ttl: 1, eth_dst: 5, ..udp6() }),
        when("a TTL that runs out after a copy for the controller")
            .flow(0, 1, v4(), apply([ctl(0xffff), Action::DecNwTtl, out(2)]))
            .receives(1, &ttl(1))
            .slow(SlowReason::SeveralPacketIns)
            .tells(1, action, &ttl(1))
            .tells(1, PuntReason::InvalidTtl, &ttl(1)),
        when("a TTL that runs out in the second table")
            .flow(0, 1, v4(), apply([Action::DecNwTtl]).then_goto(TableId(1)))
            .flow(1, 1, v4(), apply([Action::DecNwTtl, out(2)]))
            .receives(1, &ttl(2))
            .tells(2, PuntReason::InvalidTtl, &ttl(1)),
        when("no TTL in ARP")
            .flow(0, 1, Match::any(), apply([Action::DecNwTtl, out(2)]))
            .receives(1, &arp())
            .forwards(&[2]),
    ]);
    all
}
