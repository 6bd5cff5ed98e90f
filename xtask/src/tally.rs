//! Counts what passed, failed and was skipped, and keeps the reasons.

use std::process::ExitCode;

/// The result of any number of checks or tests.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    passed: usize,
    failed: Vec<String>,
    skipped: usize,
    reasons: Vec<String>,
}

impl Tally {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tally of one thing that was skipped, and why.
    pub fn of_skipped(what: &str, why: &str) -> Self {
        let mut tally = Self::new();
        tally.skip(what, why);
        tally
    }

    /// Count `number` more that passed.
    pub fn pass(&mut self, number: usize) {
        self.passed += number;
    }

    /// Count one that failed.
    pub fn fail(&mut self, what: &str, why: &str) {
        self.failed.push(format!("{what}: {why}"));
    }

    /// Count one that could not run here.
    pub fn skip(&mut self, what: &str, why: &str) {
        self.skip_many(1, what, why);
    }

    /// Count `number` that could not run here, for one reason.
    pub fn skip_many(&mut self, number: usize, what: &str, why: &str) {
        self.skipped += number;
        self.reasons.push(format!("{what}: {why}"));
    }

    /// Count everything `other` counted.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped += other.skipped;
        self.reasons.extend(other.reasons);
    }

    /// How many failed.
    pub fn failures(&self) -> usize {
        self.failed.len()
    }

    /// `12 passed, 0 failed, 1 skipped`.
    pub fn line(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped)
    }

    /// Print what failed and what was skipped, then [`line`](Self::line) as the last line.
    pub fn close(&self, skips: Skips) -> ExitCode {
        for skipped in &self.reasons {
            println!("skipped  {skipped}");
        }
        for failed in &self.failed {
            println!("FAILED   {failed}");
        }
        if !self.is_good(skips) && self.failed.is_empty() {
            println!("nothing failed, but with CI=true or as root every test has to run");
        }
        println!("{}", self.line());
        if self.is_good(skips) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn is_good(&self, skips: Skips) -> bool {
        self.failed.is_empty() && (skips == Skips::Allow || self.skipped == 0)
    }
}

/// What a skipped test means for the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skips {
    /// It was expected on such a machine.
    Allow,
    /// Everything had to run.
    Fail,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up() {
        let mut tally = Tally::of_skipped("vm", "no qemu");
        let mut other = Tally::new();
        other.pass(3);
        other.fail("lint", "too long");

        tally.add(other);

        assert_eq!(tally.line(), "3 passed, 1 failed, 1 skipped");
        assert_eq!(tally.failures(), 1);
    }

    #[test]
    fn skipping_fails_only_where_all_must_run() {
        let tally = Tally::of_skipped("vm", "no qemu");

        assert!(tally.is_good(Skips::Allow));
        assert!(!tally.is_good(Skips::Fail));
    }
}
