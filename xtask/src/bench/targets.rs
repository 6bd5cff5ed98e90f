//! What is aimed at: ratios within one run, since the nanoseconds of two runs compare nothing.

use std::fmt::Write as _;

use super::report::{Row, median, net};

/// A target.
struct Target {
    what: &'static str,
    /// Whether less is better.
    at_most: bool,
    aim: f64,
    stretch: f64,
    measured: fn(&[Row]) -> Option<f64>,
}

fn net_ratio(rows: &[Row], name: &str, to: &str) -> Option<f64> {
    Some(net(rows, name)? / net(rows, to)?)
}

fn veth_ratio(rows: &[Row], name: &str, to: &str) -> Option<f64> {
    Some(median(rows, "veth", to)? / median(rows, "veth", name)?)
}

fn control_ratio(rows: &[Row], what: &str) -> Option<f64> {
    let rate = |switch: &str| median(rows, "control", &format!("{switch}, {what}"));
    Some(rate("wamig")? / rate("OVS netdev")?)
}

/// What a million flows take of a core.
fn of_a_core(rows: &[Row], what: &str) -> Option<f64> {
    Some(median(rows, "upkeep", &format!("1000000 flows {what}"))? / 100.0)
}

/// Frames lost or wrong of those sent beside the storms of 100 000 flow-mods, the worse of the two.
fn storm_loss(rows: &[Row]) -> Option<f64> {
    let beside = rows.iter().filter(|row| row.name.starts_with("wamig, 100000") && row.name.ends_with("a stream"));
    let share = |row: &Row| {
        let count = |name: &str| row.notes.iter().find(|(known, _)| known == name).map(|(_, n)| *n);
        Some((count("lost")? + count("wrong")?) / count("frames")?)
    };
    beside.filter_map(share).reduce(f64::max)
}

const TARGETS: [Target; 17] = [
    Target {
        what: "1 migration rule, net ns, of the limit's",
        at_most: true,
        aim: 1.5,
        stretch: 1.2,
        measured: |rows| net_ratio(rows, "1 migration rule", "limit"),
    },
    Target {
        what: "AWAY tables, net ns, of the limit's",
        at_most: true,
        aim: 2.0,
        stretch: 1.5,
        measured: |rows| net_ratio(rows, "AWAY tables", "limit"),
    },
    Target {
        what: "64 masks cold, net ns, of 1 mask cold",
        at_most: true,
        aim: 6.0,
        stretch: 3.0,
        measured: |rows| net_ratio(rows, "64 masks, cold", "1 masks, cold"),
    },
    Target {
        what: "a scan (every frame new), net ns, of no cache's",
        at_most: true,
        aim: 1.15,
        stretch: 1.05,
        measured: |rows| net_ratio(rows, "1 masks, cold", "1 masks, cold, no cache"),
    },
    Target {
        what: "100 k rules, 1 k active: speed, of 1 rule's",
        at_most: false,
        aim: 0.80,
        stretch: 0.95,
        measured: |rows| net_ratio(rows, "1 migration rule", "100 k rules, 1 k active"),
    },
    Target {
        what: "veth, 1 rule: speed, of the limit's",
        at_most: false,
        aim: 0.85,
        stretch: 0.95,
        measured: |rows| veth_ratio(rows, "wamig", "limit"),
    },
    Target {
        what: "veth, 1024 rules: speed, of the limit's",
        at_most: false,
        aim: 0.85,
        stretch: 0.95,
        measured: |rows| veth_ratio(rows, "wamig, 1024 rules", "limit, 1024 rules"),
    },
    Target {
        what: "veth, 10 tables: speed, of the limit's",
        at_most: false,
        aim: 0.80,
        stretch: 0.90,
        measured: |rows| veth_ratio(rows, "wamig, 10 tables", "limit"),
    },
    Target {
        what: "veth, 16 masks: speed, of the limit's",
        at_most: false,
        aim: 0.80,
        stretch: 0.90,
        measured: |rows| veth_ratio(rows, "wamig, 16 masks", "limit"),
    },
    Target {
        what: "veth: speed, of nft DNAT's",
        at_most: false,
        aim: 4.0,
        stretch: 5.0,
        measured: |rows| veth_ratio(rows, "wamig", "nft DNAT"),
    },
    Target {
        what: "veth: speed, of OVS netdev AF_XDP's (copy mode)",
        at_most: false,
        aim: 15.0,
        stretch: 20.0,
        measured: |rows| veth_ratio(rows, "wamig", "OVS netdev, AF_XDP"),
    },
    Target {
        what: "100 k flow-mods one by one: rate, of OVS's",
        at_most: false,
        aim: 1.5,
        stretch: 3.0,
        measured: |rows| control_ratio(rows, "100000 flow-mods one by one"),
    },
    Target {
        what: "100 k flow-mods in a bundle: rate, of OVS's",
        at_most: false,
        aim: 1.5,
        stretch: 5.0,
        measured: |rows| control_ratio(rows, "100000 flow-mods in a bundle"),
    },
    Target {
        what: "frames lost or wrong beside 100 k flow-mods",
        at_most: true,
        aim: 0.05,
        stretch: 0.01,
        measured: storm_loss,
    },
    Target {
        what: "1 M flows, timeouts within 10 minutes: of a core",
        at_most: true,
        aim: 0.05,
        stretch: 0.02,
        measured: |rows| of_a_core(rows, "expiring within 10 minutes"),
    },
    Target {
        what: "1 M flows, all summed up once a minute: of a core",
        at_most: true,
        aim: 0.05,
        stretch: 0.02,
        measured: |rows| of_a_core(rows, "summed up once a minute"),
    },
    Target {
        what: "1 M flows, all listed once a minute: of a core",
        at_most: true,
        aim: 0.05,
        stretch: 0.02,
        measured: |rows| of_a_core(rows, "listed once a minute"),
    },
];

/// Target, measured, met or not; targets whose rows were not measured are left out.
pub fn table(rows: &[Row]) -> String {
    let mut out = format!("{:<50} {:>8} {:>8} {:>9}\n", "target", "aim", "stretch", "measured");
    for t in &TARGETS {
        let Some(measured) = (t.measured)(rows) else { continue };
        let sign = if t.at_most { "<=" } else { ">=" };
        let within = |bound: f64| if t.at_most { measured <= bound } else { measured >= bound };
        let met = if within(t.stretch) {
            "met, stretch too"
        } else if within(t.aim) {
            "met"
        } else {
            "NOT MET"
        };
        let (aim, stretch) = (format!("{sign}{:.2}x", t.aim), format!("{sign}{:.2}x", t.stretch));
        let _ = writeln!(out, "{:<50} {aim:>8} {stretch:>8} {:>8.2}x  {met}", t.what, measured);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, ns: f64) -> Row {
        Row { group: "test-run".to_owned(), name: name.to_owned(), samples: vec![ns], ..Row::default() }
    }

    #[test]
    fn frames_beside_a_storm_count_when_lost_and_when_wrong() {
        let note = |name: &str, n| (name.to_owned(), n);
        let beside = |name: &str, lost, wrong| Row {
            notes: vec![note("frames", 1000.0), note("lost", lost), note("wrong", wrong)],
            ..row(name, 1.0)
        };
        let rows = [
            beside("wamig, 100000 flow-mods one by one, beside a stream", 0.0, 0.0),
            beside("wamig, 100000 flow-mods in a bundle, beside a stream", 40.0, 20.0),
            beside("OVS netdev, 100000 flow-mods one by one, beside a stream", 900.0, 0.0),
        ];
        assert!(table(&rows).contains("0.06x  NOT MET"), "{}", table(&rows));
    }

    #[test]
    fn a_target_is_judged_net_of_the_empty_program_and_left_out_when_unmeasured() {
        let rows = |wamig| table(&[row("empty", 20.0), row("limit", 60.0), row("1 migration rule", wamig)]);
        assert!(rows(81.0).contains("1.52x  NOT MET"), "{}", rows(81.0));
        assert!(rows(79.0).contains("1.48x  met\n"));
        assert!(rows(60.0).contains("met, stretch too"));
        assert_eq!(rows(60.0).lines().count(), 2);
    }
}
