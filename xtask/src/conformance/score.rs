//! The score: how many cases of each group passed, wamig's beside Open vSwitch's, and what failed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::cases::Outcome;

/// Passed and run, by version and group.
pub type Score = BTreeMap<(u8, String), (usize, usize)>;

/// What Open vSwitch 3.1 reached with 0.2 s to settle, when it was measured once.
const OVS: [(u8, &str, usize, usize); 5] = [
    (10, "all", 184, 184),
    (13, "action", 140, 226),
    (13, "group", 9, 15),
    (13, "match", 536, 714),
    (13, "meter", 0, 36),
];

/// Counts outcomes of one version; a group is the first part of a file's path.
///
/// The suite has files that share a title, of which its own runner runs one. Here both are run and their cases are
/// counted in pairs, so that the sums are the suite's: a pair has passed if both have.
pub fn count(score: &mut Score, version: u8, outcomes: &[Outcome]) {
    let mut passed = BTreeMap::<(&str, &str), bool>::new();
    for outcome in outcomes {
        let group = outcome.file.split('/').next().unwrap_or_default();
        *passed.entry((group, &outcome.counts_as)).or_insert(true) &= outcome.ok;
    }
    for ((group, _), ok) in passed {
        let entry = score.entry((version, group.to_owned())).or_default();
        entry.0 += usize::from(ok);
        entry.1 += 1;
    }
}

/// The score that is on record for Open vSwitch, of the whole tree.
pub fn stored() -> Score {
    OVS.iter().map(|&(version, group, ok, all)| ((version, group.to_owned()), (ok, all))).collect()
}

/// A table with a row for each group and a sum for each version.
pub fn table(columns: &[(&str, &Score)]) -> String {
    let mut out = format!("{:<16}", "OpenFlow, group");
    for (name, _) in columns {
        let _ = write!(out, " {name:>22}");
    }
    out.push('\n');
    for version in [10, 13] {
        let mut groups: Vec<&str> = columns
            .iter()
            .flat_map(|(_, score)| score.keys())
            .filter(|(of, group)| *of == version && group != "all")
            .map(|(_, group)| group.as_str())
            .collect();
        groups.sort_unstable();
        groups.dedup();
        for group in groups {
            let cell = |score: &Score| score.get(&(version, group.to_owned())).copied();
            row(&mut out, version, group, columns, cell);
        }
        let sum = |score: &Score| {
            let of = score.iter().filter(|((of, _), _)| *of == version);
            of.map(|(_, &count)| count).reduce(|a, b| (a.0 + b.0, a.1 + b.1))
        };
        if columns.iter().any(|(_, score)| sum(score).is_some()) {
            row(&mut out, version, "all", columns, sum);
        }
    }
    out
}

fn row(
    out: &mut String,
    version: u8,
    group: &str,
    columns: &[(&str, &Score)],
    cell: impl Fn(&Score) -> Option<(usize, usize)>,
) {
    let name = format!("{}.{} {group}", version / 10, version % 10);
    let _ = write!(out, "{name:<16}");
    for (_, score) in columns {
        let text = cell(score).map_or("-".to_owned(), |(ok, all)| format!("{ok} of {all}"));
        let _ = write!(out, " {text:>22}");
    }
    out.push('\n');
}

/// The failures of each file, a line for each, and how often each reason was given.
pub fn failures(outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    let mut reasons = BTreeMap::<String, usize>::new();
    for failed in outcomes.iter().filter(|outcome| !outcome.ok) {
        let _ = writeln!(out, "FAILED {}: {}\n       {}", failed.file, failed.case, failed.why);
        // What differs from case to case follows the first brace, bracket or colon.
        let head = failed.why.split(['{', '[', '(']).next().unwrap_or_default();
        *reasons.entry(head.chars().take(80).collect()).or_default() += 1;
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|&(_, times)| std::cmp::Reverse(times));
    for (reason, times) in reasons {
        let _ = writeln!(out, "{times:>5} x {reason}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(file: &str, counts_as: &str, ok: bool) -> Outcome {
        let (file, counts_as) = (file.to_owned(), counts_as.to_owned());
        Outcome { file, case: String::new(), counts_as, ok, why: String::new(), seconds: 0.0 }
    }

    #[test]
    fn counts_by_group_and_sums_by_version() {
        let mut score = Score::new();
        count(&mut score, 13, &[outcome("match/a.json", "a #0", true), outcome("match/b.json", "b #0", false)]);
        count(&mut score, 13, &[outcome("group/a.json", "a #0", true)]);
        let text = table(&[("wamig", &score), ("Open vSwitch (stored)", &stored())]);
        let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
        assert!(line("1.3 match").contains("1 of 2") && line("1.3 match").ends_with("536 of 714"), "{text}");
        assert!(line("1.3 all").contains("2 of 3") && line("1.3 all").ends_with("685 of 991"), "{text}");
        assert!(line("1.0 all").contains(" - ") && line("1.0 all").ends_with("184 of 184"), "{text}");
    }

    #[test]
    fn files_of_one_title_count_once_and_pass_together() {
        let mut score = Score::new();
        let cases = [
            ("match/a", "t #0", true),
            ("match/a", "t #1", true),
            ("match/b", "t #0", true),
            ("match/b", "t #1", false),
        ];
        count(&mut score, 10, &cases.map(|(file, counts_as, ok)| outcome(file, counts_as, ok)));
        assert_eq!(score[&(10, "match".to_owned())], (1, 2));
    }
}
