//! The temporary directory of one run: gone at its end, or at the start of the next one.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context as _, Result};

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
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

/// Remove the directories of runs that are over; one that belongs to somebody else stays.
fn remove_stale(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
