//! A site in a network namespace of its own, with its pins in a BPF file system of its own.

pub mod controller;
pub mod wire;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use wamig_userspace::admin::client;
use wamig_userspace::admin::status::Status;

/// True when the kernel lets us; else says why the test is skipped.
pub fn may_run() -> bool {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: needs root");
        return false;
    }
    if wamig_userspace::object::bytes().is_none() {
        println!("SKIPPED: built without the XDP object; run cargo xtask build-ebpf first");
        return false;
    }
    true
}

/// Two ports on veth pairs, whose other ends do what XDP needs of them.
pub const TWO_PORTS: &str = "for p in up srv; do ip link add name $p type veth peer name x$p; \
                             ip link set dev $p up; ip link set dev x$p up; done";

/// The site's files. The daemon's process is a [`Daemon`].
pub struct Site {
    dir: tempfile::TempDir,
    pins: PathBuf,
}

impl Site {
    /// Ports `up` and `srv`, no peers.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("wamig-test-site-").tempdir().unwrap();
        let bpffs = dir.path().join("bpf");
        std::fs::create_dir(&bpffs).unwrap();
        mount(Some("bpf"), &bpffs, Some("bpf"), MsFlags::empty(), None::<&str>).unwrap();
        let site = Self { pins: bpffs.join("wamig"), dir };
        site.configure(&site.pinned(), "");
        site
    }

    /// Writes the configuration with lines of `[switch]`, and more behind everything.
    pub fn configure(&self, switch: &str, more: &str) {
        let text = format!(
            "site = \"dc1\"\nstate_dir = \"state\"\ncontrol_socket = \"ctl.sock\"\n\
             [switch]\nports = [\"up\", \"srv\"]\n{switch}\n\
             [lan]\nuplink = \"up\"\nprefix = \"192.0.2.0/24\"\ngateway = \"192.0.2.1\"\n{more}"
        );
        std::fs::write(self.config(), text).unwrap();
    }

    /// Writes the configuration of a switch that controllers own, with lines of `[switch]`.
    pub fn configure_openflow(&self, switch: &str) {
        let text = format!(
            "site = \"dc1\"\nstate_dir = \"state\"\ncontrol_socket = \"ctl.sock\"\n\
             [switch]\nports = [\"up\", \"srv\"]\ndatapath_id = \"0000000000000007\"\ncontrol = \"openflow\"\n{}\n{switch}\n\
             [openflow]\nlisten = [\"punix:of.sock\"]\n",
            self.pinned()
        );
        std::fs::write(self.config(), text).unwrap();
    }

    /// Where controllers connect to, by [`Self::configure_openflow`].
    pub fn openflow(&self) -> PathBuf {
        self.dir().join("of.sock")
    }

    /// The line that says where to pin.
    pub fn pinned(&self) -> String {
        format!("pin_path = \"{}\"", self.pins.display())
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn pins(&self) -> &Path {
        &self.pins
    }

    pub fn config(&self) -> PathBuf {
        self.dir().join("dc1.toml")
    }

    pub fn socket(&self) -> PathBuf {
        self.dir().join("ctl.sock")
    }

    /// Runs a verb to its end.
    pub fn wamig(&self, verb: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_wamig")).arg(verb).arg("--config").arg(self.config()).output().unwrap()
    }

    /// Starts the daemon in a new network namespace after `setup` has run in it; `wrapper` is
    /// what the program is started by.
    pub fn start(&self, setup: &str, wrapper: &str) -> Daemon {
        let wamig = env!("CARGO_BIN_EXE_wamig");
        let script = format!("set -e; {setup}; exec {wrapper} {wamig} run --config {}", self.config().display());
        let mut child = Command::new("unshare");
        child.args(["--net", "sh", "-c", &script]);
        Daemon { child: child.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap(), socket: self.socket() }
    }

    /// Starts the daemon in a network namespace that is there.
    pub fn start_in(&self, namespace: &str) -> Daemon {
        let mut child = Command::new("nsenter");
        child.arg(format!("--net={namespace}")).args([env!("CARGO_BIN_EXE_wamig"), "run", "--config"]);
        child.arg(self.config()).stdin(Stdio::null()).stderr(Stdio::piped());
        Daemon { child: child.spawn().unwrap(), socket: self.socket() }
    }

    /// That the daemon does not start, and what it says: the line that begins with `wamig: `.
    pub fn refusal(&self, setup: &str, wrapper: &str) -> String {
        let mut daemon = self.start(setup, wrapper);
        let (code, said) = daemon.end(Duration::from_secs(20));
        assert_eq!(code, Some(1), "{said}");
        assert!(!self.socket().exists(), "nothing is left behind");
        let line = said.lines().find_map(|l| l.strip_prefix("wamig: "));
        line.unwrap_or_else(|| panic!("no reason in {said}")).to_owned()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The links in it go with their namespace and with their pins.
        if let Err(e) = umount2(&self.dir().join("bpf"), MntFlags::MNT_DETACH) {
            eprintln!("{}: {e}", self.dir().display());
        }
    }
}

/// A daemon, killed at the end of the test if it still runs.
pub struct Daemon {
    child: Child,
    socket: PathBuf,
}

impl Daemon {
    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Its network namespace.
    pub fn namespace(&self) -> String {
        format!("/proc/{}/ns/net", self.child.id())
    }

    /// Asks until the answer is as wanted, 40 s at most.
    pub fn until(&mut self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let begun = Instant::now();
        loop {
            let status = client::get_json::<Status>(&self.socket, "/v1/status");
            match status {
                Ok(status) if wanted(&status) => return status,
                other if begun.elapsed() > Duration::from_secs(40) => {
                    self.child.kill().unwrap();
                    let (_, said) = self.end(Duration::from_secs(1));
                    panic!("{what} does not come: {other:?}\n{said}");
                }
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Runs a command in the daemon's network namespace.
    pub fn inside(&self, script: &str) -> String {
        let net = format!("--net=/proc/{}/ns/net", self.child.id());
        let done = Command::new("nsenter").args([&net, "sh", "-c", script]).output().unwrap();
        assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// Sends SIGHUP.
    pub fn hang_up(&self) {
        kill(self.pid(), Signal::SIGHUP).unwrap();
    }

    /// Sends a signal and waits for the end: exit code and everything said on stderr.
    pub fn signal(&mut self, signal: Signal) -> (Option<i32>, String) {
        kill(self.pid(), signal).unwrap();
        self.end(Duration::from_secs(5))
    }

    fn end(&mut self, patience: Duration) -> (Option<i32>, String) {
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() && begun.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(20));
        }
        let code = self.child.try_wait().unwrap().and_then(|s| s.code());
        let _ = self.child.kill();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (code, said)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
