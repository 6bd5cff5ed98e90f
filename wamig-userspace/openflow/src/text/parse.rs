//! ovs-ofctl syntax into matches, actions, instructions and flow-mods: what [`Display`] of
//! each writes, and the common aliases of ovs-fields(7) and ovs-actions(7).
//!
//! [`Display`]: std::fmt::Display

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::action::{Action, CONTROLLER_WHOLE_FRAME, Instructions};
use crate::field::Field;
use crate::flow_match::{Match, VID_PRESENT};
use crate::message::FlowMod;
use crate::types::{Cookie, GroupId, MacAddr, MeterId, PortNo, TableId};

/// A text that is not in ovs-ofctl's syntax.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{place:?}: {what}")]
pub struct TextError {
    /// The part that is wrong.
    pub place: String,
    /// What is wrong with it, and what would be accepted.
    pub what: &'static str,
}

fn wrong<T>(place: &str, what: &'static str) -> Result<T, TextError> {
    Err(TextError { place: place.to_owned(), what })
}

/// Words that stand for an EtherType and an IP protocol.
const PROTOCOLS: &[(&str, u16, Option<u8>)] = &[
    ("arp", 0x0806, None),
    ("ip", 0x0800, None),
    ("ipv6", 0x86dd, None),
    ("rarp", 0x8035, None),
    ("mpls", 0x8847, None),
    ("mplsm", 0x8848, None),
    ("icmp", 0x0800, Some(1)),
    ("tcp", 0x0800, Some(6)),
    ("udp", 0x0800, Some(17)),
    ("sctp", 0x0800, Some(132)),
    ("icmp6", 0x86dd, Some(58)),
    ("tcp6", 0x86dd, Some(6)),
    ("udp6", 0x86dd, Some(17)),
    ("sctp6", 0x86dd, Some(132)),
];

/// A decimal number, or a hexadecimal one after `0x`.
fn number(s: &str) -> Result<u128, TextError> {
    let parsed = match s.strip_prefix("0x") {
        Some(hex) if !hex.starts_with('+') => u128::from_str_radix(hex, 16),
        _ if s.starts_with('+') => return wrong(s, "a number is decimal, or hexadecimal after 0x"),
        _ => s.parse(),
    };
    parsed.or_else(|_| wrong(s, "a number is decimal, or hexadecimal after 0x"))
}

fn small<T: TryFrom<u128>>(s: &str) -> Result<T, TextError> {
    T::try_from(number(s)?).or_else(|_| wrong(s, "the number is too large here"))
}

impl FromStr for PortNo {
    type Err = TextError;

    /// A number, or a reserved port's name in any case.
    fn from_str(s: &str) -> Result<Self, TextError> {
        let reserved = (0xffff_fff8..=u32::MAX).map(Self).find(|p| {
            p.reserved_name().is_some_and(|name| name.eq_ignore_ascii_case(s))
                || *p == Self::ANY && s.eq_ignore_ascii_case("none")
        });
        match reserved {
            Some(port) => Ok(port),
            None => small(s).map(Self).or_else(|_| wrong(s, "a port is a number or a reserved name such as LOCAL")),
        }
    }
}

/// A value of a field, as `Display` writes it, or any number.
fn value(field: Field, s: &str) -> Result<u128, TextError> {
    let special = match field {
        Field::InPort | Field::InPhyPort => Some(s.parse::<PortNo>()?.0.into()),
        _ if field.bits() == 48 => s.parse::<MacAddr>().ok().map(|m| m.to_u64().into()),
        _ if field.bits() == 128 => s.parse::<Ipv6Addr>().ok().map(u128::from),
        _ if s.contains('.') => s.parse::<Ipv4Addr>().ok().map(|a| u32::from(a).into()),
        _ => None,
    };
    let v = match special {
        Some(v) => v,
        None if field.bits() == 48 => return wrong(s, "a MAC address is six hexadecimal octets"),
        None if field.bits() == 128 && s.contains(':') => return wrong(s, "not an IPv6 address"),
        None if s.contains('.') => return wrong(s, "not an IPv4 address"),
        None => number(s)?,
    };
    if v & !field.full_mask() == 0 { Ok(v) } else { wrong(s, "the value is too large for its field") }
}

/// `VALUE`, `VALUE/MASK` or, for addresses, `VALUE/PREFIX`.
fn masked(field: Field, s: &str) -> Result<(u128, u128), TextError> {
    let Some((v, mask)) = s.split_once('/') else { return Ok((value(field, s)?, field.full_mask())) };
    if matches!(field, Field::InPort | Field::InPhyPort) {
        return wrong(s, "a port takes no mask");
    }
    let address = matches!(field.bits(), 32 | 128) && !mask.contains(['.', ':', 'x']);
    let mask = if address {
        let prefix: u32 = small(mask)?;
        if prefix > u32::from(field.bits()) {
            return wrong(mask, "the prefix is longer than the address");
        }
        let host = field.full_mask().checked_shr(prefix).unwrap_or(0);
        field.full_mask() & !host
    } else {
        value(field, mask)?
    };
    Ok((value(field, v)? & mask, mask))
}

/// The field of a name; network and transport aliases depend on the match so far.
fn field_named(name: &str, m: &Match) -> Option<Field> {
    let is = |field, v: u128| m.get(field).is_some_and(|x| x.value == v);
    let arp = is(Field::EthType, 0x0806);
    let by_proto = |tcp, udp, sctp, icmp, icmp6| match m.get(Field::IpProto).map(|p| p.value) {
        Some(6) => Some(tcp),
        Some(17) => Some(udp),
        Some(132) => Some(sctp),
        Some(1) => Some(icmp),
        Some(58) => Some(icmp6),
        _ => None,
    };
    Some(match name {
        "nw_src" | "ip_src" if arp => Field::ArpSpa,
        "nw_dst" | "ip_dst" if arp => Field::ArpTpa,
        "nw_proto" | "ip_proto" if arp => Field::ArpOp,
        "dl_src" => Field::EthSrc,
        "dl_dst" => Field::EthDst,
        "dl_type" => Field::EthType,
        "dl_vlan_pcp" => Field::VlanPcp,
        "ip_src" => Field::Ipv4Src,
        "ip_dst" => Field::Ipv4Dst,
        "ip_proto" => Field::IpProto,
        "ip_ecn" => Field::IpEcn,
        "tunnel_id" => Field::TunnelId,
        "tp_src" => by_proto(Field::TcpSrc, Field::UdpSrc, Field::SctpSrc, Field::Icmpv4Type, Field::Icmpv6Type)?,
        "tp_dst" => by_proto(Field::TcpDst, Field::UdpDst, Field::SctpDst, Field::Icmpv4Code, Field::Icmpv6Code)?,
        // With icmp6, ovs-ofctl names type and code as for IPv4.
        "icmp_type" if is(Field::EthType, 0x86dd) => Field::Icmpv6Type,
        "icmp_code" if is(Field::EthType, 0x86dd) => Field::Icmpv6Code,
        _ => {
            let field = Field::ALL.iter().copied().find(|f| f.name() == name || f.nxm_name() == name)?;
            // Printed, they would be taken for ARP's.
            let of_ip = matches!(field, Field::Ipv4Src | Field::Ipv4Dst | Field::IpProto);
            return (!(arp && of_ip)).then_some(field);
        }
    })
}

/// The match with one more field; a field may be given again only if it then says more.
fn put(m: Match, place: &str, field: Field, value: u128, mask: u128) -> Result<Match, TextError> {
    match m.get(field) {
        Some(old) if mask & old.mask != old.mask || value & old.mask != old.value => {
            wrong(place, "this contradicts what comes before it")
        }
        _ => Ok(m.with_masked(field, value, mask)),
    }
}

fn match_part(m: Match, part: &str) -> Result<Match, TextError> {
    if let Some((_, eth_type, proto)) = PROTOCOLS.iter().find(|(word, ..)| *word == part) {
        let m = put(m, part, Field::EthType, u128::from(*eth_type), Field::EthType.full_mask())?;
        let Some(proto) = proto else { return Ok(m) };
        return put(m, part, Field::IpProto, u128::from(*proto), Field::IpProto.full_mask());
    }
    let Some((name, text)) = part.split_once('=') else {
        return wrong(part, "neither FIELD=VALUE nor a protocol such as ip or tcp");
    };
    let present = u128::from(VID_PRESENT);
    let (field, value, mask) = match name {
        "dl_vlan" if text == "0xffff" => (Field::VlanVid, 0, Field::VlanVid.full_mask()),
        "dl_vlan" => (Field::VlanVid, present | u128::from(small::<u16>(text)? & 0xfff), Field::VlanVid.full_mask()),
        "dl_vlan_pcp" if m.get(Field::VlanVid).is_none() => {
            let (v, mask) = masked(Field::VlanPcp, text)?;
            return put(m.with_masked(Field::VlanVid, present, present), part, Field::VlanPcp, v, mask);
        }
        "nw_tos" => (Field::IpDscp, u128::from(small::<u8>(text)? >> 2), Field::IpDscp.full_mask()),
        _ => {
            let Some(field) = field_named(name, &m) else {
                return wrong(name, "no such field, or its protocol is not given");
            };
            let (value, mask) = masked(field, text)?;
            (field, value, mask)
        }
    };
    put(m, part, field, value, mask)
}

impl FromStr for Match {
    type Err = TextError;

    fn from_str(s: &str) -> Result<Self, TextError> {
        let mut fields = Fields::default();
        for part in parts(s).filter(|p| !p.is_empty()) {
            fields.add(part)?;
        }
        fields.matching()
    }
}

/// The fields of a match as they are read.
#[derive(Default)]
struct Fields<'a> {
    so_far: Match,
    /// What each name meant where it stood.
    named: Vec<(&'a str, Option<Field>)>,
}

impl<'a> Fields<'a> {
    fn add(&mut self, part: &'a str) -> Result<(), TextError> {
        if let Some((name, _)) = part.split_once('=') {
            self.named.push((name, field_named(name, &self.so_far)));
        }
        self.so_far = match_part(std::mem::take(&mut self.so_far), part)?;
        Ok(())
    }

    /// The match, in which every name means the same with all of it known: `nw_dst` before `arp`
    /// would not.
    fn matching(self) -> Result<Match, TextError> {
        match self.named.iter().find(|(name, meant)| field_named(name, &self.so_far) != *meant) {
            Some((name, _)) => wrong(name, "the protocol that this is a field of has to come before it"),
            None => Ok(self.so_far),
        }
    }
}

/// Splits at commas and spaces outside of parentheses.
fn parts(s: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0i32;
    s.split(move |c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0 && (c == ',' || c.is_whitespace())
    })
}

fn whole_field(s: &str) -> Result<Field, TextError> {
    let name = s.strip_suffix("[]").unwrap_or(s);
    match field_named(name, &Match::any()) {
        Some(field) => Ok(field),
        None => wrong(s, "no such field; a whole field is NAME[]"),
    }
}

impl FromStr for Action {
    type Err = TextError;

    fn from_str(s: &str) -> Result<Self, TextError> {
        let (name, arg) = s.split_once(':').unwrap_or((s, ""));
        let set = |field| value(field, arg).map(|v| Self::set(field, v));
        Ok(match name {
            "output" => Self::output(arg.parse()?),
            _ if name.eq_ignore_ascii_case("controller") && !arg.is_empty() => {
                Self::Output { port: PortNo::CONTROLLER, max_len: small(arg)? }
            }
            "set_field" => {
                let Some((text, name)) = arg.split_once("->") else { return wrong(s, "set_field:VALUE->FIELD") };
                let field = whole_field(name)?;
                let (value, mask) = masked(field, text)?;
                Self::SetField { field, value, mask }
            }
            "move" => {
                let Some((src, dst)) = arg.split_once("->") else { return wrong(s, "move:FIELD[]->FIELD[]") };
                Self::Move { src: whole_field(src)?, dst: whole_field(dst)? }
            }
            "mod_dl_src" => set(Field::EthSrc)?,
            "mod_dl_dst" => set(Field::EthDst)?,
            "mod_nw_src" => set(Field::Ipv4Src)?,
            "mod_nw_dst" => set(Field::Ipv4Dst)?,
            "mod_nw_tos" => Self::set(Field::IpDscp, u128::from(small::<u8>(arg)? >> 2)),
            "push_vlan" => Self::PushVlan(small(arg)?),
            "pop_vlan" | "strip_vlan" => Self::PopVlan,
            "dec_ttl" => Self::DecNwTtl,
            "mod_nw_ttl" => Self::SetNwTtl(small(arg)?),
            "group" => Self::Group(GroupId(small(arg)?)),
            "set_queue" => Self::SetQueue(small(arg)?),
            "enqueue" => {
                let Some((port, queue)) = arg.split_once(':') else { return wrong(s, "enqueue:PORT:QUEUE") };
                Self::Enqueue { port: port.parse()?, queue: small(queue)? }
            }
            "mod_vlan_vid" => Self::SetVlanVid(small(arg)?),
            "mod_vlan_pcp" => Self::SetVlanPcp(small(arg)?),
            "mod_tp_src" => Self::SetTpSrc(small(arg)?),
            "mod_tp_dst" => Self::SetTpDst(small(arg)?),
            "push_mpls" => Self::PushMpls(small(arg)?),
            "pop_mpls" => Self::PopMpls(small(arg)?),
            "dec_mpls_ttl" => Self::DecMplsTtl,
            "copy_ttl_out" => Self::CopyTtlOut,
            "copy_ttl_in" => Self::CopyTtlIn,
            "push_pbb" => Self::PushPbb(small(arg)?),
            "pop_pbb" => Self::PopPbb,
            _ => match s.strip_prefix("set_mpls_ttl(").and_then(|t| t.strip_suffix(')')) {
                Some(ttl) => Self::SetMplsTtl(small(ttl)?),
                None => Self::Output {
                    port: s.parse().or_else(|_| wrong(s, "no such action"))?,
                    max_len: CONTROLLER_WHOLE_FRAME,
                },
            },
        })
    }
}

impl FromStr for Instructions {
    type Err = TextError;

    fn from_str(s: &str) -> Result<Self, TextError> {
        let mut out = Self::default();
        for part in parts(s).filter(|p| !p.is_empty() && *p != "drop") {
            let (name, arg) = part.split_once(':').unwrap_or((part, ""));
            match name {
                "meter" => out.meter = Some(MeterId(small(arg)?)),
                "clear_actions" => out.clear = true,
                "goto_table" => out.goto = Some(TableId(small(arg)?)),
                "write_metadata" => {
                    let (v, mask) = arg.split_once('/').unwrap_or((arg, "0xffffffffffffffff"));
                    out.metadata = Some((small(v)?, small(mask)?));
                }
                _ => match part.strip_prefix("write_actions(").and_then(|t| t.strip_suffix(')')) {
                    Some(list) => {
                        let list = parts(list).filter(|p| !p.is_empty() && *p != "drop");
                        out.write = list.map(str::parse).collect::<Result<_, _>>()?;
                    }
                    None => out.apply.push(part.parse()?),
                },
            }
        }
        Ok(out)
    }
}

impl FromStr for FlowMod {
    type Err = TextError;

    /// An add, as `ovs-ofctl add-flow` takes it; without `actions=` it names flows to delete.
    fn from_str(s: &str) -> Result<Self, TextError> {
        let (head, actions) = s.split_once("actions=").unwrap_or((s, ""));
        let instructions = actions.trim().parse()?;
        let mut m = Self::add(TableId(0), 0x8000, Match::any(), instructions, Cookie(0));
        let mut fields = Fields::default();
        for part in parts(head).filter(|p| !p.is_empty()) {
            let (name, arg) = part.split_once('=').unwrap_or((part, ""));
            match name {
                "table" => m.table = TableId(small(arg)?),
                "priority" => m.priority = small(arg)?,
                "cookie" => {
                    let (cookie, mask) = arg.split_once('/').unwrap_or((arg, "0"));
                    m.cookie = Cookie(small(cookie)?);
                    m.cookie_mask = if mask == "-1" { u64::MAX } else { small(mask)? };
                }
                "idle_timeout" => m.idle_timeout = small(arg)?,
                "hard_timeout" => m.hard_timeout = small(arg)?,
                "out_port" => m.out_port = arg.parse()?,
                "out_group" => m.out_group = GroupId(small(arg)?),
                "send_flow_rem" => m.flags.send_flow_removed = true,
                "check_overlap" => m.flags.check_overlap = true,
                "reset_counts" => m.flags.reset_counts = true,
                "no_packet_counts" => m.flags.no_packet_counts = true,
                "no_byte_counts" => m.flags.no_byte_counts = true,
                _ => fields.add(part)?,
            }
        }
        m.matching = fields.matching()?;
        Ok(m)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_reads_as_ovs_ofctl_reads_it() {
        let m: FlowMod = "table=1, priority=100,cookie=0x7,tcp,in_port=LOCAL,nw_dst=1.2.3.0/24,tp_dst=80 \
                          actions=set_field:10.0.0.1->nw_dst,mod_vlan_vid:5,CONTROLLER:128,2,goto_table:3"
            .parse()
            .unwrap();
        assert_eq!((m.table, m.priority, m.cookie), (TableId(1), 100, Cookie(7)));
        let wanted = Match::any()
            .in_port(PortNo::LOCAL)
            .ipv4()
            .with(Field::IpProto, 6)
            .ip_prefix(Field::Ipv4Dst, Ipv4Addr::new(1, 2, 3, 0), 24)
            .with(Field::TcpDst, 80);
        assert_eq!(m.matching, wanted);
        assert_eq!(m.instructions.goto, Some(TableId(3)));
        assert_eq!(m.instructions.apply.len(), 4);
        assert_eq!(m.instructions.apply.last(), Some(&Action::output(PortNo(2))));
    }

    #[test]
    fn aliases_are_of_the_protocol_named_before() {
        let arp: Match = "arp,nw_dst=10.0.0.1".parse().unwrap();
        assert_eq!(arp.to_string(), "arp,arp_tpa=10.0.0.1");
        let vlan: Match = "dl_vlan=7,dl_vlan_pcp=3".parse().unwrap();
        assert_eq!(vlan.to_string(), "vlan_vid=0x1007,vlan_pcp=3");
        assert_eq!("dl_vlan=0xffff".parse::<Match>().unwrap().to_string(), "vlan_vid=0x0");
    }

    #[test]
    fn a_field_comes_after_its_protocol() {
        for text in [
            "nw_dst=0.0.0.1,arp",
            "nw_dst=0.0.0.1,arp,arp_tpa=0.0.0.1",
            "in_port=1,nw_proto=1,arp",
            "nw_proto=58,icmp_type=1,ipv6",
        ] {
            assert!(text.parse::<Match>().is_err() && text.parse::<FlowMod>().is_err(), "{text}");
        }
        assert!("arp,nw_dst=0.0.0.1,nw_dst=0.0.0.1".parse::<Match>().is_ok());
        let arp: Match = "arp,nw_proto=1,ip_proto=1".parse().unwrap();
        assert_eq!(arp.to_string(), "arp,arp_op=1");
        for text in ["arp,NXM_OF_IP_SRC=0.0.0.1", "arp,NXM_OF_IP_PROTO=1"] {
            assert!(text.parse::<Match>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_takes_no_mask() {
        let error = "ip,in_port=0/0xffffff00".parse::<Match>().unwrap_err();
        assert_eq!(error.place, "0/0xffffff00");
    }

    #[test]
    fn errors_name_the_place() {
        for (text, place) in [
            ("ip,nw_dst=1.2.3.999", "1.2.3.999"),
            ("ip,foo=1", "foo"),
            ("tcp,tp_dst=70000", "70000"),
            ("ip,nw_dst=1.2.3.4/33", "33"),
            ("bogus", "bogus"),
            ("actions=fly", "fly"),
            ("actions=move:a->b", "a"),
            ("actions=output:", ""),
            ("priority=-1", "-1"),
            ("ip,nw_dst=10.0.0.1,arp", "arp"),
            ("tcp,tp_dst=80,tp_dst=81", "tp_dst=81"),
        ] {
            assert_eq!(text.parse::<FlowMod>().unwrap_err().place, place, "{text}");
        }
    }
}
