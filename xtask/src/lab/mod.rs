//! The lab: two sites, a client and the internet between them, in network namespaces of this
//! machine, with real programs in them. The demo and the end-to-end tests run here.
//!
//! | module | what |
//! |---|---|
//! | [`topology`] | the places and links; [`netns`], [`offload`], [`delay_line`] make them |
//! | [`family`], [`addressing`] | IPv4, IPv6 or both: who has which address, and gets it |
//! | [`server`], [`web`] | the name server that moves, the web server that does not |
//! | [`gateway`], [`status`], [`audit`] | the `wamig` daemons and what they say |
//! | [`switch`] | which switch each of them has |
//! | [`stream`], [`dns`] | the client's questions |
//! | [`capture`], [`frame`], [`raw`], [`proof`], [`discovery`] | what was on the links, and what that proves |
//! | [`play`], [`side`], [`script`], [`timeline`] | the paper's experiment, step by step, and how it is told |
//! | [`vm`], [`live`], [`share`] | the same with a virtual machine that is moved while it runs |
//! | [`demo`], [`poke`] | the verbs of `cargo xtask` |
//! | [`journal`], [`process`], [`signals`] | so that nothing is left behind |
//! | [`trial`] | a lab for a test; [`recipe`]: what the documentation says to type |

pub mod addressing;
pub mod audit;
pub mod capture;
pub mod delay_line;
pub mod demo;
pub mod discovery;
pub mod dns;
pub mod family;
pub mod frame;
pub mod gateway;
pub mod journal;
pub mod live;
pub mod netns;
pub mod offload;
pub mod play;
pub mod poke;
pub mod process;
pub mod proof;
pub mod raw;
pub mod recipe;
pub mod script;
pub mod server;
pub mod share;
pub mod side;
pub mod signals;
pub mod status;
pub mod stream;
pub mod switch;
pub mod timeline;
pub mod topology;
pub mod trial;
pub mod vm;
pub mod web;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use capture::Capture;
use delay_line::DelayLine;
use family::Families;
use gateway::{Gateway, Settings};
use journal::{Entry, Journal, Swept};
use server::{Boot, Slot};
use status::Status;
use topology::{Place, Site};
use vm::guest::{Begin, Guest};

use crate::conformance::ovs;
use crate::qemu::machine::Machine;

/// The prefix of the demo's names.
pub const DEMO_PREFIX: &str = "wamig-";

/// The prefix of the tests' names.
pub const TEST_PREFIX: &str = "wamig-test-";

/// Removes what killed runs have left, of the demo and of the tests: their processes by pid
/// and start time, their namespaces, their mounts. A run that is going on and a demo that was
/// left up on purpose stay.
///
/// # Errors
/// Something cannot be removed.
pub fn clean() -> Result<()> {
    for prefix in [DEMO_PREFIX, TEST_PREFIX] {
        let Some(journal) = Journal::abandoned(prefix)? else { continue };
        let swept = take_down(journal);
        if !swept.is_empty() {
            println!("an earlier run ({prefix}) was killed: {swept}");
        }
        ensure!(swept.failures.is_empty(), "not everything could be removed");
    }
    Ok(())
}

/// How a lab is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// What all its names begin with, ending in `-`.
    pub prefix: String,
    /// The `xtask` program, which also is the delay line.
    pub helper: PathBuf,
    /// The `wamig` program.
    pub wamig: PathBuf,
    /// Delay of each WAN link, one way.
    pub delay: Duration,
    /// The kernel's netem delays the WAN, not a process.
    pub netem: bool,
    /// Each site's uplink is this VLAN of a trunk.
    pub uplink_vlan: Option<u16>,
    /// The families of addresses in play.
    pub families: Families,
    /// DC1's settings.
    pub dc1: Settings,
    /// DC2's settings.
    pub dc2: Settings,
}

impl Options {
    /// Everything as in the demo.
    pub fn new(prefix: &str, helper: &Path, wamig: &Path) -> Self {
        Self {
            prefix: prefix.to_owned(),
            helper: helper.to_owned(),
            wamig: wamig.to_owned(),
            delay: Duration::from_millis(10),
            netem: false,
            uplink_vlan: None,
            families: Families::default(),
            dc1: Settings::default(),
            dc2: Settings::default(),
        }
    }

    fn links(&self) -> topology::Links {
        topology::Links { delay: self.delay, netem: self.netem, uplink_vlan: self.uplink_vlan, families: self.families }
    }
}

/// A lab that is up; dropping it takes it down.
pub struct Lab {
    prefix: String,
    journal: Option<Journal>,
    /// The WAN links, DC1's first.
    pub wan: [DelayLine; 2],
    gateways: [Gateway; 2],
    slots: [Slot; 2],
    delay: Duration,
    families: Families,
    kept: bool,
}

/// Takes down a lab that never came up as a whole.
struct Guard(Option<Journal>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(journal) = self.0.take() {
            take_down(journal);
        }
    }
}

fn take_down(journal: Journal) -> Swept {
    let mut swept = journal.sweep();
    if swept.failures.is_empty()
        && let Err(error) = journal.remove()
    {
        swept.failures.push(format!("{error:#}"));
    }
    for failure in &swept.failures {
        eprintln!("lab: left over: {failure}");
    }
    swept
}

impl Lab {
    /// Builds the lab up to and including the web server; neither daemon and neither server
    /// runs yet. Also says what an earlier run had left behind, which is gone now.
    ///
    /// # Errors
    /// Not root, something is not installed, or such a lab is up already.
    pub fn up(options: &Options) -> Result<(Self, Swept)> {
        ensure!(nix::unistd::geteuid().is_root(), "network namespaces need root: run it with sudo");
        let (journal, swept) = Journal::open(&options.prefix)?;
        let mut guard = Guard(Some(journal));
        let journal = guard.0.as_ref().context("the journal was just opened")?;

        let bpffs = journal.dir().join("bpf");
        journal.note(&Entry::Mount(bpffs.clone()))?;
        fs::create_dir_all(&bpffs)?;
        nix::mount::mount(Some("bpf"), &bpffs, Some("bpf"), nix::mount::MsFlags::empty(), None::<&str>)
            .context("cannot mount a BPF file system: the kernel needs CONFIG_BPF_SYSCALL")?;

        let families = options.families;
        families.note(journal.dir())?;
        let name = |place: Place| format!("{}{}", options.prefix, place.name());
        let wan = topology::build(journal, name, &options.helper, &options.links())?;
        let gateway = |site| Gateway::new(journal, site, name(Place::Gateway(site)), &options.wamig, &bpffs);
        let gateways = [gateway(Site::Dc1)?, gateway(Site::Dc2)?];
        let fingerprints = [gateways[0].keygen("keys")?, gateways[1].keygen("keys")?];
        for (gateway, settings) in gateways.iter().zip([&options.dc1, &options.dc2]) {
            if settings.stranger {
                gateway.keygen("stranger")?;
            }
            gateway.configure(settings, families, &fingerprints[usize::from(gateway.site() == Site::Dc1)])?;
            gateway.start_switch(settings, journal)?;
        }
        let slot = |site| Slot::new(journal, site, name(Place::Slot(site)), families);
        let slots = [slot(Site::Dc1)?, slot(Site::Dc2)?];
        web::start(journal, &name(Place::Host(Site::Dc1)), families)?;

        let journal = guard.0.take();
        let prefix = options.prefix.clone();
        Ok((Self { prefix, journal, wan, gateways, slots, delay: options.delay, families, kept: false }, swept))
    }

    /// What all its names begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The full name of a place's namespace.
    pub fn name(&self, place: Place) -> String {
        format!("{}{}", self.prefix, place.name())
    }

    /// Delay of each WAN link, one way.
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// The families of addresses in play.
    pub fn families(&self) -> Families {
        self.families
    }

    fn journal(&self) -> Result<&Journal> {
        self.journal.as_ref().context("the lab is down")
    }

    /// The lab's own directory: configurations, keys, logs.
    ///
    /// # Errors
    /// The lab is down.
    pub fn dir(&self) -> Result<&Path> {
        Ok(self.journal()?.dir())
    }

    /// A site's gateway box.
    pub fn gateway(&self, site: Site) -> &Gateway {
        &self.gateways[usize::from(site.number()) - 1]
    }

    /// A site's slot.
    pub fn slot(&self, site: Site) -> &Slot {
        &self.slots[usize::from(site.number()) - 1]
    }

    /// Whether the server runs at a site.
    pub fn slot_running(&mut self, site: Site) -> bool {
        self.slots[usize::from(site.number()) - 1].running()
    }

    /// Whether a site's daemon runs.
    pub fn gateway_running(&mut self, site: Site) -> bool {
        self.gateways[usize::from(site.number()) - 1].running()
    }

    /// Starts a site's daemon.
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub fn start_daemon(&mut self, site: Site) -> Result<()> {
        let journal = self.journal.as_ref().context("the lab is down")?;
        self.gateways[usize::from(site.number()) - 1].start(journal)
    }

    /// Stops a site's daemon; its data path goes on.
    ///
    /// # Errors
    /// As [`Gateway::stop`].
    pub fn stop_daemon(&mut self, site: Site) -> Result<()> {
        self.gateways[usize::from(site.number()) - 1].stop()
    }

    /// Ends a site's daemon at once, as a loss of power would.
    ///
    /// # Errors
    /// None runs.
    pub fn kill_daemon(&mut self, site: Site) -> Result<()> {
        self.gateways[usize::from(site.number()) - 1].kill()
    }

    /// Ends a site's Open vSwitch at once; what it forwards is gone with it.
    ///
    /// # Errors
    /// None runs.
    pub fn kill_switch(&self, site: Site) -> Result<()> {
        ovs::kill_switch(self.journal()?, &self.name(Place::Gateway(site)))
    }

    /// Starts a site's Open vSwitch once more, without flows.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_switch(&self, site: Site) -> Result<()> {
        ovs::start_switch(self.journal()?, &self.name(Place::Gateway(site)), &self.gateway(site).switch_dir())
    }

    /// Starts both daemons; returns when they know each other and a transfer address is ready.
    ///
    /// # Errors
    /// One does not start, or they do not come together within half a minute.
    pub fn start_daemons(&mut self) -> Result<()> {
        for site in Site::BOTH {
            self.start_daemon(site)?;
        }
        let ready = || -> Result<Option<()>> {
            let [home, host] = self.statuses()?;
            let switches = home.switch_up() && host.switch_up();
            Ok((switches && home.peer_up("dc2") && host.peer_up("dc1") && host.pool.ready > 0).then_some(()))
        };
        if signals::wait_for(Duration::from_secs(30), ready)?.is_none() {
            let [home, host] = self.statuses()?;
            bail!(
                "the sites did not come together within 30 s: dc1 says {:?}, dc2 says {:?} and has the pool {:?}\n{}",
                home.peers,
                host.peers,
                host.pool,
                self.last_words(10)
            );
        }
        Ok(())
    }

    /// The site's slot as a hypervisor, for a virtual machine in place of the name server.
    ///
    /// # Errors
    /// As [`Guest::new`].
    pub fn hypervisor(&self, site: Site) -> Result<Guest> {
        Guest::new(self.journal()?, site, self.name(Place::Slot(site)))
    }

    /// Starts QEMU in a slot.
    ///
    /// # Errors
    /// As [`Guest::start`].
    pub fn start_guest(&self, guest: &mut Guest, machine: &Machine, initrd: &Path, begin: Begin) -> Result<()> {
        guest.start(self.journal()?, machine, initrd, begin)
    }

    /// Boots the server's copy at a site.
    ///
    /// # Errors
    /// As [`Slot::boot`].
    pub fn boot(&mut self, site: Site, boot: Boot) -> Result<()> {
        let journal = self.journal.as_ref().context("the lab is down")?;
        self.slots[usize::from(site.number()) - 1].boot(journal, boot)
    }

    /// Stops the server's copy at a site.
    ///
    /// # Errors
    /// As [`Slot::halt`].
    pub fn halt(&mut self, site: Site) -> Result<()> {
        self.slots[usize::from(site.number()) - 1].halt()
    }

    /// What both daemons say, DC1's first.
    ///
    /// # Errors
    /// One does not answer.
    pub fn statuses(&self) -> Result<[Status; 2]> {
        Ok([self.gateways[0].status()?, self.gateways[1].status()?])
    }

    /// Waits until a site says of the server's address what `wanted` asks for.
    ///
    /// # Errors
    /// The time is over; what the site says then, and the last lines of its log.
    pub fn wait_state(
        &self,
        site: Site,
        patience: Duration,
        what: &str,
        wanted: impl Fn(&Status) -> bool,
    ) -> Result<Status> {
        let gateway = self.gateway(site);
        let found = signals::wait_for(patience, || Ok(Some(gateway.status()?).filter(|status| wanted(status))))?;
        if let Some(status) = found {
            return Ok(status);
        }
        let status = gateway.status()?;
        bail!(
            "{} is not {what} within {patience:?}: it says {:?}, pool {:?}, peers {:?}\n{}",
            site.title(),
            status.addresses,
            status.pool,
            status.peers,
            gateway.last_words(15)
        )
    }

    /// Starts to capture at a place.
    ///
    /// # Errors
    /// As [`Capture::start`].
    pub fn capture(&self, link: &str, place: Place, interface: &str) -> Result<Capture> {
        Capture::start(link, &self.name(place), interface)
    }

    /// The last lines of both daemons' logs, for an error.
    pub fn last_words(&self, lines: usize) -> String {
        let words = |gateway: &Gateway| format!("{}'s log ends:\n{}", gateway.site().name(), gateway.last_words(lines));
        self.gateways.iter().map(words).collect::<Vec<_>>().join("\n")
    }

    /// Leaves the lab up when this process ends; the next run takes it down.
    ///
    /// # Errors
    /// A WAN link has ended.
    pub fn keep(&mut self) -> Result<()> {
        self.journal()?.note(&Entry::Kept)?;
        self.wan.iter_mut().try_for_each(DelayLine::keep)?;
        self.kept = true;
        Ok(())
    }

    /// Takes the lab down.
    pub fn down(mut self) -> Swept {
        self.journal.take().map(take_down).unwrap_or_default()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(journal) = self.journal.take().filter(|_| !self.kept) {
            take_down(journal);
        }
    }
}
