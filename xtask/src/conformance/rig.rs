//! Two namespaces, the tester's switch, the switch under test, and one run of the tester between them.
//!
//! ```text
//!  {prefix}target: controller (os-ken), switch under test      {prefix}tester: Open vSwitch
//!      p1, p2, p3  ======================= veth =======================  p1, p2, p3
//!      m0 169.254.77.1  ------------------ veth ------------------  169.254.77.2 m0
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::cases::{self, File, Outcome};
use super::ovs::{self, Bridge};
use crate::lab::{journal::Journal, netns, offload, process::Process, signals};
use crate::{interrupt, workspace};

const PORT: u16 = 6653;
const PORTS: [&str; 3] = ["p1", "p2", "p3"];
/// What the tester takes at most for a case: it waits up to 3 s for an answer, and sends for some seconds for a meter.
const CASE: Duration = Duration::from_secs(20);
/// Until both switches are connected.
const START: Duration = Duration::from_mins(1);

/// The switch under test.
#[derive(Clone, Debug)]
pub enum Target {
    /// This program, started by `scripts/conformance-start`.
    Wamig(PathBuf),
    /// The reference.
    OpenVswitch,
}

impl Target {
    /// Seconds between a barrier's answer and the first packet: wamig's barrier is taken at its word, Open vSwitch
    /// revalidates its flow cache after it has answered.
    fn settle(&self) -> &'static str {
        match self {
            Self::Wamig(_) => "0",
            Self::OpenVswitch => "0.2",
        }
    }
}

/// Runs `files` of `tree` in namespaces whose names begin with `prefix`; what became of every case.
///
/// # Errors
/// Not root, something is not installed or does not start, or what ran was not the program that was built here.
pub fn run(
    prefix: &str,
    target: &Target,
    version: u8,
    python: &Path,
    tree: &Path,
    files: &[File],
) -> Result<Vec<Outcome>> {
    let (journal, _) = Journal::open(prefix)?;
    let done = run_in(&journal, prefix, target, version, python, tree, files);
    let logs = workspace::target().join("conformance").join(prefix.trim_end_matches('-'));
    keep_logs(journal.dir(), &logs);
    let swept = journal.sweep();
    ensure!(swept.failures.is_empty(), "{swept}");
    journal.remove()?;
    done.with_context(|| format!("its logs are in {}", logs.display()))
}

fn run_in(
    journal: &Journal,
    prefix: &str,
    target: &Target,
    version: u8,
    python: &Path,
    tree: &Path,
    files: &[File],
) -> Result<Vec<Outcome>> {
    let dir = journal.dir();
    let spaces = [format!("{prefix}target"), format!("{prefix}tester")];
    wire(journal, &spaces)?;
    let staged = dir.join("cases");
    for file in files {
        let copy = staged.join(&file.path);
        fs::create_dir_all(copy.parent().context("a case file has a folder")?)?;
        fs::copy(tree.join(&file.path), copy)?;
    }
    let results = dir.join("results");
    let driver = workspace::root().join("xtask/src/conformance/driver.py");
    let text = |path: &Path| path.display().to_string();
    let args = [
        text(&driver),
        PORT.to_string(),
        text(&staged),
        text(&results),
        format!("openflow{version}"),
        target.settle().to_owned(),
    ];
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut tester = Process::start(journal, "tester", &spaces[0], python, &args, &dir.join("tester.log"), false)?;
    let bridge = |space: usize, controller: &str, id, protocol| Bridge {
        namespace: &spaces[space],
        dir: dir.join(["ovs-target", "ovs-tester"][space]),
        controller: format!("tcp:{controller}:{PORT}"),
        datapath_id: id,
        protocol,
        datapath: ovs::Datapath::Userspace,
        interfaces: &PORTS,
    };
    let protocol = format!("OpenFlow{version}");
    let mut wamig = None;
    match target {
        Target::OpenVswitch => ovs::start(journal, &bridge(0, "127.0.0.1", "0000000000000001", protocol))?,
        Target::Wamig(program) => wamig = Some((start_wamig(journal, &spaces[0], program, &protocol)?, program)),
    }
    ovs::start(journal, &bridge(1, "169.254.77.1", "0000000000000002", "OpenFlow13".to_owned()))?;

    let cases: usize = files.iter().map(|file| file.cases.len()).sum();
    let deadline = Instant::now() + START + CASE * u32::try_from(cases)?;
    while tester.running() && Instant::now() < deadline {
        interrupt::check()?;
        if let Some((process, program)) = &mut wamig {
            ensure!(process.running(), "wamig has ended:\n{}", process.last_words(20));
            same_program(process.pid(), program)?;
        }
        let told = fs::metadata(&results).map_or(0, |file| file.len());
        if told == 0 && Instant::now() + CASE * u32::try_from(cases)? > deadline + CASE {
            bail!("no case was run within {START:?}:\n{}", tester.last_words(20));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let told = fs::read_to_string(&results).unwrap_or_default();
    let told = told.lines().map(serde_json::from_str).collect::<Result<Vec<Outcome>, _>>()?;
    ensure!(!told.is_empty(), "the tester ran no case:\n{}", tester.last_words(20));
    Ok(cases::complete(files, told))
}

fn start_wamig(journal: &Journal, namespace: &str, program: &Path, protocol: &str) -> Result<Process> {
    let script = workspace::root().join("scripts/conformance-start").display().to_string();
    let settings = [
        "CF_FOREGROUND=1".to_owned(),
        format!("CF_RUN_DIR={}", journal.dir().display()),
        format!("CF_PROTOCOLS={protocol}"),
        format!("WAMIG_BIN={}", program.display()),
    ];
    let controller = format!("tcp:127.0.0.1:{PORT}");
    let mut words: Vec<&str> = settings.iter().map(String::as_str).collect();
    words.extend([script.as_str(), &controller, "0000000000000001"]);
    words.extend(PORTS);
    let log = journal.dir().join("wamig.log");
    let mut process = Process::start(journal, "wamig", namespace, Path::new("/usr/bin/env"), &words, &log, false)?;
    let socket = journal.dir().join("wamig").join("ctl.sock");
    let up = signals::wait_for(Duration::from_secs(20), || Ok((socket.exists() || !process.running()).then_some(())))?;
    ensure!(up.is_some() && process.running(), "wamig does not start:\n{}", process.last_words(20));
    same_program(process.pid(), program)?;
    Ok(process)
}

/// Nothing is scored but the program that was built here.
fn same_program(pid: i32, program: &Path) -> Result<()> {
    let running = fs::canonicalize(format!("/proc/{pid}/exe")).context("the switch under test has ended")?;
    let built = fs::canonicalize(program)?;
    ensure!(running == built, "the switch under test is {}, not {}", running.display(), built.display());
    Ok(())
}

fn wire(journal: &Journal, spaces: &[String; 2]) -> Result<()> {
    for space in spaces {
        netns::create(journal, space)?;
    }
    for interface in PORTS.iter().chain(&["m0"]) {
        netns::ip(&spaces[0], &format!("link add {interface} type veth peer name {interface} netns {}", spaces[1]))?;
        for space in spaces {
            // The kernel takes frames of a peer's XDP only if GRO is switched on while the link is up.
            netns::ip(space, &format!("link set {interface} up"))?;
            offload::like_a_wire(space, interface)?;
        }
    }
    netns::ip(&spaces[0], "addr add 169.254.77.1/30 dev m0")?;
    netns::ip(&spaces[1], "addr add 169.254.77.2/30 dev m0")
}

/// Keeps the logs of a run; those of an earlier one are replaced.
fn keep_logs(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let names = ["tester.log", "wamig.log", "results", "wamig/wamig.toml", "ovs-target/vswitchd.log"];
    for name in names {
        let file = from.join(name);
        if file.exists() {
            // A log that cannot be kept must not hide what happened.
            let _ = fs::create_dir_all(to).and_then(|()| fs::copy(&file, to.join(name.replace('/', "-"))));
        }
    }
    crate::user::own(to);
}
