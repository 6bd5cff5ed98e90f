//! `ovsdb-server` and `ovs-vswitchd` with one bridge, ended when dropped.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wamig_openflow::PortNo;

use super::control::Control;
use super::unixctl::Unixctl;
use crate::paths::{DEAD_PORT, PORTS};

/// The bridge.
pub const BRIDGE: &str = "br0";
/// The schema as Debian has it.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// How long a daemon may take to come up; it is some 50 ms on a machine that has time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program that is killed and waited for when dropped.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory whose logs are shown when a test fails.
struct Dir(tempfile::TempDir);

impl Drop for Dir {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for program in ["ovsdb-server", "ovs-vswitchd"] {
                let log = std::fs::read_to_string(self.0.path().join(format!("{program}.log"))).unwrap_or_default();
                println!("{program} said:\n{log}");
            }
        }
    }
}

/// Open vSwitch with a bridge that has the [`PORTS`].
pub struct Vswitch {
    /// For traces.
    pub unixctl: Unixctl,
    /// For flows.
    pub control: Control,
    numbers: Vec<(u32, PortNo)>,
    _vswitchd: Daemon,
    _ovsdb: Daemon,
    dir: Dir,
}

fn command(dir: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).stdin(Stdio::null());
    for name in ["OVS_RUNDIR", "OVS_DBDIR", "OVS_SYSCONFDIR", "OVS_LOGDIR"] {
        command.env(name, dir);
    }
    command
}

fn run(dir: &Path, program: &str, args: &[&str]) -> String {
    let output = command(dir, program).args(args).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn daemon(dir: &Path, program: &str, args: &[&str]) -> Daemon {
    let log = File::create(dir.join(format!("{program}.log"))).unwrap();
    let mut command = command(dir, program);
    command.args(args).args(["-vconsole:warn", "--no-chdir"]).stdout(Stdio::null()).stderr(log);
    Daemon(command.spawn().unwrap_or_else(|e| panic!("{program}: {e}")))
}

fn await_file(dir: &Path, name: &str) {
    let start = Instant::now();
    while !dir.join(name).exists() {
        assert!(start.elapsed() < PATIENCE, "{name} did not appear in {}", dir.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// True where Open vSwitch is installed; else says why the test is skipped.
pub fn may_run() -> bool {
    let there = ["ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl"]
        .iter()
        .all(|p| Command::new(p).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok());
    if !there || !Path::new(SCHEMA).exists() {
        println!("SKIP: Open vSwitch is not installed (openvswitch-switch)");
        return false;
    }
    true
}

impl Vswitch {
    /// Starts both daemons and makes the bridge.
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("wamig-test-ovs-").tempdir().unwrap();
        let at = dir.path();
        run(at, "ovsdb-tool", &["create", "conf.db", SCHEMA]);
        let ovsdb = daemon(at, "ovsdb-server", &["conf.db", "--remote=punix:db.sock", "--unixctl=dbctl"]);
        await_file(at, "db.sock");
        run(at, "ovs-vsctl", &["--db=unix:db.sock", "--no-wait", "init"]);
        let options = ["unix:db.sock", "--enable-dummy=override", "--disable-system", "--unixctl=vsctl"];
        let vswitchd = daemon(at, "ovs-vswitchd", &options);
        await_file(at, "vsctl");
        // As many tags as wamig steps over.
        let add = |port: &PortNo| {
            format!(" -- add-port {BRIDGE} p{port} -- set Interface p{port} type=dummy ofport_request={port}")
        };
        let ports: String = PORTS.iter().filter(|p| **p != PortNo::LOCAL).chain([&DEAD_PORT]).map(add).collect();
        let setup = format!(
            "--db=unix:db.sock --timeout=30 set Open_vSwitch . other_config:vlan-limit=2 -- add-br {BRIDGE} \
             -- set bridge {BRIDGE} datapath_type=dummy fail-mode=secure{ports}"
        );
        run(at, "ovs-vsctl", &setup.split(' ').collect::<Vec<_>>());
        let mut unixctl = Unixctl::connect(&at.join("vsctl"));
        let numbers = numbers(&unixctl.ask("dpif/show", &[]));
        assert_eq!(numbers.len(), PORTS.len() + 1, "{numbers:?}");
        let dead = format!("p{DEAD_PORT}");
        for flag in ["down", "no-forward"] {
            run(at, "ovs-ofctl", &["mod-port", BRIDGE, &dead, flag]);
        }
        let control = Control::connect(&at.join(format!("{BRIDGE}.mgmt")));
        Self { unixctl, control, numbers, _vswitchd: vswitchd, _ovsdb: ovsdb, dir: Dir(dir) }
    }

    /// The end of the daemon's log.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.dir.0.path().join("ovs-vswitchd.log")).unwrap_or_default();
        log.lines().next_back().unwrap_or_default().to_owned()
    }

    /// The OpenFlow port of a number of the datapath.
    pub fn port(&self, number: u32) -> PortNo {
        self.numbers.iter().find(|(n, _)| *n == number).unwrap_or_else(|| panic!("datapath port {number}")).1
    }
}

/// (datapath, OpenFlow) out of lines such as `p1 1/1: (dummy)`.
fn numbers(shown: &str) -> Vec<(u32, PortNo)> {
    let numbers = |line: &str| {
        let (of, datapath) = line.trim().split_once(": (")?.0.split_once(' ')?.1.split_once('/')?;
        let of = if of == "65534" { PortNo::LOCAL } else { PortNo(of.parse().ok()?) };
        Some((datapath.parse().ok()?, of))
    };
    shown.lines().filter_map(numbers).collect()
}
