//! The temporary directory of one run: gone at its end, or at the start of the next one.
//!
//! Every test program has a part of it as its `TMPDIR`, which thereby is a mark: a process that still has it in its
//! environment when the program is over was left behind, whatever group or session it moved to, and goes with it.

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::user;

const PREFIX: &str = "wamig-test.";

/// A directory under the system's temporary directory (short paths: tests put sockets there).
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Make one, and remove those whose run was killed.
    pub fn new() -> Result<Self> {
        remove_stale(&env::temp_dir());
        let dir = env::temp_dir().join(format!("{PREFIX}{}", process::id()));
        fs::create_dir(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        user::own(&dir);
        Ok(Self(dir))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A directory in it for one program only: gone, with what the program left running, when dropped.
    pub fn part(&self) -> Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let dir = self.0.join(MADE.fetch_add(1, Ordering::Relaxed).to_string());
        fs::create_dir(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        user::own(&dir);
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        end_marked(&self.0);
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

/// Remove the directories of runs that are over, and what they left running; what belongs to somebody else stays.
fn remove_stale(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            end_marked(&entry.path());
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Kill every process whose `TMPDIR` is `dir` or below it; those we may not look at are not ours.
fn end_marked(dir: &Path) {
    let marked = |variable: &[u8]| {
        let value = variable.strip_prefix(b"TMPDIR=".as_slice());
        value.is_some_and(|value| Path::new(OsStr::from_bytes(value)).starts_with(dir))
    };
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|pid| pid.parse::<i32>().ok());
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if let Some(pid) = pid.filter(|_| environment.split(|byte| *byte == 0).any(marked)) {
            // It may just have ended by itself.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_left_behind_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let mut left =
            process::Command::new("setsid").args(["sleep", "60"]).env("TMPDIR", dir.path().join("0")).spawn().unwrap();

        let ended = (0..100).any(|_| {
            end_marked(dir.path());
            std::thread::sleep(std::time::Duration::from_millis(10));
            left.try_wait().unwrap().is_some()
        });

        assert!(ended);
    }

    #[test]
    fn only_dead_runs_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let alive = dir.path().join(format!("{PREFIX}{}", process::id()));
        let dead = dir.path().join(format!("{PREFIX}4294967294"));
        let other = dir.path().join("wamig-test.notes");
        for path in [&alive, &dead, &other] {
            fs::create_dir(path).unwrap();
        }

        remove_stale(dir.path());

        assert_eq!([alive.exists(), dead.exists(), other.exists()], [true, false, true]);
    }
}
