//! The test programs of the workspace: built once, as the user who builds, then run by whoever has to.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{alone, libtest, scratch::Scratch};
use crate::{
    bounded::{self, Output},
    process,
    tally::Tally,
    user, workspace,
};

/// What building all tests may take on a slow machine.
const BUILD_LIMIT: Duration = Duration::from_mins(30);
/// Lines of a failed program's output that are shown; all of it is in the log.
const SHOWN: usize = 150;

/// Who runs a program, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum As {
    /// The user who builds; tests run side by side.
    User,
    /// Root; one test at a time, in a view of the machine of its own (see [`alone`]).
    Root,
}

/// One test program.
#[derive(Clone, Debug)]
pub struct TestBinary {
    /// `wamig-userspace tests/kernel_programs`, as reports show it.
    pub title: String,
    /// The target's name: `kernel_programs`.
    pub name: String,
    /// The program.
    pub path: PathBuf,
    /// The directory it expects to run in.
    package: PathBuf,
}

impl TestBinary {
    /// Whether it needs root: `kernel_*` loads programs into the kernel, `netns_*` makes network namespaces.
    pub fn is_privileged(&self) -> bool {
        self.name.starts_with("kernel_") || self.name.starts_with("netns_")
    }

    /// Whether it plays in the lab with modules that only the virtual machine's kernel is sure to have.
    pub fn is_of_guest(&self) -> bool {
        self.name.starts_with("kernel_lab_")
    }

    /// Run its tests, the ones marked `#[ignore]` too if `all`, and report in one line, or at length if one fails.
    pub fn run(&self, who: As, limit: Duration, all: bool, scratch: &Scratch) -> Result<Tally> {
        let scratch = scratch.part()?;
        let mut command = match who {
            As::User => user::command(&self.path),
            As::Root => Command::new(&self.path),
        };
        command.arg("--show-output");
        if who == As::Root {
            command.arg("--test-threads=1");
            alone::isolate(&mut command, &scratch.path().join("run"))?;
        }
        if all {
            command.arg("--include-ignored");
        }
        command.current_dir(&self.package).env("CARGO_MANIFEST_DIR", &self.package).env("TMPDIR", scratch.path());
        run_tests(&self.title, &mut command, limit)
    }

    /// Count its tests as skipped, without running them.
    pub fn skip(&self, why: &str) -> Result<Tally> {
        let listed = process::capture(user::command(&self.path).arg("--list"))?;
        let number = listed.lines().filter(|line| line.ends_with(": test")).count();
        println!("{} ... {number} skipped: {why}", self.title);
        let mut tally = Tally::new();
        tally.skip_many(number, &format!("{} ({number} tests)", self.title), why);
        Ok(tally)
    }
}

/// Run a command that prints like the test harness, and report.
pub fn run_tests(title: &str, command: &mut Command, limit: Duration) -> Result<Tally> {
    let log = log_path(title);
    let start = Instant::now();
    let ended = bounded::run(command, limit, Output::Kept(&log))?;
    let output = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let output = String::from_utf8_lossy(&output);
    Ok(report(title, &output, ended.success(), &ended.describe(), start.elapsed()))
}

/// Count what was printed, in one line; with the output if a test failed.
pub fn report(title: &str, output: &str, ended_well: bool, how: &str, took: Duration) -> Tally {
    let report = libtest::read(title, output, ended_well, how);
    let left_out = match report.left_out {
        0 => String::new(),
        number => format!(", {number} left for --all"),
    };
    let mut said = vec![format!("{title} ... {}{left_out} ({:.1} s)", report.tally.line(), took.as_secs_f32())];
    if report.tally.failures() > 0 {
        // What passed comes first and is of no interest now.
        let lines: Vec<&str> = output.lines().collect();
        let lines = &lines[lines.iter().position(|line| *line == "failures:").unwrap_or(0)..];
        said.push(format!("--- the end of {}", log_path(title).display()));
        said.extend(lines[lines.len().saturating_sub(SHOWN)..].iter().map(|line| format!("    {line}")));
    }
    // At once: another program may report beside it.
    println!("{}", said.join("\n"));
    report.tally
}

/// Where the output of the tests called `title` is kept.
pub fn log_path(title: &str) -> PathBuf {
    let name: String = title.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
    workspace::target().join("test-logs").join(name + ".log")
}

/// Build every test program of the workspace but the XDP program's, in cargo's order.
pub fn build() -> Result<Vec<TestBinary>> {
    let mut cargo = user::cargo();
    cargo.args(["test", "--locked", "--workspace", "--exclude", "wamig-ebpf", "--no-run"]);
    cargo.arg("--message-format=json-render-diagnostics");
    let log = log_path("build");
    let ended = bounded::run(&mut cargo, BUILD_LIMIT, Output::ErrorsShown(&log))?;
    if !ended.success() {
        bail!("the tests do not build: {}", ended.describe());
    }
    let messages = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let mut binaries: Vec<_> = messages.lines().filter_map(artifact).collect();
    binaries.sort_by(|a, b| a.title.cmp(&b.title));
    Ok(binaries)
}

fn artifact(line: &str) -> Option<TestBinary> {
    let message: Value = serde_json::from_str(line).ok()?;
    let path = PathBuf::from(message["executable"].as_str()?);
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let package = Path::new(message["manifest_path"].as_str()?).parent()?.to_path_buf();
    let name = message["target"]["name"].as_str()?.to_owned();
    let kind = match message["target"]["kind"][0].as_str()? {
        "test" => "tests/",
        "bin" => "bin ",
        _ => "unit ",
    };
    let title = format!("{} {kind}{name}", package.file_name()?.to_string_lossy());
    Some(TestBinary { title, name, path, package })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_names_the_test_programs() {
        let line = r#"{"reason":"compiler-artifact","package_id":"path+file:///w/wamig-userspace#0.1.0",
            "manifest_path":"/w/wamig-userspace/Cargo.toml","target":{"kind":["test"],"name":"kernel_programs"},
            "profile":{"test":true},"executable":"/w/target/debug/deps/kernel_programs-1"}"#;

        let binary = artifact(line).unwrap();

        assert_eq!(binary.title, "wamig-userspace tests/kernel_programs");
        assert!(binary.is_privileged());
        assert!(artifact(r#"{"reason":"build-finished","success":true}"#).is_none());
    }

    #[test]
    fn a_log_is_one_file_in_one_directory() {
        assert!(log_path("wamig-userspace tests/a").ends_with("test-logs/wamig-userspace-tests-a.log"));
    }
}
