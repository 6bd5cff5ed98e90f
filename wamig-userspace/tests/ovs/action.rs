//! Datapath actions as `ofproto/trace` prints them (ovs-dpctl(8), "Datapath flow syntax").

use std::net::{Ipv4Addr, Ipv6Addr};

use wamig_openflow::{Field, MacAddr};

/// One action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DpAction {
    /// Out of a port of the datapath.
    Output(u32),
    /// Nothing more.
    Drop,
    /// A tag: type and the rest without DEI.
    PushVlan(u16, u16),
    /// The outermost tag goes.
    PopVlan,
    /// A label stack entry in front of L3: its EtherType, and the entry.
    PushMpls(u16, u32),
    /// The outermost label stack entry goes; what follows is of this type.
    PopMpls(u16),
    /// The TTL of the outermost label stack entry.
    SetMplsTtl(u8),
    /// The datapath reads the frame anew, and asks again what to do.
    Recirculate,
    /// Bits of a field.
    Set(Field, u128, u128),
    /// The whole TTL or hop limit.
    SetTtl(u8),
    /// A packet-in: `OFPR_`, cookie, most bytes.
    Controller { reason: u32, cookie: u64, max_len: usize },
}

/// Reads a list; an error names the action that is not known.
pub fn actions(list: &str) -> Result<Vec<DpAction>, String> {
    let mut out = Vec::new();
    for text in split(list) {
        let unknown = || format!("datapath action {text:?} is not known");
        one(text, &mut out).ok_or_else(unknown)?;
    }
    Ok(out)
}

/// Splits at the commas that are not in parentheses.
fn split(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut out) = (0, 0, Vec::new());
    for (i, c) in list.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                out.push(&list[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    out.push(&list[start..]);
    out
}

/// `name(inside)`
fn call(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once('(')?;
    Some((name, rest.strip_suffix(')')?))
}

fn pairs(inside: &str) -> impl Iterator<Item = (&str, &str)> {
    split(inside).into_iter().filter_map(|p| p.split_once('='))
}

fn number(text: &str) -> Option<u128> {
    match text.strip_prefix("0x") {
        Some(hex) => u128::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A value of any kind that a field may have.
pub fn value(text: &str) -> Option<u128> {
    number(text)
        .or_else(|| text.parse::<Ipv4Addr>().ok().map(|a| u128::from(u32::from(a))))
        .or_else(|| text.parse::<MacAddr>().ok().map(|m| u128::from(m.to_u64())))
        .or_else(|| text.parse::<Ipv6Addr>().ok().map(u128::from))
}

fn one(text: &str, out: &mut Vec<DpAction>) -> Option<()> {
    if let Ok(port) = text.parse() {
        out.push(DpAction::Output(port));
        return Some(());
    }
    match text {
        "drop" => out.push(DpAction::Drop),
        "pop_vlan" => out.push(DpAction::PopVlan),
        _ => match call(text)? {
            ("push_vlan", inside) => out.push(push_vlan(inside)?),
            ("push_mpls", inside) => out.push(push_mpls(inside)?),
            ("pop_mpls", inside) => {
                let (_, below) = pairs(inside).find(|(name, _)| *name == "eth_type")?;
                out.push(DpAction::PopMpls(number(below)? as u16));
            }
            ("recirc", _) => out.push(DpAction::Recirculate),
            ("set", inside) => set(inside, out)?,
            ("userspace", inside) => out.push(controller(inside)?),
            _ => return None,
        },
    }
    Some(())
}

fn push_vlan(inside: &str) -> Option<DpAction> {
    let (mut tpid, mut tci) = (0x8100, 0);
    for (name, text) in pairs(inside) {
        let n = number(text)? as u16;
        match name {
            "tpid" => tpid = n,
            "vid" => tci |= n,
            "pcp" => tci |= n << 13,
            _ => return None,
        }
    }
    Some(DpAction::PushVlan(tpid, tci))
}

fn push_mpls(inside: &str) -> Option<DpAction> {
    let (mut kind, mut entry) = (0, 0);
    for (name, text) in pairs(inside) {
        let n = number(text)? as u32;
        match name {
            "label" => entry |= n << 12,
            "tc" => entry |= n << 9,
            "bos" => entry |= n << 8,
            "ttl" => entry |= n,
            "eth_type" => kind = n as u16,
            _ => return None,
        }
    }
    Some(DpAction::PushMpls(kind, entry))
}

fn controller(inside: &str) -> Option<DpAction> {
    let (_, inside) = call(split(inside).into_iter().find(|p| p.starts_with("controller("))?)?;
    let get = |name| pairs(inside).find(|(n, _)| *n == name).and_then(|(_, text)| number(text));
    Some(DpAction::Controller {
        reason: get("reason")? as u32,
        cookie: get("rule_cookie")? as u64,
        max_len: get("max_len")? as usize,
    })
}

fn set(inside: &str, out: &mut Vec<DpAction>) -> Option<()> {
    let (header, inside) = call(inside)?;
    for (name, text) in pairs(inside) {
        let (text, mask) = text.split_once('/').map_or((text, None), |(v, m)| (v, Some(m)));
        let new = value(text)?;
        let field = match (header, name) {
            ("ipv4", "ttl") | ("ipv6", "hlimit") => {
                out.push(DpAction::SetTtl(new as u8));
                continue;
            }
            ("ipv4", "tos") | ("ipv6", "tclass") => {
                let mask = mask.map_or(Some(0xff), number)?;
                out.push(DpAction::Set(Field::IpDscp, new >> 2, mask >> 2));
                out.push(DpAction::Set(Field::IpEcn, new & 3, mask & 3));
                continue;
            }
            ("mpls", "ttl") => {
                out.push(DpAction::SetMplsTtl(new as u8));
                continue;
            }
            ("mpls", "label") => Field::MplsLabel,
            ("mpls", "tc") => Field::MplsTc,
            ("mpls", "bos") => Field::MplsBos,
            ("nd", "target") => Field::Ipv6NdTarget,
            ("nd", "sll") => Field::Ipv6NdSll,
            ("nd", "tll") => Field::Ipv6NdTll,
            ("eth", "src") => Field::EthSrc,
            ("eth", "dst") => Field::EthDst,
            ("ipv4", "src") => Field::Ipv4Src,
            ("ipv4", "dst") => Field::Ipv4Dst,
            ("ipv6", "src") => Field::Ipv6Src,
            ("ipv6", "dst") => Field::Ipv6Dst,
            ("ipv6", "label") => Field::Ipv6Flabel,
            ("tcp", "src") => Field::TcpSrc,
            ("tcp", "dst") => Field::TcpDst,
            ("udp", "src") => Field::UdpSrc,
            ("udp", "dst") => Field::UdpDst,
            ("sctp", "src") => Field::SctpSrc,
            ("sctp", "dst") => Field::SctpDst,
            ("icmp", "type") => Field::Icmpv4Type,
            ("icmp", "code") => Field::Icmpv4Code,
            ("icmpv6", "type") => Field::Icmpv6Type,
            ("icmpv6", "code") => Field::Icmpv6Code,
            ("arp", "sip") => Field::ArpSpa,
            ("arp", "tip") => Field::ArpTpa,
            ("arp", "op") => Field::ArpOp,
            ("arp", "sha") => Field::ArpSha,
            ("arp", "tha") => Field::ArpTha,
            _ => return None,
        };
        let mask = mask.map_or(Some(field.full_mask()), value)?;
        out.push(DpAction::Set(field, new & mask, mask));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_trace_prints() {
        let text = "set(ipv4(src=7.7.7.7,tos=0x4/0xfc,ttl=63)),push_vlan(tpid=0x88a8,vid=5,pcp=1),pop_vlan,100,\
                    userspace(pid=0,controller(reason=1,dont_send=0,rule_cookie=0x5,max_len=65535)),\
                    set(eth(dst=02:00:00:00:00:01/ff:00:00:00:00:00))";
        let full = Field::Ipv4Src.full_mask();
        let expected = [
            DpAction::Set(Field::Ipv4Src, 0x0707_0707, full),
            DpAction::Set(Field::IpDscp, 1, 0x3f),
            DpAction::Set(Field::IpEcn, 0, 0),
            DpAction::SetTtl(63),
            DpAction::PushVlan(0x88a8, 0x2005),
            DpAction::PopVlan,
            DpAction::Output(100),
            DpAction::Controller { reason: 1, cookie: 5, max_len: 65535 },
            DpAction::Set(Field::EthDst, 0x0200_0000_0000, 0xff00_0000_0000),
        ];
        assert_eq!(actions(text).unwrap(), expected);
        assert!(actions("set(ipv4(colour=1))").is_err());
    }
}
