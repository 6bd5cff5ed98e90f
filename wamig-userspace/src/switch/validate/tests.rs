//! Every refusal by its type and code, and that what controllers really send is taken.

use std::net::Ipv4Addr;

use wamig_openflow::{Cookie, PortDesc};

use super::*;
use crate::switch::fixtures::port;

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

fn ports() -> Ports {
    Ports::new([port(1), port(2), PortDesc { port: PortNo::LOCAL, ..port(9) }])
}

fn refused(m: &FlowMod) -> ErrorKind {
    check(m, Headers::Named, 16, &ports()).expect_err("should be refused").kind
}

fn add(table: u8, matching: Match, instructions: Instructions) -> FlowMod {
    FlowMod::add(TableId(table), 1, matching, instructions, Cookie(0))
}

fn with(matching: Match, actions: Vec<Action>) -> FlowMod {
    add(0, matching, Instructions::apply(actions))
}

fn ok(matching: Match, actions: Vec<Action>) {
    check(&with(matching, actions), Headers::Named, 16, &ports()).expect("should be taken");
}

#[test]
fn tables_are_bounded() {
    let all = TableId::ALL;
    let m = add(16, Match::any(), Instructions::drop());
    assert_eq!(refused(&m), ErrorKind::FlowModBadTableId);
    assert_eq!(refused(&FlowMod { table: all, ..m.clone() }), ErrorKind::FlowModBadTableId);
    let modify = FlowMod { table: all, command: FlowModCommand::Modify, ..m.clone() };
    assert_eq!(refused(&modify), ErrorKind::FlowModBadTableId);
    for command in [FlowModCommand::Delete, FlowModCommand::DeleteStrict] {
        check(&FlowMod { table: all, command, ..m.clone() }, Headers::Named, 16, &ports()).unwrap();
    }
}

#[test]
fn goto_goes_forward_only() {
    for (table, goto, good) in
        [(0, 0, false), (3, 2, false), (3, 3, false), (3, 4, true), (15, 16, false), (0, 15, true)]
    {
        let m = add(table, Match::any(), Instructions::goto(TableId(goto)));
        let got = check(&m, Headers::Named, 16, &ports()).map_err(|e| e.kind);
        assert_eq!(got, if good { Ok(()) } else { Err(ErrorKind::BadInstructionBadTableId) }, "{table} -> {goto}");
    }
}

#[test]
fn matches_are_checked_for_every_command() {
    let no_prereq = Match::any().ip(Field::Ipv4Dst, A);
    assert_eq!(refused(&with(no_prereq.clone(), vec![])), ErrorKind::BadMatchBadPrereq);
    assert_eq!(refused(&FlowMod::delete_strict(TableId(0), 1, no_prereq)), ErrorKind::BadMatchBadPrereq);
}

#[test]
fn values_that_no_frame_can_have_are_refused() {
    for m in [
        Match::any().in_port(PortNo(0)),
        Match::any().in_port(PortNo(255)),
        Match::any().in_port(PortNo::FLOOD),
        Match::any().with(Field::VlanVid, 10),
    ] {
        assert_eq!(refused(&with(m.clone(), vec![])), ErrorKind::BadMatchBadValue, "{m}");
    }
    for m in [
        Match::any().in_port(PortNo::LOCAL),
        Match::any().in_port(PortNo(200)),
        Match::any().with(Field::VlanVid, 0),
        Match::any().with_masked(Field::VlanVid, 0x1000, 0x1000),
        Match::any().arp().with(Field::ArpOp, 256),
    ] {
        ok(m, vec![]);
    }
}

#[test]
fn ports_are_known_or_reserved() {
    for p in [PortNo(1), PortNo::LOCAL, PortNo::IN_PORT, PortNo::ALL, PortNo::FLOOD, PortNo::CONTROLLER] {
        ok(Match::any(), vec![Action::output(p)]);
    }
    for p in [PortNo(0), PortNo(3), PortNo::NORMAL, PortNo::TABLE, PortNo::ANY] {
        assert_eq!(refused(&with(Match::any(), vec![Action::output(p)])), ErrorKind::BadActionBadOutPort, "{p}");
    }
    let write = Instructions { write: vec![Action::output(PortNo(3))], ..Instructions::default() };
    let err = check(&add(0, Match::any(), write), Headers::Named, 16, &ports()).unwrap_err();
    assert!(err.detail.contains("there are 1, 2, LOCAL"), "{err}");
}

#[test]
fn a_set_field_needs_its_header_in_the_match() {
    let set = Action::set_ip(Field::Ipv4Dst, A);
    assert_eq!(refused(&with(Match::any(), vec![set.clone()])), ErrorKind::BadActionMatchInconsistent);
    assert_eq!(refused(&with(Match::any().arp(), vec![set.clone()])), ErrorKind::BadActionMatchInconsistent);
    ok(Match::any().ipv4(), vec![set]);
    let port = Action::set(Field::UdpDst, 53);
    assert_eq!(refused(&with(Match::any().ipv4(), vec![port.clone()])), ErrorKind::BadActionMatchInconsistent);
    ok(Match::any().ipv4().with(Field::IpProto, 17), vec![port]);
    assert_eq!(refused(&with(Match::any().arp(), vec![Action::DecNwTtl])), ErrorKind::BadActionMatchInconsistent);
    ok(Match::any().ipv4(), vec![Action::DecNwTtl, Action::SetNwTtl(3)]);
}

#[test]
fn tags_are_followed_through_the_list() {
    let vid = Action::set(Field::VlanVid, 0x1005);
    let pcp = Action::set(Field::VlanPcp, 5);
    assert_eq!(refused(&with(Match::any(), vec![vid.clone()])), ErrorKind::BadActionMatchInconsistent);
    ok(Match::any(), vec![Action::PushVlan(0x8100), vid.clone(), pcp.clone()]);
    ok(Match::any().with_masked(Field::VlanVid, 0x1000, 0x1000), vec![pcp, vid.clone()]);
    let popped = vec![Action::PushVlan(0x8100), Action::PopVlan, vid];
    assert_eq!(refused(&with(Match::any(), popped)), ErrorKind::BadActionMatchInconsistent);
    let untagged = Match::any().with(Field::VlanVid, 0);
    assert_eq!(refused(&with(untagged.clone(), vec![Action::PopVlan])), ErrorKind::BadActionMatchInconsistent);
    ok(untagged, vec![Action::PushVlan(0x88a8), Action::PopVlan]);
    ok(Match::any(), vec![Action::PopVlan]);
    assert_eq!(refused(&with(Match::any(), vec![Action::PushVlan(0x0800)])), ErrorKind::BadActionBadTag);
}

#[test]
fn label_stacks_and_service_instances_are_followed_through_the_list() {
    let mpls = || Match::any().with(Field::EthType, 0x8847);
    let pbb = || Match::any().with(Field::EthType, 0x88e7);
    let label = || Action::set(Field::MplsLabel, 5);
    let isid = || Action::set(Field::PbbIsid, 5);
    let dst = || Action::set_ip(Field::Ipv4Dst, A);
    let inconsistent = |matching: Match, actions: Vec<Action>| {
        assert_eq!(refused(&with(matching, actions)), ErrorKind::BadActionMatchInconsistent);
    };
    ok(Match::any(), vec![Action::PushMpls(0x8847), label(), Action::SetMplsTtl(3), Action::PopMpls(0x0800), dst()]);
    inconsistent(Match::any().ipv4(), vec![Action::PushMpls(0x8848), dst()]);
    inconsistent(Match::any().ipv4(), vec![label()]);
    inconsistent(Match::any().ipv4(), vec![Action::PopMpls(0x0800)]);
    inconsistent(mpls(), vec![Action::PopMpls(0x86dd), dst()]);
    ok(mpls(), vec![Action::CopyTtlIn, Action::DecMplsTtl, Action::CopyTtlOut, label()]);
    inconsistent(Match::any().ipv4(), vec![Action::DecMplsTtl]);
    inconsistent(Match::any(), vec![Action::CopyTtlIn]);
    ok(Match::any(), vec![Action::PushPbb(0x88e7), isid(), Action::PopPbb]);
    inconsistent(pbb(), vec![Action::PopPbb, isid()]);
    let tagged = Match::any().with_masked(Field::VlanVid, 0x1000, 0x1000);
    inconsistent(tagged, vec![Action::PushPbb(0x88e7), Action::set(Field::VlanVid, 0x1005)]);
    for wrong in [Action::PushMpls(0x8100), Action::PushPbb(0x8847)] {
        assert_eq!(refused(&with(Match::any(), vec![wrong])), ErrorKind::BadActionBadTag);
    }
}

#[test]
fn set_field_arguments_fit_the_field() {
    let v4 = || Match::any().ipv4();
    for (action, kind) in [
        (Action::set(Field::EthType, 1), ErrorKind::BadActionBadSetArgument),
        (Action::set(Field::Ipv6Exthdr, 1), ErrorKind::BadActionBadSetType),
        (Action::set(Field::Metadata, 1), ErrorKind::BadActionBadSetType),
        (Action::set(Field::InPort, 1), ErrorKind::BadActionBadSetType),
        (Action::SetField { field: Field::IpDscp, value: 64, mask: 0x7f }, ErrorKind::BadActionBadSetArgument),
        (Action::SetField { field: Field::IpDscp, value: 1, mask: 1 }, ErrorKind::BadActionBadSetArgument),
        (Action::SetField { field: Field::EthDst, value: 2, mask: 1 }, ErrorKind::BadActionBadSetArgument),
        (Action::SetField { field: Field::EthDst, value: 0, mask: 0 }, ErrorKind::BadActionBadSetArgument),
    ] {
        assert_eq!(refused(&with(v4(), vec![action.clone()])), kind, "{action}");
    }
    let tagged = Match::any().with_masked(Field::VlanVid, 0x1000, 0x1000);
    assert_eq!(refused(&with(tagged, vec![Action::set(Field::VlanVid, 5)])), ErrorKind::BadActionBadSetArgument);
    ok(v4(), vec![Action::SetField { field: Field::EthDst, value: 1, mask: 1 }]);
}

#[test]
fn moves_join_fields_of_one_width() {
    let arp = || Match::any().arp();
    ok(
        arp(),
        vec![
            Action::Move { src: Field::EthSrc, dst: Field::EthDst },
            Action::Move { src: Field::ArpSha, dst: Field::ArpTha },
            Action::Move { src: Field::ArpSpa, dst: Field::ArpTpa },
        ],
    );
    let narrow = Action::Move { src: Field::ArpSpa, dst: Field::ArpTha };
    assert_eq!(refused(&with(arp(), vec![narrow])), ErrorKind::BadActionBadSetLen);
    let pipeline = Action::Move { src: Field::InPort, dst: Field::ArpTpa };
    assert_eq!(refused(&with(arp(), vec![pipeline])), ErrorKind::BadActionBadSetType);
    let absent = Action::Move { src: Field::ArpSpa, dst: Field::ArpTpa };
    assert_eq!(refused(&with(Match::any(), vec![absent.clone()])), ErrorKind::BadActionMatchInconsistent);
    let write = Instructions { write: vec![absent], ..Instructions::default() };
    assert_eq!(refused(&add(0, arp(), write)), ErrorKind::BadActionBadType);
}

#[test]
fn a_packet_out_may_use_the_pipeline_and_is_checked_against_its_frame() {
    let ports = ports();
    let actions = [Action::set_ip(Field::Ipv4Dst, A), Action::output(PortNo::TABLE)];
    check_packet_out(&actions, (&Match::any().ipv4(), Headers::Named), &ports).unwrap();
    let arp = Match::any().arp();
    let kind = |actions: &[Action]| check_packet_out(actions, (&arp, Headers::Named), &ports).unwrap_err().kind;
    assert_eq!(kind(&actions), ErrorKind::BadActionMatchInconsistent);
    check_packet_out(&actions, (&arp, Headers::WhereThere), &ports).unwrap();
    assert_eq!(kind(&[Action::output(PortNo(7))]), ErrorKind::BadActionBadOutPort);
}

#[test]
fn openflow_1_0_needs_no_match_for_what_it_writes_into_the_ip_header() {
    let taken = |action| {
        let m = with(Match::any(), vec![action]);
        assert_eq!(refused(&m), ErrorKind::BadActionMatchInconsistent, "1.3 names the header");
        check(&m, Headers::WhereThere, 16, &ports()).map_err(|e| e.kind)
    };
    for field in [Field::Ipv4Src, Field::Ipv4Dst, Field::IpDscp] {
        assert_eq!(taken(Action::set(field, 1)), Ok(()));
    }
    for other in [
        Action::set(Field::ArpSpa, 1),
        Action::SetField { field: Field::Ipv4Dst, value: 1, mask: 0xff },
        Action::Move { src: Field::Ipv4Src, dst: Field::Ipv4Dst },
    ] {
        assert_eq!(taken(other), Err(ErrorKind::BadActionMatchInconsistent), "not an action of 1.0's own");
    }
}
