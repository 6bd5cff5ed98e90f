//! What `GET /v1/flows` answers.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use wamig_openflow::{Action, Field, FlowStats, TableId};

/// A flow with its counters.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FlowLine {
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

impl From<&FlowStats> for FlowLine {
    fn from(flow: &FlowStats) -> Self {
        Self {
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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FlowFilter {
    /// Of this table only.
    pub table: Option<TableId>,
    /// Only those that match or write this address.
    pub address: Option<Ipv4Addr>,
}

/// A query string that is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is not a filter; allowed: table=0..254, address=IPv4 address")]
pub struct BadFilter(pub String);

impl FlowFilter {
    /// Reads `table=N&address=A`, each optional.
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
                _ => return Err(bad()),
            }
        }
        Ok(filter)
    }

    /// The query string that [`Self::from_query`] reads.
    pub fn to_query(self) -> String {
        let table = self.table.map(|t| format!("table={t}"));
        let address = self.address.map(|a| format!("address={a}"));
        table.into_iter().chain(address).collect::<Vec<_>>().join("&")
    }

    /// Whether the flow is asked for.
    pub fn takes(&self, flow: &FlowStats) -> bool {
        self.table.is_none_or(|t| t == flow.table) && self.address.is_none_or(|a| names(flow, a))
    }
}

/// Whether the flow matches exactly this address or writes it.
fn names(flow: &FlowStats, address: Ipv4Addr) -> bool {
    let value = u128::from(u32::from(address));
    let is = |field, v, mask: u128| {
        matches!(field, Field::Ipv4Src | Field::Ipv4Dst | Field::ArpSpa | Field::ArpTpa)
            && v == value
            && mask == field.full_mask()
    };
    let actions = flow.instructions.apply.iter().chain(&flow.instructions.write);
    flow.matching.iter().any(|(field, m)| is(field, m.value, m.mask))
        || actions
            .into_iter()
            .any(|a| matches!(a, Action::SetField { field, value, mask } if is(*field, *value, *mask)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wamig_openflow::{Cookie, FlowModFlags, Instructions, Match, PortNo};

    use super::*;

    const S: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
    const T: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 200);

    fn flow(matching: Match, apply: Vec<Action>) -> FlowStats {
        FlowStats {
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
        }
    }

    #[test]
    fn a_flow_is_asked_for_by_the_address_it_matches_or_writes() {
        let filter = FlowFilter::from_query("address=192.0.2.53").unwrap();
        let out = || Action::output(PortNo(1));
        assert!(filter.takes(&flow(Match::any().ipv4().ip(Field::Ipv4Dst, S), vec![out()])));
        assert!(filter.takes(&flow(Match::any().ipv4(), vec![Action::set_ip(Field::Ipv4Dst, S), out()])));
        assert!(!filter.takes(&flow(Match::any().ipv4().ip_prefix(Field::Ipv4Dst, S, 24), vec![out()])));
        assert!(!filter.takes(&flow(Match::any().ipv4().ip(Field::Ipv4Dst, T), vec![out()])));
    }

    #[test]
    fn a_filter_survives_its_query_string() {
        for query in ["", "table=2", "address=192.0.2.53", "table=0&address=192.0.2.53"] {
            assert_eq!(FlowFilter::from_query(query).unwrap().to_query(), query);
        }
        for bad in ["table=255", "table=x", "address=1", "port=1", "table"] {
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
