//! A WAN link: two tap interfaces in two namespaces and, between them, a process that holds
//! every frame for the link's delay. First in, first out; frames can be lost on purpose and
//! the link can be cut. It needs no queueing discipline of the kernel.
//!
//! The process is `xtask lab delay-line`. It takes commands on its standard input, one a
//! line: `delay MICROSECONDS`, `loss PER-MILLE`, `cut`, `join`, `keep`; when the input ends
//! it ends too, unless `keep` came before.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sched::{CloneFlags, setns};

use super::journal::Journal;
use super::netns;
use super::process::Process;

const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
/// Largest frame a tap of MTU 1500 delivers, with room.
const FRAME: usize = 2048;
/// Frames held per direction: 10 ms of a link of several Gbit/s; more is a full queue, lost.
const QUEUE: usize = 16_384;

/// One end of a link: a namespace and the name of the tap interface in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// Network namespace.
    pub namespace: String,
    /// Interface made in it.
    pub interface: String,
}

impl std::str::FromStr for End {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (namespace, interface) = text.split_once(':').ok_or("an end is written NAMESPACE:INTERFACE")?;
        Ok(Self { namespace: namespace.to_owned(), interface: interface.to_owned() })
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.namespace, self.interface)
    }
}

/// The handle on the process of a link.
pub struct DelayLine {
    process: Process,
}

impl DelayLine {
    /// Starts a link; returns when both interfaces are there.
    ///
    /// # Errors
    /// The process cannot be started or says why it cannot make the interfaces.
    pub fn start(
        journal: &Journal,
        helper: &Path,
        label: &str,
        ends: [&End; 2],
        delay: Duration,
        log: &Path,
    ) -> Result<Self> {
        let [a, b] = ends.map(End::to_string);
        let micros = delay.as_micros().to_string();
        let args = ["lab", "delay-line", &a, &b, "--delay-us", &micros];
        let process = Process::start(journal, label, &ends[0].namespace, helper, &args, log, true)?;
        let mut line = Self { process };
        let deadline = Instant::now() + Duration::from_secs(40);
        for end in ends {
            while !netns::enter(&end.namespace, || Ok(nix::net::if_::if_nametoindex(end.interface.as_str()).is_ok()))? {
                ensure!(
                    line.process.running() && Instant::now() < deadline,
                    "the WAN link {label} did not come up: {}",
                    line.process.last_words(5)
                );
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        Ok(line)
    }

    /// Loses this share of the frames, in thousandths.
    ///
    /// # Errors
    /// The process has ended.
    pub fn lose(&mut self, per_mille: u32) -> Result<()> {
        self.command(&format!("loss {per_mille}"))
    }

    /// Cuts the link: frames under way and all later ones are lost.
    ///
    /// # Errors
    /// The process has ended.
    pub fn cut(&mut self) -> Result<()> {
        self.command("cut")
    }

    /// Joins a cut link.
    ///
    /// # Errors
    /// The process has ended.
    pub fn join(&mut self) -> Result<()> {
        self.command("join")
    }

    /// Lets the link outlive this process.
    ///
    /// # Errors
    /// The process has ended.
    pub fn keep(&mut self) -> Result<()> {
        self.command("keep")
    }

    fn command(&mut self, command: &str) -> Result<()> {
        let label = self.process.label().to_owned();
        let input = self.process.control().context("a delay line has a control pipe")?;
        writeln!(input, "{command}").with_context(|| format!("the WAN link {label} has ended"))
    }
}

/// Opens a tap; carrier comes with it and it goes when the file is closed.
fn tap(end: &End) -> Result<File> {
    setns(netns::open(&end.namespace)?, CloneFlags::CLONE_NEWNET)?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .context("cannot open /dev/net/tun: the kernel needs CONFIG_TUN (modprobe tun)")?;
    // SAFETY: ifreq is plain data for which zeroes are valid.
    let mut request: libc::ifreq = unsafe { MaybeUninit::zeroed().assume_init() };
    ensure!(end.interface.len() < request.ifr_name.len(), "the interface name {} is too long", end.interface);
    for (to, from) in request.ifr_name.iter_mut().zip(end.interface.bytes()) {
        *to = from as libc::c_char;
    }
    // Without IFF_VNET_HDR the kernel completes checksums and segments before we read.
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes the one ifreq.
    if unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, &raw mut request) } < 0 {
        return Err(std::io::Error::last_os_error()).with_context(|| format!("cannot make the tap {end}"));
    }
    Ok(file)
}

/// What the link does to frames at present.
struct Terms {
    delay: Duration,
    loss_per_mille: u32,
    cut: bool,
    keep: bool,
    dice: u32,
}

impl Terms {
    fn obey(&mut self, line: &str) {
        let (verb, number) = line.split_once(' ').unwrap_or((line, ""));
        match (verb, number.parse::<u32>()) {
            ("delay", Ok(micros)) => self.delay = Duration::from_micros(u64::from(micros)),
            ("loss", Ok(per_mille)) => self.loss_per_mille = per_mille,
            ("cut", _) => self.cut = true,
            ("join", _) => self.cut = false,
            ("keep", _) => self.keep = true,
            _ => eprintln!("delay line: not a command: {line:?}"),
        }
    }

    /// Rolls the dice for one frame (xorshift32: repeatable, and good enough to lose frames).
    fn loses(&mut self) -> bool {
        if self.loss_per_mille == 0 {
            return self.cut;
        }
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 17;
        self.dice ^= self.dice << 5;
        self.cut || self.dice % 1000 < self.loss_per_mille
    }
}

/// One direction of the link.
#[derive(Default)]
struct Direction {
    held: VecDeque<(Instant, Vec<u8>)>,
}

impl Direction {
    /// Takes in what the sender's tap has.
    fn fill(&mut self, mut from: &File, terms: &mut Terms) -> Result<()> {
        let mut frame = [0_u8; FRAME];
        loop {
            match from.read(&mut frame) {
                Ok(0) => return Ok(()),
                Ok(n) => {
                    if !terms.loses() && self.held.len() < QUEUE {
                        // A shorter delay must not let a frame overtake the one before it.
                        let due = Instant::now() + terms.delay;
                        let due = self.held.back().map_or(due, |(last, _)| due.max(*last));
                        self.held.push_back((due, frame[..n].to_vec()));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The interface is down: nothing is sent into it.
                Err(error) if error.raw_os_error() == Some(libc::EIO) => return Ok(()),
                Err(error) => return Err(error).context("cannot read from a tap"),
            }
        }
    }

    /// Delivers what is due.
    fn drain(&mut self, mut to: &File) {
        let now = Instant::now();
        while self.held.front().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, frame)) = self.held.pop_front() {
                // A tap that is down or full loses the frame, as a wire would.
                let _ = to.write(&frame);
            }
        }
    }
}

/// The process of a link: runs until its input ends or it is told to stop by a signal.
///
/// # Errors
/// A tap cannot be made, or polling fails.
pub fn run(ends: [&End; 2], delay: Duration) -> Result<()> {
    let taps = [tap(ends[0])?, tap(ends[1])?];
    // SAFETY: prctl and setpriority take integers. Both only sharpen the timing, so that a
    // refusal is no error.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64, 0, 0, 0);
        libc::setpriority(libc::PRIO_PROCESS as _, 0, -15);
    }
    let mut terms = Terms { delay, loss_per_mille: 0, cut: false, keep: false, dice: 0x9e37_79b9 };
    let mut directions = [Direction::default(), Direction::default()];
    let mut input = Some(std::io::stdin());
    let mut pending = String::new();
    loop {
        let due = directions.iter().filter_map(|d| d.held.front().map(|(due, _)| *due)).min();
        let timeout = due.map(|due| nix::sys::time::TimeSpec::from(due.saturating_duration_since(Instant::now())));
        let mut fds =
            vec![PollFd::new(taps[0].as_fd(), PollFlags::POLLIN), PollFd::new(taps[1].as_fd(), PollFlags::POLLIN)];
        fds.extend(input.as_ref().map(|input| PollFd::new(input.as_fd(), PollFlags::POLLIN)));
        match ppoll(&mut fds, timeout, None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error).context("cannot poll"),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        drop(fds);
        if ready.get(2) == Some(&true) && !commands(&mut pending, &mut terms)? {
            if !terms.keep {
                return Ok(());
            }
            input = None;
        }
        if terms.cut {
            for direction in &mut directions {
                direction.held.clear();
            }
        }
        for (here, there) in [(0, 1), (1, 0)] {
            if ready[here] {
                directions[here].fill(&taps[here], &mut terms)?;
            }
            directions[here].drain(&taps[there]);
        }
    }
}

/// Takes in commands; whether the input goes on.
fn commands(pending: &mut String, terms: &mut Terms) -> Result<bool> {
    let mut bytes = [0_u8; 256];
    let n = nix::unistd::read(std::io::stdin(), &mut bytes)?;
    pending.push_str(&String::from_utf8_lossy(&bytes[..n]));
    while let Some(end) = pending.find('\n') {
        let line: String = pending.drain(..=end).collect();
        terms.obey(line.trim());
    }
    Ok(n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms {
        Terms { delay: Duration::ZERO, loss_per_mille: 0, cut: false, keep: false, dice: 1 }
    }

    #[test]
    fn loses_the_share_it_was_told() {
        let mut terms = terms();
        terms.obey("loss 100");
        let lost = (0..10_000).filter(|_| terms.loses()).count();
        assert!((900..1100).contains(&lost), "{lost}");
        terms.obey("loss 0");
        assert!(!(0..1000).any(|_| terms.loses()));
    }

    #[test]
    fn a_cut_link_loses_all_until_it_is_joined() {
        let mut terms = terms();
        terms.obey("cut");
        assert!(terms.loses());
        terms.obey("join");
        assert!(!terms.loses());
    }

    #[test]
    fn ends_read_as_they_are_written() {
        let end: End = "wamig-r1:wan".parse().unwrap();
        assert_eq!(end.to_string(), "wamig-r1:wan");
        assert!("nothing".parse::<End>().is_err());
    }
}
