//! `cargo xtask bench`: measures the data path against programs of one purpose and against
//! other switches, and says which targets are met.
//!
//! The measurements are made by `wamig-userspace/benches/dataplane`, which prints a line of
//! JSON for each row; here they are judged ([`targets`]), shown ([`report`]) and drawn ([`plot`]).

mod plot;
mod report;
mod targets;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use self::report::Row;
use crate::{
    bounded, bpf, interrupt, process,
    suite::{alone, scratch::Scratch},
    user, workspace,
};

/// The groups, in the order in which they are measured.
const GROUPS: [&str; 7] = ["test-run", "veth", "control", "punt", "latency", "memory", "upkeep"];

/// What `cargo xtask bench` takes.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// Fewer and shorter rounds: some five minutes in all
    #[arg(long)]
    quick: bool,
    /// Only these groups: test-run, veth, control, punt, latency, memory, upkeep
    #[arg(value_parser = GROUPS)]
    groups: Vec<String>,
}

/// Builds, measures, reports; nothing of what is measured makes this fail.
///
/// # Errors
/// Not run as root, or something does not build or run.
pub fn run(options: &Options) -> Result<()> {
    ensure!(user::is_root(), "measuring needs root: sudo cargo xtask bench");
    interrupt::watch()?;
    bpf::build::run(&bpf::build::Options::default())?;
    let program = build()?;
    let dir = workspace::target().join("bench");
    fs::create_dir_all(&dir)?;
    user::own(&dir);
    let mut rows = Vec::new();
    for group in GROUPS.iter().filter(|g| options.groups.is_empty() || options.groups.iter().any(|o| o == *g)) {
        let measured = measure(&program, group, options.quick)?;
        let (json, svg) = (dir.join(format!("{group}.json")), dir.join(format!("{group}.svg")));
        fs::write(&json, serde_json::to_vec_pretty(&measured)?)?;
        fs::write(&svg, plot::svg(group, &measured))?;
        user::own(&json);
        user::own(&svg);
        rows.extend(measured);
    }
    println!("{}", report::machine());
    println!("{}", report::table(&rows));
    println!("{}", targets::table(&rows));
    println!("JSON and plots: {}", dir.display());
    Ok(())
}

/// Builds the measuring program; where it is.
fn build() -> Result<PathBuf> {
    let mut cargo = user::cargo();
    cargo.args(["build", "--locked", "--release", "--package", "wamig-userspace", "--bench", "dataplane"]);
    cargo.args(["--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit());
    for line in process::capture(&mut cargo)?.lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        if message["target"]["name"] == "dataplane"
            && let Some(path) = message["executable"].as_str()
        {
            return Ok(path.into());
        }
    }
    bail!("cargo named no executable `dataplane`")
}

fn measure(program: &PathBuf, group: &str, quick: bool) -> Result<Vec<Row>> {
    let out = workspace::target().join("bench").join(format!("{group}.rows"));
    // What it leaves behind when it is interrupted goes with it: processes, and names of namespaces.
    let scratch = Scratch::new()?;
    let mut command = Command::new(program);
    command.env("TMPDIR", scratch.path());
    alone::isolate(&mut command, &scratch.path().join("run"))?;
    command.arg(workspace::bench_object()).args(quick.then_some("--quick")).arg(group);
    let shown = process::line(&command);
    let ended = bounded::run(&mut command, Duration::from_hours(1), bounded::Output::ErrorsShown(&out))?;
    let text = fs::read_to_string(&out).with_context(|| format!("{} cannot be read", out.display()))?;
    ensure!(ended.success(), "`{shown}` failed: {}\n{text}", ended.describe());
    let rows = text.lines().filter(|line| line.starts_with('{')).map(serde_json::from_str);
    rows.collect::<Result<_, _>>().with_context(|| format!("`{shown}` printed no rows"))
}
