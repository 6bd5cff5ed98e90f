//! The whole play, as the demo does it, and what is left of a demo that is interrupted.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use xtask::lab::TEST_PREFIX;
use xtask::lab::play::{self, Pace};
use xtask::lab::proof::Links;
use xtask::lab::trial;

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

#[test]
fn the_server_moves_and_comes_home_and_the_links_prove_it() -> Result<()> {
    let Some(mut lab) = trial::lab(XTASK, |_| {})? else { return Ok(()) };
    lab.start_daemons()?;
    let links = Links::watch(&lab)?;
    let outcome = play::run(&mut lab, &links, Pace::BRISK)?;
    let failed: Vec<String> = outcome.proofs.iter().filter(|proof| !proof.holds()).map(ToString::to_string).collect();
    ensure!(failed.is_empty(), "not proven:\n{}\n{}", failed.join("\n"), lab.last_words(20));
    assert_eq!(outcome.lost_away(), 0, "questions lost while the server was away");
    assert!(outcome.proofs.len() >= 18, "the play proves less than it used to");
    Ok(())
}

/// A running demo whose output is read line by line.
struct Demo {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Demo {
    fn start() -> Result<Self> {
        let mut child = Command::new(XTASK)
            .args(["demo", "--prefix", TEST_PREFIX])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().context("stdout is a pipe")?).lines();
        Ok(Self { child, lines })
    }

    fn read_until(&mut self, wanted: &str) -> Result<()> {
        for line in &mut self.lines {
            if line?.contains(wanted) {
                return Ok(());
            }
        }
        anyhow::bail!("the demo ended before it said {wanted:?}")
    }

    /// Sends a signal, lets it end and gives its exit status, `None` if the signal killed it.
    fn end(mut self, signal: Signal) -> Result<Option<i32>> {
        kill(Pid::from_raw(self.child.id() as i32), signal)?;
        for line in self.lines {
            println!("{}", line?);
        }
        Ok(self.child.wait()?.code())
    }
}

/// What there is of the tests' labs: namespaces, mounts, directories, processes.
fn remains() -> Result<Vec<String>> {
    let lab = format!("/run/{TEST_PREFIX}lab");
    let mut found = Vec::new();
    if let Ok(names) = std::fs::read_dir("/run/netns") {
        let names = names.filter_map(|name| name.ok()?.file_name().into_string().ok());
        found.extend(names.filter(|name| name.starts_with(TEST_PREFIX)));
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts")?;
    let ours = |line: &&str| line.contains(&lab) || line.contains(&format!("/run/netns/{TEST_PREFIX}"));
    found.extend(mounts.lines().filter(ours).map(str::to_owned));
    found.extend(Path::new(&lab).exists().then(|| lab.clone()));
    // Those that see another `/run` are a lab's of the same name, of a test that runs beside this one.
    let view = |process: &Path| std::fs::read_link(process.join("ns/mnt")).ok();
    let own = view(Path::new("/proc/self"));
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        if view(&path) != own {
            continue;
        }
        let command = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if command.contains(&lab) || command.contains(&format!("{TEST_PREFIX}r1")) {
            found.push(format!("{}: {command}", path.display()));
        }
    }
    Ok(found)
}

#[test]
fn nothing_remains_of_a_demo_that_is_interrupted() -> Result<()> {
    // Says why it is skipped, and has nobody else's lab in the way.
    let Some(lab) = trial::lab(XTASK, |_| {})? else { return Ok(()) };
    drop(lab);
    // While it is built, while it waits for something, and with all programs running.
    for (signal, moment) in [
        (Signal::SIGTERM, "wamig: a name server moves"),
        (Signal::SIGHUP, "── Normal operation"),
        (Signal::SIGINT, "── The server moves"),
    ] {
        let mut demo = Demo::start()?;
        demo.read_until(moment)?;
        std::thread::sleep(Duration::from_millis(60));
        let status = demo.end(signal)?;
        assert_eq!(status, Some(128 + signal as i32), "after {signal} at {moment:?}");
        assert_eq!(remains()?, Vec::<String>::new(), "after {signal} at {moment:?}");
    }
    Ok(())
}

#[test]
fn the_next_demo_removes_what_a_killed_one_left_and_says_so() -> Result<()> {
    let Some(lab) = trial::lab(XTASK, |_| {})? else { return Ok(()) };
    drop(lab);
    let mut killed = Demo::start()?;
    killed.read_until("The client asks who it is")?;
    assert_eq!(killed.end(Signal::SIGKILL)?, None);
    assert!(!remains()?.is_empty(), "nothing was left: the test tests nothing");

    let mut next = Demo::start()?;
    next.read_until("An earlier run that was killed was removed first")?;
    assert_eq!(next.end(Signal::SIGTERM)?, Some(143));
    assert_eq!(remains()?, Vec::<String>::new());
    Ok(())
}
