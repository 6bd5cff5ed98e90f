//! Rows, their medians and spreads, and the table of them.

use std::fmt::Write as _;
use std::fs;

use serde::{Deserialize, Serialize};

/// A row as the measuring program prints it.
#[derive(Deserialize, Serialize, Clone, Debug, Default)]
pub struct Row {
    /// Group.
    pub group: String,
    /// Name.
    pub name: String,
    /// What the samples count.
    pub unit: String,
    /// One for each round.
    pub samples: Vec<f64>,
    /// Further figures.
    #[serde(default)]
    pub notes: Vec<(String, f64)>,
    /// Why there are no samples.
    #[serde(default)]
    pub missing: Option<String>,
}

impl Row {
    /// The median; `None` without samples.
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }

    /// Least and most.
    pub fn spread(&self) -> (f64, f64) {
        self.samples.iter().fold((f64::INFINITY, 0.0), |(least, most), s| (least.min(*s), most.max(*s)))
    }
}

/// The median of a row.
pub fn median(rows: &[Row], group: &str, name: &str) -> Option<f64> {
    rows.iter().find(|r| r.group == group && r.name == name)?.median()
}

/// Nanoseconds that a program takes beyond one that does nothing.
pub fn net(rows: &[Row], name: &str) -> Option<f64> {
    Some(median(rows, "test-run", name)? - median(rows, "test-run", "empty")?)
}

/// The machine, in one line.
pub fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model =
        cpuinfo.lines().find_map(|l| l.strip_prefix("model name")).unwrap_or("").trim_start_matches([' ', '\t', ':']);
    let cpus = cpuinfo.lines().filter(|l| l.starts_with("processor")).count();
    let load = read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ");
    format!("{cpus} x {model}, Linux {}, load {load}", read("/proc/sys/kernel/osrelease").trim())
}

/// Groups in which Open vSwitch is what wamig is compared with.
const BESIDE_OVS: [&str; 3] = ["control", "punt", "latency"];

/// All rows.
pub fn table(rows: &[Row]) -> String {
    let mut out = String::new();
    let mut group = "";
    for row in rows {
        if row.group != group {
            group = &row.group;
            let head = format!("{group} ({})", row.unit);
            let _ = writeln!(
                out,
                "
{head:<56} {:>9} {:>19} {:>9}",
                "median",
                "least..most",
                if BESIDE_OVS.contains(&group) { "of OVS" } else { "of limit" }
            );
        }
        let Some(median) = row.median() else {
            let why = row.missing.as_deref().unwrap_or("no samples");
            let _ = writeln!(out, "{:<56} not measured: {why}", row.name);
            continue;
        };
        let (least, most) = row.spread();
        let ratio = of_limit(rows, row).map_or(String::new(), |r| format!("{r:.2}x"));
        let notes: Vec<String> = row.notes.iter().map(|(name, n)| format!("{name} {n:.0}")).collect();
        let (median, least, most) = (short(median), short(least), short(most));
        let range = format!("{least}..{most}");
        let _ = writeln!(out, "{:<56} {median:>9} {range:>19} {ratio:>9}  {}", row.name, notes.join(", "));
    }
    out
}

fn short(n: f64) -> String {
    if n < 10.0 { format!("{n:.1}") } else { format!("{n:.0}") }
}

/// What a row costs beside the limit program: for `test-run` net of the empty program. For
/// those beside Open vSwitch: of its figure.
fn of_limit(rows: &[Row], row: &Row) -> Option<f64> {
    match row.group.as_str() {
        "test-run" if row.name != "empty" => Some(net(rows, &row.name)? / net(rows, "limit")?),
        "veth" => {
            let limit = if row.name.ends_with(", 1024 rules") { "limit, 1024 rules" } else { "limit" };
            Some(row.median()? / median(rows, "veth", limit)?)
        }
        group if BESIDE_OVS.contains(&group) => {
            let what = row.name.strip_prefix("wamig, ")?;
            Some(row.median()? / median(rows, group, &format!("OVS netdev, {what}"))?)
        }
        _ => None,
    }
}
