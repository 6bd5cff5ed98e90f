//! MPLS label stacks and PBB service instance tags: matched, pushed, popped, changed; TTLs copied.

use super::*;
use crate::frames::{CTAG, MPLS, STAG, arp, udp, udp6};

/// Bottom of stack.
const BOTTOM: u32 = 0x100;
/// EtherType of a service instance tag.
const PBB: u128 = 0x88e7;

/// A label stack entry.
const fn entry(label: u32, class: u32, ttl: u32) -> u32 {
    label << 12 | class << 9 | ttl
}

/// The frame behind a service instance tag, with the outer addresses of these.
fn backbone(outer: &Frame, tag: u32, inner: &[u8]) -> Vec<u8> {
    [&outer.bytes()[..12], &[0x88, 0xe7], &tag.to_be_bytes(), inner].concat()
}

fn mpls() -> Match {
    Match::any().with(Field::EthType, u128::from(MPLS))
}

fn v4() -> Match {
    Match::any().ipv4()
}

fn stack(labels: &[u32]) -> Frame {
    Frame { labels: labels.to_vec(), ..udp() }
}

fn matched() -> Vec<Vector> {
    let one = || stack(&[entry(100, 3, 64) | BOTTOM]);
    let by = |name: &str, field, value, hits: bool| {
        let v = when(name).flow(0, 1, mpls().with(field, value), apply([out(2)])).receives(1, &one());
        if hits { v.forwards(&[2]) } else { v.drops(DropReason::TableMiss) }
    };
    let pbb = |isid: u128, mask: u128| Match::any().with(Field::EthType, PBB).with_masked(Field::PbbIsid, isid, mask);
    let in_pbb = || backbone(&udp(), 0x6012_3456, &udp().bytes());
    vec![
        by("an MPLS label", Field::MplsLabel, 100, true),
        by("another label", Field::MplsLabel, 101, false),
        by("an MPLS traffic class", Field::MplsTc, 3, true),
        by("another traffic class", Field::MplsTc, 7, false),
        by("the bottom of the stack", Field::MplsBos, 1, true),
        by("not the bottom of the stack", Field::MplsBos, 0, false),
        when("the outermost of two labels, behind a tag")
            .flow(0, 1, mpls().with(Field::MplsLabel, 7).with(Field::MplsBos, 0), apply([out(2)]))
            .receives(1, &Frame { tags: vec![(CTAG, 5)], ..stack(&[entry(7, 0, 9), entry(8, 0, 9) | BOTTOM]) })
            .forwards(&[2]),
        when("a label that is cut short is none")
            .flow(0, 2, mpls().with(Field::MplsLabel, 0), apply([out(2)]))
            .flow(0, 1, mpls(), apply([out(3)]))
            .receives_bytes(1, stack(&[BOTTOM]).bytes()[..17].to_vec())
            .forwards(&[3]),
        when("a service instance")
            .flow(0, 1, pbb(0x12_3456, 0xff_ffff), apply([out(2)]))
            .receives_bytes(1, in_pbb())
            .forwards(&[2]),
        when("some bits of a service instance")
            .flow(0, 1, pbb(0x12_0000, 0xff_0000), apply([out(2)]))
            .receives_bytes(1, in_pbb())
            .forwards(&[2]),
        when("another service instance")
            .flow(0, 1, pbb(0x12_3457, 0xff_ffff), apply([out(2)]))
            .receives_bytes(1, in_pbb())
            .drops(DropReason::TableMiss),
    ]
}

fn changed() -> Vec<Vector> {
    let one = |e: u32| stack(&[e | BOTTOM]);
    let edit = |name: &str, action: Action, before: u32, after: u32| {
        when(name).flow(0, 1, mpls(), apply([action, out(2)])).receives(1, &one(before)).sends(&[2], &one(after))
    };
    let pbb = || Match::any().with(Field::EthType, PBB);
    let inner = udp().bytes();
    vec![
        edit("a label is set", Action::set(Field::MplsLabel, 0xf_ffff), entry(1, 3, 64), entry(0xf_ffff, 3, 64)),
        edit("a traffic class is set", Action::set(Field::MplsTc, 5), entry(1, 3, 64), entry(1, 5, 64)),
        when("the bottom of stack is cleared")
            .flow(0, 1, mpls(), apply([Action::set(Field::MplsBos, 0), out(2)]))
            .receives(1, &one(entry(1, 3, 64)))
            .sends(&[2], &stack(&[entry(1, 3, 64)])),
        edit("an MPLS TTL is set", Action::SetMplsTtl(9), entry(1, 3, 64), entry(1, 3, 9)),
        edit("an MPLS TTL is decremented", Action::DecMplsTtl, entry(1, 3, 64), entry(1, 3, 63)),
        when("an MPLS TTL runs out")
            .flow(0, 1, mpls(), apply([Action::DecMplsTtl, out(2)]))
            .receives(1, &one(entry(1, 3, 1)))
            .tells(1, PuntReason::InvalidTtl, &one(entry(1, 3, 1))),
        when("a label does not touch what is no MPLS")
            .flow(0, 1, v4(), apply([Action::DecMplsTtl, Action::SetMplsTtl(3), out(2)]))
            .receives(1, &udp())
            .forwards(&[2]),
        when("a service instance is set")
            .flow(0, 1, pbb(), apply([Action::set(Field::PbbIsid, 0xab_cdef), out(2)]))
            .receives_bytes(1, backbone(&udp(), 0x6012_3456, &inner))
            .sends_bytes(&[2], &backbone(&udp(), 0x60ab_cdef, &inner)),
    ]
}

fn pushed() -> Vec<Vector> {
    let push = |kind: u16| Action::PushMpls(kind);
    let entry_set = |label| Action::set(Field::MplsLabel, label);
    vec![
        when("a label stack begins with the TTL of IPv4")
            .all([push(MPLS), out(2)])
            .receives(1, &udp())
            .slow(SlowReason::Mpls)
            .sends(&[2], &stack(&[64 | BOTTOM])),
        when("a label stack begins with the hop limit of IPv6")
            .all([push(MPLS), out(2)])
            .receives(1, &udp6())
            .slow(SlowReason::Mpls)
            .sends(&[2], &Frame { labels: vec![64 | BOTTOM], ..udp6() }),
        when("a label stack begins with TTL 0 above what has none")
            .all([push(MPLS), out(2)])
            .receives(1, &arp())
            .slow(SlowReason::Mpls)
            .sends(&[2], &Frame { labels: vec![BOTTOM], ..arp() }),
        when("a second label copies the first, and is set")
            .flow(0, 1, mpls(), apply([push(MPLS), entry_set(9), out(2)]))
            .receives(1, &stack(&[entry(5, 2, 30) | BOTTOM]))
            .slow(SlowReason::Mpls)
            .sends(&[2], &stack(&[entry(9, 2, 30), entry(5, 2, 30) | BOTTOM])),
        when("a label is pushed behind the tags")
            .all([push(MPLS), out(2)])
            .receives(1, &Frame { tags: vec![(STAG, 7), (CTAG, 5)], ..udp() })
            .slow(SlowReason::Mpls)
            .sends(&[2], &Frame { tags: vec![(STAG, 7), (CTAG, 5)], ..stack(&[64 | BOTTOM]) }),
        when("copies with one label and with two")
            .all([out(3), push(MPLS), out(2), push(MPLS), out(4)])
            .receives(1, &udp())
            .slow(SlowReason::Mpls)
            .sends(&[3], &udp())
            .sends(&[2], &stack(&[64 | BOTTOM]))
            .sends(&[4], &stack(&[64, 64 | BOTTOM])),
        when("the next table matches the label that was pushed")
            .flow(0, 1, v4(), apply([push(MPLS), entry_set(77)]).then_goto(TableId(1)))
            .flow(1, 1, mpls().with(Field::MplsLabel, 77), apply([out(2)]))
            .receives(1, &udp())
            .slow(SlowReason::Mpls)
            .sends(&[2], &stack(&[entry(77, 0, 64) | BOTTOM])),
        when("in the action set the push comes before what is set")
            .flow(0, 1, mpls(), write([out(2), entry_set(9), push(MPLS)]))
            .receives(1, &stack(&[entry(5, 2, 30) | BOTTOM]))
            .slow(SlowReason::Mpls)
            .sends(&[2], &stack(&[entry(9, 2, 30), entry(5, 2, 30) | BOTTOM])),
    ]
}

fn popped() -> Vec<Vector> {
    let pop = |below: u16| Action::PopMpls(below);
    let dec = || Action::DecNwTtl;
    vec![
        when("the last label is popped, and IPv4 is changed")
            .flow(0, 1, mpls(), apply([pop(0x0800), dec(), Action::set(Field::Ipv4Dst, 7), out(2)]))
            .receives(1, &stack(&[entry(5, 2, 30) | BOTTOM]))
            .slow(SlowReason::Mpls)
            .sends(&[2], &Frame { ttl: 63, dst: 7, ..udp() }),
        when("the first of two labels is popped")
            .flow(0, 1, mpls(), apply([pop(MPLS), Action::DecMplsTtl, out(2)]))
            .receives(1, &stack(&[entry(5, 2, 30), entry(6, 1, 40) | BOTTOM]))
            .slow(SlowReason::Mpls)
            .sends(&[2], &stack(&[entry(6, 1, 39) | BOTTOM])),
        when("a label is popped behind a tag, and the next table matches what was below")
            .flow(0, 1, mpls(), apply([pop(0x0800)]).then_goto(TableId(1)))
            .flow(1, 1, v4().with(Field::IpProto, 17).with(Field::UdpDst, 53), apply([out(2)]))
            .receives(1, &Frame { tags: vec![(CTAG, 5)], ..stack(&[entry(5, 2, 30) | BOTTOM]) })
            .slow(SlowReason::Mpls)
            .sends(&[2], &Frame { tags: vec![(CTAG, 5)], ..udp() }),
        when("the TTL is copied outwards from IPv4")
            .flow(0, 1, mpls(), apply([Action::CopyTtlOut, out(2)]))
            .receives(1, &Frame { ttl: 7, ..stack(&[entry(5, 2, 30) | BOTTOM]) })
            .slow(SlowReason::Mpls)
            .sends(&[2], &Frame { ttl: 7, ..stack(&[entry(5, 2, 7) | BOTTOM]) }),
        when("the TTL is copied outwards from a label")
            .flow(0, 1, mpls(), apply([Action::CopyTtlOut, out(2)]))
            .receives(1, &stack(&[entry(5, 2, 30), entry(6, 1, 40) | BOTTOM]))
            .slow(SlowReason::Mpls)
            .sends(&[2], &stack(&[entry(5, 2, 40), entry(6, 1, 40) | BOTTOM])),
        when("the TTL is copied inwards to IPv4")
            .flow(0, 1, mpls(), apply([Action::CopyTtlIn, out(2)]))
            .receives(1, &stack(&[entry(5, 2, 30) | BOTTOM]))
            .slow(SlowReason::Mpls)
            .sends(&[2], &Frame { ttl: 30, ..stack(&[entry(5, 2, 30) | BOTTOM]) }),
        when("the TTL is copied inwards to IPv6, before the pop")
            .flow(0, 1, mpls(), apply([Action::CopyTtlIn, pop(0x86dd), out(2)]))
            .receives(1, &Frame { labels: vec![entry(5, 2, 30) | BOTTOM], ..udp6() })
            .slow(SlowReason::Mpls)
            .sends(&[2], &Frame { ttl: 30, ..udp6() }),
        when("the TTL is copied inwards to a label")
            .flow(0, 1, mpls(), apply([Action::CopyTtlIn, out(2)]))
            .receives(1, &stack(&[entry(5, 2, 30), entry(6, 1, 40) | BOTTOM]))
            .slow(SlowReason::Mpls)
            .sends(&[2], &stack(&[entry(5, 2, 30), entry(6, 1, 30) | BOTTOM])),
    ]
}

fn backbones() -> Vec<Vector> {
    let push = || Action::PushPbb(0x88e7);
    let pbb = || Match::any().with(Field::EthType, PBB);
    let tagged = Frame { tags: vec![(CTAG, 5 << 13 | 7)], ..udp() };
    let customer = Frame { eth_dst: 0x0a0b_0c0d_0e0f, ..tagged.clone() };
    let inner = udp().bytes();
    let twice = backbone(&udp(), 0x0012_3456, &inner);
    vec![
        when("a service instance tag is pushed")
            .all([push(), out(2)])
            .receives(1, &udp())
            .slow(SlowReason::Pbb)
            .sends_bytes(&[2], &backbone(&udp(), 0, &inner)),
        when("a service instance tag has the priority of the VLAN, and is set")
            .all([push(), Action::set(Field::PbbIsid, 9), Action::set(Field::EthDst, 3), out(2)])
            .receives(1, &tagged)
            .slow(SlowReason::Pbb)
            .sends_bytes(&[2], &backbone(&Frame { eth_dst: 3, ..udp() }, 5 << 29 | 9, &tagged.bytes())),
        when("a second service instance tag has the number of the first")
            .flow(0, 1, pbb(), apply([push(), out(2)]))
            .receives_bytes(1, twice.clone())
            .slow(SlowReason::Pbb)
            .sends_bytes(&[2], &backbone(&udp(), 0x0012_3456, &twice)),
        when("a service instance tag is popped")
            .flow(0, 1, pbb(), apply([Action::PopPbb, out(2)]))
            .receives_bytes(1, backbone(&udp(), 0x6012_3456, &customer.bytes()))
            .slow(SlowReason::Pbb)
            .sends(&[2], &customer),
        when("the tag of the backbone stays when the service instance is popped")
            .flow(0, 1, pbb(), apply([Action::PopPbb, out(2)]))
            .receives_bytes(1, {
                let plain = backbone(&udp(), 0x6012_3456, &Frame { eth_dst: 3, ..udp() }.bytes());
                [&plain[..12], &[0x88, 0xa8, 0, 100], &plain[12..]].concat()
            })
            .slow(SlowReason::Pbb)
            .sends(&[2], &Frame { eth_dst: 3, tags: vec![(STAG, 100)], ..udp() }),
        when("the next table matches the customer's frame")
            .flow(0, 1, pbb(), apply([Action::PopPbb]).then_goto(TableId(1)))
            .flow(1, 1, v4().with(Field::EthDst, 3), apply([Action::DecNwTtl, out(2)]))
            .receives_bytes(1, backbone(&udp(), 1, &Frame { eth_dst: 3, ..udp() }.bytes()))
            .slow(SlowReason::Pbb)
            .sends(&[2], &Frame { eth_dst: 3, ttl: 63, ..udp() }),
    ]
}

pub fn vectors() -> Vec<Vector> {
    [matched(), changed(), pushed(), popped(), backbones()].into_iter().flatten().collect()
}
