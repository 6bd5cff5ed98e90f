//! What `ofproto/trace` prints (ovs-vswitchd(8)).

use super::action::{DpAction, actions};
use super::flow::{self, Flow};

/// What Open vSwitch makes of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// What it reads out of the frame.
    pub flow: Flow,
    /// Flows met, table by table, by cookie; `None` = miss.
    pub path: Vec<(u8, Option<u64>)>,
    /// What its datapath is to do.
    pub actions: Vec<DpAction>,
    /// The text.
    pub text: String,
}

/// Reads the text; an error names what is not understood.
pub fn read(text: &str) -> Result<Trace, String> {
    let fail = |what: &str| format!("{what} in:\n{text}");
    let mut path = Vec::new();
    let mut found = None;
    let first = text.strip_prefix("Flow: ").and_then(|t| t.lines().next());
    let flow = first.and_then(flow::read).ok_or_else(|| fail("no \"Flow\" that is understood"))?;
    for line in text.lines() {
        if let Some(list) = line.strip_prefix("Datapath actions: ") {
            if found.is_some() {
                return Err(fail("a second \"Datapath actions\""));
            }
            found = Some(actions(list).map_err(|e| fail(&e))?);
        } else if let Some((table, flow)) = step(line) {
            path.push((table, flow));
        }
    }
    let actions = found.ok_or_else(|| fail("no \"Datapath actions\""))?;
    Ok(Trace { flow, path, actions, text: text.to_owned() })
}

/// ` 1. ip, priority 5, cookie 0x6` or ` 1. No match.`
fn step(line: &str) -> Option<(u8, Option<u64>)> {
    let (table, flow) = line.trim_start().split_once(". ")?;
    let table = table.parse().ok()?;
    if flow == "No match." {
        return Some((table, None));
    }
    let (_, priority) = flow.rsplit_once("priority ")?;
    let cookie = priority.split_once("cookie 0x").map_or(Some(0), |(_, c)| u64::from_str_radix(c, 16).ok())?;
    Some((table, Some(cookie)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_flows_misses_and_actions() {
        let text = "Flow: ip,nw_ttl=3\n\nbridge(\"br0\")\n-----\n 0. ip, priority 5, cookie 0x5\n    goto_table:1\n     1. No match.\n\
                    \x20           drop\n\nFinal flow: unchanged\nMegaflow: eth\nDatapath actions: 2,drop\n";
        let trace = read(text).unwrap();
        assert_eq!(trace.flow.ttl, 3);
        assert_eq!(trace.path, [(0, Some(5)), (1, None)]);
        assert_eq!(trace.actions, [DpAction::Output(2), DpAction::Drop]);
        assert!(read("Flow: x\n").is_err());
    }
}
