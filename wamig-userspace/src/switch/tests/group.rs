//! Groups: which copies a frame becomes, what is refused, what goes when a group goes.

use wamig_openflow::message::{Bucket, GroupMod, GroupModCommand, GroupType, MultipartReply, MultipartRequest};
use wamig_openflow::{ErrorKind, Field, FlowRemovedReason, GroupId, MacAddr, PacketInReason};

use super::expiry::told;
use super::*;
use crate::switch::fixtures::udp;

fn bucket(actions: Vec<Action>) -> Bucket {
    Bucket { weight: 1, watch_port: PortNo::ANY, watch_group: GroupId::ANY, actions }
}

fn group(id: u32, ty: GroupType, buckets: Vec<Bucket>) -> GroupMod {
    GroupMod { command: GroupModCommand::Add, ty, group: GroupId(id), buckets }
}

fn to(id: u32) -> Action {
    Action::Group(GroupId(id))
}

impl Rig {
    fn group(&mut self, m: GroupMod) {
        self.switch.apply(vec![m], self.now).unwrap();
    }

    fn refuses(&mut self, m: GroupMod, kind: ErrorKind) {
        let before = self.switch.tables().clone();
        assert_eq!(self.switch.apply(vec![m], self.now).unwrap_err().error.kind, kind);
        assert_eq!(*self.switch.tables(), before);
    }

    fn link(&mut self, number: u32, up: bool) {
        let desc = PortDesc { link_up: up, ..port(number) };
        self.switch.port_changed(PortChange::Present(desc), self.now);
    }
}

fn frame() -> Vec<u8> {
    udp([10, 0, 0, 9], 64)
}

#[test]
fn every_bucket_of_an_all_group_works_on_its_own_copy() {
    let mut rig = Rig::new();
    let mac = |n| Action::set_mac(Field::EthDst, MacAddr([2, 0, 0, 0, 9, n]));
    let ttl = Action::DecNwTtl;
    let buckets = vec![bucket(vec![out(2), mac(2), ttl]), bucket(vec![mac(3), out(3)]), bucket(vec![])];
    rig.group(group(0, GroupType::All, buckets));
    rig.add(0, 1, Match::any(), apply(&[to(0), Action::output(PortNo::LOCAL)]));
    let (copies, _) = rig.frame(1, &frame());
    assert_eq!(copies.iter().map(|c| c.0.0).collect::<Vec<_>>(), [2, 3, PortNo::LOCAL.0]);
    assert_eq!((copies[0].1[5], copies[1].1[5]), (2, 3));
    assert_eq!((copies[0].1[22], copies[1].1[22]), (63, 64), "the action set's order, and one copy's edit alone");
    assert_eq!(copies[2].1, frame(), "what follows the group has the frame as it was");
}

#[test]
fn an_action_of_a_bucket_on_a_header_that_is_not_there_does_nothing() {
    let mut rig = Rig::new();
    let set = Action::set;
    let missing = [
        set(Field::TcpDst, 99),
        set(Field::SctpSrc, 99),
        set(Field::Icmpv4Type, 9),
        set(Field::ArpOp, 2),
        set(Field::MplsLabel, 7),
        set(Field::VlanPcp, 5),
        Action::PopMpls(0x86dd),
        Action::PopVlan,
    ];
    let mut actions = missing.to_vec();
    actions.extend([set(Field::UdpSrc, 0x1234), set(Field::IpDscp, 5), out(2)]);
    rig.group(group(1, GroupType::Indirect, vec![bucket(actions)]));
    rig.add(0, 1, Match::any(), apply(&[to(1)]));
    let (copies, _) = rig.frame(1, &frame());
    let mut expected = frame();
    (expected[15], expected[34], expected[35]) = (5 << 2, 0x12, 0x34);
    let came = &copies[0].1;
    let sums = |f: &[u8]| [&f[..24], &f[26..40], &f[42..]].concat();
    assert_eq!((copies.len(), sums(came)), (1, sums(&expected)));
}

#[test]
fn a_ttl_that_runs_out_in_a_bucket_goes_to_the_controller_and_ends_that_copy() {
    let mut rig = Rig::new();
    let buckets = vec![bucket(vec![Action::DecNwTtl, out(2)]), bucket(vec![out(3)])];
    rig.group(group(1, GroupType::All, buckets));
    rig.add(0, 1, Match::any(), apply(&[to(1), Action::output(PortNo::LOCAL)]));
    let last = udp([10, 0, 0, 9], 1);
    let result = rig.frame(1, &last);
    assert_eq!(ports(&result), [3, PortNo::LOCAL.0]);
    let [told] = &result.1[..] else { panic!("{:?}", result.1) };
    assert_eq!((told.reason, told.cookie, &told.data[..]), (PacketInReason::InvalidTtl, Cookie(1), &last[..]));
}

#[test]
fn a_bucket_knows_the_tunnel_id_of_the_flow() {
    let mut rig = Rig::new();
    rig.group(group(1, GroupType::All, vec![bucket(vec![Action::controller()])]));
    rig.add(0, 1, Match::any(), apply(&[Action::set(Field::TunnelId, 7), to(1)]));
    let (_, packet_ins) = rig.frame(1, &frame());
    assert_eq!(packet_ins.iter().map(|p| p.tunnel_id).collect::<Vec<_>>(), [7]);
}

#[test]
fn a_select_group_keeps_flows_together_and_shares_by_weight() {
    let mut rig = Rig::new();
    let weighted = |weight, port| Bucket { weight, ..bucket(vec![out(port)]) };
    rig.group(group(1, GroupType::Select, vec![weighted(1, 2), weighted(0, 1), weighted(2, 3)]));
    rig.add(0, 1, Match::any(), apply(&[to(1)]));
    let mut seen = [0; 5];
    for n in 0..=255u8 {
        for m in 0..4 {
            let frame = udp([10, 1, m, n], 64);
            let port = ports(&rig.frame(1, &frame));
            rig.pass(1);
            assert_eq!(ports(&rig.frame(1, &frame)), port);
            seen[port[0] as usize] += 1;
        }
    }
    assert!((300..=384).contains(&seen[2]), "a third of 1024 is 341: {seen:?}");
}

#[test]
fn a_fast_failover_group_uses_the_first_live_bucket_at_once() {
    let mut rig = Rig::new();
    let watching = |p| Bucket { watch_port: PortNo(p), ..bucket(vec![out(p)]) };
    rig.group(group(1, GroupType::FastFailover, vec![watching(2), watching(3)]));
    rig.add(0, 1, Match::any(), Instructions { write: vec![out(1), to(1)], ..Instructions::default() });
    assert_eq!(ports(&rig.frame(1, &frame())), [2]);
    rig.link(2, false);
    assert_eq!(ports(&rig.frame(1, &frame())), [3]);
    rig.link(3, false);
    assert_eq!(ports(&rig.frame(1, &frame())), [0u32; 0]);
    rig.link(2, true);
    assert_eq!(ports(&rig.frame(1, &frame())), [2]);
}

#[test]
fn groups_chain_but_not_in_loops() {
    let mut rig = Rig::new();
    rig.group(group(1, GroupType::Indirect, vec![bucket(vec![out(2)])]));
    rig.group(group(2, GroupType::All, vec![bucket(vec![to(1), out(1)]), bucket(vec![out(3)])]));
    rig.add(0, 1, Match::any(), apply(&[to(2)]));
    assert_eq!(ports(&rig.frame(1, &frame())), [2, 3]);
    let modify = |m| GroupMod { command: GroupModCommand::Modify, ..m };
    rig.refuses(modify(group(1, GroupType::Indirect, vec![bucket(vec![to(2)])])), ErrorKind::GroupModLoop);
    rig.refuses(modify(group(1, GroupType::All, vec![bucket(vec![to(1)])])), ErrorKind::GroupModLoop);
    let delete = |id| GroupMod { command: GroupModCommand::Delete, ..group(id, GroupType::All, vec![]) };
    rig.refuses(delete(1), ErrorKind::GroupModChainedGroup);
    rig.group(delete(2));
    rig.group(delete(1));
    assert!(rig.switch.tables().is_empty());
}

#[test]
fn what_cannot_be_is_refused_by_the_specifications_name() {
    let mut rig = Rig::new();
    let one = || vec![bucket(vec![out(2)])];
    rig.group(group(1, GroupType::All, one()));
    rig.refuses(group(1, GroupType::All, one()), ErrorKind::GroupModGroupExists);
    rig.refuses(group(0xffff_ff01, GroupType::All, one()), ErrorKind::GroupModInvalidGroup);
    rig.refuses(group(2, GroupType::Indirect, vec![]), ErrorKind::GroupModInvalidGroup);
    rig.refuses(group(2, GroupType::All, vec![bucket(vec![]); 33]), ErrorKind::GroupModOutOfBuckets);
    rig.refuses(group(2, GroupType::All, vec![bucket(vec![out(77)])]), ErrorKind::BadActionBadOutPort);
    rig.refuses(group(2, GroupType::All, vec![bucket(vec![to(9)])]), ErrorKind::BadActionBadOutGroup);
    let watch = Bucket { watch_port: PortNo(77), ..bucket(vec![out(2)]) };
    rig.refuses(group(2, GroupType::FastFailover, vec![watch.clone()]), ErrorKind::GroupModBadWatch);
    rig.refuses(group(2, GroupType::All, vec![watch]), ErrorKind::GroupModWatchUnsupported);
    let modify = GroupMod { command: GroupModCommand::Modify, ..group(2, GroupType::All, one()) };
    rig.refuses(modify, ErrorKind::GroupModUnknownGroup);
    let err = rig.switch.apply(vec![add(0, 1, Match::any(), apply(&[to(5)]))], rig.now).unwrap_err();
    assert_eq!(err.error.kind, ErrorKind::BadActionBadOutGroup);
}

#[test]
fn a_deleted_group_takes_its_flows_along_and_says_so() {
    let mut rig = Rig::new();
    rig.group(group(1, GroupType::All, vec![bucket(vec![out(2)])]));
    rig.apply(vec![FlowMod { flags: told(), ..add(0, 2, Match::any(), apply(&[to(1)])) }]);
    rig.add(0, 1, Match::any(), apply(&[out(3)]));
    let all = GroupMod { command: GroupModCommand::Delete, ..group(GroupId::ALL.0, GroupType::All, vec![]) };
    let events = rig.switch.apply(vec![all], rig.now).unwrap();
    assert!(matches!(&events[..], [Event::FlowRemoved(r)] if r.reason == FlowRemovedReason::GroupDelete));
    assert_eq!(ports(&rig.frame(1, &frame())), [3]);
}

#[test]
fn what_was_sent_reads_back_and_frames_are_counted() {
    let mut rig = Rig::new();
    let buckets = vec![
        Bucket { weight: 3, ..bucket(vec![out(2)]) },
        Bucket { weight: 0, watch_port: PortNo(3), ..bucket(vec![out(3)]) },
    ];
    rig.group(group(7, GroupType::Select, buckets.clone()));
    rig.add(0, 1, Match::any(), apply(&[to(7)]));
    rig.frame(1, &frame());
    let now = rig.now;
    let desc = rig.switch.multipart(MultipartRequest::GroupDesc, now).unwrap();
    assert!(matches!(desc, MultipartReply::GroupDesc(d) if d[0].buckets == buckets && d[0].group == GroupId(7)));
    let stats = rig.switch.multipart(MultipartRequest::Group(GroupId::ALL), now).unwrap();
    let MultipartReply::Group(stats) = stats else { panic!() };
    let bytes = frame().len() as u64;
    assert_eq!((stats[0].ref_count, stats[0].packets, stats[0].bytes), (1, 1, bytes));
    assert_eq!(stats[0].buckets, [(1, bytes), (0, 0)]);
}

#[test]
fn a_batch_with_groups_is_all_or_nothing() {
    let mut rig = Rig::new();
    rig.group(group(1, GroupType::All, vec![bucket(vec![out(2)])]));
    let before = rig.switch.tables().clone();
    let modify = GroupMod { command: GroupModCommand::Modify, ..group(1, GroupType::All, vec![]) };
    let delete = GroupMod { command: GroupModCommand::Delete, ..modify.clone() };
    let batch: Vec<Modification> = vec![
        modify.into(),
        group(2, GroupType::All, vec![]).into(),
        add(0, 1, Match::any(), apply(&[to(2)])).into(),
        delete.into(),
        add(0, 2, Match::any(), apply(&[to(1)])).into(),
    ];
    let err = rig.switch.apply(batch, rig.now).unwrap_err();
    assert_eq!((err.index, err.error.kind), (4, ErrorKind::BadActionBadOutGroup));
    assert_eq!(*rig.switch.tables(), before);
}

#[test]
fn packet_outs_go_through_groups() {
    let mut rig = Rig::new();
    rig.group(group(1, GroupType::All, vec![bucket(vec![out(2)]), bucket(vec![out(3)])]));
    let message = |id| PacketOut {
        buffer_id: None,
        in_port: PortNo::CONTROLLER,
        actions: vec![to(id)],
        data: Bytes::from(frame()),
    };
    assert_eq!(ports(&split(rig.switch.packet_out(&message(1), rig.now).unwrap())), [2, 3]);
    let err = rig.switch.packet_out(&message(2), rig.now).unwrap_err();
    assert_eq!(err.kind, ErrorKind::BadActionBadOutGroup);
}
