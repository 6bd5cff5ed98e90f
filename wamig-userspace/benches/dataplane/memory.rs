//! Group `memory`: what the maps hold for so many flows, and what the writer keeps beside.

use std::fs;

use super::Options;
use super::data_path::DataPath;
use super::row::Row;
use super::rules::{compiled, exact};

const GROUP: &str = "memory";
const MIB: f64 = 1024.0 * 1024.0;

/// Memory of all BPF maps that this process holds, in bytes.
fn maps() -> u64 {
    let mut seen = std::collections::BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fdinfo").into_iter().flatten().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        let field = |name: &str| {
            let line = text.lines().find(|l| l.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        if let (Some(id), Some(bytes)) = (field("map_id:"), field("memlock:")) {
            seen.insert(id, bytes);
        }
    }
    seen.values().sum()
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    pages * 4096
}

/// Measures, and prints the rows.
pub fn measure(options: &Options) {
    let sizes: &[u32] = if options.quick { &[1000, 100_000] } else { &[1000, 100_000, 1_000_000] };
    for n in sizes {
        let flows = compiled(&exact(*n, 1));
        let before = resident();
        let mut path = DataPath::loopback(n + 1024);
        // In batches as a controller would send them.
        for part in flows.chunks(4096) {
            path.install(part);
        }
        let own = resident().saturating_sub(before);
        for (name, bytes) in [("maps", maps()), ("writer", own)] {
            let mut row = Row::new(GROUP, format!("{n} flows, {name}"), "MiB");
            row.samples.push(bytes as f64 / MIB);
            row.notes.push(("bytes per flow".to_owned(), bytes as f64 / f64::from(*n)));
            row.print();
        }
    }
}
