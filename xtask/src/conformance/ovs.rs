//! Open vSwitch, started by hand: one database and one bridge of our own, no service of the machine's.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::lab::{journal::Journal, process::Process, signals};
use crate::process::run;

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
const SERVER: &str = "/usr/sbin/ovsdb-server";
const SWITCH: &str = "/usr/sbin/ovs-vswitchd";

/// A switch to start.
pub struct Bridge<'a> {
    /// Where it runs; a namespace holds one.
    pub namespace: &'a str,
    /// For its database, sockets and logs.
    pub dir: PathBuf,
    /// `tcp:IP:PORT`.
    pub controller: String,
    /// 16 hexadecimal digits.
    pub datapath_id: &'a str,
    /// `OpenFlow13`.
    pub protocol: String,
    /// What forwards.
    pub datapath: Datapath,
    /// They become the ports 1, 2, …
    pub interfaces: &'a [&'a str],
}

/// What forwards for Open vSwitch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Datapath {
    /// The switch's own process.
    #[default]
    Userspace,
    /// The kernel's module `openvswitch`.
    Kernel,
}

impl Datapath {
    /// `datapath_type` in the database.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Userspace => "netdev",
            Self::Kernel => "system",
        }
    }
}

/// Whether what [`start`] needs is installed.
pub fn installed() -> bool {
    [SCHEMA, SERVER, SWITCH].iter().all(|path| Path::new(path).exists())
}

/// Starts it; it ends with the journal's lab.
///
/// # Errors
/// Something is not installed or does not start.
pub fn start(journal: &Journal, bridge: &Bridge<'_>) -> Result<()> {
    ensure!(installed(), "Open vSwitch is not installed: sudo scripts/setup of");
    std::fs::create_dir_all(&bridge.dir)?;
    let file = |name: &str| bridge.dir.join(name).display().to_string();
    run(Command::new("ovsdb-tool").args(["create", &file("conf.db"), SCHEMA]))?;
    let remote = format!("--remote=punix:{}", file("db.sock"));
    spawn(journal, "ovsdb", bridge.namespace, &bridge.dir, [SERVER.to_owned(), file("conf.db"), remote])?;
    let there = || Ok(bridge.dir.join("db.sock").exists().then_some(()));
    signals::wait_for(Duration::from_secs(10), there)?.context("ovsdb-server opened no socket within 10 s")?;
    control(&bridge.dir, "--no-wait init")?;
    start_switch(journal, bridge.namespace, &bridge.dir)?;
    add_bridge(bridge, "br0")
}

/// Adds a bridge of this name to the switch that was started in the same directory.
///
/// # Errors
/// It cannot be added.
pub fn add_bridge(bridge: &Bridge<'_>, name: &str) -> Result<()> {
    let mut words = format!(
        "add-br {name} -- set bridge {name} datapath_type={} protocols={} fail_mode=secure \
         other_config:datapath-id={} other_config:disable-in-band=true",
        bridge.datapath.as_str(),
        bridge.protocol,
        bridge.datapath_id
    );
    for (index, port) in bridge.interfaces.iter().enumerate() {
        let _ = write!(words, " -- add-port {name} {port} -- set interface {port} ofport_request={}", index + 1);
    }
    control(&bridge.dir, &words)?;
    set_controller(&bridge.dir, name, &bridge.controller)
}

/// Lets a bridge connect to a controller, and to no other. (Without any it would forget its flows.)
///
/// # Errors
/// There is no such bridge.
pub fn set_controller(dir: &Path, name: &str, controller: &str) -> Result<()> {
    let how = "connection-mode=out-of-band inactivity_probe=10000 max_backoff=1000";
    control(dir, &format!("set-controller {name} {controller} -- set controller {name} {how}"))
}

fn control(dir: &Path, words: &str) -> Result<()> {
    let database = format!("--db=unix:{}", dir.join("db.sock").display());
    let mut command = Command::new("ovs-vsctl");
    run(command.args(["--timeout=20", &database]).args(words.split_ascii_whitespace()))
}

/// Starts the switch itself, which finds in its database what it was before.
///
/// # Errors
/// It cannot be started.
pub fn start_switch(journal: &Journal, namespace: &str, dir: &Path) -> Result<()> {
    let control = format!("--unixctl={}", dir.join("vswitchd.ctl").display());
    let database = format!("unix:{}", dir.join("db.sock").display());
    spawn(journal, "vswitchd", namespace, dir, [SWITCH.to_owned(), database, control])
}

/// Ends the switch at once, as a loss of power would; its database stays.
///
/// # Errors
/// None runs.
pub fn kill_switch(journal: &Journal, namespace: &str) -> Result<()> {
    let running = journal.running(&label("vswitchd", namespace));
    ensure!(!running.is_empty(), "no switch runs in {namespace}");
    for process in running {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(process.pid), nix::sys::signal::Signal::SIGKILL)?;
    }
    Ok(())
}

fn label(program: &str, namespace: &str) -> String {
    format!("{program} of {namespace}")
}

fn spawn(journal: &Journal, program: &str, namespace: &str, dir: &Path, args: [String; 3]) -> Result<()> {
    let home = ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR"].map(|name| format!("{name}={}", dir.display()));
    let words: Vec<&str> = home.iter().chain(&args).map(String::as_str).collect();
    let log = dir.join(format!("{program}.log"));
    let label = label(program, namespace);
    Process::start(journal, &label, namespace, Path::new("/usr/bin/env"), &words, &log, false).map(drop)
}
