//! The flow sets: what each switch is told in each state (paper §4.1; one set per server,
//! so that no other traffic of the organisation is touched).
//!
//! Everything is in table 0; what the migration does not take goes on to table 1, the
//! embedded learning switch. Priorities, highest first:
//!
//! | priority | set | frames |
//! |---|---|---|
//! | 50510, 50500 | fence | the fenced copy: ARP or ND is watched, the rest of the family dropped |
//! | 50450 | base | ARP replies and neighbour advertisements to wamig's own MAC |
//! | 50400 | hosting | the guest's DHCP: dropped |
//! | 50350 | hosting | the guest's own probe and announcements: watched, never answered |
//! | 50310, 50300 | hosting | the guest's ARP for its gateway and its neighbours: answered |
//! | 50301, 50300 | away | ARP, ND, RARP and packets of the server at home: held |
//! | 50290 | base | hosting ports: ARP and ND are held, whatever they are about |
//! | 50250 | hosting | ARP, ND from the transfer address: somebody else uses it |
//! | 50200 | away, hosting | ARP, ND for the server at home, for its transfer address at the host |
//! | 50150 | hosting | the guest's IP multicast and broadcast: dropped |
//! | 50100 | away, hosting | the server's IP traffic, from the router and from the guest |
//! | 50090 | hosting | the transfer address from elsewhere than the router: dropped |
//! | 50060 | base | hosting ports: RARP, and packets from addresses that may be guests': held |
//! | 50050 | base | hosting ports: the rest is dropped |
//! | 50000 | away | the server's IP traffic from neighbours |
//! | 49100 | base | ARP, ND from own servers and pool addresses: watched, forwarded |
//! | 0 | base | everything else: to the learning switch |
//!
//! What holds a hosting port's frames lies above all that takes frames from any port, and
//! below what serves a guest: an unclaimed guest reaches nobody, not even the flows of an
//! own server that is away.
//!
//! ARP is answered by flows. A solicitation is held, and answered by [`super::Migration`]: no action turns one into an
//! advertisement, since the type of its option changes.

mod v6;

use std::net::IpAddr;

use wamig_openflow::action::Action;
use wamig_openflow::{Cookie, Field, FlowMod, FlowModCommand, Instructions, MacAddr, Match, PortNo, TableId};

use super::config::{Family, Lan, Prefix, Server, SiteConfig};
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

fn ip(family: Family) -> Match {
    match family {
        Family::V4 => Match::any().ipv4(),
        Family::V6 => Match::any().ipv6(),
    }
}

/// Where packets of a family come from.
fn source(family: Family) -> Field {
    match family {
        Family::V4 => Field::Ipv4Src,
        Family::V6 => Field::Ipv6Src,
    }
}

/// Where packets of a family go.
fn destination(family: Family) -> Field {
    match family {
        Family::V4 => Field::Ipv4Dst,
        Family::V6 => Field::Ipv6Dst,
    }
}

/// For the controller alone: the frame is held.
fn hold() -> Instructions {
    Instructions::apply(vec![Action::controller()])
}

/// For the controller, and on its way as if nobody had looked.
fn watch() -> Instructions {
    hold().then_goto(LEARN)
}

/// Sends the frame on to `eth_dst` as coming from `eth_src`, towards `to` if given.
fn forward(eth_src: MacAddr, eth_dst: MacAddr, to: Option<IpAddr>, port: PortNo) -> Instructions {
    let mut actions = vec![Action::set_mac(Field::EthSrc, eth_src), Action::set_mac(Field::EthDst, eth_dst)];
    actions.extend(to.map(|to| Action::set_ip(destination(Family::of(to)), to)));
    actions.push(Action::output(port));
    Instructions::apply(actions)
}

/// Turns a request for the match's own target into the reply that `mac` has it.
fn answer(mac: MacAddr, address: IpAddr) -> Instructions {
    let mut actions = turn_around(mac);
    actions.push(Action::Move { src: Field::ArpSpa, dst: Field::ArpTpa });
    actions.push(Action::set_ip(Field::ArpSpa, address));
    actions.push(Action::output(PortNo::IN_PORT));
    Instructions::apply(actions)
}

/// Turns `asker`'s request for any target into the reply that `mac` has it.
fn answer_any(mac: MacAddr, asker: IpAddr) -> Instructions {
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
    let families = Family::ALL.map(|family| config.lan.subnet(family).is_some());
    if families[1] {
        flows.push((50450, v6::advertisement().mac(Field::EthDst, config.lan.mac), hold()));
    }
    for server in &config.servers {
        flows.extend(watched(Prefix::new(server.address, u8::MAX)).map(|m| (49100, m, watch())));
    }
    for prefix in config.hosting.pool.iter().flat_map(|r| r.prefixes()) {
        flows.extend(watched(prefix).map(|m| (49100, m, watch())));
    }
    for port in &config.hosting.ports {
        flows.push((50290, arp().in_port(*port), hold()));
        flows.extend(v6::of_hosts().filter(|_| families[1]).map(|m| (50290, m.in_port(*port), hold())));
        flows.push((50060, rarp().in_port(*port), hold()));
        for prefix in config.hosting.guests.iter().flat_map(|guest| &guest.prefixes) {
            let family = prefix.family();
            let talks = ip(family).in_port(*port).ip_prefix(source(family), prefix.address(), prefix.len());
            flows.push((50060, talks, hold()));
        }
        flows.push((50050, Match::any().in_port(*port), Instructions::drop()));
    }
    let cookie = cookie::base(generation(&flows));
    flows.into_iter().map(|(priority, matching, instructions)| add(cookie, priority, matching, instructions)).collect()
}

/// What tells of addresses: who has one, and who is about to.
fn watched(prefix: Prefix) -> impl Iterator<Item = Match> {
    let within = |m: Match, field| m.ip_prefix(field, prefix.address(), prefix.len());
    let any = prefix.family().unspecified();
    match prefix.family() {
        Family::V4 => {
            vec![within(arp(), Field::ArpSpa), within(request().ip(Field::ArpSpa, any), Field::ArpTpa)]
        }
        // OpenFlow masks no target. Who advertises an address does so from it, and who is about to have one asks its
        // group.
        Family::V6 => {
            let group = v6::groups(prefix);
            vec![
                within(v6::solicitation(), Field::Ipv6Src),
                within(v6::advertisement(), Field::Ipv6Src),
                v6::solicitation().ip(Field::Ipv6Src, any).ip_prefix(Field::Ipv6Dst, group.address(), group.len()),
            ]
        }
    }
    .into_iter()
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

/// Home: `server` is away (mission: SW1, AWAY, rewrite). Its own probe, ARP and packets are held as
/// evidence, everybody else's ARP for it is answered with its own MAC, so that no cache in
/// the LAN changes; its IP traffic leaves by the router towards the transfer address.
pub fn away(lan: &Lan, server: &Server, placement: &Placement) -> Vec<FlowMod> {
    let (address, mac) = (server.address, server.mac);
    let family = Family::of(address);
    let cookie = cookie::placement(Role::Away, address, placement.epoch);
    let to = |port| forward(lan.mac, placement.gateway_mac, Some(placement.transfer), port);
    let (from, towards) = (source(family), ip(family).ip(destination(family), address));
    let mut flows = match family {
        Family::V4 => {
            let probe = request().ip(Field::ArpSpa, family.unspecified()).ip(Field::ArpTpa, address);
            vec![
                add(cookie, 50300, arp().ip(Field::ArpSpa, address), hold()),
                add(cookie, 50300, probe.mac(Field::EthSrc, mac), hold()),
                add(cookie, 50300, rarp().mac(Field::EthSrc, mac), hold()),
                add(cookie, 50200, request().ip(Field::ArpTpa, address), answer(mac, address)),
            ]
        }
        Family::V6 => v6::away(cookie, address, mac),
    };
    flows.extend([
        add(cookie, 50300, ip(family).mac(Field::EthSrc, mac).ip(from, address), hold()),
        // Back out of the port it came in by takes IN_PORT: `output:UP` would be dropped.
        add(cookie, 50100, towards.clone().in_port(lan.uplink), to(PortNo::IN_PORT)),
        add(cookie, 50000, towards, to(lan.uplink)),
    ]);
    flows
}

/// Host: the guest is served (mission: SW2, HOSTING, rewrite, direct). The guest sees its
/// own gateway's MAC on everything; the way back leaves by this site's router with the
/// guest's address as source.
pub fn hosting(lan: &Lan, guest: IpAddr, binding: &Binding) -> Vec<FlowMod> {
    let family = Family::of(guest);
    let cookie = cookie::placement(Role::Hosting, guest, binding.epoch);
    let from_guest = |m: Match| m.in_port(binding.port).mac(Field::EthSrc, binding.mac);
    let transfer = binding.transfer;
    let mut flows = local_answers(lan, guest, binding);
    flows.extend(match family {
        Family::V4 => vec![
            add(cookie, 50350, from_guest(arp()).ip(Field::ArpTpa, guest), hold()),
            add(cookie, 50250, arp().ip(Field::ArpSpa, transfer), watch()),
            add(cookie, 50200, request().ip(Field::ArpTpa, transfer), answer(lan.mac, transfer)),
        ],
        Family::V6 => v6::lent(cookie, transfer),
    });
    let dhcp = |client, server| {
        from_guest(ip(family).with(Field::IpProto, UDP)).with(Field::UdpSrc, client).with(Field::UdpDst, server)
    };
    let dhcp = match family {
        Family::V4 => dhcp(DHCP_CLIENT, DHCP_SERVER),
        Family::V6 => dhcp(v6::DHCP_CLIENT, v6::DHCP_SERVER),
    };
    let (from, towards) = (source(family), ip(family).ip(destination(family), transfer));
    let to_group = from_guest(ip(family)).with_masked(Field::EthDst, GROUP_BIT, GROUP_BIT);
    let inward = forward(binding.profile.gateway_mac, binding.mac, Some(guest), binding.port);
    let outward = forward(lan.mac, binding.gateway_mac, None, lan.uplink);
    flows.extend([
        add(cookie, 50400, dhcp, Instructions::drop()),
        add(cookie, 50150, to_group, Instructions::drop()),
        add(cookie, 50100, towards.clone().in_port(lan.uplink), inward),
        add(cookie, 50100, from_guest(ip(family)).ip(from, guest), outward),
        add(cookie, 50090, towards, Instructions::drop()),
    ]);
    flows
}

/// The flows that make the guest believe in its home subnet.
fn local_answers(lan: &Lan, guest: IpAddr, binding: &Binding) -> Vec<FlowMod> {
    if guest.is_ipv6() {
        return Vec::new();
    }
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
pub fn draining(lan: &Lan, guest: IpAddr, binding: &Binding) -> Vec<FlowMod> {
    let strict = |f: FlowMod| FlowMod {
        command: FlowModCommand::DeleteStrict,
        instructions: Instructions::default(),
        cookie: Cookie(0),
        ..f
    };
    local_answers(lan, guest, binding).into_iter().map(strict).collect()
}

/// Host: a copy of a server that is alive at home. Its ARP or ND is watched, so that its silence
/// can be noticed; nothing else of its family is forwarded.
pub fn fence(guest: IpAddr, port: PortNo, mac: MacAddr) -> Vec<FlowMod> {
    let family = Family::of(guest);
    let cookie = cookie::placement(Role::Fence, guest, crate::peer::message::Epoch::default());
    let from = |m: Match| m.in_port(port).mac(Field::EthSrc, mac);
    let watched = match family {
        Family::V4 => vec![arp()],
        Family::V6 => v6::of_hosts().collect(),
    };
    let mut flows: Vec<_> = watched.into_iter().map(|m| add(cookie, 50510, from(m), hold())).collect();
    flows.push(add(cookie, 50500, from(ip(family)), Instructions::drop()));
    flows
}
