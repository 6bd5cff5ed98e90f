//! Runs a program for at most so long; nothing of its process group outlives the call.

use std::{
    fs::{self, File},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::{
    sys::{
        prctl,
        signal::{Signal, killpg},
    },
    unistd::Pid,
};

use crate::{interrupt, process, user};

/// How often a running program is looked at.
const TICK: Duration = Duration::from_millis(20);
/// What a program gets between TERM and KILL.
const GRACE: Duration = Duration::from_secs(3);

/// How a bounded run ended.
#[derive(Debug)]
pub enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// It took too long and was killed.
    TimedOut(Duration),
}

impl Ended {
    /// Whether the program said that all is well.
    pub fn success(&self) -> bool {
        matches!(self, Self::Exited(status) if status.success())
    }

    /// `exit status: 101`, `killed by SIGSEGV`, `still running after 300 s`.
    pub fn describe(&self) -> String {
        match self {
            Self::Exited(status) => match status.signal().and_then(|number| Signal::try_from(number).ok()) {
                Some(signal) => format!("killed by {signal}"),
                None => status.to_string(),
            },
            Self::TimedOut(limit) => format!("still running after {} s", limit.as_secs()),
        }
    }
}

/// Where a program's output goes.
#[derive(Clone, Copy, Debug)]
pub enum Output<'a> {
    /// To ours.
    Shown,
    /// Into a file, made anew.
    Kept(&'a Path),
    /// What it prints into a file, made anew; what it complains about to ours.
    ErrorsShown(&'a Path),
}

/// Run `command` without input. An interrupt ends it, too, and is the error.
pub fn run(command: &mut Command, limit: Duration, output: Output<'_>) -> Result<Ended> {
    interrupt::check()?;
    let shown = process::line(command);
    match output {
        Output::Shown => {}
        Output::Kept(log) => {
            let file = create(log)?;
            command.stderr(file.try_clone().with_context(|| format!("cannot write {}", log.display()))?).stdout(file);
        }
        Output::ErrorsShown(log) => {
            command.stdout(create(log)?);
        }
    }
    command.stdin(Stdio::null()).process_group(0);
    // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
    unsafe {
        command.pre_exec(|| prctl::set_pdeathsig(Some(Signal::SIGKILL)).map_err(Into::into));
    }
    let mut child = command.spawn().with_context(|| format!("cannot start `{shown}`"))?;
    let ended = wait(&mut child, limit);
    // Whatever it left running in its group.
    end_group(&child, Signal::SIGKILL);
    ended.with_context(|| format!("while `{shown}` ran"))
}

fn create(log: &Path) -> Result<File> {
    if let Some(dir) = log.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        user::own(dir);
    }
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    user::own(log);
    Ok(file)
}

fn wait(child: &mut Child, limit: Duration) -> Result<Ended> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ended::Exited(status));
        }
        let interrupted = interrupt::check();
        if interrupted.is_err() || start.elapsed() >= limit {
            stop(child)?;
            interrupted?;
            return Ok(Ended::TimedOut(limit));
        }
        thread::sleep(TICK);
    }
}

/// Ask politely, then not.
fn stop(child: &mut Child) -> Result<()> {
    end_group(child, Signal::SIGTERM);
    let asked = Instant::now();
    while asked.elapsed() < GRACE {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        thread::sleep(TICK);
    }
    end_group(child, Signal::SIGKILL);
    child.wait()?;
    Ok(())
}

fn end_group(child: &Child, signal: Signal) {
    // An empty group is what we want.
    let _ = killpg(Pid::from_raw(child.id().cast_signed()), signal);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> (Ended, String) {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let ended = run(Command::new("sh").args(["-c", script]), limit, Output::Kept(&log)).unwrap();
        (ended, fs::read_to_string(log).unwrap())
    }

    #[test]
    fn keeps_the_output_and_the_status() {
        let (ended, log) = shell("echo out; echo err >&2; exit 3", Duration::from_secs(20));

        assert_eq!(ended.describe(), "exit status: 3");
        assert_eq!(log, "out\nerr\n");
    }

    #[test]
    fn ends_what_takes_too_long_with_its_children() {
        let (ended, log) = shell("sleep 60 & echo $!; wait", Duration::from_millis(300));

        assert!(matches!(ended, Ended::TimedOut(_)));
        let child = Path::new("/proc").join(log.trim());
        let gone = (0..100).any(|_| {
            thread::sleep(TICK);
            // A zombie until somebody reaps it, but no longer running.
            fs::read_to_string(child.join("stat")).map_or(true, |stat| stat.contains(") Z "))
        });
        assert!(gone, "{} is still there", child.display());
    }

    #[test]
    fn says_which_signal_killed_it() {
        let (ended, _) = shell("kill -SEGV $$", Duration::from_secs(20));

        assert_eq!(ended.describe(), "killed by SIGSEGV");
        assert!(!ended.success());
    }
}
