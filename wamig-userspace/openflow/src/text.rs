//! ovs-ofctl syntax (ovs-fields(7), ovs-actions(7)) out of matches, actions and flows, and
//! by [`FromStr`](std::str::FromStr) back: what `wamig flows` prints is what
//! `ovs-ofctl add-flow` reads.

use std::fmt::{self, Display, Formatter};
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::action::{Action, CONTROLLER_WHOLE_FRAME, Instructions};
use crate::field::Field;
use crate::flow_match::{ETH_TYPE_ARP, ETH_TYPE_IPV4, ETH_TYPE_IPV6, Masked, Match};
use crate::message::{FlowMod, FlowStats};
use crate::types::{Cookie, GroupId, MacAddr, PortNo};

mod parse;

pub use parse::TextError;

/// One value of a field as ovs-ofctl writes it.
struct Value(Field, u128);

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(field, v) = *self;
        match field {
            Field::InPort | Field::InPhyPort => PortNo(v as u32).fmt(f),
            Field::EthDst | Field::EthSrc | Field::ArpSha | Field::ArpTha | Field::Ipv6NdSll | Field::Ipv6NdTll => {
                MacAddr::from_u64(v as u64).fmt(f)
            }
            Field::Ipv4Src | Field::Ipv4Dst | Field::ArpSpa | Field::ArpTpa => Ipv4Addr::from(v as u32).fmt(f),
            Field::Ipv6Src | Field::Ipv6Dst | Field::Ipv6NdTarget => Ipv6Addr::from(v).fmt(f),
            Field::EthType
            | Field::VlanVid
            | Field::Metadata
            | Field::Ipv6Flabel
            | Field::PbbIsid
            | Field::TunnelId
            | Field::Ipv6Exthdr => write!(f, "{v:#x}"),
            _ => v.fmt(f),
        }
    }
}

struct FieldMatch(Field, Masked);

impl Display for FieldMatch {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(field, m) = *self;
        write!(f, "{}={}", field.name(), Value(field, m.value))?;
        if m.mask == field.full_mask() {
            return Ok(());
        }
        let prefix = m.mask.count_ones();
        let is_prefix = m.mask == field.full_mask() & !(field.full_mask() >> prefix);
        match field {
            Field::Ipv4Src | Field::Ipv4Dst | Field::ArpSpa | Field::ArpTpa | Field::Ipv6Src | Field::Ipv6Dst
                if is_prefix =>
            {
                write!(f, "/{prefix}")
            }
            Field::TcpSrc | Field::TcpDst | Field::UdpSrc | Field::UdpDst | Field::SctpSrc | Field::SctpDst => {
                write!(f, "/{:#x}", m.mask)
            }
            _ => write!(f, "/{}", Value(field, m.mask)),
        }
    }
}

impl Display for Match {
    /// Comma-separated fields; `arp`, `ip`, `ipv6` stand for their EtherType. Empty for the
    /// match that takes everything.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut first = true;
        let mut sep = |f: &mut Formatter<'_>| if std::mem::take(&mut first) { Ok(()) } else { f.write_str(",") };
        let short = self.get(Field::EthType).and_then(|m| match m.value as u16 {
            ETH_TYPE_ARP => Some("arp"),
            ETH_TYPE_IPV4 => Some("ip"),
            ETH_TYPE_IPV6 => Some("ipv6"),
            _ => None,
        });
        if let Some(name) = short {
            sep(f)?;
            f.write_str(name)?;
        }
        for (field, m) in self.iter() {
            if field == Field::EthType && short.is_some() {
                continue;
            }
            sep(f)?;
            FieldMatch(field, m).fmt(f)?;
        }
        Ok(())
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output { port: PortNo::CONTROLLER, max_len: CONTROLLER_WHOLE_FRAME } => {
                f.write_str("CONTROLLER:65535")
            }
            Self::Output { port: PortNo::CONTROLLER, max_len } => write!(f, "CONTROLLER:{max_len}"),
            Self::Output { port, .. } if port.reserved_name().is_some() => port.fmt(f),
            Self::Output { port, .. } => write!(f, "output:{port}"),
            Self::SetField { field, value, mask } if *mask == field.full_mask() => {
                write!(f, "set_field:{}->{}", Value(*field, *value), field.name())
            }
            Self::SetField { field, value, mask } => {
                write!(f, "set_field:{}/{}->{}", Value(*field, *value), Value(*field, *mask), field.name())
            }
            Self::Move { src, dst } => write!(f, "move:{}[]->{}[]", src.nxm_name(), dst.nxm_name()),
            Self::PushVlan(tpid) => write!(f, "push_vlan:{tpid:#06x}"),
            Self::PopVlan => f.write_str("pop_vlan"),
            Self::DecNwTtl => f.write_str("dec_ttl"),
            Self::SetNwTtl(ttl) => write!(f, "mod_nw_ttl:{ttl}"),
            Self::Group(group) => write!(f, "group:{group}"),
            Self::SetQueue(queue) => write!(f, "set_queue:{queue}"),
            Self::Enqueue { port, queue } => write!(f, "enqueue:{port}:{queue}"),
            Self::SetVlanVid(vid) => write!(f, "mod_vlan_vid:{vid}"),
            Self::SetVlanPcp(pcp) => write!(f, "mod_vlan_pcp:{pcp}"),
            Self::SetTpSrc(port) => write!(f, "mod_tp_src:{port}"),
            Self::SetTpDst(port) => write!(f, "mod_tp_dst:{port}"),
            Self::PushMpls(eth_type) => write!(f, "push_mpls:{eth_type:#06x}"),
            Self::PopMpls(eth_type) => write!(f, "pop_mpls:{eth_type:#06x}"),
            Self::SetMplsTtl(ttl) => write!(f, "set_mpls_ttl({ttl})"),
            Self::DecMplsTtl => f.write_str("dec_mpls_ttl"),
            Self::CopyTtlOut => f.write_str("copy_ttl_out"),
            Self::CopyTtlIn => f.write_str("copy_ttl_in"),
            Self::PushPbb(eth_type) => write!(f, "push_pbb:{eth_type:#06x}"),
            Self::PopPbb => f.write_str("pop_pbb"),
            Self::Experimenter { experimenter, data } => write!(f, "experimenter:{experimenter:#010x}:{data:x}"),
        }
    }
}

fn list(f: &mut Formatter<'_>, actions: &[Action]) -> fmt::Result {
    for (i, a) in actions.iter().enumerate() {
        if i > 0 {
            f.write_str(",")?;
        }
        a.fmt(f)?;
    }
    Ok(())
}

impl Display for Instructions {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut any = false;
        let mut sep = |f: &mut Formatter<'_>| if std::mem::replace(&mut any, true) { f.write_str(",") } else { Ok(()) };
        if let Some(meter) = self.meter {
            sep(f)?;
            write!(f, "meter:{meter}")?;
        }
        if !self.apply.is_empty() {
            sep(f)?;
            list(f, &self.apply)?;
        }
        if self.clear {
            sep(f)?;
            f.write_str("clear_actions")?;
        }
        if !self.write.is_empty() {
            sep(f)?;
            f.write_str("write_actions(")?;
            list(f, &self.write)?;
            f.write_str(")")?;
        }
        if let Some((value, mask)) = self.metadata {
            sep(f)?;
            write!(f, "write_metadata:{value:#x}")?;
            if mask != u64::MAX {
                write!(f, "/{mask:#x}")?;
            }
        }
        if let Some(table) = self.goto {
            sep(f)?;
            write!(f, "goto_table:{table}")?;
        }
        if !any {
            f.write_str("drop")?;
        }
        Ok(())
    }
}

impl Display for FlowStats {
    /// One line as `ovs-ofctl dump-flows` prints it.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cookie={}, duration={:.3}s, table={}, n_packets={}, n_bytes={}, ",
            self.cookie,
            self.duration.as_secs_f64(),
            self.table,
            self.packets,
            self.bytes
        )?;
        if self.idle_timeout != 0 {
            write!(f, "idle_timeout={}, ", self.idle_timeout)?;
        }
        if self.hard_timeout != 0 {
            write!(f, "hard_timeout={}, ", self.hard_timeout)?;
        }
        write!(f, "priority={}", self.priority)?;
        if !self.matching.is_any() {
            write!(f, ",{}", self.matching)?;
        }
        write!(f, " actions={}", self.instructions)
    }
}

impl Display for FlowMod {
    /// The flow as `ovs-ofctl add-flow` takes it; the command is not part of it.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "table={},priority={}", self.table, self.priority)?;
        if self.cookie != Cookie(0) || self.cookie_mask != 0 {
            write!(f, ",cookie={}", self.cookie)?;
        }
        if self.cookie_mask != 0 {
            write!(f, "/{:#x}", self.cookie_mask)?;
        }
        for (name, seconds) in [("idle_timeout", self.idle_timeout), ("hard_timeout", self.hard_timeout)] {
            if seconds != 0 {
                write!(f, ",{name}={seconds}")?;
            }
        }
        let flags = self.flags;
        for (name, on) in [
            ("send_flow_rem", flags.send_flow_removed),
            ("check_overlap", flags.check_overlap),
            ("reset_counts", flags.reset_counts),
            ("no_packet_counts", flags.no_packet_counts),
            ("no_byte_counts", flags.no_byte_counts),
        ] {
            if on {
                write!(f, ",{name}")?;
            }
        }
        if self.out_port != PortNo::ANY {
            write!(f, ",out_port={}", self.out_port)?;
        }
        if self.out_group != GroupId::ANY {
            write!(f, ",out_group={}", self.out_group)?;
        }
        if !self.matching.is_any() {
            write!(f, ",{}", self.matching)?;
        }
        write!(f, " actions={}", self.instructions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TableId;

    #[test]
    fn a_match_reads_like_ovs_ofctl() {
        let m = Match::any()
            .in_port(PortNo(3))
            .ipv4()
            .ip_prefix(Field::Ipv4Dst, Ipv4Addr::new(192, 0, 2, 7), 24)
            .mac(Field::EthSrc, MacAddr([2, 0, 0, 0, 0, 1]));
        assert_eq!(m.to_string(), "ip,in_port=3,eth_src=02:00:00:00:00:01,nw_dst=192.0.2.0/24");
        assert_eq!(Match::any().to_string(), "");
    }

    #[test]
    fn instructions_read_like_ovs_ofctl() {
        let i = Instructions {
            apply: vec![
                Action::set_ip(Field::Ipv4Dst, Ipv4Addr::new(198, 51, 100, 9)),
                Action::Move { src: Field::ArpSha, dst: Field::ArpTha },
                Action::output(PortNo::IN_PORT),
                Action::output(PortNo(2)),
                Action::controller(),
            ],
            metadata: Some((1, 0xff)),
            goto: Some(TableId(4)),
            ..Instructions::default()
        };
        assert_eq!(
            i.to_string(),
            "set_field:198.51.100.9->nw_dst,move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],IN_PORT,output:2,CONTROLLER:65535,write_metadata:0x1/0xff,goto_table:4"
        );
        assert_eq!(Instructions::drop().to_string(), "drop");
    }
}
