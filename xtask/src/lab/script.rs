//! How a play is told: headings, steps, timelines and flows on a terminal.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use super::dns::Data;
use super::status::{Flow, Status};
use super::timeline::{self, Line, millis};
use super::topology::Site;

/// Prints what both sites noted from `from` on, and the first answers at the client's addresses,
/// in milliseconds after `zero`.
pub fn show_timeline(statuses: &[Status], from: u64, zero: u64, answers: &[(u64, IpAddr)], site: Site) {
    let mut lines = timeline::merge(statuses, from);
    lines.extend(answers.iter().map(|(at_us, client)| {
        let detail = format!("{} at {client}", site.name());
        Line { at_us: *at_us, place: "client".into(), event: "first answer".into(), detail }
    }));
    lines.sort_by_key(|line| line.at_us);
    println!("\n{}", timeline::render(&lines, zero));
}

/// Longest line of a flow; what is longer has its actions on the next.
const WIDE: usize = 130;

/// The flows of a switch, aligned.
pub fn render_flows(flows: &[Flow]) -> String {
    let short = |flow: &&Flow| flow.matching.len() + flow.actions.len() + 30 <= WIDE;
    let width = flows.iter().filter(short).map(|flow| flow.matching.len()).max().unwrap_or(0);
    let mut text = String::new();
    for flow in flows {
        let Flow { table, priority, matching, actions, packets, .. } = flow;
        let every = if matching.is_empty() { "*" } else { matching };
        let _ = if short(&flow) {
            writeln!(text, "    table={table} {priority:>5} n={packets:<5} {every:<width$}  {actions}")
        } else {
            writeln!(text, "    table={table} {priority:>5} n={packets:<5} {every}\n{:28}{actions}", "")
        };
    }
    text
}

/// The state of the transfer addresses.
pub fn pool(status: &Status) -> String {
    let pool = status.pool;
    format!("{} ready, {} in use, {} in quarantine", pool.ready, pool.in_use, pool.quarantined)
}

/// What an answer said.
pub fn text(data: &Data) -> String {
    match data {
        Data::Address(address) => address.to_string(),
        Data::Text(text) => format!("{text:?}"),
    }
}

/// The heading of an act.
pub fn act(title: &str, why: &str) {
    println!("\n── {title}: {why}\n");
}

/// One thing that is done, and why.
pub fn step(what: &str) {
    println!("  {what}");
}

/// A question, its answer and how long that took.
pub fn said(question: &str, answer: &str, took: Duration) {
    println!("  {question} → {answer} ({:.1} ms)", millis(took.as_micros() as u64));
}
