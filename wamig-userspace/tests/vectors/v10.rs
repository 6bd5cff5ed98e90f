//! Actions of OpenFlow 1.0 (§3.3): they do what they can to whatever frame there is.

use super::field::kinds;
use super::*;
use crate::frames::{CTAG, SCTP, STAG, TCP, UDP, arp, udp, udp6};

const fn tci(priority: u16, id: u16) -> u16 {
    priority << 13 | id
}

pub fn vectors() -> Vec<Vector> {
    let mut all = tags();
    for (kind, frame) in kinds() {
        let later = frame.fragment.is_some_and(|(offset, _)| offset != 0);
        let ports = matches!(frame.eth_type, 0x0800 | 0x86dd) && matches!(frame.proto, TCP | UDP | SCTP) && !later;
        let slow = ports && frame.proto == SCTP;
        let both = Frame { sport: 7, dport: 0xffff, ..frame.clone() };
        for (name, actions, expected) in [
            ("mod_tp_src", vec![Action::SetTpSrc(7)], Frame { sport: 7, ..frame.clone() }),
            ("mod_tp_dst", vec![Action::SetTpDst(9)], Frame { dport: 9, ..frame.clone() }),
            ("both ports", vec![Action::SetTpSrc(7), Action::SetTpDst(0xffff)], both),
        ] {
            let vector = when(format!("{kind}: {name}")).all([actions, vec![out(2)]].concat()).receives(1, &frame);
            let vector = if slow { vector.slow(SlowReason::Sctp) } else { vector };
            all.push(vector.sends(&[2], if ports { &expected } else { &frame }));
        }
        let (v4, v6) = (frame.eth_type == 0x0800, frame.eth_type == 0x86dd);
        let marked = Frame { tos: 46 << 2 | frame.tos & 3, ..frame.clone() };
        for (name, field, value, is_there, expected) in [
            ("mod_nw_src", Field::Ipv4Src, 0xcb00_7107, v4, Frame { src: 0xcb00_7107, ..frame.clone() }),
            ("mod_nw_dst", Field::Ipv4Dst, 0xcb00_7107, v4, Frame { dst: 0xcb00_7107, ..frame.clone() }),
            ("mod_nw_tos", Field::IpDscp, 46, v4 || v6, marked),
        ] {
            let vector = when(format!("{kind}: {name} without dl_type")).all([Action::set(field, value), out(2)]);
            all.push(vector.receives(1, &frame).sends(&[2], if is_there { &expected } else { &frame }));
        }
    }
    all
}

fn tags() -> Vec<Vector> {
    let tagged = |frame: Frame, tags: &[(u16, u16)]| Frame { tags: tags.to_vec(), ..frame };
    let long = || Frame { payload: vec![0x5a; 1400], ..udp() };
    let vid = Action::SetVlanVid;
    let pcp = Action::SetVlanPcp;
    let set = |name: &str, actions: &[Action], frame: &Frame, expected: &Frame| {
        when(format!("1.0's tags: {name}")).all([actions, &[out(2)]].concat()).receives(1, frame).sends(&[2], expected)
    };
    let vlan = Match::any().with(Field::VlanVid, 0x1064).with(Field::VlanPcp, 5).ipv4();
    vec![
        set("an id where no tag is", &[vid(100)], &udp(), &tagged(udp(), &[(CTAG, 100)])),
        set("a priority where no tag is", &[pcp(5)], &arp(), &tagged(arp(), &[(CTAG, tci(5, 0))])),
        set("both where no tag is", &[pcp(5), vid(100)], &udp6(), &tagged(udp6(), &[(CTAG, tci(5, 100))])),
        set("an id of 0 where no tag is", &[vid(0)], &udp(), &tagged(udp(), &[(CTAG, 0)])),
        set("on a long frame", &[vid(4095)], &long(), &tagged(long(), &[(CTAG, 4095)])),
        set(
            "an id beside priority and drop-eligible bit",
            &[vid(4095)],
            &tagged(udp(), &[(CTAG, tci(3, 7) | 0x1000)]),
            &tagged(udp(), &[(CTAG, tci(3, 4095) | 0x1000)]),
        ),
        set(
            "a priority beside the id of a provider's tag",
            &[pcp(1)],
            &tagged(udp(), &[(STAG, tci(7, 8)), (CTAG, 9)]),
            &tagged(udp(), &[(STAG, tci(1, 8)), (CTAG, 9)]),
        ),
        set("put on and taken off", &[vid(100), Action::PopVlan], &udp(), &udp()),
        set(
            "one tag for another",
            &[Action::PopVlan, vid(100)],
            &tagged(udp(), &[(STAG, 5)]),
            &tagged(udp(), &[(CTAG, 100)]),
        ),
        set("in the place of eight", &[vec![Action::PushVlan(CTAG); 8], vec![vid(1)]].concat(), &udp(), &{
            let mut tags = [(CTAG, 0); 8];
            tags[0].1 = 1;
            tagged(udp(), &tags)
        }),
        when("1.0's tags: the next table sees the tag and what is behind it")
            .flow(0, 1, Match::any(), apply([vid(100), pcp(5)]).then_goto(TableId(1)))
            .flow(1, 1, vlan, apply([Action::set(Field::Ipv4Dst, 0xc633_64c8), out(3)]))
            .receives(1, &udp())
            .sends(&[3], &Frame { dst: 0xc633_64c8, ..tagged(udp(), &[(CTAG, tci(5, 100))]) }),
        when("1.0's tags: in the action set")
            .flow(0, 1, Match::any(), write([out(2), pcp(5), vid(100)]))
            .receives(1, &udp())
            .sends(&[2], &tagged(udp(), &[(CTAG, tci(5, 100))])),
        when("1.0's tags: the second of two copies")
            .all([out(3), vid(9), out(2)])
            .receives(1, &udp())
            .slow(SlowReason::EditAfterOutput)
            .forwards(&[3])
            .sends(&[2], &tagged(udp(), &[(CTAG, 9)])),
    ]
}
