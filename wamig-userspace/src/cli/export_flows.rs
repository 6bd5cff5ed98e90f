//! `wamig export-flows`.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::Target;
use crate::admin::client;
use crate::admin::flow::{FlowFilter, FlowLine};

/// Print the flows of one server as ovs-ofctl reads them
///
/// Prints every flow in force that matches or writes the address, a line for each, with the
/// port numbers of the switch that has them. `ovs-ofctl -O OpenFlow13 add-flows BRIDGE FILE`
/// loads them into a switch, which then serves the server without a controller.
///
/// With several switches the lines of each stand behind a comment with its name, those of
/// its links among them: cut the file there, one part for each bridge.
///
/// What the flows leave alone goes on to table 1, wamig's learning switch; with --normal it
/// goes to the switch's own forwarding instead, for a switch that has no such table.
///
/// Examples:
///   wamig export-flows 192.0.2.53 > flows
///   wamig export-flows 192.0.2.53 --normal
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The server's IP address, or its transfer address
    #[arg(value_name = "ADDRESS")]
    address: IpAddr,
    /// Let the switch's own forwarding have what goes on to table 1
    #[arg(long)]
    normal: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let filter = FlowFilter { address: Some(arguments.address), ..FlowFilter::default() };
    let resource = format!("/v1/flows?{}", filter.to_query());
    let flows: Vec<FlowLine> = client::get_json(&arguments.target.socket()?, &resource)?;
    anyhow::ensure!(
        flows.iter().any(|f| !f.link),
        "no flow names {}; `wamig status` tells which servers there are",
        arguments.address
    );
    super::print(&lines(flows, arguments.normal))
}

fn lines(mut flows: Vec<FlowLine>, normal: bool) -> String {
    flows.sort_by(|a, b| {
        (&a.switch, a.table, b.priority, &a.matching).cmp(&(&b.switch, b.table, a.priority, &b.matching))
    });
    let mut out = String::new();
    let mut switch = &None;
    for flow in &flows {
        if flow.switch != *switch {
            switch = &flow.switch;
            let _ = writeln!(out, "# switch {}", switch.as_deref().unwrap_or_default());
        }
        let comma = if flow.matching.is_empty() { "" } else { "," };
        let actions = if normal { flow.actions.replace("goto_table:1", "NORMAL") } else { flow.actions.clone() };
        // Writing to a String does not fail.
        let _ = writeln!(
            out,
            "cookie={},table={},priority={}{comma}{},actions={actions}",
            flow.cookie, flow.table, flow.priority, flow.matching
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use wamig_openflow::FlowMod;

    use super::*;

    #[test]
    fn each_line_reads_back_as_the_flow() {
        let flow = FlowLine {
            switch: None,
            link: false,
            table: 0,
            priority: 49100,
            cookie: "0x574d000000000001".to_owned(),
            matching: "arp,arp_spa=192.0.2.53".to_owned(),
            actions: "CONTROLLER:65535,goto_table:1".to_owned(),
            packets: 3,
            bytes: 180,
            duration_s: 1.0,
            idle_s: 0.0,
            slow: None,
            text: String::new(),
        };
        let text = lines(vec![flow.clone()], false);
        let read: FlowMod = text.trim_end().parse().unwrap();
        assert_eq!((read.priority, read.matching.to_string()), (49100, flow.matching.clone()));
        assert_eq!(read.instructions.to_string(), flow.actions);
        assert!(lines(vec![flow.clone()], true).ends_with("actions=CONTROLLER:65535,NORMAL\n"));
        let link = FlowLine {
            switch: Some("b".to_owned()),
            link: true,
            cookie: "0x4642000000000003".to_owned(),
            ..flow.clone()
        };
        let text = lines(vec![link, FlowLine { switch: Some("a".to_owned()), ..flow }], false);
        let begins: Vec<_> = text.lines().map(|line| &line[..line.len().min(16)]).collect();
        assert_eq!(begins, ["# switch a", "cookie=0x574d000", "# switch b", "cookie=0x4642000"]);
    }
}
