//! Who gets what a switch says, and how the two applications begin together.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use wamig_openflow::{Cookie, FlowModCommand, MacAddr, PacketIn, PacketInReason, PortNo, TableId};

use super::*;
use crate::migration::config::{Damping, Hosting, Lan, Prefix, Server, Subnet, Timers};
use crate::migration::cookie;

const OWN: MacAddr = MacAddr([2, 0x57, 0x4d, 0, 0, 1]);
const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xa]);

fn begin(now: Instant) -> (Controller, Vec<Command>) {
    let gateway = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let server = Server {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53)),
        mac: MacAddr([2, 0, 0, 0, 0, 0x53]),
        hosts: vec!["dc2".to_owned()],
    };
    let site = SiteConfig {
        site: "dc1".to_owned(),
        lan: Lan {
            uplink: PortNo(1),
            ports: vec![PortNo(2)],
            subnets: vec![Subnet { prefix: Prefix::new(gateway, 24), gateway }],
            mac: OWN,
        },
        servers: vec![server],
        hosting: Hosting::default(),
        damping: Damping::default(),
        timers: Timers::default(),
    };
    let settings = Settings {
        idle_s: 300,
        max_addresses: 16,
        isolated: Vec::new(),
        own: Some(OWN),
        cookie: learning::COOKIE,
        learn: learning::LEARN,
        forward: learning::FORWARD,
    };
    let port = |n: u32| PortDesc {
        port: PortNo(n),
        mac: MacAddr([2, 1, 0, 0, 0, n as u8]),
        name: format!("p{n}"),
        link_up: true,
        mtu: 1500,
        ..PortDesc::default()
    };
    Controller::new(site, settings, Vec::new(), &[port(1), port(2)], now)
}

/// The batches among some commands.
fn batches(commands: &[Command]) -> Vec<(Ticket, &[FlowMod])> {
    let batch = |c| if let &Command::Program { ticket, ref mods } = c { Some((ticket, &mods[..])) } else { None };
    commands.iter().filter_map(batch).collect()
}

fn alerts(commands: &[Command]) -> usize {
    commands.iter().filter(|c| matches!(c, Command::Note(note) if note.alert)).count()
}

/// A frame of host `A`, sent up by a flow with this cookie.
fn packet_in(cookie: Cookie) -> Event {
    let data = [&[0xff; 6][..], &A.0[..], &[0x08, 0x00]].concat();
    Event::PacketIn(PacketIn {
        reason: PacketInReason::Action,
        table: TableId(1),
        cookie,
        in_port: PortNo(2),
        metadata: 0,
        tunnel_id: 0,
        buffer_id: None,
        total_len: data.len() as u16,
        data: Bytes::from(data),
    })
}

/// A controller whose switch has accepted the first batch.
fn running(now: Instant) -> Controller {
    let (mut controller, commands) = begin(now);
    let ticket = batches(&commands)[0].0;
    controller.programmed(now, ticket, Ok(()));
    controller
}

#[test]
fn both_begin_in_one_batch() {
    let (_, commands) = begin(Instant::now());
    let batches = batches(&commands);
    assert_eq!(batches.len(), 1, "no frame sees one without the other");
    let adds = |is: &dyn Fn(Cookie) -> bool| {
        batches[0].1.iter().filter(|m| m.command == FlowModCommand::Add && is(m.cookie)).count()
    };
    assert!(adds(&cookie::is_ours) > 0 && adds(&|c| c == learning::COOKIE) > 0);
    let table = |t| batches[0].1.iter().any(|m| m.command == FlowModCommand::Add && m.table == TableId(t));
    assert!((0..3).all(table), "all three tables have flows");
    let program = commands.iter().position(|c| matches!(c, Command::Program { .. }));
    let sent = commands.iter().position(|c| matches!(c, Command::PacketOut(_) | Command::Send(..)));
    assert!(sent.is_none_or(|sent| program.is_some_and(|p| p < sent)), "the flows come first");
}

#[test]
fn a_frame_goes_to_the_owner_of_its_cookie() {
    let now = Instant::now();
    let mut controller = running(now);
    assert_eq!(controller.on_datapath(now, packet_in(Cookie(7))), [], "nobody's");
    assert_eq!(batches(&controller.on_datapath(now, packet_in(cookie::base(1)))).len(), 0, "not learned from");
    let commands = controller.on_datapath(now, packet_in(learning::COOKIE));
    let learned = batches(&commands);
    assert_eq!(learned.len(), 1);
    assert_eq!(controller.learning().port_of(A), None, "not before the switch has accepted it");
    controller.programmed(now, learned[0].0, Ok(()));
    assert_eq!(controller.learning().port_of(A), Some(PortNo(2)));
}

#[test]
fn a_switch_that_refuses_to_learn_is_told_of_once() {
    let now = Instant::now();
    let mut controller = running(now);
    let mut told = Vec::new();
    for _ in 0..3 {
        let commands = controller.on_datapath(now, packet_in(learning::COOKIE));
        told.push(alerts(&controller.programmed(now, batches(&commands)[0].0, Err("full".to_owned()))));
    }
    assert_eq!(told, [1, 0, 0]);
    assert!(controller.learning().is_empty());
}

#[test]
fn a_refused_beginning_is_tried_again() {
    let now = Instant::now();
    let (mut controller, commands) = begin(now);
    let ticket = batches(&commands)[0].0;
    assert!(alerts(&controller.programmed(now, ticket, Err("full".to_owned()))) > 0);
    let later = controller.next_deadline().unwrap();
    assert!(later <= now + START_RETRY);
    let commands = controller.tick(now + START_RETRY);
    let tables = |t| batches(&commands).iter().any(|(_, mods)| mods.iter().any(|m| m.table == TableId(t)));
    assert!((0..3).all(tables), "both applications program their tables once more");
}

#[test]
fn an_outcome_is_taken_once() {
    let now = Instant::now();
    let mut controller = running(now);
    let commands = controller.on_datapath(now, packet_in(learning::COOKIE));
    let ticket = batches(&commands)[0].0;
    controller.programmed(now, ticket, Ok(()));
    assert_eq!(controller.programmed(now, ticket, Err("late".to_owned())), []);
}
