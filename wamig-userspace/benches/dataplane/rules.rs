//! The tables that are measured, and the frames that meet them.
//!
//! A repeated run of a program finds the frame as the run before left it. So the flows of a
//! table form a ring: each rewrites the destination to the next flow's, and a run meets them
//! all in turn, in an order that the CPU's prefetchers do not guess.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use etherparse::PacketBuilder;
use wamig_openflow::{Action, Field, FlowMod, FlowModCommand, Instructions, MacAddr, Match, PortDesc, PortNo, TableId};
use wamig_userspace::controller::learning::{self, Learning, Settings};
use wamig_userspace::fastpath::compile::compile;
use wamig_userspace::fastpath::{CompiledFlow, FlowId};
use wamig_userspace::migration::config::{Damping, Hosting, Lan, Prefix, Server, SiteConfig, Subnet, Timers};
use wamig_userspace::migration::flows;
use wamig_userspace::migration::record::Placement;

/// Destination and source address of a rewritten frame.
pub const NEW_MACS: [u8; 12] = [2, 0, 0, 0, 2, 2, 2, 0, 0, 0, 1, 1];
/// Source and destination address of a frame before.
pub const OLD_MACS: ([u8; 6], [u8; 6]) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);

/// Address of a server before its migration.
pub fn address_old(i: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a01_0000 + i)
}

/// And after it.
pub fn address_new(i: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0ac8_0000 + i)
}

/// A 64-byte UDP frame.
pub fn udp(to: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(OLD_MACS.0, OLD_MACS.1)
        .ipv4([203, 0, 113, 10], to.octets(), 64)
        .udp(40000, 53)
        .write(&mut frame, &[0; 22])
        .unwrap();
    frame
}

/// The same with a tag of VLAN 7.
pub fn tagged(to: Ipv4Addr) -> Vec<u8> {
    let mut frame = udp(to);
    frame.splice(12..12, [0x81, 0, 0, 7]);
    frame
}

/// An IPv6 address.
pub fn address6(i: u32) -> Ipv6Addr {
    Ipv6Addr::from(0x2001_0db8_0000_0000_0000_0000_0000_0000_u128 + u128::from(i))
}

/// A UDP frame of IPv6.
pub fn udp6(to: Ipv6Addr) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(OLD_MACS.0, OLD_MACS.1)
        .ipv6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9], to.octets(), 64)
        .udp(40000, 53)
        .write(&mut frame, &[0; 4])
        .unwrap();
    frame
}

/// Compiles flow-mods that add.
pub fn compiled(mods: &[FlowMod]) -> Vec<CompiledFlow> {
    let adds = mods.iter().filter(|m| m.command == FlowModCommand::Add).enumerate();
    adds.map(|(i, m)| compile(FlowId(i as u64 + 1), m.table, m.priority, &m.matching, &m.instructions).unwrap())
        .collect()
}

fn add(table: u8, priority: u16, matching: Match, instructions: Instructions) -> FlowMod {
    FlowMod::add(TableId(table), priority, matching, instructions, wamig_openflow::Cookie(0))
}

/// What a migration flow does to a frame.
pub fn rewrite(to: Ipv4Addr) -> Vec<Action> {
    vec![
        Action::set_mac(Field::EthDst, MacAddr(NEW_MACS[..6].try_into().unwrap())),
        Action::set_mac(Field::EthSrc, MacAddr(NEW_MACS[6..].try_into().unwrap())),
        Action::set_ip(Field::Ipv4Dst, to),
        Action::output(PortNo(2)),
    ]
}

fn to(address: Ipv4Addr) -> Match {
    Match::any().ipv4().ip(Field::Ipv4Dst, address)
}

/// A ring through the first `active` of `n` numbers (powers of two): each one's successor.
fn ring(n: u32, active: u32) -> impl Iterator<Item = (u32, u32)> {
    // 5 i + c runs through all residues of a power of two if c is odd
    (0..n).map(move |i| (i, if i < active { (5 * i + 12345) % active } else { i }))
}

/// `n` flows of table 0 on the destination alone; a run goes through the first `active`.
pub fn exact(n: u32, active: u32) -> Vec<FlowMod> {
    let flow = |(i, next)| add(0, 50100, to(address_old(i)), Instructions::apply(rewrite(address_old(next))));
    ring(n, active).map(flow).collect()
}

/// The same pairs for the limit program.
pub fn exact_pairs(n: u32, active: u32) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    ring(n, active).map(|(i, next)| (address_old(i), address_old(next))).collect()
}

/// One flow for each way of a single migration: a frame goes there and back.
pub fn one() -> Vec<FlowMod> {
    let (here, there) = (address_old(0), address_new(0));
    let flow = |from, next| add(0, 50100, to(from).in_port(PortNo(1)), Instructions::apply(rewrite(next)));
    vec![flow(here, there), flow(there, here)]
}

/// `masks` masks of 100 flows each that a frame does not meet, but for the last, in which it
/// meets `active` flows in turn.
pub fn masks(masks: u16, active: u32) -> Vec<FlowMod> {
    let mut mods = Vec::new();
    for m in 1..masks {
        // All of them on the source, in prefixes of which none is the frame's.
        let len = 1 + (m - 1) % 32;
        let bits = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
        for i in 0..100u32 {
            let source = Ipv4Addr::from(!0xcb00_710a_u32 & bits);
            let mut matching = Match::any().ipv4().ip_prefix(Field::Ipv4Src, source, len as u8);
            matching = matching.with(Field::IpProto, 17).with(Field::UdpSrc, 1000 + u128::from(i));
            if m > 32 {
                matching = matching.with(Field::UdpDst, 53);
            }
            mods.push(add(0, 60000 - m, matching, Instructions::drop()));
        }
    }
    mods.extend(exact(active, active));
    mods
}

/// Frames of a ring pass `tables` tables before they are rewritten in the last.
pub fn tables(tables: u8) -> Vec<FlowMod> {
    let mut mods = Vec::new();
    for (here, there) in [(address_old(0), address_new(0)), (address_new(0), address_old(0))] {
        for t in 0..tables - 1 {
            mods.push(add(t, 100, to(here), Instructions::goto(TableId(t + 1))));
        }
        mods.push(add(tables - 1, 100, to(here), Instructions::apply(rewrite(there))));
    }
    mods
}

/// IPv6, there and back.
pub fn ipv6() -> Vec<FlowMod> {
    let flow = |from: Ipv6Addr, next: Ipv6Addr| {
        let matching = Match::any().with(Field::EthType, 0x86dd).with(Field::Ipv6Dst, u128::from(from));
        let mut actions = rewrite(Ipv4Addr::UNSPECIFIED);
        actions[2] = Action::set(Field::Ipv6Dst, u128::from(next));
        add(0, 50100, matching, Instructions::apply(actions))
    };
    vec![flow(address6(1), address6(2)), flow(address6(2), address6(1))]
}

/// A VLAN, there and back.
pub fn vlan() -> Vec<FlowMod> {
    let flow = |from, next| add(0, 50100, to(from).with(Field::VlanVid, 0x1007), Instructions::apply(rewrite(next)));
    vec![flow(address_old(0), address_new(0)), flow(address_new(0), address_old(0))]
}

/// The complete tables of a home site whose server is away: what the migration and the
/// learning switch install, hosts learned. There are two servers, each of which has the
/// other's address as its transfer address, so that a frame goes there and back.
pub fn away() -> Vec<FlowMod> {
    let (uplink, lan_port, server_port) = (PortNo(1), PortNo(2), PortNo(3));
    let gateway_mac = MacAddr([2, 0, 0, 0, 1, 1]);
    let server = |address, last| Server {
        address: IpAddr::V4(address),
        mac: MacAddr([2, 0, 0, 0, 0, last]),
        hosts: vec!["dc2".to_owned()],
    };
    let servers = vec![server(address_old(0), 0x53), server(address_new(0), 0x54)];
    let lan = Lan {
        uplink,
        ports: vec![lan_port, server_port],
        subnets: vec![Subnet { prefix: Prefix::new(address_old(0), 24), gateway: address_old(1).into() }],
        mac: MacAddr([2, 0x57, 0x4d, 0, 0, 1]),
    };
    let config = SiteConfig {
        site: "dc1".to_owned(),
        lan: lan.clone(),
        servers: servers.clone(),
        hosting: Hosting::default(),
        damping: Damping::default(),
        timers: Timers::default(),
    };
    let mut mods = flows::base(&config);
    for (server, transfer) in servers.iter().zip([address_new(0), address_old(0)]) {
        let placement = Placement {
            peer: "dc2".to_owned(),
            transfer: transfer.into(),
            epoch: wamig_userspace::peer::message::Epoch::default(),
            gateway_mac,
        };
        mods.extend(flows::away(&lan, server, &placement));
    }
    mods.extend(learned(&[uplink, lan_port, server_port], lan.mac));
    mods
}

/// The learning switch's flows, a host known on each port.
fn learned(ports: &[PortNo], own: MacAddr) -> Vec<FlowMod> {
    let settings = Settings {
        idle_s: 300,
        max_addresses: 1024,
        isolated: Vec::new(),
        own: Some(own),
        cookie: learning::COOKIE,
        learn: learning::LEARN,
        forward: learning::FORWARD,
    };
    let described = |p: &PortNo| PortDesc { port: *p, ..PortDesc::default() };
    let mut learning = Learning::new(settings, &ports.iter().map(described).collect::<Vec<_>>());
    let mut mods = learning.start().mods;
    let now = Instant::now();
    for port in ports {
        let mut frame = udp(address_old(0));
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 9, port.0 as u8]);
        if let Some(plan) = learning.frame(now + Duration::from_secs(1), *port, &frame) {
            learning.commit(&plan);
            mods.extend(plan.mods);
        }
    }
    mods
}
