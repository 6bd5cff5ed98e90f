//! Reads what Rust's test harness prints.
//!
//! The harness knows no way to skip at run time, so a test that cannot run here prints `SKIP: reason` and returns;
//! with `--show-output` the harness repeats that under the test's name. It is then counted as skipped, not as passed.

use crate::tally::Tally;

/// What a test prints before it returns early.
const SKIP: &str = "SKIP: ";

/// Count what the harness printed for `title`. `ended_well` is whether the program said so by its exit status, and
/// `how` says how it ended.
pub fn read(title: &str, output: &str, ended_well: bool, how: &str) -> Report {
    let mut report = Report::default();
    let mut summaries = 0;
    let mut reported_failures = 0;
    let mut passed = 0;
    let mut section = None;
    let mut listing_failures = false;
    for line in output.lines() {
        if let Some(summary) = line.split_once("test result: ").map(|(_, summary)| summary) {
            summaries += 1;
            passed += count(summary, "passed");
            reported_failures += count(summary, "failed");
            report.left_out += count(summary, "ignored");
            section = None;
        } else if let Some(name) = line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" ----")) {
            section = Some(name.strip_suffix(" stdout").unwrap_or(name));
        } else if let (Some(name), Some(why)) = (section, line.strip_prefix(SKIP)) {
            report.tally.skip(&format!("{title} {name}"), why);
            report.skipped += 1;
            section = None;
        }
        // The harness ends with a list of what failed; its other lines may be torn by what tests print.
        match line.strip_prefix("    ") {
            Some(name) if listing_failures => report.tally.fail(&format!("{title} {name}"), "see its output above"),
            _ => listing_failures = line == "failures:",
        }
    }
    report.tally.pass(passed_without_skips(passed, report.skipped));
    let missing = reported_failures.saturating_sub(report.tally.failures());
    for _ in 0..missing {
        report.tally.fail(title, "a test failed, its name could not be read");
    }
    if summaries == 0 {
        report.tally.fail(title, &format!("ended without a result: {how}"));
    } else if !ended_well && report.tally.failures() == 0 {
        report.tally.fail(title, &format!("all its tests passed, but the program did not end well: {how}"));
    }
    report
}

/// What one test program's output comes to.
#[derive(Debug, Default)]
pub struct Report {
    /// Counts and reasons.
    pub tally: Tally,
    /// Tests marked `#[ignore]`, which only `--all` runs.
    pub left_out: usize,
    skipped: usize,
}

/// A skipped test has passed as far as the harness knows.
fn passed_without_skips(passed: usize, skipped: usize) -> usize {
    passed.saturating_sub(skipped)
}

/// `3` of `3 passed` in `ok. 3 passed; 0 failed; …`.
fn count(summary: &str, what: &str) -> usize {
    let mut words = summary.split_whitespace();
    let mut last = "";
    words
        .find_map(|word| {
            let found = word.trim_end_matches(';') == what;
            let number = std::mem::replace(&mut last, word);
            found.then(|| number.parse().ok()).flatten()
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_passed_failed_and_was_left_out() {
        let output = "running 4 tests\ntest a::one ... ok\ntest a::two ... FAILED\ntest a::long ... ignored, takes an hour\n\n\
                      failures:\n\n---- a::two stdout ----\n    left: 1\n\nfailures:\n    a::two\n\n\
                      test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s\n";

        let report = read("common unit", output, false, "exit status: 101");

        assert_eq!(report.tally.line(), "1 passed, 1 failed, 0 skipped");
        assert_eq!(report.left_out, 1);
    }

    #[test]
    fn a_test_that_says_skip_did_not_pass() {
        let output = "test one ... ok\ntest two ... ok\n\nsuccesses:\n\n---- two stdout ----\nlooking\nSKIP: no veth here\n\n\
                      successes:\n    one\n    two\n\n\
                      test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s\n";

        let report = read("kernel", output, true, "exit status: 0");

        assert_eq!(report.tally.line(), "1 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn a_program_that_dies_is_a_failure() {
        let report = read("kernel", "running 2 tests\ntest one ... ok\n", false, "killed by SIGSEGV");

        assert_eq!(report.tally.failures(), 1);
    }

    #[test]
    fn a_good_result_with_a_bad_exit_is_a_failure() {
        let output = "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s\n";

        assert_eq!(read("kernel", output, false, "exit status: 1").tally.failures(), 1);
    }

    #[test]
    fn several_programs_in_one_output_add_up() {
        let summary = "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s\n";

        assert_eq!(read("doc", &summary.repeat(3), true, "").tally.line(), "6 passed, 0 failed, 0 skipped");
    }
}
