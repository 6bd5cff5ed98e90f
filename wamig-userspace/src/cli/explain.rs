//! `wamig explain`.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::layout::{ago, columns, date_time, now_unix_ms};
use super::{Format, Target};
use crate::admin::client;
use crate::admin::explain::{Entry, Explanation};

/// Explain where a server is, and how it came there
///
/// Tells the address's state at this site, since when, why, what it waits for and what can be
/// done; then the latest entries of the audit log, which the daemon keeps as audit.jsonl in its
/// state directory and only ever appends to.
///
/// Examples:
///   wamig explain 192.0.2.53
///   wamig explain 192.0.2.53 -o json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = Format::Table, value_name = "FORM")]
    output: Format,
    /// The server's IP address
    #[arg(value_name = "ADDRESS")]
    address: IpAddr,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let resource = format!("/v1/explain?address={}", arguments.address);
    let socket = arguments.target.socket()?;
    match arguments.output {
        Format::Json => super::print(&(client::get(&socket, &resource)? + "\n")),
        Format::Table => {
            let explanation = client::get_json(&socket, &resource)?;
            super::print(&text(arguments.address, &explanation, now_unix_ms()))
        }
    }
}

fn text(address: IpAddr, explanation: &Explanation, now: u64) -> String {
    let mut out = String::new();
    let site = &explanation.site;
    // Writing to a String does not fail.
    match &explanation.now {
        None => {
            let _ = writeln!(out, "{address}: site {site} has nothing to do with it at present");
        }
        Some(a) => {
            let part = if a.role == "home" { "its home" } else { "a host of it" };
            let since = ago(a.since_unix_ms, now);
            let _ = writeln!(out, "{address}: {} at site {site}, {part}, for {since}", a.state);
            let mut line = |what: &str, value: Option<&String>| {
                if let Some(value) = value {
                    let _ = writeln!(out, "  {what}: {value}");
                }
            };
            line("with", a.peer.as_ref());
            line("by transfer address", a.transfer.as_ref());
            line("epoch", a.epoch.as_ref());
            line("because", a.reason.as_ref());
            line("waits", explanation.waits_for.as_ref());
            line("what to do", a.remedy.as_ref());
        }
    }
    if explanation.history.is_empty() {
        out += "no change of it was ever recorded here\n";
        return out;
    }
    out += "latest changes (UTC):\n";
    let row = |e: &Entry| {
        let change = format!("{} -> {}", e.from, e.to);
        vec![date_time(e.at_unix_us / 1_000_000), e.verb.clone(), change, e.epoch.clone(), e.reason.clone()]
    };
    out + &columns(&explanation.history.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::admin::status::Address;

    #[test]
    fn a_stranger_reads_what_happened_since_when_and_what_to_do() {
        let address = Address {
            address: "192.0.2.53".to_owned(),
            mac: None,
            role: "home".to_owned(),
            state: "STALE".to_owned(),
            since_unix_ms: 1_000,
            peer: Some("dc2".to_owned()),
            transfer: Some("198.51.100.200".to_owned()),
            epoch: Some("1.3".to_owned()),
            reason: Some("peer silent".to_owned()),
            remedy: Some("Restore the session to dc2.".to_owned()),
        };
        let entry = Entry {
            at_unix_us: 1_000_000,
            verb: "automatic".to_owned(),
            address: "192.0.2.53".to_owned(),
            role: "home".to_owned(),
            from: "AWAY".to_owned(),
            to: "STALE".to_owned(),
            epoch: "1.3".to_owned(),
            reason: "dc2 is down; its flows stay".to_owned(),
        };
        let mut explanation = Explanation {
            site: "dc1".to_owned(),
            now: Some(address),
            waits_for: Some("for dc2 to be heard again".to_owned()),
            history: vec![entry],
        };
        let server = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53));
        let expected = "192.0.2.53: STALE at site dc1, its home, for 61 s\n  with: dc2\n  \
                        by transfer address: 198.51.100.200\n  epoch: 1.3\n  because: peer silent\n  \
                        waits: for dc2 to be heard again\n  what to do: Restore the session to dc2.\n\
                        latest changes (UTC):\n  1970-01-01 00:00:01Z  automatic  AWAY -> STALE  1.3  dc2 is down; its flows stay\n";
        assert_eq!(text(server, &explanation, 62_000), expected);
        explanation = Explanation { now: None, waits_for: None, history: Vec::new(), ..explanation };
        assert_eq!(
            text(server, &explanation, 62_000),
            "192.0.2.53: site dc1 has nothing to do with it at present\nno change of it was ever recorded here\n"
        );
    }
}
