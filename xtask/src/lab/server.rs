//! The server that moves: the zone's authoritative name server, Debian's `knotd`, one copy of
//! it in each site's slot. Both copies have the same addresses, MAC and default gateway, and
//! differ in one TXT record that tells which copy answered.
//!
//! At boot knotd sends the zone's NOTIFY to its secondary, outside its subnet; the kernel's
//! ARP for the gateway follows from that. Of IPv6 the kernel speaks earlier: it asks whether
//! somebody else has its address, and knotd starts when nobody does. No frame is made by hand.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::family::{Families, Family, Plan};
use super::journal::Journal;
use super::process::Process;
use super::topology::Site;
use super::{dns, netns, signals};

/// The zone the server is authoritative for.
pub const ZONE: &str = "shop.example";
/// The name of DC1's web server.
pub const WWW: &str = "www.shop.example";
/// The name whose TXT record is `dc1` or `dc2`, by the copy that answers.
pub const MARKER: &str = "marker.shop.example";

/// How long a kernel looks for a duplicate of its address: a second of chance, then one more for
/// the answer; with room for a slow machine.
const DETECTION: Duration = Duration::from_secs(20);

/// Whether a booting server sends anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Boot {
    /// It notifies its secondary, as it is configured to.
    Talking,
    /// It has no secondary and says nothing of its own, and its kernel does not look for
    /// duplicates of its IPv6 address: the control run.
    Silent,
}

/// A site's slot for the server, and the copy in it.
pub struct Slot {
    site: Site,
    namespace: String,
    families: Families,
    dir: PathBuf,
    knotd: PathBuf,
    process: Option<Process>,
}

impl Slot {
    /// The slot of `site`, with a copy of the server in it that is not started yet.
    ///
    /// # Errors
    /// knotd is not installed, or its files cannot be written.
    pub fn new(journal: &Journal, site: Site, namespace: String, families: Families) -> Result<Self> {
        let knotd = ["/usr/sbin/knotd", "/usr/local/sbin/knotd"].into_iter().map(PathBuf::from).find(|p| p.exists());
        let Some(knotd) = knotd else { bail!("knotd is not installed (Debian package knot: run scripts/setup lab)") };
        let dir = journal.dir().join(format!("server-{}", site.name()));
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("zone"), zone(site, families))?;
        Ok(Self { site, namespace, families, dir, knotd, process: None })
    }

    /// What its process is called in the journal.
    pub fn label(site: Site) -> String {
        format!("knotd at {}", site.title())
    }

    /// Whether it runs.
    pub fn running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::running)
    }

    /// Powers the server on: the link comes up, the kernel has the addresses, knotd starts.
    ///
    /// # Errors
    /// It runs already, its address is somebody else's already, or knotd cannot be started.
    pub fn boot(&mut self, journal: &Journal, boot: Boot) -> Result<()> {
        if self.process.is_some() {
            bail!("the server runs at {} already", self.site.title());
        }
        // The copy was made beforehand: it remembers nothing of its earlier runs here.
        let database = self.dir.join("db");
        let _ = fs::remove_dir_all(&database);
        fs::create_dir_all(&database)?;
        let config = self.dir.join("knot.conf");
        fs::write(&config, configuration(&self.dir, boot, self.families))?;
        self.link_up(boot)?;
        let label = Self::label(self.site);
        let config = config.to_str().context("the lab's directory is no text")?;
        let args = ["-c", config];
        let log = self.dir.join("log");
        self.process = Some(Process::start(journal, &label, &self.namespace, &self.knotd, &args, &log, false)?);
        Ok(())
    }

    fn link_up(&self, boot: Boot) -> Result<()> {
        let mut commands = "link set eth0 up\n".to_owned();
        for family in self.families.each() {
            let Plan { server, gateway1, .. } = family.plan();
            if *family == Family::V6 {
                let detection = if boot == Boot::Silent { "nodad" } else { "" };
                let _ = writeln!(commands, "addr replace {server}/64 dev eth0 {detection}");
            }
            let _ = writeln!(commands, "route replace default via {gateway1} dev eth0");
        }
        netns::ip(&self.namespace, &commands)?;
        for family in self.families.each().iter().filter(|family| **family == Family::V6) {
            self.wait_usable(family.plan().server)?;
        }
        Ok(())
    }

    /// Waits, as a booting machine does, until the kernel has made sure that nobody else has an
    /// IPv6 address.
    fn wait_usable(&self, address: IpAddr) -> Result<()> {
        let usable = || match netns::address_state(&self.namespace, address)? {
            Some(netns::AddressState::Usable) => Ok(Some(())),
            Some(netns::AddressState::Tentative) => Ok(None),
            Some(netns::AddressState::Duplicate) => bail!(
                "the server's kernel at {} heard that somebody else has {address}: nobody may answer its question",
                self.site.title()
            ),
            None => bail!("{address} is gone from the server at {}", self.site.title()),
        };
        match signals::wait_for(DETECTION, usable)? {
            Some(()) => Ok(()),
            None => bail!("{address} was still tentative after {DETECTION:?} in {}", self.namespace),
        }
    }

    /// Powers the server off: knotd is killed, the link goes down, the kernel forgets its
    /// neighbours and routes. Nothing if it is off.
    ///
    /// # Errors
    /// knotd cannot be waited for, or the link cannot be taken down.
    pub fn halt(&mut self) -> Result<()> {
        // The link first: a server that loses power says no farewell.
        netns::ip(&self.namespace, "link set eth0 down\nneigh flush dev eth0")?;
        match self.process.take() {
            Some(mut process) => process.kill(),
            None => Ok(()),
        }
    }

    /// The last lines of its log.
    pub fn last_words(&self, lines: usize) -> String {
        super::process::last_words(&self.dir.join("log"), lines)
    }
}

fn zone(site: Site, families: Families) -> String {
    let mut text = format!("$ORIGIN {ZONE}.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\n");
    for family in families.each() {
        let Plan { server, web, .. } = family.plan();
        let kind = match family {
            Family::V4 => "A",
            Family::V6 => "AAAA",
        };
        let _ = writeln!(text, "ns {kind} {server}\nwww {kind} {web}");
    }
    text + &format!("marker TXT \"{}\"\n", site.name())
}

fn configuration(dir: &Path, boot: Boot, families: Families) -> String {
    let dir = dir.display();
    let list = |of: &dyn Fn(Family) -> String| families.each().iter().map(|f| of(*f)).collect::<Vec<_>>().join(", ");
    let listen = list(&|family| format!("{}@53", family.plan().server));
    let remote = |family: Family| format!("secondary-{}", family.title());
    let mut remotes = String::new();
    for family in families.each() {
        let _ = writeln!(remotes, "  - id: {}\n    address: {}@53", remote(*family), family.plan().secondary);
    }
    let notify = match boot {
        Boot::Talking => format!("    notify: [{}]\n", list(&remote)),
        Boot::Silent => String::new(),
    };
    format!(
        "server:
    rundir: {dir}
    user: root:root
    listen: [{listen}]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: {dir}/db
    journal-db-max-size: 16M
    timer-db-max-size: 1M
remote:
{remotes}zone:
  - domain: {ZONE}
    file: {dir}/zone
    journal-content: none
    zonefile-sync: -1
{notify}"
    )
}

/// The zone's secondary as far as the play needs it: it acknowledges every NOTIFY. (knotd
/// notifies by TCP: the server's first frame after its ARP opens a connection.)
pub struct Secondary {
    heard: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Secondary {
    /// Listens at the secondary's address in `namespace`.
    ///
    /// # Errors
    /// The address is taken.
    pub fn start(namespace: &str, family: Family) -> Result<Self> {
        let Plan { secondary, server, .. } = *family.plan();
        let listener = netns::enter(namespace, || Ok(TcpListener::bind((secondary, 53))?))?;
        listener.set_nonblocking(true)?;
        let (heard, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::Builder::new().name("secondary".into()).spawn({
            let (heard, stop) = (heard.clone(), stop.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut ready = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
                    let _ = poll(&mut ready, PollTimeout::from(100_u8));
                    let Ok((stream, from)) = listener.accept() else { continue };
                    // What goes wrong on the way is the server's to repeat.
                    if from.ip() == server && converse(stream).is_ok_and(|notified| notified) {
                        heard.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        })?;
        Ok(Self { heard, stop, thread: Some(thread) })
    }

    /// How many NOTIFYs came from the server's address.
    pub fn heard(&self) -> usize {
        self.heard.load(Ordering::Relaxed)
    }
}

impl Drop for Secondary {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers one message of a connection (RFC 1035 §4.2.2: its length goes before it); whether
/// it was a NOTIFY.
fn converse(mut stream: TcpStream) -> std::io::Result<bool> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    let Some(reply) = dns::acknowledge(&message) else { return Ok(false) };
    stream.write_all(&[&length, reply.as_slice()].concat())?;
    Ok(true)
}
