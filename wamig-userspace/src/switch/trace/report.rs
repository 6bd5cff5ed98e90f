//! A trace as it is shown: the schema of `wamig trace -o json`.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use wamig_openflow::PacketInReason;

/// A frame's way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Trace {
    /// OpenFlow number of the ingress port.
    pub in_port: u32,
    /// The frame as received, hexadecimal.
    pub frame: String,
    /// What the tables match of it, ovs-ofctl syntax.
    pub flow: String,
    /// What happened, in order.
    pub steps: Vec<Step>,
    /// Why it takes the slow path; null = it does not.
    pub slow: Option<String>,
    /// Why it leaves by no port; null = it does leave.
    pub dropped: Option<String>,
    /// What is sent, in order.
    pub outputs: Vec<Output>,
}

/// One step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A table was searched.
    Table(Table),
    /// The action set begins to run.
    ActionSet,
    /// An action ran.
    Action(Action),
}

/// The search of a table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Table {
    /// Which table.
    pub table: u8,
    /// What it was searched for, if that differs from the frame received.
    pub flow: String,
    /// The masks tried, in order.
    pub tried: Vec<Tried>,
    /// The flow that matched, as `ovs-ofctl` writes it; null = none.
    pub matched: Option<String>,
    /// Its priority.
    pub priority: Option<u16>,
    /// Its cookie.
    pub cookie: Option<String>,
    /// Its instructions.
    pub instructions: Option<String>,
    /// Why every frame of it takes the slow path.
    pub slow: Option<String>,
}

/// One mask of a table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tried {
    /// The frame's fields under the mask.
    pub fields: String,
    /// Priority of the flow found under it; null = there is none.
    pub found: Option<u16>,
}

/// An action.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Action {
    /// What it is.
    pub action: String,
    /// What it changed in the frame.
    pub changes: Vec<String>,
    /// How it ended, unless the next action follows.
    pub end: Option<String>,
}

/// A frame that is sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Output {
    /// Port, or CONTROLLER.
    pub port: String,
    /// Of a packet-in: why.
    pub reason: Option<String>,
    /// Of a packet-in: the flow's cookie.
    pub cookie: Option<String>,
    /// Bytes of the whole frame.
    pub total_len: usize,
    /// The frame, or what of it is in the packet-in, hexadecimal.
    pub frame: String,
}

/// Two digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The reason's name.
pub(super) fn reason(reason: PacketInReason) -> &'static str {
    match reason {
        PacketInReason::NoMatch => "no_match",
        PacketInReason::Action => "action",
        PacketInReason::InvalidTtl => "invalid_ttl",
    }
}

impl Trace {
    /// For people: a block for each table, an indented line for each action, then what came
    /// of it.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String does not fail.
        let mut line = |text: String| {
            let _ = writeln!(out, "{text}");
        };
        line(format!("Frame: {} bytes from port {}", self.frame.len() / 2, self.in_port));
        line(format!("Flow: {}", if self.flow.is_empty() { "(no Ethernet header)" } else { &self.flow }));
        for step in &self.steps {
            match step {
                Step::Table(table) => table.lines(&mut line),
                Step::ActionSet => line("\naction set".to_owned()),
                Step::Action(action) => {
                    let mut text = format!("    {}", action.action);
                    if !action.changes.is_empty() {
                        let _ = write!(text, "  [{}]", action.changes.join(", "));
                    }
                    if let Some(end) = &action.end {
                        let _ = write!(text, "  => {end}");
                    }
                    line(text);
                }
            }
        }
        line(String::new());
        match &self.slow {
            Some(reason) => line(format!("Path: slow path ({reason})")),
            None => line("Path: fast path".to_owned()),
        }
        for output in &self.outputs {
            line(match (&output.reason, &output.cookie) {
                (Some(reason), cookie) => format!(
                    "Packet-in: {reason}, cookie {}, {} of {} bytes: {}",
                    cookie.as_deref().unwrap_or("none"),
                    output.frame.len() / 2,
                    output.total_len,
                    output.frame
                ),
                _ => format!("Output: port {}, {} bytes: {}", output.port, output.total_len, output.frame),
            });
        }
        if let Some(reason) = &self.dropped {
            line(format!("Dropped: {reason}"));
        }
        out
    }
}

impl Table {
    fn lines(&self, line: &mut impl FnMut(String)) {
        line(format!("\ntable {}", self.table));
        if !self.flow.is_empty() {
            line(format!("  searched for: {}", self.flow));
        }
        for (i, tried) in self.tried.iter().enumerate() {
            let fields = if tried.fields.is_empty() { "(any)" } else { &tried.fields };
            let found = tried.found.map_or("nothing".to_owned(), |p| format!("a flow of priority {p}"));
            line(format!("  mask {}: {fields}: {found}", i + 1));
        }
        match (&self.matched, self.priority, &self.cookie) {
            (Some(matched), Some(priority), Some(cookie)) => {
                let comma = if matched.is_empty() { "" } else { "," };
                line(format!("  matched: priority={priority}{comma}{matched}, cookie {cookie}"));
                line(format!("  actions={}", self.instructions.as_deref().unwrap_or("drop")));
            }
            _ => line("  no flow matched".to_owned()),
        }
        if let Some(reason) = &self.slow {
            line(format!("  needs the slow path: {reason}"));
        }
    }
}
