//! The local datapath over the memory fast path.

use std::time::Duration;

use bytes::Bytes;
use wamig_common::verdict::PuntReason;
use wamig_openflow::{
    Action, Cookie, ErrorKind, FlowModFlags, FlowRemovedReason, Instructions, Match, PortNo, PortReason, TableId,
};

use super::*;
use crate::fastpath::memory::{Memory, MemoryMaps};
use crate::switch::Limits;
use crate::switch::fixtures::{port, udp};
use crate::switch::port::Ports;

struct Ends {
    punts: mpsc::Sender<Punt>,
    ports: mpsc::Sender<PortChange>,
}

fn local() -> (Local<Memory>, Ends) {
    let (punts, punts_in) = mpsc::channel(8);
    let (ports, ports_in) = mpsc::channel(8);
    let fast = Memory::new(MemoryMaps::default());
    let switch = Switch::new(fast, Ports::new([port(1), port(2)]), Limits::default());
    let inputs = Inputs { punts: punts_in, ports: ports_in };
    (Local::new(switch, DatapathId(7), inputs), Ends { punts, ports })
}

fn punt(reason: PuntReason) -> Punt {
    let frame = Bytes::from(udp([10, 0, 0, 9], 64));
    Punt { in_port: PortNo(1), reason, flow: None, metadata: 0, frame_len: frame.len() as u32, frame }
}

fn add(actions: Vec<Action>) -> FlowMod {
    FlowMod::add(TableId(0), 1, Match::any(), Instructions::apply(actions), Cookie(1))
}

fn out(port: u32) -> Action {
    Action::output(PortNo(port))
}

#[tokio::test]
async fn frames_come_up_as_packet_ins_until_the_fast_path_is_gone() {
    let (mut local, ends) = local();
    ends.punts.send(punt(PuntReason::Action)).await.unwrap();
    drop(ends);
    let Some(Event::PacketIn(m)) = local.next_event().await else { panic!() };
    assert_eq!(m.data, udp([10, 0, 0, 9], 64));
    assert!(matches!(local.next_event().await, Some(Event::Down(_))));
    assert_eq!(local.next_event().await, None);
}

#[tokio::test]
async fn slow_frames_are_sent_without_the_controller() {
    let (mut local, ends) = local();
    local.send(vec![add(vec![out(2), Action::PushVlan(0x8100), out(2)])], Instant::now()).await.unwrap();
    ends.punts.send(punt(PuntReason::Slow)).await.unwrap();
    drop(ends);
    assert!(matches!(local.next_event().await, Some(Event::Down(_))));
    let lengths: Vec<usize> = local.switch().fast_path().maps().sent.iter().map(|(_, f)| f.len()).collect();
    assert_eq!(lengths, [62, 66]);
}

#[tokio::test]
async fn port_changes_are_told_and_kept() {
    let (mut local, ends) = local();
    ends.ports.send(PortChange::Present(port(2))).await.unwrap();
    ends.ports.send(PortChange::Present(port(3))).await.unwrap();
    ends.ports.send(PortChange::Gone(PortNo(1))).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..2 {
        let Some(Event::PortStatus(status)) = local.next_event().await else { panic!() };
        told.push((status.reason, status.desc.port.0));
    }
    assert_eq!(told, [(PortReason::Add, 3), (PortReason::Delete, 1)]);
    assert_eq!(local.features().ports, [port(2), port(3)]);
    local.send(vec![add(vec![out(3)])], Instant::now()).await.unwrap();
}

#[tokio::test]
async fn flows_expire_by_the_clock_while_frames_keep_coming() {
    let (mut local, ends) = local();
    let flags = FlowModFlags { send_flow_removed: true, ..FlowModFlags::default() };
    local.send(vec![FlowMod { hard_timeout: 1, flags, ..add(vec![out(2)]) }], Instant::now()).await.unwrap();
    let flood = tokio::spawn(async move { while ends.punts.send(punt(PuntReason::Action)).await.is_ok() {} });
    let removed = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            match local.next_event().await {
                Some(Event::FlowRemoved(r)) => return r,
                Some(_) => {}
                None => panic!("over"),
            }
        }
    });
    let removed = removed.await.unwrap();
    assert_eq!(removed.reason, FlowRemovedReason::HardTimeout);
    assert!(removed.stats.duration >= Duration::from_secs(1));
    assert!(local.dump_flows(Instant::now()).await.unwrap().is_empty());
    drop(local);
    flood.await.unwrap();
}

#[tokio::test]
async fn refusals_and_packet_outs_reach_the_controller() {
    let (mut local, _ends) = local();
    let now = Instant::now();
    let err = local.send(vec![add(vec![out(9)])], now).await.unwrap_err();
    assert!(matches!(err, DatapathError::Refused(e) if e.kind == ErrorKind::BadActionBadOutPort));
    let data = Bytes::from(udp([10, 0, 0, 9], 64));
    let packet_out =
        PacketOut { buffer_id: None, in_port: PortNo(1), actions: vec![Action::controller(), out(2)], data };
    local.packet_out(packet_out, now).await.unwrap();
    assert!(matches!(local.next_event().await, Some(Event::PacketIn(_))));
    assert_eq!(local.switch().fast_path().maps().sent.len(), 1);
    assert_eq!(local.features().dpid, DatapathId(7));
}
