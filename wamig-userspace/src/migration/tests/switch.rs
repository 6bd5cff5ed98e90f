//! A switch of one table, just large enough for the migration's flows: linear search by the
//! specification's words, fields in a map.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use wamig_openflow::action::Action;
use wamig_openflow::flow_match::address_bits;
use wamig_openflow::{Cookie, Field, FlowMod, FlowModCommand, Instructions, MacAddr, Match, PortNo, TableId};

use super::arp::{Arp, Op};
use crate::migration::flows::LEARN;

/// A frame as the match fields see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Frame(BTreeMap<Field, u128>);

impl Frame {
    pub(super) fn arp(arp: &Arp) -> Self {
        let ip = address_bits;
        let mac = |m: MacAddr| u128::from(m.to_u64());
        Self(BTreeMap::from([
            (Field::EthDst, mac(arp.eth_dst)),
            (Field::EthSrc, mac(arp.eth_src)),
            (Field::EthType, 0x0806),
            (Field::ArpOp, arp.op as u128),
            (Field::ArpSha, mac(arp.sha)),
            (Field::ArpSpa, ip(arp.spa)),
            (Field::ArpTha, mac(arp.tha)),
            (Field::ArpTpa, ip(arp.tpa)),
        ]))
    }

    /// A UDP packet.
    pub(super) fn udp(eth: (MacAddr, MacAddr), ip: (IpAddr, IpAddr), ports: (u16, u16)) -> Self {
        Self(BTreeMap::from([
            (Field::EthSrc, u128::from(eth.0.to_u64())),
            (Field::EthDst, u128::from(eth.1.to_u64())),
            (Field::EthType, 0x0800),
            (Field::IpProto, 17),
            (Field::Ipv4Src, address_bits(ip.0)),
            (Field::Ipv4Dst, address_bits(ip.1)),
            (Field::UdpSrc, u128::from(ports.0)),
            (Field::UdpDst, u128::from(ports.1)),
        ]))
    }

    pub(super) fn get(&self, field: Field) -> Option<u128> {
        self.0.get(&field).copied()
    }

    pub(super) fn mac(&self, field: Field) -> MacAddr {
        MacAddr::from_u64(self.0[&field] as u64)
    }

    pub(super) fn ip(&self, field: Field) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(self.0[&field] as u32))
    }

    /// The ARP packet, if it is one.
    pub(super) fn as_arp(&self) -> Option<Arp> {
        (self.get(Field::EthType) == Some(0x0806)).then(|| Arp {
            eth_dst: self.mac(Field::EthDst),
            eth_src: self.mac(Field::EthSrc),
            op: if self.get(Field::ArpOp) == Some(1) { Op::Request } else { Op::Reply },
            sha: self.mac(Field::ArpSha),
            spa: self.ip(Field::ArpSpa),
            tha: self.mac(Field::ArpTha),
            tpa: self.ip(Field::ArpTpa),
        })
    }

    /// The frame up to the end of its IPv4 header, if it has one.
    pub(super) fn as_packet(&self) -> Option<Bytes> {
        (self.get(Field::EthType) == Some(0x0800)).then(|| {
            let macs = [self.mac(Field::EthDst).0, self.mac(Field::EthSrc).0].concat();
            let octets = |field| (self.0[&field] as u32).to_be_bytes();
            let addresses = [octets(Field::Ipv4Src), octets(Field::Ipv4Dst)].concat();
            [&macs[..], &[8, 0, 0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0], &addresses].concat().into()
        })
    }
}

/// What became of a frame.
#[derive(Default, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Sent, as it stood then.
    pub(super) sent: Vec<(PortNo, Frame)>,
    /// Punted (only ARP and IPv4 are).
    pub(super) punted: Option<Bytes>,
    /// Went on to the learning switch.
    pub(super) learned: bool,
    /// Priority of the flow that took it.
    pub(super) priority: Option<u16>,
}

#[derive(Clone, Debug)]
struct Flow {
    table: TableId,
    priority: u16,
    matching: Match,
    cookie: Cookie,
    instructions: Instructions,
}

/// Table 0 of a switch.
#[derive(Default, Debug)]
pub(super) struct Switch {
    flows: Vec<Flow>,
}

impl Switch {
    pub(super) fn apply(&mut self, mods: &[FlowMod]) {
        for m in mods {
            let same = |f: &Flow| f.table == m.table && f.priority == m.priority && f.matching == m.matching;
            match m.command {
                FlowModCommand::Add => {
                    assert!(m.matching.validate().is_ok(), "{}", m.matching);
                    self.flows.retain(|f| !same(f));
                    let flow = Flow {
                        table: m.table,
                        priority: m.priority,
                        matching: m.matching.clone(),
                        cookie: m.cookie,
                        instructions: m.instructions.clone(),
                    };
                    let at = self.flows.partition_point(|f| f.priority >= flow.priority);
                    self.flows.insert(at, flow);
                }
                FlowModCommand::Delete => {
                    assert!(m.matching.is_any() && m.cookie_mask != 0, "never without a cookie");
                    self.flows.retain(|f| f.cookie.0 & m.cookie_mask != m.cookie.0);
                }
                FlowModCommand::DeleteStrict => self.flows.retain(|f| !same(f)),
                FlowModCommand::Modify | FlowModCommand::ModifyStrict => panic!("not used"),
            }
        }
    }

    /// The flows' priorities and matches, for messages of failed tests.
    pub(super) fn dump(&self) -> Vec<String> {
        self.flows.iter().map(|f| format!("{} {},{} {}", f.cookie, f.priority, f.matching, f.instructions)).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    pub(super) fn receive(&self, in_port: PortNo, frame: &Frame) -> Outcome {
        let takes = |f: &&Flow| {
            f.matching.iter().all(|(field, m)| {
                let value = if field == Field::InPort { Some(u128::from(in_port.0)) } else { frame.get(field) };
                value.is_some_and(|v| v & m.mask == m.value)
            })
        };
        let mut out = Outcome::default();
        let Some(flow) = self.flows.iter().find(takes) else { return out };
        out.priority = Some(flow.priority);
        let mut frame = frame.clone();
        for action in &flow.instructions.apply {
            match action {
                Action::Output { port: PortNo::CONTROLLER, .. } => {
                    out.punted = frame.as_arp().map(|a| a.build()).or_else(|| frame.as_packet());
                    assert!(out.punted.is_some(), "only ARP and IPv4 are punted");
                }
                Action::Output { port: PortNo::IN_PORT, .. } => out.sent.push((in_port, frame.clone())),
                Action::Output { port, .. } if *port == in_port => {}
                Action::Output { port, .. } => out.sent.push((*port, frame.clone())),
                Action::SetField { field, value, mask } => {
                    assert!(frame.0.contains_key(field) && *mask == field.full_mask(), "{field:?}");
                    frame.0.insert(*field, *value);
                }
                Action::Move { src, dst } => {
                    let value = frame.0[src];
                    assert!(frame.0.insert(*dst, value).is_some(), "{dst:?}");
                }
                other => panic!("not used: {other}"),
            }
        }
        out.learned = flow.instructions.goto == Some(LEARN);
        out
    }
}
