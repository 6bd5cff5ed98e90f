//! A switch that controllers own, and hosts at its ports, each in a network namespace.
//!
//! ```text
//!  {prefix}sw: wamig, its controllers (127.0.0.1)      {prefix}h1, {prefix}h2, …
//!      p1, p2, …  ================== veth ==================  eth0
//! ```

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::ofctl::Ofctl;
use crate::lab::demo::built_wamig;
use crate::lab::journal::{Entry, Journal};
use crate::lab::process::Process;
use crate::lab::topology::mac_text;
use crate::lab::{netns, offload, signals, trial};
use crate::{user, workspace};

/// The TCP port that wamig listens at, on 127.0.0.1.
pub const LISTENS: u16 = 6653;
/// The TCP port that controllers listen at, on 127.0.0.1.
pub const CONTROLLER: u16 = 6633;
/// Bits of the prefix of every host's network.
const PREFIX_LEN: u8 = 24;

/// A host at a port of the switch.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// Its address; without one its link stays down.
    pub address: Option<Ipv4Addr>,
    /// Its default gateway.
    pub gateway: Option<Ipv4Addr>,
}

impl Host {
    /// A host with an address and no gateway.
    pub fn at(address: [u8; 4]) -> Self {
        Self { address: Some(address.into()), gateway: None }
    }

    /// A host with an address and a gateway.
    pub fn behind(address: [u8; 4], gateway: [u8; 4]) -> Self {
        Self { gateway: Some(gateway.into()), ..Self::at(address) }
    }

    /// A port where nobody is yet.
    pub fn nobody() -> Self {
        Self { address: None, gateway: None }
    }
}

/// The MAC address of the host at port `port`.
pub fn mac(port: usize) -> [u8; 6] {
    [2, 0, 0, 0, 0, port as u8]
}

/// A switch with its hosts; dropping it takes everything down and keeps the logs in `target/interop/PREFIX`.
pub struct Rig {
    prefix: String,
    journal: Option<Journal>,
    wamig: Option<Process>,
}

impl Rig {
    /// Hosts, links and the daemon, which answers; port N is `hosts[N - 1]`'s. `openflow` is added to the section
    /// `[openflow]`. `None` where there can be none, and then it has said `SKIP: reason`.
    ///
    /// # Errors
    /// Something cannot be made or does not start although everything for it is there.
    pub fn up(prefix: &str, hosts: &[Host], openflow: &str) -> Result<Option<Self>> {
        if !user::is_root() {
            println!("SKIP: network namespaces need root");
            return Ok(None);
        }
        let program = match built_wamig() {
            Ok(program) => program,
            Err(error) => {
                println!("SKIP: {error:#}");
                return Ok(None);
            }
        };
        trial::wait_for_turn(prefix)?;
        let (journal, _) = Journal::open(prefix)?;
        let mut rig = Self { prefix: prefix.to_owned(), journal: Some(journal), wamig: None };
        rig.wire(hosts)?;
        rig.configure(hosts.len(), openflow)?;
        rig.start_wamig(&program)?;
        Ok(Some(rig))
    }

    fn journal(&self) -> Result<&Journal> {
        self.journal.as_ref().context("the rig is down")
    }

    /// The rig's own directory: configurations, sockets, logs.
    ///
    /// # Errors
    /// The rig is down.
    pub fn dir(&self) -> Result<&Path> {
        Ok(self.journal()?.dir())
    }

    /// The namespace of the switch and its controllers.
    pub fn switch(&self) -> String {
        format!("{}sw", self.prefix)
    }

    /// The namespace of the host at a port.
    pub fn host(&self, port: usize) -> String {
        format!("{}h{port}", self.prefix)
    }

    /// ovs-ofctl by TCP, of the version `OpenFlow13` or `OpenFlow10`.
    ///
    /// # Errors
    /// The rig is down.
    pub fn ofctl(&self, version: &'static str) -> Result<Ofctl> {
        Ok(Ofctl::new(version, &format!("tcp:127.0.0.1:{LISTENS}"), &self.switch(), self.dir()?))
    }

    /// The same by a unix socket.
    ///
    /// # Errors
    /// The rig is down.
    pub fn ofctl_unix(&self, version: &'static str) -> Result<Ofctl> {
        let socket = self.dir()?.join("openflow.sock");
        Ok(Ofctl::new(version, &format!("unix:{}", socket.display()), &self.switch(), self.dir()?))
    }

    /// Starts a program beside the switch; its log is `LABEL.log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&self, label: &str, program: &Path, args: &[&str]) -> Result<Process> {
        let log = self.log(label)?;
        Process::start(self.journal()?, label, &self.switch(), program, args, &log, false)
    }

    /// The log of what [`Self::start`] started.
    ///
    /// # Errors
    /// The rig is down.
    pub fn log(&self, label: &str) -> Result<PathBuf> {
        Ok(self.dir()?.join(format!("{label}.log")))
    }

    /// Unplugs the host at the port `from` and plugs it in at the port `to`, where nobody was.
    ///
    /// # Errors
    /// `ip` refuses.
    pub fn move_host(&self, host: &Host, from: usize, to: usize) -> Result<()> {
        netns::ip(&self.host(from), "link set eth0 down")?;
        self.settle(host, mac(from), to)
    }

    fn settle(&self, host: &Host, mac: [u8; 6], port: usize) -> Result<()> {
        let Some(address) = host.address else { return Ok(()) };
        let mut commands = format!(
            "link set eth0 address {}\naddr add {address}/{PREFIX_LEN} dev eth0\nlink set eth0 up",
            mac_text(mac)
        );
        if let Some(gateway) = host.gateway {
            let _ = write!(commands, "\nroute add default via {gateway}");
        }
        netns::ip(&self.host(port), &commands)
    }

    fn wire(&self, hosts: &[Host]) -> Result<()> {
        let switch = self.switch();
        netns::create(self.journal()?, &switch)?;
        for (port, host) in (1..).zip(hosts) {
            let space = self.host(port);
            netns::create(self.journal()?, &space)?;
            netns::ip(
                &switch,
                &format!("link add p{port} type veth peer name eth0 netns {space}\nlink set p{port} up"),
            )?;
            offload::like_a_wire(&switch, &format!("p{port}"))?;
            // The kernel takes frames of a peer's XDP only if GRO is switched on while the link is up; once there is an
            // XDP program at the other end, it allows no change of segmentation.
            netns::ip(&space, "link set eth0 up")?;
            offload::like_a_wire(&space, "eth0")?;
            netns::ip(&space, "link set eth0 down")?;
            self.settle(host, mac(port), port)?;
        }
        Ok(())
    }

    fn configure(&self, ports: usize, openflow: &str) -> Result<()> {
        let journal = self.journal()?;
        let bpffs = journal.dir().join("bpf");
        journal.note(&Entry::Mount(bpffs.clone()))?;
        fs::create_dir_all(&bpffs)?;
        nix::mount::mount(Some("bpf"), &bpffs, Some("bpf"), nix::mount::MsFlags::empty(), None::<&str>)
            .context("cannot mount a BPF file system: the kernel needs CONFIG_BPF_SYSCALL")?;
        let ports: Vec<String> = (1..=ports).map(|port| format!("\"p{port}\"")).collect();
        let text = format!(
            "site = \"interop\"\nstate_dir = \"state\"\ncontrol_socket = \"ctl.sock\"\n\n\
             [switch]\nports = [{}]\ndatapath_id = \"0000000000000001\"\npin_path = \"{}\"\ncontrol = \"openflow\"\n\n\
             [openflow]\nlisten = [\"ptcp:{LISTENS}:127.0.0.1\", \"punix:openflow.sock\"]\n{openflow}\n",
            ports.join(", "),
            bpffs.join("wamig").display()
        );
        Ok(fs::write(journal.dir().join("wamig.toml"), text)?)
    }

    fn start_wamig(&mut self, program: &Path) -> Result<()> {
        let config = self.dir()?.join("wamig.toml").display().to_string();
        let mut wamig = self.start("wamig", program, &["run", "--config", &config])?;
        let socket = self.dir()?.join("ctl.sock").display().to_string();
        // What listens is there before anybody answers: the daemon's own word counts.
        let answers = || {
            let asked = Command::new(program).args(["status", "--socket", &socket]).stdin(Stdio::null()).output()?;
            Ok((asked.status.success() || !wamig.running()).then(|| asked.status.success()))
        };
        let answers = signals::wait_for(Duration::from_secs(30), answers)?;
        ensure!(answers == Some(true), "wamig does not start:\n{}", wamig.last_words(20));
        self.wamig = Some(wamig);
        Ok(())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let Some(journal) = self.journal.take() else { return };
        let swept = journal.sweep();
        let kept = workspace::target().join("interop").join(self.prefix.trim_end_matches('-'));
        // A log that cannot be kept must not hide what happened.
        let _ = keep(journal.dir(), &kept);
        user::own(&kept);
        if swept.failures.is_empty() {
            let _ = journal.remove();
        } else {
            eprintln!("interop: {swept}");
        }
    }
}

/// Copies the logs and configurations of a rig; those of an earlier one are replaced.
fn keep(from: &Path, to: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let wanted = path.extension().is_some_and(|kind| ["log", "toml", "yaml"].iter().any(|known| kind == *known));
        if let Some(name) = path.file_name().filter(|_| wanted) {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}
