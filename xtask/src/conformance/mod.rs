//! `cargo xtask conformance`: os-ken's switch tester against wamig, beside Open vSwitch's score.
//!
//! The tester is a controller of its own: it installs flows, groups and meters in the switch under test, sends frames
//! through it by a second switch ([`ovs`]), and looks at what comes out. Its cases ([`mod@cases`]) come with os-ken
//! ([`venv`]); they are dealt out to shards that run side by side ([`rig`]) and counted ([`score`]).

pub mod cases;
pub mod ovs;
pub mod rig;
pub mod score;
pub mod venv;

use std::path::{Path, PathBuf};
use std::{fs, thread};

use anyhow::{Result, anyhow, ensure};
use clap::Args;

use self::cases::Outcome;
use self::rig::Target;
use self::score::Score;
use crate::{bpf, interrupt, process, user, workspace};

/// What `cargo xtask conformance` takes.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Measure Open vSwitch as well, instead of showing what it reached once
    #[arg(long, conflicts_with = "ovs")]
    all: bool,
    /// Only this version of OpenFlow: 10 or 13 (default: both)
    #[arg(long = "of", value_name = "VERSION", value_parser = clap::value_parser!(u8).range(10..=13))]
    version: Option<u8>,
    /// Only the files whose path begins so, as in `match/03`; may be repeated
    #[arg(long, value_name = "PATH")]
    only: Vec<String>,
    /// How many testers run side by side
    #[arg(long, default_value_t = 2)]
    shards: usize,
    /// Measure Open vSwitch instead of wamig
    #[arg(long)]
    ovs: bool,
}

/// Builds, tests, shows the score; failed cases do not make this fail, they are what is measured.
///
/// # Errors
/// Not root, something is not installed, or the tester could not run.
pub fn run(options: &Options) -> Result<()> {
    ensure!(user::is_root(), "network namespaces need root: sudo cargo xtask conformance");
    ensure!(matches!(options.version, None | Some(10 | 13)), "the versions are 10 and 13");
    let python = venv::python()?;
    let versions = options.version.map_or(vec![10, 13], |version| vec![version]);
    let mut columns: Vec<(&str, Score)> = Vec::new();
    if !options.ovs {
        let wamig = Target::Wamig(build()?);
        columns.push(("wamig", measure("wamig", &wamig, &versions, options, &python)?));
    }
    if options.ovs || options.all {
        columns.push(("Open vSwitch", measure("ovs", &Target::OpenVswitch, &versions, options, &python)?));
    } else {
        columns.push(("Open vSwitch (stored)", score::stored()));
    }
    let shown: Vec<(&str, &Score)> = columns.iter().map(|(name, score)| (*name, score)).collect();
    println!("{}", score::table(&shown));
    Ok(())
}

/// Builds the XDP object and the daemon, as the user; the daemon's path.
fn build() -> Result<PathBuf> {
    bpf::build::run(&bpf::build::Options::default())?;
    process::run(user::cargo().args(["build", "--quiet", "--locked", "--package", "wamig-userspace"]))?;
    Ok(workspace::target().join("debug").join("wamig"))
}

fn measure(name: &str, target: &Target, versions: &[u8], options: &Options, python: &PathBuf) -> Result<Score> {
    let mut score = Score::new();
    for &version in versions {
        let outcomes = test(name, target, version, &options.only, options.shards, python)?;
        let dir = workspace::target().join("conformance");
        let file = dir.join(format!("{name}-of{version}.json"));
        fs::write(&file, serde_json::to_vec_pretty(&outcomes)?)?;
        user::own(&file);
        print!("{}", score::failures(&outcomes));
        println!("every case of {name}, OpenFlow {}.{}: {}\n", version / 10, version % 10, file.display());
        score::count(&mut score, version, &outcomes);
    }
    Ok(score)
}

/// Runs the chosen files of one version, in shards; every case's outcome.
///
/// # Errors
/// There is no such file, or a shard could not run.
pub fn test(
    name: &str,
    target: &Target,
    version: u8,
    only: &[String],
    shards: usize,
    python: &PathBuf,
) -> Result<Vec<Outcome>> {
    let tree = venv::cases(python)?.join(format!("of{version}"));
    let files = cases::find(&tree, only)?;
    ensure!(!files.is_empty() || !only.is_empty(), "there are no cases in {}", tree.display());
    let hands = cases::deal(&files, shards);
    let (tree, python): (&Path, &Path) = (&tree, python);
    thread::scope(|scope| {
        let runs: Vec<_> = hands
            .iter()
            .enumerate()
            .filter(|(_, hand)| !hand.is_empty())
            .map(|(shard, hand)| {
                let prefix = format!("wamig-cf-{name}{shard}-");
                scope.spawn(move || rig::run(&prefix, target, version, python, tree, hand))
            })
            .collect();
        let mut all = Vec::new();
        for run in runs {
            all.extend(run.join().map_err(|_| anyhow!("a shard panicked"))??);
        }
        interrupt::check()?;
        Ok(all)
    })
}
