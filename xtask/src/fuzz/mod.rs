//! `cargo xtask fuzz`: libFuzzer on the entry points of everything that comes from outside.
//!
//! [`target`] reads which there are, [`seed`] makes their first inputs, [`run`] builds and runs them. It takes no
//! nightly compiler and no cargo-fuzz: the script `wamig-userspace/fuzz/rustc` gives the compiler of the workspace the
//! flags for coverage, for the workspace's own crates only, so that what they depend on is not built again for the
//! short run among the tests. Long runs have a build of their own: optimised, or with `--asan` under AddressSanitizer,
//! for which the compiler takes its flag with `RUSTC_BOOTSTRAP` only.
//!
//! What is found is kept below `target/fuzz`: inputs that reach something new in `corpus/TARGET`, where the next run
//! begins, and the one that failed in `artifacts/TARGET`.

pub mod seed;
pub mod target;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use self::target::Target;
use crate::{
    bounded::{self, Output},
    bpf::rustc,
    interrupt, process,
    tally::Tally,
    user, workspace,
};

/// Runs of each target in `cargo xtask test`.
const SHORT: u64 = 20_000;
/// Where their random numbers begin: a test fails for what was changed, not by chance.
const SHORT_SEED: u32 = 1;
/// Seconds that one input may take.
const SLOWEST: u32 = 10;
/// MiB that a target may use.
const MEMORY: u32 = 2048;
/// Lines of a failed target's output that are shown.
const SHOWN: usize = 12;
/// Flags of AddressSanitizer's build, for every crate.
const ASAN_FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address";

/// What `cargo xtask fuzz` takes.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The targets; without one, they are listed
    targets: Vec<String>,
    /// Every target, one after the other
    #[arg(long, conflicts_with = "targets")]
    all: bool,
    /// Runs of each
    #[arg(long, default_value_t = 1_000_000)]
    runs: u64,
    /// Begin with these random numbers, which the run before printed
    #[arg(long)]
    seed: Option<u32>,
    /// With AddressSanitizer: slower, and everything is built anew
    #[arg(long)]
    asan: bool,
}

/// How a target is built and run.
#[derive(Clone, Copy, Debug)]
struct Settings {
    runs: u64,
    seed: Option<u32>,
    /// What one target may take.
    limit: Duration,
}

/// Build, then run what was asked for; the first finding ends it.
pub fn run(options: &Options) -> Result<()> {
    interrupt::watch()?;
    let mut targets = target::all()?;
    if !options.all {
        let known = |name: &String| targets.iter().any(|target| target.name == *name);
        let unknown = options.targets.iter().find(|name| !known(name));
        let listed: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
        if let Some(unknown) = unknown {
            bail!("no target is called {unknown}; there are {}", listed.join(", "));
        }
        if options.targets.is_empty() {
            println!("targets: {}", listed.join(", "));
            return Ok(());
        }
        targets.retain(|target| options.targets.contains(&target.name));
    }
    let (runs, seed) = (options.runs, options.seed);
    let settings = Settings { runs, seed, limit: Duration::from_hours(24) };
    let programs = build(if options.asan { Build::Asan } else { Build::Fast })?;
    for target in &targets {
        println!("{}", fuzz(target, &programs, settings)?);
    }
    Ok(())
}

/// A short run of each target, as a suite of the tests.
#[derive(Debug)]
pub struct Short(Result<PathBuf>);

impl Short {
    /// Build the targets; what does not build is a failure of the suite.
    pub fn build() -> Self {
        Self(build(Build::OfTheTests))
    }

    /// Run them.
    pub fn run(self) -> Result<Tally> {
        let mut tally = Tally::new();
        let settings = Settings { runs: SHORT, seed: Some(SHORT_SEED), limit: Duration::from_mins(15) };
        let programs = match self.0 {
            Ok(programs) => programs,
            Err(error) => {
                tally.fail("fuzz targets", &format!("{error:#}"));
                return Ok(tally);
            }
        };
        for target in target::all()? {
            interrupt::check()?;
            match fuzz(&target, &programs, settings) {
                Ok(line) => {
                    println!("fuzz {line}");
                    tally.pass(1);
                }
                Err(error) => tally.fail(&format!("fuzz {}", target.name), &format!("{error:#}")),
            }
        }
        Ok(tally)
    }
}

/// How the targets are built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Build {
    /// With what the tests built: nothing but the targets is to be made.
    OfTheTests,
    /// For a long run.
    Fast,
    /// Under AddressSanitizer.
    Asan,
}

/// Build every target; returns the directory of their programs.
fn build(kind: Build) -> Result<PathBuf> {
    let mut cargo = user::cargo();
    cargo.args(["build", "--quiet", "--locked", "--package", "wamig-fuzz", "--features", "libfuzzer"]);
    let programs = if kind == Build::Asan {
        let host = process::capture(user::command("rustc").arg("-vV"))?;
        let host = host.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?.to_owned();
        let dir = workspace::target().join("fuzz/asan");
        cargo = rustc::clean(cargo);
        cargo.args(["--target", &host]).arg("--target-dir").arg(&dir);
        cargo.env("RUSTFLAGS", ASAN_FLAGS).env("RUSTC_BOOTSTRAP", "1");
        dir.join(host).join("debug")
    } else {
        cargo.env("RUSTC_WORKSPACE_WRAPPER", target::dir().join("rustc"));
        if kind == Build::Fast {
            let dir = workspace::target().join("fuzz/build");
            cargo.args(["--profile", "fuzz"]).arg("--target-dir").arg(&dir);
            dir.join("fuzz")
        } else {
            workspace::target().join("debug")
        }
    };
    process::run(&mut cargo).context("the fuzz targets do not build")?;
    Ok(programs)
}

/// Run one target; how many runs it made, and how fast.
fn fuzz(target: &Target, programs: &Path, settings: Settings) -> Result<String> {
    let name = &target.name;
    let made = |kind: &str| workspace::target().join("fuzz").join(kind).join(name);
    let (seeds, corpus, artifacts) = (made("seeds"), made("corpus"), made("artifacts"));
    seed::write(target, &seeds)?;
    for dir in [&corpus, &artifacts] {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        user::own(dir);
    }
    let log = workspace::target().join("fuzz").join(format!("{name}.log"));
    let mut command = user::command(programs.join(name));
    command.arg(format!("-runs={}", settings.runs)).arg(format!("-max_len={}", target.max_len));
    command.arg(format!("-timeout={SLOWEST}")).arg(format!("-rss_limit_mb={MEMORY}")).arg("-print_final_stats=1");
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    if let Some(words) = &target.words {
        command.arg(format!("-dict={}", workspace::root().join(words).display()));
    }
    if let Some(seed) = settings.seed {
        command.arg(format!("-seed={seed}"));
    }
    command.args([&corpus, &seeds]);
    let start = Instant::now();
    let ended = bounded::run(&mut command, settings.limit, Output::Kept(&log))?;
    let said = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let said = String::from_utf8_lossy(&said);
    let number = |what: &str| said.lines().rev().find_map(|line| line.split_once(what)?.1.trim().parse::<u64>().ok());
    let random = number("INFO: Seed:").map_or_else(|| "?".to_owned(), |seed| seed.to_string());
    let runs = number("stat::number_of_executed_units:");
    let Some(runs) = runs.filter(|runs| ended.success() && *runs >= settings.runs) else {
        // What a panic says, else the last words.
        let lines: Vec<_> = said.lines().collect();
        let panic = lines.iter().position(|line| line.contains("panicked at"));
        let from = panic.unwrap_or(lines.len().saturating_sub(SHOWN));
        let shown = &lines[from..lines.len().min(from + SHOWN)];
        bail!(
            "{name}, begun with --seed {random}, {} after {} runs; the input is in {}, all of the output in {}:\n{}",
            ended.describe(),
            runs.unwrap_or(0),
            artifacts.display(),
            log.display(),
            shown.join("\n")
        );
    };
    let rate = u128::from(runs) * 1000 / start.elapsed().as_millis().max(1);
    Ok(format!("{name}: {runs} runs without a finding, {rate}/s (--seed {random})"))
}
