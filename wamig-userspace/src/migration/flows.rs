//! The flow sets: what each switch is told in each state (paper §4.1; one set per server,
//! so that no other traffic of the organisation is touched).
//!
//! Everything is in table 0; what the migration does not take goes on to table 1, the
//! embedded learning switch. Priorities, highest first:
//!
//! | priority | set | frames |
//! |---|---|---|
//! | 50510, 50500 | fence | the fenced copy: ARP is watched, the rest dropped |
//! | 50450 | base | ARP replies to wamig's own MAC |
//! | 50400 | hosting | the guest's DHCP: dropped |
//! | 50350 | hosting | the guest's own probe and announcements: watched, never answered |
//! | 50310, 50300 | hosting | the guest's ARP for its gateway and its neighbours: answered |
//! | 50300 | away | ARP, RARP and packets of the server at home: held |
//! | 50290 | base | hosting ports: ARP is held, whatever it is about |
//! | 50250 | hosting | ARP from the transfer address: somebody else uses it |
//! | 50200 | away, hosting | ARP for the server at home, for its transfer address at the host |
//! | 50150 | hosting | the guest's IP multicast and broadcast: dropped |
//! | 50100 | away, hosting | the server's IP traffic, from the router and from the guest |
//! | 50090 | hosting | the transfer address from elsewhere than the router: dropped |
//! | 50060 | base | hosting ports: RARP, and packets from addresses that may be guests': held |
//! | 50050 | base | hosting ports: the rest is dropped |
//! | 50000 | away | the server's IP traffic from neighbours |
//! | 49100 | base | ARP from own servers and pool addresses: watched, forwarded |
//! | 0 | base | everything else: to the learning switch |
//!
//! What holds a hosting port's frames lies above all that takes frames from any port, and
//! below what serves a guest: an unclaimed guest reaches nobody, not even the flows of an
//! own server that is away.

use std::net::Ipv4Addr;

use wamig_openflow::action::Action;
use wamig_openflow::{Cookie, Field, FlowMod, FlowModCommand, Instructions, MacAddr, Match, PortNo, TableId};

use super::config::{Lan, Prefix, Server, SiteConfig};
use super::cookie::{self, Role};
use super::record::{Binding, Placement};
use super::sign::ETH_TYPE_RARP;
use crate::hash::fnv1a;

/// Table of every flow of this application.
pub const STEER: TableId = TableId(0);
/// Where frames go on that the migration does not take.
pub const LEARN: TableId = TableId(1);

const UDP: u128 = 17;
const DHCP_CLIENT: u128 = 68;
const DHCP_SERVER: u128 = 67;
/// The bit of an Ethernet address that says "group".
const GROUP_BIT: u128 = 1 << 40;

fn add(cookie: Cookie, priority: u16, matching: Match, instructions: Instructions) -> FlowMod {
    FlowMod::add(STEER, priority, matching, instructions, cookie)
}

fn arp() -> Match {
    Match::any().arp()
}

fn request() -> Match {
    arp().with(Field::ArpOp, 1)
}

fn rarp() -> Match {
    Match::any().with(Field::EthType, u128::from(ETH_TYPE_RARP))
}

fn ip() -> Match {
    Match::any().ipv4()
}

/// For the controller alone: the frame is held.
fn hold() -> Instructions {
    Instructions::apply(vec![Action::controller()])
}

/// For the controller, and on its way as if nobody had looked.
fn watch() -> Instructions {
    hold().then_goto(LEARN)
}

/// Sends the frame on to `eth_dst` as coming from `eth_src`, towards `nw_dst` if given.
fn forward(eth_src: MacAddr, eth_dst: MacAddr, nw_dst: Option<Ipv4Addr>, port: PortNo) -> Instructions {
    let mut actions = vec![Action::set_mac(Field::EthSrc, eth_src), Action::set_mac(Field::EthDst, eth_dst)];
    actions.extend(nw_dst.map(|to| Action::set_ip(Field::Ipv4Dst, to)));
    actions.push(Action::output(port));
    Instructions::apply(actions)
}

/// Turns a request for the match's own target into the reply that `mac` has it.
fn answer(mac: MacAddr, address: Ipv4Addr) -> Instructions {
    let mut actions = turn_around(mac);
    actions.push(Action::Move { src: Field::ArpSpa, dst: Field::ArpTpa });
    actions.push(Action::set_ip(Field::ArpSpa, address));
    actions.push(Action::output(PortNo::IN_PORT));
    Instructions::apply(actions)
}

/// Turns `asker`'s request for any target into the reply that `mac` has it.
fn answer_any(mac: MacAddr, asker: Ipv4Addr) -> Instructions {
    let mut actions = turn_around(mac);
    actions.push(Action::Move { src: Field::ArpTpa, dst: Field::ArpSpa });
    actions.push(Action::set_ip(Field::ArpTpa, asker));
    actions.push(Action::output(PortNo::IN_PORT));
    Instructions::apply(actions)
}

fn turn_around(mac: MacAddr) -> Vec<Action> {
    vec![
        Action::Move { src: Field::EthSrc, dst: Field::EthDst },
        Action::set_mac(Field::EthSrc, mac),
        Action::set(Field::ArpOp, 2),
        Action::Move { src: Field::ArpSha, dst: Field::ArpTha },
        Action::set_mac(Field::ArpSha, mac),
    ]
}

/// What is always there: the watch, the isolation of the hosting ports, the way on.
pub fn base(config: &SiteConfig) -> Vec<FlowMod> {
    let mut flows: Vec<(u16, Match, Instructions)> = vec![
        (50450, arp().mac(Field::EthDst, config.lan.mac).with(Field::ArpOp, 2), hold()),
        (0, Match::any(), Instructions::goto(LEARN)),
    ];
    for server in &config.servers {
        flows.push((49100, arp().ip(Field::ArpSpa, server.address), watch()));
        let probe = request().ip(Field::ArpSpa, Ipv4Addr::UNSPECIFIED).ip(Field::ArpTpa, server.address);
        flows.push((49100, probe, watch()));
    }
    for prefix in config.hosting.pool.iter().flat_map(|r| r.prefixes()) {
        flows.push((49100, arp().ip_prefix(Field::ArpSpa, prefix.address(), prefix.len()), watch()));
        let probe = request().ip(Field::ArpSpa, Ipv4Addr::UNSPECIFIED);
        flows.push((49100, probe.ip_prefix(Field::ArpTpa, prefix.address(), prefix.len()), watch()));
    }
    for port in &config.hosting.ports {
        flows.push((50290, arp().in_port(*port), hold()));
        flows.push((50060, rarp().in_port(*port), hold()));
        for prefix in config.hosting.guests.iter().flat_map(|guest| &guest.prefixes) {
            let talks = ip().in_port(*port).ip_prefix(Field::Ipv4Src, prefix.address(), prefix.len());
            flows.push((50060, talks, hold()));
        }
        flows.push((50050, Match::any().in_port(*port), Instructions::drop()));
    }
    let cookie = cookie::base(generation(&flows));
    flows.into_iter().map(|(priority, matching, instructions)| add(cookie, priority, matching, instructions)).collect()
}

/// From what is always there by one configuration to the same by another, as one batch in which
/// no flow is missing that both want.
pub fn rebase(from: &SiteConfig, to: &SiteConfig) -> Vec<FlowMod> {
    let (before, after) = (base(from), base(to));
    if before == after {
        return Vec::new();
    }
    let stays = |f: &FlowMod| after.iter().any(|a| a.priority == f.priority && a.matching == f.matching);
    let goes = before.into_iter().filter(|f| !stays(f)).map(|f| FlowMod {
        cookie: f.cookie,
        cookie_mask: u64::MAX,
        ..FlowMod::delete_strict(f.table, f.priority, f.matching)
    });
    let goes: Vec<_> = goes.collect();
    after.into_iter().chain(goes).collect()
}

/// A number that differs between configurations: a hash of the flows' text.
fn generation(flows: &[(u16, Match, Instructions)]) -> u16 {
    let text = flows.iter().map(|(p, m, i)| format!("{p},{m} {i}")).collect::<Vec<_>>().join("\n");
    let hash = fnv1a(text.bytes().map(u32::from));
    (hash ^ hash >> 16) as u16
}

/// Home: `server` is away (mission: SW1, AWAY, rewrite). Its own probe and ARP are held as
/// evidence, everybody else's ARP for it is answered with its own MAC, so that no cache in
/// the LAN changes; its IP traffic leaves by the router towards the transfer address.
pub fn away(lan: &Lan, server: &Server, placement: &Placement) -> Vec<FlowMod> {
    let (address, mac) = (server.address, server.mac);
    let own_probe =
        request().ip(Field::ArpSpa, Ipv4Addr::UNSPECIFIED).ip(Field::ArpTpa, address).mac(Field::EthSrc, mac);
    let to = |port| forward(lan.mac, placement.gateway_mac, Some(placement.transfer), port);
    let cookie = cookie::placement(Role::Away, address, placement.epoch);
    vec![
        add(cookie, 50300, arp().ip(Field::ArpSpa, address), hold()),
        add(cookie, 50300, own_probe, hold()),
        add(cookie, 50300, rarp().mac(Field::EthSrc, mac), hold()),
        add(cookie, 50300, ip().mac(Field::EthSrc, mac).ip(Field::Ipv4Src, address), hold()),
        add(cookie, 50200, request().ip(Field::ArpTpa, address), answer(mac, address)),
        // Back out of the port it came in by takes IN_PORT: `output:UP` would be dropped.
        add(cookie, 50100, ip().in_port(lan.uplink).ip(Field::Ipv4Dst, address), to(PortNo::IN_PORT)),
        add(cookie, 50000, ip().ip(Field::Ipv4Dst, address), to(lan.uplink)),
    ]
}

/// Host: the guest is served (mission: SW2, HOSTING, rewrite, direct). The guest sees its
/// own gateway's MAC on everything; the way back leaves by this site's router with the
/// guest's address as source.
pub fn hosting(lan: &Lan, guest: Ipv4Addr, binding: &Binding) -> Vec<FlowMod> {
    let cookie = cookie::placement(Role::Hosting, guest, binding.epoch);
    let mut flows = local_answers(lan, guest, binding);
    let from_guest = |m: Match| m.in_port(binding.port).mac(Field::EthSrc, binding.mac);
    let dhcp = ip().with(Field::IpProto, UDP).with(Field::UdpSrc, DHCP_CLIENT).with(Field::UdpDst, DHCP_SERVER);
    let transfer = binding.transfer;
    flows.extend([
        add(cookie, 50400, from_guest(dhcp), Instructions::drop()),
        add(cookie, 50350, from_guest(arp()).ip(Field::ArpTpa, guest), hold()),
        add(cookie, 50250, arp().ip(Field::ArpSpa, transfer), watch()),
        add(cookie, 50200, request().ip(Field::ArpTpa, transfer), answer(lan.mac, transfer)),
        add(cookie, 50150, from_guest(ip()).with_masked(Field::EthDst, GROUP_BIT, GROUP_BIT), Instructions::drop()),
        add(
            cookie,
            50100,
            ip().in_port(lan.uplink).ip(Field::Ipv4Dst, transfer),
            forward(binding.profile.gateway_mac, binding.mac, Some(guest), binding.port),
        ),
        add(
            cookie,
            50100,
            from_guest(ip()).ip(Field::Ipv4Src, guest),
            forward(lan.mac, binding.gateway_mac, None, lan.uplink),
        ),
        add(cookie, 50090, ip().ip(Field::Ipv4Dst, transfer), Instructions::drop()),
    ]);
    flows
}

/// The flows that make the guest believe in its home subnet.
fn local_answers(lan: &Lan, guest: Ipv4Addr, binding: &Binding) -> Vec<FlowMod> {
    let cookie = cookie::placement(Role::Hosting, guest, binding.epoch);
    let ask = request().in_port(binding.port).mac(Field::EthSrc, binding.mac).ip(Field::ArpSpa, guest);
    let home = Prefix::new(guest, binding.profile.prefix_len);
    let gateway = binding.profile.gateway;
    vec![
        add(cookie, 50310, ask.clone().ip(Field::ArpTpa, gateway), answer(binding.profile.gateway_mac, gateway)),
        add(cookie, 50300, ask.ip_prefix(Field::ArpTpa, home.address(), home.len()), answer_any(lan.mac, guest)),
    ]
}

/// Host: the placement ended; late packets are still delivered, but the guest is told
/// nothing any more. Changes what [`hosting`] made.
pub fn draining(lan: &Lan, guest: Ipv4Addr, binding: &Binding) -> Vec<FlowMod> {
    let strict = |f: FlowMod| FlowMod {
        command: FlowModCommand::DeleteStrict,
        instructions: Instructions::default(),
        cookie: Cookie(0),
        ..f
    };
    local_answers(lan, guest, binding).into_iter().map(strict).collect()
}

/// Host: a copy of a server that is alive at home. Its ARP is watched, so that its silence
/// can be noticed; nothing of it is forwarded.
pub fn fence(guest: Ipv4Addr, port: PortNo, mac: MacAddr) -> Vec<FlowMod> {
    let cookie = cookie::placement(Role::Fence, guest, crate::peer::message::Epoch::default());
    let from = |m: Match| m.in_port(port).mac(Field::EthSrc, mac);
    vec![add(cookie, 50510, from(arp()), hold()), add(cookie, 50500, from(Match::any()), Instructions::drop())]
}
