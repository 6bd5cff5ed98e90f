//! The journal of a lab: what it has made on this machine, written down *before* it is made,
//! so that whoever comes next — this process at its end, or the next run after a SIGKILL —
//! can remove exactly that and nothing else.
//!
//! It lies in `/run/{prefix}lab/journal`, one line per thing. A process is known by its pid
//! and start time together; a pid that was reused is left alone. The owner of a lab holds a
//! lock on the file for as long as it lives.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::{Flock, FlockArg};

use super::netns;
use super::process::Identity;

/// Something of a lab that has to be removed at its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// A network namespace by its full name.
    Namespace(String),
    /// A file system mounted at this path.
    Mount(PathBuf),
    /// A directory outside the lab's own that was made for it; removed if it is empty.
    Directory(PathBuf),
    /// A process and what it is.
    Process(String, Identity),
    /// The lab was left up on purpose.
    Kept,
}

impl Entry {
    fn line(&self) -> String {
        match self {
            Self::Namespace(name) => format!("namespace\t{name}\n"),
            Self::Mount(path) => format!("mount\t{}\n", path.display()),
            Self::Directory(path) => format!("directory\t{}\n", path.display()),
            Self::Process(label, id) => format!("process\t{label}\t{}\t{}\n", id.pid, id.start),
            Self::Kept => "kept\t\n".to_owned(),
        }
    }

    /// Reads one line; a child between fork and exec writes `child LABEL STAT`, with its line
    /// of `/proc/self/stat` as it is.
    fn parse(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once('\t')?;
        match kind {
            "namespace" => Some(Self::Namespace(rest.to_owned())),
            "mount" => Some(Self::Mount(rest.into())),
            "directory" => Some(Self::Directory(rest.into())),
            "process" => {
                let mut fields = rest.split('\t');
                let label = fields.next()?.to_owned();
                let pid = fields.next()?.parse().ok()?;
                let start = fields.next()?.parse().ok()?;
                Some(Self::Process(label, Identity { pid, start }))
            }
            "child" => {
                let (label, stat) = rest.split_once('\t')?;
                Some(Self::Process(label.to_owned(), Identity::from_stat(stat)?))
            }
            "kept" => Some(Self::Kept),
            _ => None,
        }
    }
}

/// What a sweep removed.
#[derive(Default, Clone, PartialEq, Eq, Debug)]
pub struct Swept {
    /// Number of processes ended.
    pub processes: usize,
    /// Number of namespaces deleted.
    pub namespaces: usize,
    /// Number of mounts taken down.
    pub mounts: usize,
    /// The lab had been left up on purpose.
    pub kept: bool,
    /// What could not be removed, and why.
    pub failures: Vec<String>,
}

impl Swept {
    /// Whether there was nothing to remove.
    pub fn is_empty(&self) -> bool {
        self.processes + self.namespaces + self.mounts == 0 && self.failures.is_empty()
    }
}

impl std::fmt::Display for Swept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} processes, {} network namespaces, {} mounts removed",
            self.processes, self.namespaces, self.mounts
        )?;
        for failure in &self.failures {
            write!(f, "; left over: {failure}")?;
        }
        Ok(())
    }
}

/// The open journal of a lab; dropping it does not sweep.
pub struct Journal {
    dir: PathBuf,
    file: Flock<File>,
}

impl Journal {
    /// Opens the journal of the labs whose names begin with `prefix`, and removes what an
    /// earlier one has left.
    ///
    /// # Errors
    /// The prefix is not fit for a name, a lab of this prefix is running, or `/run` cannot be
    /// written.
    pub fn open(prefix: &str) -> Result<(Self, Swept)> {
        let journal = Self::lock(prefix)?;
        let swept = journal.sweep();
        ensure!(swept.failures.is_empty(), "an earlier lab cannot be removed: {swept}");
        journal.empty()?;
        Ok((journal, swept))
    }

    /// Deletes everything in the lab's directory but the journal: keys and logs of an earlier
    /// lab are not this one's.
    fn empty(&self) -> Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(&path)
            } else if path.ends_with("journal") {
                Ok(())
            } else {
                fs::remove_file(&path)
            }
            .with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(())
    }

    /// Opens the journal of a lab that was left up, as it is.
    ///
    /// # Errors
    /// No such lab was left up.
    pub fn attach(prefix: &str) -> Result<Self> {
        ensure!(directory(prefix)?.exists(), "no lab was left up: run demo --keep first");
        Self::lock(prefix)
    }

    /// The journal of a lab that nobody owns and nobody left up on purpose, if there is one.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn abandoned(prefix: &str) -> Result<Option<Self>> {
        let path = directory(prefix)?.join("journal");
        let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
        let kept = text.lines().filter_map(Entry::parse).any(|entry| entry == Entry::Kept);
        // Whoever holds the lock is at work in it.
        Ok(if kept { None } else { Self::lock(prefix).ok() })
    }

    /// The processes of this label that are running.
    pub fn running(&self, label: &str) -> Vec<Identity> {
        let text = fs::read_to_string(self.dir.join("journal")).unwrap_or_default();
        let named = text.lines().filter_map(Entry::parse).filter_map(|entry| match entry {
            Entry::Process(name, id) if name == label => Some(id),
            _ => None,
        });
        named.filter(|id| id.alive()).collect()
    }

    /// Removes what labs of this prefix have left.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn clean(prefix: &str) -> Result<Swept> {
        if !directory(prefix)?.exists() {
            return Ok(Swept::default());
        }
        let (journal, swept) = Self::open(prefix)?;
        journal.remove()?;
        Ok(swept)
    }

    fn lock(prefix: &str) -> Result<Self> {
        let dir = directory(prefix)?;
        let path = dir.join("journal");
        loop {
            fs::create_dir_all(&dir).with_context(|| format!("cannot make {}: are you root?", dir.display()))?;
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .read(true)
                .mode(0o600)
                .open(&path)
                .with_context(|| format!("cannot open {}: are you root?", path.display()))?;
            let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(file) => file,
                Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
                    bail!("another run with the prefix {prefix:?} is going on (it holds {})", path.display())
                }
                Err((_, error)) => return Err(error).context("cannot lock the journal"),
            };
            // Its last owner may have unlinked the file between our open and our lock.
            if fs::metadata(&path).is_ok_and(|m| file.metadata().is_ok_and(|own| own.ino() == m.ino())) {
                return Ok(Self { dir, file });
            }
        }
    }

    /// The lab's own directory, for its configuration, logs and sockets.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The open file, for children that write themselves down.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Writes an entry down; to be called before the thing is made.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn note(&self, entry: &Entry) -> io::Result<()> {
        (&*self.file).write_all(entry.line().as_bytes())
    }

    /// Removes all that is written down, newest first, and forgets it.
    pub fn sweep(&self) -> Swept {
        let mut swept = Swept::default();
        let text = match fs::read_to_string(self.dir.join("journal")) {
            Ok(text) => text,
            Err(error) => {
                swept.failures.push(format!("journal: {error}"));
                return swept;
            }
        };
        let mut entries: Vec<Entry> = text.lines().filter_map(Entry::parse).collect();
        entries.reverse();
        swept.kept = entries.contains(&Entry::Kept);

        let processes: Vec<_> = entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Process(label, id) => Some((label.as_str(), *id)),
                _ => None,
            })
            .collect();
        let (ended, failures) = super::process::end_all(&processes);
        swept.processes = ended;
        swept.failures.extend(failures);

        for entry in &entries {
            let done = match entry {
                Entry::Namespace(name) => netns::delete(name).map(|was| swept.namespaces += usize::from(was)),
                Entry::Mount(path) => unmount(path).map(|count| swept.mounts += count),
                Entry::Directory(path) => {
                    // Somebody else may use it by now: only an empty one goes.
                    let _ = fs::remove_dir(path);
                    Ok(())
                }
                Entry::Process(..) | Entry::Kept => Ok(()),
            };
            if let Err(error) = done {
                swept.failures.push(format!("{entry:?}: {error:#}"));
            }
        }
        if swept.failures.is_empty()
            && let Err(error) = self.file.set_len(0)
        {
            swept.failures.push(format!("journal: {error}"));
        }
        swept
    }

    /// Deletes the lab's directory and with it the journal; to be called after a clean sweep.
    ///
    /// # Errors
    /// The directory cannot be deleted.
    pub fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.dir).with_context(|| format!("cannot remove {}", self.dir.display()))
    }
}

/// The directory of the lab of a prefix, which need not be there.
///
/// # Errors
/// There can be no such prefix.
pub fn directory(prefix: &str) -> Result<PathBuf> {
    let fit = prefix.len() <= 32
        && prefix.ends_with('-')
        && prefix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    ensure!(fit, "the prefix {prefix:?} must be at most 32 of a-z 0-9 -, ending in -");
    Ok(Path::new("/run").join(format!("{prefix}lab")))
}

fn unmount(path: &Path) -> Result<usize> {
    let mut count = 0;
    loop {
        match nix::mount::umount2(path, nix::mount::MntFlags::MNT_DETACH) {
            Ok(()) => count += 1,
            Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOENT) => return Ok(count),
            Err(error) => return Err(error).with_context(|| format!("cannot unmount {}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_the_file() {
        for entry in [
            Entry::Namespace("wamig-r1".into()),
            Entry::Mount("/run/wamig-lab/bpf".into()),
            Entry::Directory("/run/netns".into()),
            Entry::Process("knotd at dc1".into(), Identity { pid: 7, start: 99 }),
            Entry::Kept,
        ] {
            assert_eq!(Entry::parse(entry.line().trim_end_matches('\n')), Some(entry));
        }
    }

    #[test]
    fn a_child_writes_itself_down() {
        let line = "child\tknotd\t12 (a (b) c) S 1 12 12 0 -1 1 2 3 4 5 6 7 8 9 20 0 1 0 4242 100 5";
        let expected = Entry::Process("knotd".into(), Identity { pid: 12, start: 4242 });
        assert_eq!(Entry::parse(line), Some(expected));
    }

    #[test]
    fn a_torn_line_is_no_entry() {
        assert_eq!(Entry::parse("process\tknotd\t1"), None);
        assert_eq!(Entry::parse("child\tknotd\t12 (x"), None);
    }

    #[test]
    fn prefixes_that_would_escape_are_refused() {
        assert!(directory("../x-").is_err());
        assert!(directory("wamig").is_err());
        assert!(directory("wamig-").is_ok());
    }
}
