//! What would become of a frame, table by table, and why: the walk that every frame takes,
//! with someone watching. Nothing is sent, and nothing is counted.

mod frame;
mod observer;
mod report;

use bytes::Bytes;
use wamig_common::extract::{Layout, extract};
use wamig_common::key::FlowKey;
use wamig_common::native::walk_observed;
use wamig_common::verdict::{DropReason, Verdict};
use wamig_openflow::{Field, Match, PortNo};

pub use self::frame::{BuildError, build};
use self::observer::Watch;
pub use self::report::{Action, Output, Step, Table, Trace, Tried, hex};
use super::flow_table::FlowTables;
use super::port::Ports;
use super::slowpath;
use crate::fastpath::compile::{has_header, value_of};
use crate::fastpath::port_index;
use crate::fastpath::view::View;

/// What the tables match of a frame; `None` = it is shorter than an Ethernet header.
pub fn fields(frame: &[u8], in_port: PortNo) -> Option<Match> {
    let (mut key, mut layout) = (FlowKey::default(), Layout::default());
    extract(frame, in_port.0, &mut key, &mut layout)?;
    Some(fields_of(&key))
}

/// What a key says, as a match. A field that another frame could have in its place is left out.
fn fields_of(key: &FlowKey) -> Match {
    let mut fields = Match::any();
    for field in Field::ALL.iter().copied().filter(|f| *f != Field::InPhyPort && has_header(key, *f)) {
        let value = value_of(key, field);
        let absent = matches!(field, Field::VlanVid | Field::Metadata | Field::TunnelId | Field::Ipv6Exthdr);
        if value == 0 && absent {
            continue;
        }
        let with = fields.clone().with(field, value);
        if with.validate().is_ok() {
            fields = with;
        }
    }
    fields
}

/// Follows a frame through the tables.
pub(super) fn trace(tables: &FlowTables, view: &impl View, ports: &Ports, in_port: PortNo, frame: &[u8]) -> Trace {
    let index = port_index(in_port).unwrap_or(0);
    let mut watch = Watch::new(tables, view, in_port, frame);
    let outcome = walk_observed(view, in_port.0, index, frame, None, &mut watch);
    let mut steps = watch.into_steps();
    let slow = match outcome.verdict {
        Verdict::Slow(reason) => Some(reason.as_str()),
        Verdict::Done | Verdict::Drop(_) => None,
    };
    let mut verdict = outcome.verdict;
    if slow.is_some() {
        // The slow path begins anew, with the frame as received.
        let mut watch = Watch::new(tables, view, in_port, frame);
        let mut nowhere = |_: wamig_common::native::Emission<'_>| wamig_common::native::PASS;
        verdict = walk_observed(view, in_port.0, index, frame, Some(&mut nowhere), &mut watch).verdict;
        steps = watch.into_steps();
    }
    // Copies, so that nothing is counted and no meter charged.
    let mut beside = FlowTables::new(tables.tables(), 0);
    beside.groups = tables.groups.clone();
    let mut side = slowpath::Side { tables: &mut beside, now: None };
    let outputs: Vec<Output> = slowpath::walk(view, ports, &mut side, in_port, frame)
        .0
        .into_iter()
        .filter_map(|o| output(o, tables, ports))
        .collect();
    let sent = outputs.iter().any(|o| o.reason.is_none());
    let dropped = match verdict {
        _ if sent => None,
        Verdict::Drop(reason) => Some(reason.as_str()),
        // What the flows output to is closed or gone.
        Verdict::Done => Some(unsent(ports)),
        Verdict::Slow(reason) => Some(reason.as_str()),
    };
    Trace {
        in_port: in_port.0,
        frame: report::hex(frame),
        flow: fields(frame, in_port).map(|m| m.to_string()).unwrap_or_default(),
        steps,
        slow: slow.map(str::to_owned),
        dropped: if sent { None } else { dropped.map(str::to_owned) },
        outputs,
    }
}

fn unsent(ports: &Ports) -> &'static str {
    let closed = ports.numbers().any(|p| !ports.forwards(p));
    if closed { DropReason::PortForwardsNot.as_str() } else { DropReason::NoPort.as_str() }
}

fn output(output: slowpath::Output, tables: &FlowTables, ports: &Ports) -> Option<Output> {
    match output {
        slowpath::Output::Port(port, frame) => Some(Output {
            port: port.to_string(),
            reason: None,
            cookie: None,
            total_len: frame.len(),
            frame: report::hex(&frame),
        }),
        slowpath::Output::Controller(frame) => {
            let in_port = frame.in_port;
            let message = frame.into_message(tables);
            let silent = message.reason == wamig_openflow::PacketInReason::NoMatch && !ports.tells_misses(in_port);
            (!silent).then(|| Output {
                port: PortNo::CONTROLLER.to_string(),
                reason: Some(report::reason(message.reason).to_owned()),
                cookie: Some(message.cookie.to_string()),
                total_len: usize::from(message.total_len),
                frame: report::hex(&message.data),
            })
        }
        // Packet-outs alone go through the tables from within an action.
        slowpath::Output::Pipeline(_) => None,
    }
}

/// Bytes out of hexadecimal digits, which may be separated by spaces or colons.
///
/// # Errors
/// Where something else stands, or that a digit is missing.
pub fn unhex(text: &str) -> Result<Bytes, String> {
    let mut digits = Vec::new();
    for (at, c) in text.chars().enumerate().filter(|(_, c)| !c.is_whitespace() && *c != ':') {
        let digit = c.to_digit(16).ok_or_else(|| format!("character {}: {c:?} is no hexadecimal digit", at + 1))?;
        digits.push(digit as u8);
    }
    if digits.len() % 2 != 0 {
        return Err(format!("{} hexadecimal digits are no whole number of bytes", digits.len()));
    }
    Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests;
