//! `wamig trace`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use wamig_openflow::{Action, Field, FlowMod, Match, PortDesc, PortNo};

use super::{Format, Target};
use crate::admin::client;
use crate::admin::trace::TraceRequest;
use crate::fastpath::memory::{Memory, MemoryMaps};
use crate::switch::port::Ports;
use crate::switch::trace::{Trace, build, unhex};
use crate::switch::{Limits, Switch};

/// Follow a frame through the tables
///
/// Tells table by table which flow takes the frame and why, what each action changes, whether
/// the frame takes the slow path and why, and what is sent in the end. Nothing is sent or
/// counted. The frame is given in hexadecimal digits, from the destination MAC on, or by its
/// fields in the syntax of ovs-ofctl: then the shortest such frame is made. With --flows, the
/// tables are read from a file and no daemon is asked.
///
/// Examples:
///   wamig trace in_port=1,tcp,nw_dst=192.0.2.53,tp_dst=80
///   wamig trace --in-port 2 "02 00 00 00 00 02 02 00 00 00 00 01 08 06 ..."
///   wamig trace --flows flows.txt in_port=1,arp -o json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = Format::Table, value_name = "FORM")]
    output: Format,
    /// Where the frame comes in: a port's number, or LOCAL
    #[arg(long, value_name = "PORT")]
    in_port: Option<PortNo>,
    /// Read the flows from this file, a line each as for ovs-ofctl add-flows
    #[arg(long, value_name = "FILE", conflicts_with_all = ["socket", "config"])]
    flows: Option<PathBuf>,
    /// The frame: hexadecimal digits, or fields such as in_port=1,tcp,tp_dst=80
    #[arg(value_name = "FRAME|FLOW")]
    frame: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let request = request(&arguments.frame, arguments.in_port)?;
    let trace = if let Some(file) = &arguments.flows {
        offline(file, &request)?
    } else {
        let resource = format!("/v1/trace?{}", request.to_query());
        client::get_json::<Trace>(&arguments.target.socket()?, &resource)?
    };
    match arguments.output {
        Format::Json => super::print(&(serde_json::to_string(&trace)? + "\n")),
        Format::Table => super::print(&trace.text()),
    }
}

/// What is asked for: a frame and where it comes in.
fn request(text: &str, in_port: Option<PortNo>) -> anyhow::Result<TraceRequest> {
    let digits = |c: char| c.is_ascii_hexdigit() || c.is_whitespace() || c == ':';
    let missing =
        || anyhow!("where does the frame come in? Name the port with --in-port, or with in_port=N in the flow");
    if !text.is_empty() && text.chars().all(digits) {
        let frame = unhex(text).map_err(|e| anyhow!("the frame: {e}"))?;
        return Ok(TraceRequest { in_port: in_port.ok_or_else(missing)?, frame });
    }
    let flow: Match = text
        .parse()
        .map_err(|e| anyhow!("{e}; a frame is hexadecimal digits or fields such as in_port=1,tcp,tp_dst=80"))?;
    let named = flow.get(Field::InPort).map(|m| PortNo(m.value as u32));
    if let (Some(a), Some(b)) = (named, in_port)
        && a != b
    {
        bail!("in_port={a} in the flow and --in-port {b} contradict each other");
    }
    let frame: Bytes = build(&flow)?;
    Ok(TraceRequest { in_port: named.or(in_port).ok_or_else(missing)?, frame })
}

/// Traces over a switch of its own.
fn offline(file: &Path, request: &TraceRequest) -> anyhow::Result<Trace> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mods = flows(&text).map_err(|e| anyhow!("{}:{e}", file.display()))?;
    let mut numbers = vec![request.in_port];
    for action in mods.iter().flat_map(|m| m.instructions.apply.iter().chain(&m.instructions.write)) {
        match action {
            Action::Output { port, .. } if *port == PortNo::LOCAL || port.reserved_name().is_none() => {
                numbers.push(*port);
            }
            _ => {}
        }
    }
    let port = |port| PortDesc { port, link_up: true, ..PortDesc::default() };
    let ports = Ports::new(numbers.into_iter().map(port));
    let mut switch = Switch::new(Memory::new(MemoryMaps::default()), ports, Limits::default());
    let now = Instant::now();
    switch.apply(mods, now).map_err(|e| anyhow!("{}: {e}", file.display()))?;
    Ok(switch.trace(request.in_port, &request.frame)?)
}

/// Flows, a line each; `#` begins a comment. An error begins with the number of its line.
fn flows(text: &str) -> Result<Vec<FlowMod>, String> {
    let mut mods = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if !line.is_empty() {
            mods.push(line.parse().map_err(|e| format!("{}: {e}", i + 1))?);
        }
    }
    Ok(mods)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, in_port: Option<PortNo>) -> String {
        request(text, in_port).unwrap_err().to_string()
    }

    #[test]
    fn a_frame_is_digits_or_fields() {
        let one = Some(PortNo(1));
        assert_eq!(request("02 00:0a", one).unwrap().frame, [2, 0, 10][..]);
        let named = request("in_port=3,arp", None).unwrap();
        assert_eq!((named.in_port, &named.frame[12..14]), (PortNo(3), &[8u8, 6][..]));
        assert_eq!(request("arp", Some(PortNo::LOCAL)).unwrap().in_port, PortNo::LOCAL);
    }

    #[test]
    fn what_is_unclear_is_named() {
        let one = Some(PortNo(1));
        assert!(said("020", one).contains("3 hexadecimal digits"));
        assert!(said("0200", None).contains("--in-port"));
        assert!(said("in_port=2,arp", one).contains("contradict"));
        assert!(said("ip,nw_dst=10.0.0", one).starts_with("\"10.0.0\""), "{}", said("ip,nw_dst=10.0.0", one));
        assert!(said("nonsense", one).starts_with("\"nonsense\""));
    }

    #[test]
    fn a_file_of_flows_needs_no_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("flows");
        std::fs::write(&file, "# two tables\ntable=0,priority=5,ip actions=goto_table:1\n\ntable=1 actions=output:7\n")
            .unwrap();
        let asked = request("in_port=2,ip", None).unwrap();
        let trace = offline(&file, &asked).unwrap();
        assert_eq!(trace.outputs.len(), 1);
        assert_eq!(trace.outputs[0].port, "7");
        std::fs::write(&file, "table=0 actions=output:1\ntable=0 actions=fly\n").unwrap();
        let said = offline(&file, &asked).unwrap_err().to_string();
        assert!(said.contains("flows:2: \"fly\""), "{said}");
    }
}
