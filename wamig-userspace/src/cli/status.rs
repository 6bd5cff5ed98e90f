//! `wamig status`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use wamig_openflow::PortNo;

use super::layout::{ago, columns, date_time, now_unix_ms, time_us};
use super::{Format, Target};
use crate::admin::client;
use crate::admin::status::{
    Address, Configuration, ControllerLine, Event, Fragments, Peer, Port, Refusal, Status, SwitchSession,
};

/// Show how this site is doing
///
/// Shows the switch and its ports, the other sites, every server this site is concerned with
/// (where it is, since when, and if something is wrong, why and what to do), the pool of
/// transfer addresses, what was dropped or refused, and the latest events.
///
/// Examples:
///   wamig status
///   wamig status -o json --config /etc/wamig/wamig.toml
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = Format::Table, value_name = "FORM")]
    output: Format,
    /// So many of the latest events (json has them all)
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    events: usize,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let socket = arguments.target.socket()?;
    match arguments.output {
        Format::Json => super::print(&(client::get(&socket, "/v1/status")? + "\n")),
        Format::Table => {
            let status: Status = client::get_json(&socket, "/v1/status")?;
            super::print(&render(&status, arguments.events, now_unix_ms()))
        }
    }
}

fn render(status: &Status, events: usize, now: u64) -> String {
    let mut out = String::new();
    let started = now.saturating_sub(status.uptime_s * 1000);
    section(&mut out, &format!("site {}: wamig {}, up {}", status.site, status.version, ago(started, now)));
    out += &configuration(&status.configuration, now);
    let dp = &status.datapath;
    match &dp.session {
        None if !dp.switches.is_empty() => {
            for s in &dp.switches {
                out += &switch_session(&format!("{} {}", s.name, s.dpid), &s.session, now);
            }
            for l in &dp.links {
                section(&mut out, &format!("  link {}: {}", l.ends.join(" - "), if l.up { "up" } else { "down" }));
            }
        }
        None => section(&mut out, &format!("switch {}: data path {}, program {}", dp.dpid, dp.kind, dp.program)),
        Some(session) => out += &switch_session(&dp.dpid, session, now),
    }
    if let Some(at) = dp.standalone_since_unix_ms {
        section(&mut out, &format!("no controller is there: the switch acts by itself, {}", since(at, now)));
    }
    out += &ports(&dp.ports);
    section(&mut out, "peers:");
    out += &peers(&status.peers, now);
    if !status.controllers.is_empty() {
        section(&mut out, "controllers:");
        out += &controllers(&status.controllers, now);
    }
    section(&mut out, "servers:");
    out += &addresses(&status.addresses, now);
    let pool = status.pool;
    section(
        &mut out,
        &format!(
            "transfer addresses: {} of {} ready, {} in use, {} in quarantine",
            pool.ready, pool.size, pool.in_use, pool.quarantined
        ),
    );
    section(&mut out, &format!("dropped: {}", counters(&status.drops)));
    if status.anomalies.values().any(|n| *n > 0) {
        section(&mut out, &format!("odd frames: {}", counters(&status.anomalies)));
    }
    section(&mut out, &format!("sent up: {}", counters(&status.punts)));
    section(&mut out, &format!("refused: {}", counters(&status.refused)));
    section(&mut out, "latest events (UTC):");
    out += &timeline(&status.timeline, events);
    out
}

/// Only what an operator does not expect.
fn configuration(c: &Configuration, now: u64) -> String {
    let Some(Refusal { at_unix_ms, reason, .. }) = &c.refused else { return String::new() };
    let at = date_time(at_unix_ms / 1000);
    let mut out = format!("configuration: in force {}; the file was refused {at}:\n", since(c.since_unix_ms, now));
    for line in reason.lines() {
        section(&mut out, &format!("  {line}"));
    }
    out
}

fn section(out: &mut String, title: &str) {
    out.push_str(title);
    out.push('\n');
}

fn none(text: &str) -> String {
    format!("  {text}\n")
}

fn ports(ports: &[Port]) -> String {
    let head = ["PORT", "NAME", "XDP", "LINK", "RX FRAMES", "TX FRAMES", "DROPPED"].map(str::to_owned).to_vec();
    let row = |p: &Port| {
        vec![
            PortNo(p.port).to_string(),
            p.name.clone(),
            p.mode.clone(),
            if p.link_up { "up" } else { "down" }.to_owned(),
            p.rx_packets.to_string(),
            p.tx_packets.to_string(),
            p.rx_dropped.to_string(),
        ]
    };
    let mut out = columns(&std::iter::once(head).chain(ports.iter().map(row)).collect::<Vec<_>>());
    for (name, warning) in ports.iter().filter_map(|p| Some((&p.name, p.warning.as_ref()?))) {
        // Writing to a String does not fail.
        let _ = writeln!(out, "  warning: {name}: {warning}");
    }
    out
}

/// A switch elsewhere.
fn switch_session(dpid: &str, session: &SwitchSession, now: u64) -> String {
    let mut out = format!("switch {dpid}: OpenFlow, profile {}, {}", session.profile, session.state);
    if let Some(at) = session.since_unix_ms {
        // Writing to a String does not fail.
        let _ = write!(out, " {}", since(at, now));
    }
    out.push('\n');
    match (&session.remote, &session.version) {
        (Some(remote), Some(version)) => {
            let bundles = if session.bundles { "changes in bundles" } else { "changes one by one" };
            let _ = writeln!(out, "  {remote} OpenFlow {version}, {bundles}, {} flows of ours", session.flows);
            let _ = writeln!(out, "  {}", session.description);
        }
        _ => {
            let _ = writeln!(out, "  waits at {}; the switch keeps its flows", session.endpoints.join(", "));
        }
    }
    if let Some(why) = &session.last_error {
        let _ = writeln!(out, "      last error: {why}");
    }
    if let Some(at) = session.batch_since_unix_ms {
        let _ = writeln!(out, "  a batch of flows is under way {}", since(at, now));
    }
    out += &session.fragments.as_ref().map_or_else(String::new, |f| fragments(f, now));
    for (title, refusal) in [("a batch of flows was refused", &session.refused), ("turned away", &session.turned_away)]
    {
        if let Some(Refusal { at_unix_ms, times, reason }) = refusal {
            let _ = writeln!(out, "      {title}, {times} in all, last {}: {reason}", date_time(at_unix_ms / 1000));
        }
    }
    out
}

/// What is wrong with later fragments on a switch elsewhere.
fn fragments(f: &Fragments, now: u64) -> String {
    if f.verdict == "sound" {
        return String::new();
    }
    let mut out = format!("  later IPv4 fragments: {}", f.verdict);
    if let Some(at) = f.since_unix_ms {
        let _ = write!(out, " {}", since(at, now));
    }
    let _ = writeln!(out, ", {} went through wamig, {} of them lost", f.detoured, f.lost);
    reason_and_remedy(&mut out, f.reason.as_ref(), f.remedy.as_ref());
    out
}

/// `since 2026-11-22 12:01:02Z (3 s)`.
fn since(unix_ms: u64, now: u64) -> String {
    format!("since {} ({})", date_time(unix_ms / 1000), ago(unix_ms, now))
}

fn reason_and_remedy(out: &mut String, reason: Option<&String>, remedy: Option<&String>) {
    for (title, text) in [("reason", reason), ("remedy", remedy)] {
        if let Some(text) = text {
            let _ = writeln!(out, "      {title}: {text}");
        }
    }
}

fn peers(peers: &[Peer], now: u64) -> String {
    if peers.is_empty() {
        return none("none configured");
    }
    let mut out = String::new();
    for p in peers {
        let _ = writeln!(out, "  {} {} {}", p.name, p.state, since(p.since_unix_ms, now));
        reason_and_remedy(&mut out, p.reason.as_ref(), p.remedy.as_ref());
    }
    out
}

fn controllers(lines: &[ControllerLine], now: u64) -> String {
    let mut out = String::new();
    for c in lines {
        let _ = write!(out, "  {} {}", c.endpoint, c.state);
        for (title, text) in [("", &c.remote), ("OpenFlow ", &c.version), ("", &c.role)] {
            if let Some(text) = text {
                let _ = write!(out, " {title}{text}");
            }
        }
        if let Some(at) = c.since_unix_ms {
            let _ = write!(out, " {}", since(at, now));
        }
        if c.queued_bytes > 0 {
            let _ = write!(out, ", {} bytes wait for it", c.queued_bytes);
        }
        if c.dropped_packet_ins + c.dropped_notices > 0 {
            let _ = write!(out, ", too slow for {} packet-ins, {} notices", c.dropped_packet_ins, c.dropped_notices);
        }
        out.push('\n');
        if let Some(why) = &c.last_error {
            let _ = writeln!(out, "      last error: {why}");
        }
    }
    out
}

fn addresses(addresses: &[Address], now: u64) -> String {
    if addresses.is_empty() {
        return none("none, neither at home here nor hosted nor seen");
    }
    let mut out = String::new();
    for a in addresses {
        let _ = write!(out, "  {} {} ({}) {}", a.address, a.state, a.role, since(a.since_unix_ms, now));
        let details = [("mac", &a.mac), ("peer", &a.peer), ("by way of", &a.transfer), ("epoch", &a.epoch)];
        for (title, text) in details {
            if let Some(text) = text {
                let _ = write!(out, ", {title} {text}");
            }
        }
        out.push('\n');
        reason_and_remedy(&mut out, a.reason.as_ref(), a.remedy.as_ref());
    }
    out
}

/// The reasons that occurred.
fn counters(counters: &BTreeMap<String, u64>) -> String {
    let seen: Vec<_> = counters.iter().filter(|(_, n)| **n > 0).map(|(name, n)| format!("{name} {n}")).collect();
    if seen.is_empty() { "nothing".to_owned() } else { seen.join(", ") }
}

fn timeline(events: &[Event], count: usize) -> String {
    let rows: Vec<_> = events
        .iter()
        .skip(events.len().saturating_sub(count))
        .map(|e| {
            vec![
                time_us(e.at_unix_us),
                e.address.clone().unwrap_or_else(|| "-".to_owned()),
                format!("{}{}", if e.alert { "! " } else { "" }, e.event),
                e.detail.clone(),
            ]
        })
        .collect();
    if rows.is_empty() { none("none") } else { columns(&rows) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::status::{LinkLine, SwitchLine};

    const JSON: &str = r#"{"site":"dc2","version":"0.1.0","uptime_s":3,
        "datapath":{"dpid":"0000000000000002","kind":"xdp","program":"general","ports":[
            {"port":1,"name":"up","mode":"native","link_up":true,"warning":null,"rx_packets":12,"rx_bytes":900,"tx_packets":3,"tx_bytes":180,"rx_dropped":0},
            {"port":2,"name":"srv","mode":"generic","link_up":false,"warning":"no native XDP","rx_packets":0,"rx_bytes":0,"tx_packets":0,"tx_bytes":0,"rx_dropped":1}]},
        "peers":[{"name":"dc1","state":"down","since_unix_ms":1795348862000,"reason":"connection refused","remedy":"start wamig at dc1"}],
        "addresses":[{"address":"192.0.2.53","mac":"02:00:00:00:00:53","role":"host","state":"SEEN","since_unix_ms":1795348862000,"peer":"dc1","transfer":null,"epoch":null,"reason":"home unreachable","remedy":"reach dc1"}],
        "pool":{"size":10,"ready":9,"in_use":0,"quarantined":1},
        "timeline":[{"at_unix_us":1795348862000001,"address":"192.0.2.53","event":"arp-seen","detail":"for 192.0.2.1","alert":false},
            {"at_unix_us":1795348862000002,"address":null,"event":"alert","detail":"x","alert":true}],
        "drops":{"table-miss":0,"no-output":4},"punts":{"action":2},"refused":{}}"#;

    #[test]
    fn a_stranger_sees_what_is_wrong_with_a_switch_elsewhere() {
        let session = SwitchSession {
            state: "up".into(),
            since_unix_ms: Some(1_795_348_862_000),
            remote: Some("127.0.0.1:6653".into()),
            version: Some("1.3".into()),
            profile: "ovs".into(),
            bundles: true,
            description: "Open vSwitch".into(),
            flows: 9,
            fragments: Some(Fragments {
                verdict: "damaged".into(),
                since_unix_ms: Some(1_795_348_862_000),
                detoured: 5,
                lost: 1,
                reason: Some("it changes them".into()),
                remedy: Some("use another".into()),
            }),
            batch_since_unix_ms: Some(1_795_348_920_000),
            refused: Some(Refusal { at_unix_ms: 1_795_348_863_000, times: 2, reason: "table full".into() }),
            ..SwitchSession::default()
        };
        let expected = "\
switch 1: OpenFlow, profile ovs, up since 2026-11-22 12:01:02Z (60 s)
  127.0.0.1:6653 OpenFlow 1.3, changes in bundles, 9 flows of ours
  Open vSwitch
  a batch of flows is under way since 2026-11-22 12:02:00Z (2 s)
  later IPv4 fragments: damaged since 2026-11-22 12:01:02Z (60 s), 5 went through wamig, 1 of them lost
      reason: it changes them
      remedy: use another
      a batch of flows was refused, 2 in all, last 2026-11-22 12:01:03Z: table full
";
        assert_eq!(switch_session("1", &session, 1_795_348_922_000), expected);
    }

    #[test]
    fn a_stranger_sees_what_is_wrong_since_when_and_what_to_do() {
        let status: Status = serde_json::from_str(JSON).unwrap();
        let expected = "\
site dc2: wamig 0.1.0, up 3 s
switch 0000000000000002: data path xdp, program general
  PORT  NAME  XDP      LINK  RX FRAMES  TX FRAMES  DROPPED
  1     up    native   up    12         3          0
  2     srv   generic  down  0          0          1
  warning: srv: no native XDP
peers:
  dc1 down since 2026-11-22 12:01:02Z (60 s)
      reason: connection refused
      remedy: start wamig at dc1
servers:
  192.0.2.53 SEEN (host) since 2026-11-22 12:01:02Z (60 s), mac 02:00:00:00:00:53, peer dc1
      reason: home unreachable
      remedy: reach dc1
transfer addresses: 9 of 10 ready, 0 in use, 1 in quarantine
dropped: no-output 4
sent up: action 2
refused: nothing
latest events (UTC):
  12:01:02.000001  192.0.2.53  arp-seen  for 192.0.2.1
  12:01:02.000002  -           ! alert   x
";
        assert_eq!(render(&status, 10, 1_795_348_922_000), expected);
        assert!(!render(&status, 1, 0).contains("arp-seen"), "only the latest");
    }

    #[test]
    fn each_of_several_switches_has_its_lines() {
        let mut status: Status = serde_json::from_str(JSON).unwrap();
        let session = |state: &str, why: Option<&str>| SwitchSession {
            state: state.to_owned(),
            since_unix_ms: Some(1_795_348_862_000),
            profile: "ovs".to_owned(),
            endpoints: vec!["ptcp:6654".to_owned()],
            remote: (state == "up").then(|| "192.0.2.9:40000".to_owned()),
            version: (state == "up").then(|| "1.3".to_owned()),
            last_error: why.map(str::to_owned),
            ..SwitchSession::default()
        };
        let line = |name: &str, session| SwitchLine { name: name.to_owned(), dpid: "21".to_owned(), session };
        status.datapath.switches =
            vec![line("leaf1", session("up", None)), line("leaf2", session("down", Some("it has gone")))];
        status.datapath.links = vec![LinkLine { ends: vec!["leaf1:t".into(), "leaf2:t".into()], up: false }];
        let text = render(&status, 0, 1_795_348_922_000);
        for line in [
            "switch leaf1 21: OpenFlow, profile ovs, up since 2026-11-22 12:01:02Z (60 s)\n",
            "switch leaf2 21: OpenFlow, profile ovs, down since 2026-11-22 12:01:02Z (60 s)\n",
            "  waits at ptcp:6654; the switch keeps its flows\n      last error: it has gone\n",
            "  link leaf1:t - leaf2:t: down\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
