//! `cargo xtask test`: every suite, counted; the last line is `N passed, N failed, N skipped`.
//!
//! | suite | runs as | what |
//! |---|---|---|
//! | unprivileged | the user who builds | all test programs but `kernel_*` and `netns_*`, and the documentation's examples |
//! | no object | the same | userspace and its tests compile with the feature `bpf` off |
//! | fuzz targets | the same | a short run of each, see [`crate::fuzz`] |
//! | lint | the same | [`crate::lint`] |
//! | privileged | root | `kernel_*` and `netns_*`: two programs side by side ([`alone`]), one test at a time in each |
//! | another kernel | the same as lint | the same `kernel_*` programs inside a virtual machine, and `kernel_lab_*` only there, see [`crate::qemu`] |
//!
//! Nothing passes silently: what cannot run is counted as skipped, with the reason, and that is a failure where
//! everything could have run (as root) or has to (`CI=true`).

pub mod alone;
pub mod binary;
pub mod libtest;
pub mod scratch;

use std::{
    env,
    num::NonZeroUsize,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, ValueEnum};

use self::{
    binary::{As, TestBinary},
    scratch::Scratch,
};
use crate::{
    bpf::{build, toolchain},
    exclusive::Exclusive,
    fuzz, interrupt, lab, lint, process, qemu,
    tally::{Skips, Tally},
    user,
};

/// When an unprivileged test program counts as hung. None takes a minute; a busy machine is many times slower.
const USER_LIMIT: Duration = Duration::from_mins(15);
/// When a privileged test program counts as hung; whole migrations run in them.
const ROOT_LIMIT: Duration = Duration::from_mins(20);

/// Privileged programs at a time. Most of what they do is wait.
const SIDE_BY_SIDE: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// What `cargo xtask test` takes.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Only the suite that needs root
    #[arg(long, conflicts_with = "unprivileged")]
    privileged: bool,
    /// Only the suites that do not need root or another kernel
    #[arg(long)]
    unprivileged: bool,
    /// Only the kernel tests, under another kernel
    #[arg(long, value_enum, conflicts_with_all = ["privileged", "unprivileged"])]
    kernel: Option<Kernel>,
    /// Privileged test programs at a time
    #[arg(long, value_name = "N", default_value_t = SIDE_BY_SIDE)]
    jobs: NonZeroUsize,
    /// The long tests, too (those marked "ignore")
    #[arg(long)]
    all: bool,
    /// Only the test programs whose name contains this; leaves out the other checks
    name: Option<String>,
}

/// A kernel to boot in a virtual machine.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kernel {
    /// Debian 12's: Linux 6.1, the oldest one supported
    Debian,
}

impl Options {
    fn user_suites(&self) -> bool {
        !self.privileged && self.kernel.is_none()
    }

    fn root_suite(&self) -> bool {
        !self.unprivileged && self.kernel.is_none()
    }

    fn other_kernel(&self) -> bool {
        !self.privileged && !self.unprivileged
    }

    fn checks(&self) -> bool {
        self.user_suites() && self.name.is_none()
    }

    fn wants(&self, binary: &TestBinary) -> bool {
        self.name.as_ref().is_none_or(|name| binary.title.contains(name.as_str()))
    }
}

/// Run the suites that were asked for; an interrupt ends them, and is told in the closing lines.
pub fn run(options: &Options) -> Result<ExitCode> {
    interrupt::watch()?;
    let all_must_run = user::is_root() || env::var("CI").is_ok_and(|ci| ci == "true");
    let mut tally = Tally::new();
    let ran = suites(options, &mut tally);
    if let Err(error) = ran {
        tally.fail("the run", &format!("{error:#}"));
    }
    let code = tally.close(if all_must_run { Skips::Fail } else { Skips::Allow });
    Ok(interrupt::caught().map_or(code, |signal| ExitCode::from(128 + signal as u8)))
}

fn suites(options: &Options, tally: &mut Tally) -> Result<()> {
    let scratch = Scratch::new()?;
    // First: it makes the linker that lint then only uses, as the user who builds.
    tally.add(object()?);
    if options.checks() {
        tally.add(lint::run()?);
    }
    let binaries: Vec<_> = binary::build()?.into_iter().filter(|binary| options.wants(binary)).collect();
    let fuzz = options.checks().then(fuzz::Short::build);
    let built = Instant::now();
    let (privileged, unprivileged): (Vec<_>, Vec<_>) = binaries.into_iter().partition(TestBinary::is_privileged);
    if options.user_suites() {
        for binary in &unprivileged {
            tally.add(binary.run(As::User, USER_LIMIT, options.all, &scratch)?);
        }
    }
    if options.checks() {
        tally.add(examples()?);
        tally.add(without_object());
    }
    if let Some(fuzz) = fuzz {
        tally.add(fuzz.run()?);
    }
    if options.root_suite() {
        let here: Vec<_> = privileged.iter().filter(|binary| !binary.is_of_guest()).cloned().collect();
        tally.add(privileged_suite(&here, options, &scratch)?);
    }
    if options.other_kernel() {
        let kernel_tests: Vec<_> = privileged.into_iter().filter(|binary| binary.name.starts_with("kernel_")).collect();
        tally.add(qemu::test(&kernel_tests, options.all, &scratch)?);
    }
    println!("{:.1} minutes since everything was built", built.elapsed().as_secs_f32() / 60.0);
    Ok(())
}

/// What needs root; before and after it, nothing of a test network is there.
fn privileged_suite(binaries: &[TestBinary], options: &Options, scratch: &Scratch) -> Result<Tally> {
    let mut tally = Tally::new();
    if !user::is_root() {
        for binary in binaries {
            tally.add(binary.skip("needs root: sudo scripts/test")?);
        }
        return Ok(tally);
    }
    let _alone = Exclusive::wait()?;
    lab::clean().context("what an earlier run left behind cannot be removed")?;
    let queue = Mutex::new(binaries.iter());
    let lane = || {
        let mut tally = Tally::new();
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(binary) = next else { return Ok(tally) };
            tally.add(binary.run(As::Root, ROOT_LIMIT, options.all, scratch)?);
        }
    };
    let ran: Vec<Result<Tally>> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..options.jobs.get()).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().map(|lane| lane.join().map_err(|_| anyhow!("the runner of tests panicked"))?).collect()
    });
    lab::clean().context("what the tests made cannot be removed")?;
    for lane in ran {
        tally.add(lane?);
    }
    Ok(tally)
}

/// The XDP object, built by the user: without a toolchain for it what needs it is skipped, not failed.
fn object() -> Result<Tally> {
    let name = "the XDP object";
    let chosen = toolchain::Pins::read().and_then(|pins| toolchain::Toolchain::choose(&pins));
    if let Err(error) = chosen
        && build::given().is_none()
    {
        return Ok(Tally::of_skipped(name, &format!("{error:#}")));
    }
    let own = env::current_exe().context("cannot tell which program this is")?;
    let mut tally = Tally::new();
    match process::run(user::command(own).arg("build-ebpf")) {
        Ok(()) => tally.pass(1),
        Err(error) => tally.fail(name, &format!("{error:#}")),
    }
    Ok(tally)
}

/// The examples in the documentation.
fn examples() -> Result<Tally> {
    let mut cargo = user::cargo();
    cargo.args(["test", "--locked", "--workspace", "--exclude", "wamig-ebpf", "--doc"]);
    binary::run_tests("documentation examples", &mut cargo, USER_LIMIT)
}

/// Userspace has to build and its tests to compile where there is no BPF toolchain.
fn without_object() -> Tally {
    let name = "userspace without the XDP object";
    let mut cargo = user::cargo();
    // Checked, not built: a `wamig` without the object must not take the place of the one the other tests run.
    cargo.args([
        "check",
        "--quiet",
        "--locked",
        "--package",
        "wamig-userspace",
        "--no-default-features",
        "--all-targets",
    ]);
    let mut tally = Tally::new();
    match process::run(&mut cargo) {
        Ok(()) => tally.pass(1),
        Err(error) => tally.fail(name, &format!("{error:#}")),
    }
    println!("{name} ... {}", tally.line());
    tally
}
