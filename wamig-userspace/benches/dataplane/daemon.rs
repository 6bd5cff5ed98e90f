//! wamig's daemon as a switch that controllers own, on the two ports of a row.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::data_path::Bpffs;
use super::netns::Row3;

/// The daemon on the two ports of the row.
pub struct Daemon {
    child: Child,
    dir: tempfile::TempDir,
    _bpffs: Bpffs,
}

impl Daemon {
    /// Started, for as many flows as it holds by default; it listens a little later.
    pub fn start(row: &Row3) -> Result<Self, String> {
        Self::holding(row, 1 << 17)
    }

    /// Started, for so many flows.
    pub fn holding(row: &Row3, flows: u32) -> Result<Self, String> {
        let io = |e: std::io::Error| e.to_string();
        let dir = tempfile::Builder::new().prefix("wamig-bench-").tempdir().map_err(io)?;
        let bpffs = Bpffs::new();
        let text = format!(
            "site = \"bench\"\nstate_dir = \"state\"\ncontrol_socket = \"ctl.sock\"\n\
             [switch]\nports = [\"in\", \"out\"]\npin_path = \"{}\"\ncontrol = \"openflow\"\n\
             [switch.limits]\nflows = {flows}\narp_rate = 1000000\npacket_in_rate = 1000000\nslow_rate = 1000000\n\
             [openflow]\nlisten = [\"punix:{}\"]\n",
            bpffs.path().display(),
            dir.path().join("of.sock").display()
        );
        let config = dir.path().join("bench.toml");
        std::fs::write(&config, text).map_err(io)?;
        let log = std::fs::File::create(dir.path().join("log")).map_err(io)?;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", row.dut(), env!("CARGO_BIN_EXE_wamig"), "run", "--config"]).arg(&config);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().map_err(io)?;
        Ok(Self { child, dir, _bpffs: bpffs })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("of.sock")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already; then waiting tells that at once.
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}
