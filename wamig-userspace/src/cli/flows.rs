//! `wamig flows`.

use std::fmt::Write as _;
use std::net::IpAddr;

use wamig_openflow::TableId;

use super::{Format, Target};
use crate::admin::client;
use crate::admin::flow::{FlowFilter, FlowLine, FlowPattern};

/// Show the flows of the switch
///
/// Prints a line for each flow as ovs-ofctl dump-flows does: highest priority first, table by
/// table. A flow whose frames take the slow path says why at the end of its line. Ports, cookies
/// and priorities are those of the switch that has the flow.
///
/// Examples:
///   wamig flows --table 0
///   wamig flows table=0,ip,nw_dst=192.0.2.0/24
///   wamig flows cookie=0x574d000000000000/0xffff000000000000,out_port=1
///   wamig flows --address 192.0.2.53 -o json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Only flows that this means, in the syntax of ovs-ofctl dump-flows: what they match is within
    /// the match given
    #[arg(value_name = "FLOW")]
    flow: Option<FlowPattern>,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = Format::Table, value_name = "FORM")]
    output: Format,
    /// Only flows of this table (0 steers, 1 knows sources, 2 forwards)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=254))]
    table: Option<u8>,
    /// Only flows that match or write this IP address
    #[arg(long, value_name = "ADDRESS")]
    address: Option<IpAddr>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let filter =
        FlowFilter { table: arguments.table.map(TableId), address: arguments.address, flow: arguments.flow.clone() };
    let resource = format!("/v1/flows?{}", filter.to_query());
    let socket = arguments.target.socket()?;
    match arguments.output {
        Format::Json => super::print(&(client::get(&socket, &resource)? + "\n")),
        Format::Table => super::print(&lines(client::get_json(&socket, &resource)?)),
    }
}

fn lines(mut flows: Vec<FlowLine>) -> String {
    flows.sort_by(|a, b| {
        (&a.switch, a.table, b.priority, &a.matching).cmp(&(&b.switch, b.table, a.priority, &b.matching))
    });
    let mut out = String::new();
    let mut switch = &None;
    for flow in &flows {
        if flow.switch != *switch {
            switch = &flow.switch;
            let _ = writeln!(out, "switch {}:", switch.as_deref().unwrap_or_default());
        }
        // Writing to a String does not fail.
        let _ = write!(out, " {}", flow.text);
        if let Some(reason) = &flow.slow {
            let _ = write!(out, " # slow path: {reason}");
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(table: u8, priority: u16, text: &str, slow: Option<&str>) -> FlowLine {
        FlowLine {
            switch: None,
            link: false,
            table,
            priority,
            cookie: "0x0".to_owned(),
            matching: String::new(),
            actions: String::new(),
            packets: 0,
            bytes: 0,
            duration_s: 0.0,
            idle_s: 0.0,
            slow: slow.map(str::to_owned),
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_flow_that_wins_stands_first() {
        let flows = vec![
            flow(1, 0, "miss", None),
            flow(0, 0, "steer", None),
            flow(0, 50100, "to the server", Some("several-outputs")),
        ];
        assert_eq!(lines(flows), " to the server # slow path: several-outputs\n steer\n miss\n");
        assert_eq!(lines(vec![]), "");
        let of = |switch: &str, text| FlowLine { switch: Some(switch.to_owned()), ..flow(0, 1, text, None) };
        let several = lines(vec![of("b", "x"), of("a", "y"), of("b", "z")]);
        assert_eq!(several, "switch a:\n y\nswitch b:\n x\n z\n");
    }
}
