//! Frames out of which Open vSwitch reads something else, by name, and whether the flows ask
//! for what is read otherwise.

use std::collections::BTreeSet;

use wamig_openflow::{Action, Field, GroupId};

use super::case::Case;
use crate::oracle::headers::{Headers, L3, read};
use crate::oracle::{Rule, value};

/// Fields that both name.
const FIELDS: [Field; 34] = [
    Field::EthDst,
    Field::EthSrc,
    Field::EthType,
    Field::VlanVid,
    Field::VlanPcp,
    Field::IpDscp,
    Field::IpEcn,
    Field::IpProto,
    Field::Ipv4Src,
    Field::Ipv4Dst,
    Field::TcpSrc,
    Field::TcpDst,
    Field::UdpSrc,
    Field::UdpDst,
    Field::SctpSrc,
    Field::SctpDst,
    Field::Icmpv4Type,
    Field::Icmpv4Code,
    Field::ArpOp,
    Field::ArpSpa,
    Field::ArpTpa,
    Field::ArpSha,
    Field::ArpTha,
    Field::Ipv6Src,
    Field::Ipv6Dst,
    Field::Ipv6Flabel,
    Field::Icmpv6Type,
    Field::Icmpv6Code,
    Field::MplsLabel,
    Field::MplsTc,
    Field::MplsBos,
    Field::Ipv6NdTarget,
    Field::Ipv6NdSll,
    Field::Ipv6NdTll,
];

/// What is read otherwise.
struct Otherwise {
    fields: BTreeSet<Field>,
    ttl: bool,
}

fn otherwise(case: &Case<'_>, headers: &Headers) -> Otherwise {
    let theirs = &case.trace.flow;
    let differs = |f: &Field| value(*f, headers, 0, 0) != theirs.fields.get(f).copied();
    let ttl = match &headers.l3 {
        L3::Ip(ip) => case.frame[ip.at + if ip.v6 { 7 } else { 8 }] != theirs.ttl,
        _ => matches!(headers.eth_type, 0x0800 | 0x86dd),
    };
    Otherwise { fields: FIELDS.into_iter().filter(differs).collect(), ttl }
}

/// Whether a flow of the tables that the frame saw matches or edits what is read otherwise.
fn is_asked_for(case: &Case<'_>, what: &Otherwise) -> bool {
    let tables: BTreeSet<u8> = case.ours.path.iter().chain(&case.theirs.path).map(|(table, _)| *table).collect();
    case.rules.iter().filter(|r| tables.contains(&r.table)).any(|r| asks(r, what))
}

fn asks(rule: &Rule, what: &Otherwise) -> bool {
    let edits = |a: &Action| match a {
        Action::SetField { field, .. } => what.fields.contains(field),
        Action::Move { src, dst } => what.fields.contains(src) || what.fields.contains(dst),
        Action::DecNwTtl | Action::SetNwTtl(_) => what.ttl,
        Action::PushMpls(_) | Action::PopMpls(_) | Action::DecMplsTtl | Action::SetMplsTtl(_) => {
            what.fields.contains(&Field::MplsLabel)
        }
        // Its buckets are not looked at.
        Action::Group(GroupId(_)) => true,
        _ => false,
    };
    let lists = [&rule.instructions.apply, &rule.instructions.write];
    rule.matching.iter().any(|(f, _)| what.fields.contains(&f)) || lists.iter().any(|l| l.iter().any(edits))
}

/// The name of the reading that explains a difference.
pub fn explain(case: &Case<'_>) -> Option<&'static str> {
    let Some(headers) = read(case.frame) else { return Some("a frame that ends within its tags") };
    let what = otherwise(case, &headers);
    if (what.fields.is_empty() && !what.ttl) || !is_asked_for(case, &what) {
        return None;
    }
    let theirs = &case.trace.flow.fields;
    let proto = theirs.get(&Field::IpProto).copied();
    let name = match &headers.l3 {
        L3::Unread => "the fields of a header that is cut short or malformed are 0",
        L3::Ip(ip) if ip.v6 && !ip.first && proto == Some(44) => {
            "the protocol of an IPv6 fragment behind the first is 44"
        }
        L3::Ip(ip) if ip.v6 && ip.l4.is_none() && (proto, case.trace.flow.ttl) == (Some(0), 0) => {
            "the fields of an IPv6 packet with a malformed extension header are 0"
        }
        L3::Arp { op, .. } if *op > 0xff && theirs.get(&Field::ArpOp) == Some(&0) => "an ARP opcode above 255 is 0",
        L3::Ip(ip) if ip.v6 && matches!(ip.proto, 0 | 43 | 44 | 51 | 60 | 135) && proto != Some(ip.proto.into()) => {
            "wamig steps over six IPv6 extension headers, and none beyond byte 511"
        }
        L3::Ip(ip) if ip.v6 && proto == Some(135) => "IPv6 mobility headers are not stepped over",
        L3::Ip(ip) if what.fields.iter().all(|f| is_neighbour(*f)) => {
            let is_0 = what.fields.iter().all(|f| theirs.get(f).is_none_or(|v| *v == 0));
            match (is_0, ip.neighbour.is_some() && what.fields.contains(&Field::Ipv6NdTarget)) {
                (true, true) => {
                    "the fields of neighbour discovery with an option that comes twice or is cut short are 0"
                }
                (true, false) => "a link-layer address that is not there is 0",
                (false, true) => return None,
                (false, false) => "a link-layer address of more than eight bytes is passed over",
            }
        }
        L3::Ip(ip) if what.fields.iter().all(|f| is_l4(*f) && theirs.get(f).is_none_or(|v| *v == 0)) => {
            if ip.l4.is_none() { "ports that are not there are 0" } else { "ports of a malformed header are 0" }
        }
        L3::Ip(ip) if ip.l4.is_none() && case.frame.len() > 511 => "wamig reads no header beyond byte 511",
        _ => return None,
    };
    Some(name)
}

fn is_neighbour(field: Field) -> bool {
    matches!(field, Field::Ipv6NdTarget | Field::Ipv6NdSll | Field::Ipv6NdTll)
}

fn is_l4(field: Field) -> bool {
    let l4 = [
        Field::TcpSrc,
        Field::TcpDst,
        Field::UdpSrc,
        Field::UdpDst,
        Field::SctpSrc,
        Field::SctpDst,
        Field::Icmpv4Type,
        Field::Icmpv4Code,
        Field::Icmpv6Type,
        Field::Icmpv6Code,
    ];
    l4.contains(&field)
}
