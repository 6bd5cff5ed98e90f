//! Packet-outs to every kind of port.

use wamig_openflow::{ErrorKind, Field, PacketInReason};

use super::*;
use crate::switch::fixtures::udp;
use crate::switch::packet_in::NO_COOKIE;

impl Rig {
    fn send(&mut self, in_port: PortNo, actions: &[Action]) -> std::result::Result<Result, OfpError> {
        let data = Bytes::from(udp([10, 0, 0, 9], 64));
        let out = PacketOut { buffer_id: None, in_port, actions: actions.to_vec(), data };
        self.switch.packet_out(&out, self.now).map(split)
    }
}

const NONE: PortNo = PortNo::CONTROLLER;

#[test]
fn reserved_ports_mean_what_they_say() {
    let mut rig = Rig::new();
    let mut to = |in_port, port| ports(&rig.send(in_port, &[Action::output(port)]).unwrap());
    let all = [1, 2, 3, PortNo::LOCAL.0];
    assert_eq!(to(NONE, PortNo::FLOOD), all);
    assert_eq!(to(NONE, PortNo::ALL), all);
    assert_eq!(to(PortNo(2), PortNo::FLOOD), [1, 3, PortNo::LOCAL.0]);
    assert_eq!(to(PortNo(2), PortNo::IN_PORT), [2]);
    assert_eq!(to(NONE, PortNo::IN_PORT), [0u32; 0]);
    assert_eq!(to(PortNo::LOCAL, PortNo::IN_PORT), [PortNo::LOCAL.0]);
    assert_eq!(to(NONE, PortNo::LOCAL), [PortNo::LOCAL.0]);
    assert_eq!(to(PortNo(2), PortNo(2)), [0u32; 0]);
    assert_eq!(to(NONE, PortNo(2)), [2]);
}

#[test]
fn actions_run_in_order_on_the_frame() {
    let mut rig = Rig::new();
    let mac = [2, 0, 0, 0, 0, 9];
    let edit = Action::set_mac(Field::EthDst, wamig_openflow::MacAddr(mac));
    let (frames, packet_ins) = rig.send(PortNo(1), &[out(2), edit, out(2), out(3), Action::controller()]).unwrap();
    assert_eq!(frames.len(), 3);
    assert_ne!(frames[0].1[..6], mac);
    assert!(frames[1..].iter().all(|(_, f)| f[..6] == mac));
    assert_eq!((packet_ins[0].reason, packet_ins[0].cookie), (PacketInReason::Action, NO_COOKIE));
    assert_eq!(packet_ins[0].data[..6], mac);
}

#[test]
fn the_pipeline_takes_the_frame_as_edited_so_far() {
    let mut rig = Rig::new();
    let t = [198, 51, 100, 7];
    rig.add(0, 5, Match::any().in_port(PortNo(1)).ipv4().ip(Field::Ipv4Dst, t), apply(&[out(3), Action::controller()]));
    rig.add(0, 4, Match::any(), apply(&[out(2)]));
    let table = Action::output(PortNo::TABLE);
    let edit = Action::set_ip(Field::Ipv4Dst, t);
    assert_eq!(ports(&rig.send(PortNo(1), std::slice::from_ref(&table)).unwrap()), [2]);
    let result = rig.send(PortNo(1), &[edit.clone(), table.clone()]).unwrap();
    assert_eq!((ports(&result), result.1[0].cookie), (vec![3], Cookie(5)));
    assert_eq!(ports(&rig.send(NONE, &[edit, table]).unwrap()), [2], "no ingress port");
}

#[test]
fn bad_packet_outs_send_nothing() {
    let mut rig = Rig::new();
    let mut kind = |in_port, actions: &[Action]| rig.send(in_port, actions).unwrap_err().kind;
    assert_eq!(kind(PortNo(9), &[]), ErrorKind::BadRequestBadPort);
    assert_eq!(kind(NONE, &[out(1), out(9)]), ErrorKind::BadActionBadOutPort);
    assert_eq!(kind(NONE, &[Action::output(PortNo::NORMAL)]), ErrorKind::BadActionBadOutPort);
    let arp = Action::set(Field::ArpOp, 2);
    assert_eq!(kind(NONE, &[arp, out(1)]), ErrorKind::BadActionMatchInconsistent);
    let kept = PacketOut { buffer_id: Some(7), in_port: NONE, actions: vec![out(1)], data: Bytes::new() };
    assert_eq!(rig.switch.packet_out(&kept, rig.now).unwrap_err().kind, ErrorKind::BadRequestBufferUnknown);
    let short = PacketOut { buffer_id: None, in_port: NONE, actions: vec![out(1)], data: Bytes::from_static(&[0; 13]) };
    assert_eq!(rig.switch.packet_out(&short, rig.now).unwrap_err().kind, ErrorKind::BadRequestBadPacket);
}

#[test]
fn frames_are_sent_and_what_cannot_be_sent_is_counted() {
    let mut rig = Rig::new();
    let effects = rig.switch.packet_out(
        &PacketOut {
            buffer_id: None,
            in_port: NONE,
            actions: vec![Action::output(PortNo::LOCAL), out(2)],
            data: Bytes::from(udp([10, 0, 0, 9], 64)),
        },
        rig.now,
    );
    let events = rig.switch.carry_out(effects.unwrap());
    assert!(events.is_empty());
    let sent: Vec<u32> = rig.switch.fast_path().maps().sent.iter().map(|(port, _)| *port).collect();
    assert_eq!(sent, [2, LOCAL_INDEX]);
    rig.switch.carry_out(vec![Effect::Inject { port: PortNo(1000), frame: Bytes::new() }]);
    assert_eq!(rig.switch.slow_counters().unsent, 1);
}
