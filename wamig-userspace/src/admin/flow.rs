//! What `GET /v1/flows` answers.

use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use wamig_openflow::flow_match::address_bits;
use wamig_openflow::{Action, Field, FlowMod, FlowStats, GroupId, Match, PortNo, TableId};

use crate::datapath::any::OwnFlow;

/// A flow with its counters.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FlowLine {
    /// Which switch has it, if there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<String>,
    /// It takes frames from one of several switches to the next.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub link: bool,
    /// Table.
    pub table: u8,
    /// Priority.
    pub priority: u16,
    /// Cookie, `0x…`.
    pub cookie: String,
    /// Match, ovs-ofctl syntax; empty = every frame.
    #[serde(rename = "match")]
    pub matching: String,
    /// Instructions, ovs-ofctl syntax.
    pub actions: String,
    /// Frames.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Seconds since it was added.
    pub duration_s: f64,
    /// Seconds since its last frame.
    pub idle_s: f64,
    /// Why its frames take the slow path; null = they do not.
    pub slow: Option<String>,
    /// The line that ovs-ofctl dump-flows would print.
    pub text: String,
}

impl From<&OwnFlow> for FlowLine {
    fn from(OwnFlow { switch, is_links, flow }: &OwnFlow) -> Self {
        Self {
            switch: switch.clone(),
            link: *is_links,
            table: flow.table.0,
            priority: flow.priority,
            cookie: flow.cookie.to_string(),
            matching: flow.matching.to_string(),
            actions: flow.instructions.to_string(),
            packets: flow.packets,
            bytes: flow.bytes,
            duration_s: flow.duration.as_secs_f64(),
            idle_s: flow.idle_age.as_secs_f64(),
            slow: flow.slow.map(str::to_owned),
            text: flow.to_string(),
        }
    }
}

/// Which flows are asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FlowFilter {
    /// Of this table only.
    pub table: Option<TableId>,
    /// Only those that match or write this address.
    pub address: Option<IpAddr>,
    /// Only those that `ovs-ofctl dump-flows` means by it.
    pub flow: Option<FlowPattern>,
}

/// Flows as `ovs-ofctl dump-flows BRIDGE FLOW` names them: what they match is within a match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowPattern {
    text: String,
    table: Option<TableId>,
    priority: Option<u16>,
    /// Value and mask.
    cookie: (u64, u64),
    out_port: PortNo,
    out_group: GroupId,
    matching: Match,
}

impl FromStr for FlowPattern {
    type Err = String;

    /// `table=0,ip,nw_dst=192.0.2.0/24,cookie=0x5/-1,out_port=2`, each part optional.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(",");
        let named = |name: &str| text.split(',').any(|part| part.split('=').next() == Some(name));
        if named("actions") {
            return Err("a filter has no actions; out_port=PORT asks for an output".to_owned());
        }
        let m: FlowMod = text.parse().map_err(|e: wamig_openflow::text::TextError| e.to_string())?;
        m.matching.validate().map_err(|e| e.detail)?;
        let exact = named("cookie") && m.cookie_mask == 0;
        Ok(Self {
            table: named("table").then_some(m.table).filter(|t| *t != TableId::ALL),
            priority: named("priority").then_some(m.priority),
            cookie: (m.cookie.0, if exact { u64::MAX } else { m.cookie_mask }),
            out_port: m.out_port,
            out_group: m.out_group,
            matching: m.matching,
            text,
        })
    }
}

impl FlowPattern {
    fn takes(&self, flow: &FlowStats) -> bool {
        self.table.is_none_or(|t| t == flow.table)
            && self.priority.is_none_or(|p| p == flow.priority)
            && (flow.cookie.0 ^ self.cookie.0) & self.cookie.1 == 0
            && (self.out_port == PortNo::ANY || flow.instructions.outputs_to(self.out_port))
            && (self.out_group == GroupId::ANY || flow.instructions.uses_group(self.out_group))
            && flow.matching.is_within(&self.matching)
    }
}

/// A query string that is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is not a filter; allowed: table=0..254, address=IP address, flow=as of ovs-ofctl dump-flows")]
pub struct BadFilter(pub String);

impl FlowFilter {
    /// Reads `table=N&address=A&flow=F`, each optional.
    ///
    /// # Errors
    /// [`BadFilter`], naming the part that is wrong.
    pub fn from_query(query: &str) -> Result<Self, BadFilter> {
        let mut filter = Self::default();
        for part in query.split('&').filter(|p| !p.is_empty()) {
            let bad = || BadFilter(part.to_owned());
            match part.split_once('=').ok_or_else(bad)? {
                ("table", n) => {
                    let table = n.parse().ok().filter(|n| *n != TableId::ALL.0).ok_or_else(bad)?;
                    filter.table = Some(TableId(table));
                }
                ("address", a) => filter.address = Some(a.parse().map_err(|_| bad())?),
                ("flow", f) => filter.flow = Some(f.parse().map_err(|_| bad())?),
                _ => return Err(bad()),
            }
        }
        Ok(filter)
    }

    /// The query string that [`Self::from_query`] reads.
    pub fn to_query(&self) -> String {
        let table = self.table.map(|t| format!("table={t}"));
        let address = self.address.map(|a| format!("address={a}"));
        let flow = self.flow.as_ref().map(|f| format!("flow={}", f.text));
        table.into_iter().chain(address).chain(flow).collect::<Vec<_>>().join("&")
    }

    /// Whether the flow is asked for. With those of an address belong a link's flows, which
    /// bring its frames to where they leave.
    pub fn takes(&self, OwnFlow { is_links, flow, .. }: &OwnFlow) -> bool {
        self.table.is_none_or(|t| t == flow.table)
            && self.address.is_none_or(|a| *is_links || names(flow, a))
            && self.flow.as_ref().is_none_or(|f| f.takes(flow))
    }
}

/// Whether the flow matches exactly this address or writes it.
fn names(flow: &FlowStats, address: IpAddr) -> bool {
    let value = address_bits(address);
    let of_family = |field| match address {
        IpAddr::V4(_) => matches!(field, Field::Ipv4Src | Field::Ipv4Dst | Field::ArpSpa | Field::ArpTpa),
        IpAddr::V6(_) => matches!(field, Field::Ipv6Src | Field::Ipv6Dst | Field::Ipv6NdTarget),
    };
    let is = |field, v, mask: u128| of_family(field) && v == value && mask == field.full_mask();
    let actions = flow.instructions.apply.iter().chain(&flow.instructions.write);
    flow.matching.iter().any(|(field, m)| is(field, m.value, m.mask))
        || actions
            .into_iter()
            .any(|a| matches!(a, Action::SetField { field, value, mask } if is(*field, *value, *mask)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wamig_openflow::{Cookie, FlowModFlags, Instructions};

    use std::net::Ipv4Addr;

    use super::*;

    const S: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53));
    const T: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 200));

    fn flow(matching: Match, apply: Vec<Action>) -> OwnFlow {
        let flow = FlowStats {
            table: TableId(0),
            priority: 50100,
            matching,
            cookie: Cookie(0x574d << 48),
            duration: Duration::from_millis(1200),
            idle_age: Duration::from_millis(100),
            idle_timeout: 0,
            hard_timeout: 0,
            flags: FlowModFlags::default(),
            packets: 1,
            bytes: 60,
            instructions: Instructions::apply(apply),
            slow: None,
        };
        OwnFlow { switch: None, is_links: false, flow }
    }

    #[test]
    fn a_flow_is_asked_for_by_the_address_it_matches_or_writes() {
        let filter = FlowFilter::from_query("address=192.0.2.53").unwrap();
        let out = || Action::output(PortNo(1));
        assert!(filter.takes(&flow(Match::any().ipv4().ip(Field::Ipv4Dst, S), vec![out()])));
        assert!(filter.takes(&flow(Match::any().ipv4(), vec![Action::set_ip(Field::Ipv4Dst, S), out()])));
        assert!(!filter.takes(&flow(Match::any().ipv4().ip_prefix(Field::Ipv4Dst, S, 24), vec![out()])));
        assert!(!filter.takes(&flow(Match::any().ipv4().ip(Field::Ipv4Dst, T), vec![out()])));
        let link = OwnFlow { is_links: true, ..flow(Match::any(), vec![out()]) };
        assert!(filter.takes(&link), "it takes the address to the next switch");
    }

    #[test]
    fn flows_are_named_as_ovs_ofctl_names_them() {
        let there = flow(Match::any().ipv4().ip(Field::Ipv4Dst, S), vec![Action::output(PortNo(1))]);
        let takes = |text: &str| text.parse::<FlowPattern>().unwrap().takes(&there.flow);
        for text in [
            "",
            "ip",
            "table=0 ip",
            "nw_dst=192.0.2.0/24,ip",
            "priority=50100",
            "out_port=1",
            "cookie=0x574d000000000000/-1",
        ] {
            assert!(takes(text), "{text}");
        }
        for text in ["arp", "table=1", "ip,nw_dst=192.0.2.1", "in_port=1", "priority=1", "out_port=2", "cookie=5"] {
            assert!(!takes(text), "{text}");
        }
        let why = "ip,nw_dts=1.2.3.4".parse::<FlowPattern>().unwrap_err();
        assert!(why.contains("nw_dts"), "{why}");
    }

    #[test]
    fn a_filter_survives_its_query_string() {
        let all = "table=0&address=192.0.2.53&flow=table=0,ip,nw_dst=192.0.2.0/24";
        for query in ["", "table=2", "address=192.0.2.53", "table=0&address=192.0.2.53", all] {
            assert_eq!(FlowFilter::from_query(query).unwrap().to_query(), query);
        }
        for bad in
            ["table=255", "table=x", "address=1", "port=1", "table", "flow=ip,actions=drop", "flow=nw_dst=1.2.3.4"]
        {
            assert_eq!(FlowFilter::from_query(bad), Err(BadFilter(bad.to_owned())), "{bad}");
        }
    }

    #[test]
    fn a_line_has_the_keys_of_the_interface() {
        let line = FlowLine::from(&flow(Match::any().ipv4().ip(Field::Ipv4Dst, S), vec![Action::output(PortNo(1))]));
        let json = serde_json::to_string(&line).unwrap();
        assert_eq!(
            json,
            r#"{"table":0,"priority":50100,"cookie":"0x574d000000000000","match":"ip,nw_dst=192.0.2.53","actions":"output:1","packets":1,"bytes":60,"duration_s":1.2,"idle_s":0.1,"slow":null,"text":"cookie=0x574d000000000000, duration=1.200s, table=0, n_packets=1, n_bytes=60, priority=50100,ip,nw_dst=192.0.2.53 actions=output:1"}"#
        );
    }
}
