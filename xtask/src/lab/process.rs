//! Processes of the lab: started in a network namespace, in a session of their own, written
//! down in the journal by themselves between fork and exec, ended by pid and start time.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::unistd::Pid;

use super::journal::Journal;
use super::netns;

/// A process that cannot be mistaken for a later one with the same pid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Process id.
    pub pid: i32,
    /// Start time in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start: u64,
}

impl Identity {
    /// Reads it out of a line of `/proc/PID/stat`.
    pub fn from_stat(stat: &str) -> Option<Self> {
        let pid = stat.split(' ').next()?.parse().ok()?;
        // The name is in parentheses and may hold anything, parentheses included.
        let after = &stat[stat.rfind(')')? + 1..];
        let start = after.split_ascii_whitespace().nth(19)?.parse().ok()?;
        Some(Self { pid, start })
    }

    /// A handle on the process if it is still there, a zombie included.
    fn handle(self) -> Option<OwnedFd> {
        // SAFETY: pidfd_open takes two integers and returns a new descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, self.pid, 0) };
        if fd < 0 {
            return None;
        }
        // SAFETY: the descriptor is new and ours.
        let handle = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        (Self::from_stat(&stat) == Some(self)).then_some(handle)
    }

    /// Whether it is running.
    pub fn alive(self) -> bool {
        self.handle().is_some_and(|handle| !ended(handle.as_fd(), Duration::ZERO))
    }
}

/// Ends processes, first by request, then by force; newest first as given. Returns how many
/// were running, and what went wrong.
pub fn end_all(processes: &[(&str, Identity)]) -> (usize, Vec<String>) {
    let running: Vec<_> = processes
        .iter()
        .filter_map(|&(label, id)| id.handle().map(|handle| (label, id, handle)))
        .filter(|(_, _, handle)| !ended(handle.as_fd(), Duration::ZERO))
        .collect();
    for (_, _, handle) in &running {
        signal(handle.as_fd(), libc::SIGTERM);
    }
    let deadline = Instant::now() + Duration::from_secs(3);
    let mut failures = Vec::new();
    for (label, id, handle) in &running {
        if ended(handle.as_fd(), deadline.saturating_duration_since(Instant::now())) {
            continue;
        }
        signal(handle.as_fd(), libc::SIGKILL);
        if !ended(handle.as_fd(), Duration::from_secs(2)) {
            failures.push(format!("{label} (pid {}) does not end", id.pid));
        }
    }
    for &(_, id) in processes {
        // Collects our own children; those of a run before us are not ours to collect.
        let _ = nix::sys::wait::waitpid(Pid::from_raw(id.pid), Some(nix::sys::wait::WaitPidFlag::WNOHANG));
    }
    (running.len(), failures)
}

fn signal(handle: BorrowedFd<'_>, signal: i32) {
    // SAFETY: pidfd_send_signal with a null siginfo takes no memory of ours.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, handle.as_raw_fd(), signal, std::ptr::null::<u8>(), 0) };
}

/// Whether the process behind the handle has ended within `limit`.
fn ended(handle: BorrowedFd<'_>, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left.as_millis()).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(handle, PollFlags::POLLIN)], timeout) {
            Ok(n) => return n > 0,
            Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

/// A process of the lab.
pub struct Process {
    label: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` in the network namespace `netns` and nothing else of it: the mounts
    /// stay those of the host, so that bpffs is seen. Its output goes to `log`. With
    /// `control`, its standard input is a pipe ([`Self::control`]).
    ///
    /// # Errors
    /// The program, the namespace or the log is missing.
    pub fn start(
        journal: &Journal,
        label: &str,
        netns: &str,
        program: &Path,
        args: &[&str],
        log: &Path,
        control: bool,
    ) -> Result<Self> {
        let namespace = netns::open(netns)?;
        let out = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(program);
        command.args(args).stdout(out.try_clone()?).stderr(out);
        command.stdin(if control { Stdio::piped() } else { Stdio::null() });
        let note = format!("child\t{label}\t").into_bytes();
        let journal_fd = journal.fd().as_raw_fd();
        // SAFETY: only system calls and the memory of this closure are used between fork and exec.
        unsafe {
            command.pre_exec(move || {
                write_down(journal_fd, &note)?;
                // Away from the terminal: Ctrl-C is for the lab, which ends its own in order.
                nix::unistd::setsid()?;
                setns(&namespace, CloneFlags::CLONE_NEWNET)?;
                Ok(())
            });
        }
        let child = command.spawn().with_context(|| format!("cannot start {label} ({})", program.display()))?;
        Ok(Self { label: label.to_owned(), child, log: log.to_owned() })
    }

    /// Its pid.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// What it is.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its standard input, if it was started with one.
    pub fn control(&mut self) -> Option<&mut ChildStdin> {
        self.child.stdin.as_mut()
    }

    /// Whether it is still running.
    pub fn running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: nix::sys::signal::Signal) -> Result<()> {
        nix::sys::signal::kill(Pid::from_raw(self.pid()), signal)
            .with_context(|| format!("cannot signal {} (pid {})", self.label, self.pid()))
    }

    /// Ends it at once, as a loss of power would.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Ends it: SIGTERM, and SIGKILL when it is still there after `patience`.
    ///
    /// # Errors
    /// It had to be killed.
    pub fn stop(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        let _ = self.signal(nix::sys::signal::Signal::SIGTERM);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.child.kill()?;
        self.child.wait()?;
        anyhow::bail!("{} did not end within {patience:?} of SIGTERM and was killed", self.label)
    }

    /// The last `lines` lines of what it has written.
    pub fn last_words(&self, lines: usize) -> String {
        last_words(&self.log, lines)
    }
}

/// The last `lines` lines of a log, nothing if there is none.
pub fn last_words(log: &Path, lines: usize) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(16 * 1024)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Writes `note` and the own line of `/proc/self/stat` to the journal with one `write`, by
/// system calls alone: this runs between fork and exec.
fn write_down(journal: i32, note: &[u8]) -> std::io::Result<()> {
    let mut line = [0_u8; 1024];
    let room = line.len();
    let head = note.len().min(room / 2);
    line[..head].copy_from_slice(&note[..head]);
    // SAFETY: the path is a C string, the buffer has the given room behind `head`.
    let length = unsafe {
        let stat = libc::open(c"/proc/self/stat".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if stat < 0 {
            return Err(std::io::Error::last_os_error());
        }
        let length = libc::read(stat, line[head..].as_mut_ptr().cast(), room - head);
        libc::close(stat);
        length
    };
    if length <= 0 {
        return Err(std::io::Error::from_raw_os_error(libc::ESRCH));
    }
    let end = head + length as usize;
    // SAFETY: the first `end` bytes of the buffer are initialised.
    if unsafe { libc::write(journal, line.as_ptr().cast(), end) } != end as isize {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_identity_is_alive_and_a_reused_pid_is_not() {
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let me = Identity::from_stat(&stat).unwrap();
        assert!(me.alive());
        assert!(!Identity { start: me.start + 1, ..me }.alive());
    }

    #[test]
    fn nothing_is_ended_that_is_not_ours() {
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let me = Identity::from_stat(&stat).unwrap();
        let stranger = Identity { start: me.start + 1, ..me };
        assert_eq!(end_all(&[("a reused pid", stranger)]), (0, Vec::new()));
    }
}
