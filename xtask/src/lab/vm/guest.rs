//! A QEMU process in a site's slot. The slot plays the hypervisor: a bridge joins its cable to the switch and the
//! guest's tap, and has no address of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use super::qmp::{Migrated, Qmp};
use crate::lab::journal::Journal;
use crate::lab::process::{Process, last_words};
use crate::lab::topology::{SERVER_MAC, Site, mac_text};
use crate::lab::{netns, signals};
use crate::qemu::machine::Machine;

/// What a boot may take, emulated on a busy machine.
const BOOT: Duration = Duration::from_secs(90);

/// How a guest begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// It boots.
    Boot,
    /// It waits for a guest that runs elsewhere.
    Incoming,
}

/// The slot of one site as a hypervisor, and the QEMU in it.
pub struct Guest {
    site: Site,
    namespace: String,
    dir: PathBuf,
    process: Option<Process>,
    qmp: Option<Qmp>,
}

impl Guest {
    /// Makes a hypervisor of the slot: the cable, which had the server's addresses, becomes a port of a bridge.
    ///
    /// # Errors
    /// The kernel has no bridge or tap, or the slot is in use.
    pub fn new(journal: &Journal, site: Site, namespace: String) -> Result<Self> {
        let dir = journal.dir().join(format!("vm-{}", site.name()));
        std::fs::create_dir_all(&dir)?;
        netns::ip(
            &namespace,
            // Nobody else's MAC: a bridge keeps what is sent to its own ports.
            "addr flush dev eth0
             link set eth0 address 02:00:00:00:0b:01
             link add br0 type bridge forward_delay 0
             link set eth0 master br0
             tuntap add name tap0 mode tap
             link set tap0 master br0
             link set br0 up
             link set tap0 up
             link set eth0 up",
        )
        .context("cannot make a bridge with a tap")?;
        Ok(Self { site, namespace, dir, process: None, qmp: None })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Where a guest that comes in is received.
    pub fn door(&self) -> PathBuf {
        self.path("incoming")
    }

    /// Starts QEMU; with [`Begin::Boot`], returns when the guest's service is up.
    ///
    /// # Errors
    /// QEMU does not start, or the guest does not come up within a minute and a half.
    pub fn start(&mut self, journal: &Journal, machine: &Machine, initrd: &Path, begin: Begin) -> Result<()> {
        if self.process.is_some() {
            bail!("a guest runs at {} already", self.site.title());
        }
        for stale in ["qmp", "incoming", "console"] {
            // None of an earlier guest's: the sockets are made anew.
            let _ = std::fs::remove_file(self.path(stale));
        }
        let argument = |path: PathBuf| path.to_str().map(str::to_owned).context("the lab's directory is no text");
        let mut args: Vec<String> = "-accel tcg -cpu max -machine q35 -m 128 -display none -monitor none -no-reboot \
                                     -netdev tap,id=n,ifname=tap0,script=no,downscript=no"
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect();
        args.extend(["-serial".to_owned(), format!("file:{}", argument(self.path("console"))?)]);
        args.extend(["-qmp".to_owned(), format!("unix:{},server=on,wait=off", argument(self.path("qmp"))?)]);
        // Complete checksums and wire-sized frames, as a real card hands them to a real wire. `guest_announce` off:
        // the guest does not know that it moved, so that only QEMU's own RARP tells.
        let card = format!(
            "virtio-net-pci,netdev=n,mac={},romfile=,guest_announce=off,csum=off,gso=off,guest_csum=off,\
             guest_tso4=off,guest_tso6=off,guest_ufo=off,host_tso4=off,host_tso6=off,host_ufo=off",
            mac_text(SERVER_MAC)
        );
        args.extend(["-device".to_owned(), card]);
        args.extend(["-kernel".to_owned(), argument(machine.kernel.clone())?]);
        args.extend(["-initrd".to_owned(), argument(initrd.to_owned())?]);
        args.extend(["-append".to_owned(), "console=ttyS0 panic=-1 quiet".to_owned()]);
        if begin == Begin::Incoming {
            args.extend(["-incoming".to_owned(), format!("unix:{}", argument(self.door())?)]);
        }
        let words = machine.words()?;
        let (program, before) = words.split_first().context("QEMU has a name")?;
        let all: Vec<&str> = before.iter().chain(&args).map(String::as_str).collect();
        let label = format!("QEMU at {}", self.site.title());
        let log = self.path("log");
        let process = Process::start(journal, &label, &self.namespace, Path::new(program), &all, &log, false)?;
        self.process = Some(process);
        self.qmp = Some(Qmp::connect(&self.path("qmp")).map_err(|error| self.with_log(error))?);
        if begin == Begin::Boot {
            let console = self.path("console");
            let up = || Ok(std::fs::read_to_string(&console).is_ok_and(|text| text.contains("@@ up")).then_some(()));
            if signals::wait_for(BOOT, up)?.is_none() {
                bail!("the guest did not boot within {BOOT:?}: {}", last_words(&console, 10));
            }
        }
        Ok(())
    }

    fn with_log(&self, error: anyhow::Error) -> anyhow::Error {
        error.context(format!("QEMU at {} says: {}", self.site.title(), last_words(&self.path("log"), 5)))
    }

    /// Moves the guest to the QEMU that waits at `to`'s slot, and ends the empty one here.
    ///
    /// # Errors
    /// There is no guest here, or QEMU fails to move it.
    pub fn migrate(&mut self, to: &Self) -> Result<Migrated> {
        let Some(qmp) = &mut self.qmp else { bail!("no guest runs at {}", self.site.title()) };
        let migrated = qmp.migrate(&to.door())?;
        self.off()?;
        Ok(migrated)
    }

    /// Whether the guest runs here, by QEMU's word.
    ///
    /// # Errors
    /// QEMU does not answer.
    pub fn running(&mut self) -> Result<bool> {
        let Some(qmp) = &mut self.qmp else { return Ok(false) };
        Ok(qmp.execute("query-status", &json!({}))?["running"].as_bool() == Some(true))
    }

    /// Ends QEMU at once.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn off(&mut self) -> Result<()> {
        self.qmp = None;
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }
}
