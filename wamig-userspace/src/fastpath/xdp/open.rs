//! Opens the data path: checks what the kernel and the machine must offer, makes the maps and
//! loads the programs. Nothing is attached yet.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aya::{Ebpf, EbpfLoader, programs::Xdp as XdpProgram};
use aya_log::EbpfLogger;
use tokio::sync::mpsc;

use super::Xdp;
use super::attach::{Attachments, SharedPorts, XdpMode};
use super::ethtool::driver;
use super::maps::{NAMES, XdpMaps, pin_of};
use super::punt::PuntReader;
use crate::fastpath::needs::Constants;
use crate::fastpath::writer::Writer;
use crate::fastpath::{FastPath as _, FastPort, Punt, port_index};

/// Oldest kernel: Debian 12's.
const MIN_KERNEL: (u32, u32) = (6, 1);
/// Magic number of bpffs.
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;
/// Punts that may wait for the switch.
const PUNT_QUEUE: usize = 4096;

/// Frames per second, and how many may come at once, for each CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PuntRates {
    /// ARP to the controller.
    pub arp: (u64, u64),
    /// Everything else to the controller.
    pub other: (u64, u64),
    /// To the slow path.
    pub slow: (u64, u64),
}

impl Default for PuntRates {
    fn default() -> Self {
        Self { arp: (1000, 200), other: (1000, 500), slow: (10_000, 1000) }
    }
}

impl PuntRates {
    /// In the order of [`wamig_common::punt::Class`].
    pub fn by_class(&self) -> [(u64, u64); 3] {
        [self.arp, self.other, self.slow]
    }
}

/// Where and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct XdpConfig {
    /// Directory in bpffs; it is made, and bpffs mounted at `/sys/fs/bpf` if that is where it lies.
    pub pin_path: PathBuf,
    /// Mode of attachment.
    pub mode: XdpMode,
    /// The ports to begin with.
    pub ports: Vec<FastPort>,
    /// Punt limits.
    pub rates: PuntRates,
    /// Flows that the maps have room for.
    pub flows: u32,
    /// What flows may need that come without notice; a program that fits offers it from the start.
    pub foreseen: Constants,
}

/// Why the data path cannot be opened; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Kernel too old.
    #[error("Linux {0} is too old: the XDP data path needs {major}.{minor} or newer", major = MIN_KERNEL.0, minor = MIN_KERNEL.1)]
    KernelTooOld(String),
    /// Missing capabilities.
    #[error("not allowed to use BPF: run wamig as root, or with CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW and CAP_PERFMON")]
    NoPrivilege,
    /// Built without the object.
    #[error(
        "this wamig was built without its XDP program; build it with: cargo xtask build-ebpf && cargo build --release"
    )]
    NoObject,
    /// No bpffs.
    #[error("{path} is not in a BPF file system ({why}); mount one with: mount -t bpf bpf {mount}")]
    NoBpffs {
        /// The pin path.
        path: PathBuf,
        /// Where it can be mounted.
        mount: PathBuf,
        /// What was tried.
        why: String,
    },
    /// Anything else.
    #[error("{0}")]
    Io(String),
}

/// An open data path.
pub struct Opened {
    /// The fast path.
    pub fastpath: Xdp,
    /// Frames that come up.
    pub punts: mpsc::Receiver<Punt>,
    /// The ports' modes and warnings, kept up to date.
    pub ports: SharedPorts,
    /// Stops when it is dropped.
    pub reader: PuntReader,
}

/// Checks, loads, makes maps. Attach with [`crate::fastpath::FastPath::activate`].
///
/// # Errors
/// See [`OpenError`].
pub fn open(config: &XdpConfig) -> Result<Opened, OpenError> {
    check_kernel()?;
    let bytes = crate::object::bytes().ok_or(OpenError::NoObject)?;
    ensure_bpffs(&config.pin_path)?;
    let io = |what: &str, e: io::Error| {
        if e.kind() == io::ErrorKind::PermissionDenied {
            OpenError::NoPrivilege
        } else {
            OpenError::Io(format!("{what}: {e}"))
        }
    };
    let maps_dir = fresh_maps_dir(&config.pin_path).map_err(|e| io("cannot make a directory for the maps", e))?;
    let opened = open_in(config, bytes, &maps_dir).map_err(|e| io("cannot load the XDP program", e));
    if opened.is_err() {
        // Best effort: the error matters more than a directory that the next start removes.
        let _ = fs::remove_dir_all(&maps_dir);
    }
    opened
}

fn open_in(config: &XdpConfig, bytes: &'static [u8], maps_dir: &Path) -> io::Result<Opened> {
    let first = load(bytes, maps_dir, config.flows, None, Constants::default())?;
    let (dir, flows) = (maps_dir.to_owned(), config.flows);
    let loader = Arc::new(move |port: &FastPort, constants| load(bytes, &dir, flows, Some(port), constants));
    let (pins, maps) = (config.pin_path.clone(), maps_dir.to_owned());
    let attachments = Attachments::new(pins, maps, config.mode, loader, config.foreseen);
    let ports = attachments.shown();
    let mut first = first;
    let arp = first.take_map("PUNT_ARP");
    let other = first.take_map("PUNT_OTHER");
    // The ring of log lines is pinned like the other maps, so that one reader serves all ports.
    let mut logger = EbpfLogger::init(&mut first).map_err(io::Error::other)?;
    let mut fastpath = Writer::new(XdpMaps::new(first, attachments, &config.rates)?);
    fastpath.set_ports(&config.ports)?;
    let (send, punts) = mpsc::channel(PUNT_QUEUE);
    let reader = PuntReader::start([arp, other], move || logger.flush(), fastpath.owners().clone(), send)?;
    Ok(Opened { fastpath, punts, ports, reader })
}

/// Loads the object: for the port, if one is given, with its number; over the maps pinned in
/// `maps_dir`, which are made if they are not there.
///
/// # Errors
/// The kernel's, with the end of the verifier's log.
pub fn load(
    bytes: &[u8],
    maps_dir: &Path,
    flows: u32,
    port: Option<&FastPort>,
    constants: Constants,
) -> io::Result<Ebpf> {
    let mut loader = EbpfLoader::new();
    let number = port.map_or(1, |p| p.port.0);
    let index = port.and_then(|p| port_index(p.port)).unwrap_or(1);
    let flags = [constants.action_set, constants.edits, constants.cache].map(u32::from);
    let [action_set, edits, cache] = &flags;
    let veth = u32::from(port.is_some_and(|p| driver(&p.name).as_deref() == Some("veth")));
    loader.override_global("HAIRPIN_BY_REDIRECT", &veth, true);
    loader.override_global("PORT_NUMBER", &number, true);
    loader.override_global("PORT_INDEX", &index, true);
    loader.override_global("TABLE_LIMIT", &constants.tables, true);
    loader.override_global("MASK_LIMIT", &constants.masks, true);
    loader.override_global("WORDS_USED", &constants.words, true);
    loader.override_global("USES_ACTION_SET", action_set, true);
    loader.override_global("USES_EDITS", edits, true);
    loader.override_global("USES_CACHE", cache, true);
    for map in ["FLOWS", "RECORDS", "LISTS", "EDITS", "FLOW_COUNTS"] {
        loader.map_max_entries(map, flows);
    }
    for name in NAMES {
        loader.map_pin_path(name, pin_of(maps_dir, name));
    }
    let mut object = loader.load(bytes).map_err(loading)?;
    // The other programs belong to no port.
    let names: &[&str] = if port.is_some() { &["wamig", "empty"] } else { &["wamig", "clock", "stage"] };
    for name in names {
        let program = object.program_mut(name).ok_or_else(|| io::Error::other(format!("no program {name}")))?;
        let program: &mut XdpProgram = program.try_into().map_err(io::Error::other)?;
        program.load().map_err(loading)?;
    }
    Ok(object)
}

/// The errno is somewhere in the chain of causes, and tells a missing privilege from the rest.
fn loading(e: impl std::error::Error) -> io::Error {
    let mut text = e.to_string();
    let mut kind = io::ErrorKind::Other;
    let mut cause = e.source();
    while let Some(c) = cause {
        if let Some(io) = c.downcast_ref::<io::Error>() {
            // EACCES is the verifier's refusal, of which the log tells; EPERM a missing privilege.
            kind = if io.raw_os_error() == Some(libc::EACCES) { io::ErrorKind::Other } else { io.kind() };
        }
        text = format!("{text}: {c}");
        cause = c.source();
    }
    let tail = text.len().saturating_sub(4000);
    let tail = (tail..text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    io::Error::new(kind, text[tail..].to_owned())
}

fn check_kernel() -> Result<(), OpenError> {
    let release = nix::sys::utsname::uname().map_err(|e| OpenError::Io(e.to_string()))?;
    let release = release.release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < MIN_KERNEL { Err(OpenError::KernelTooOld(release)) } else { Ok(()) }
}

fn is_bpffs(path: &Path) -> bool {
    nix::sys::statfs::statfs(path).is_ok_and(|s| s.filesystem_type().0 == BPF_FS_MAGIC)
}

/// Makes sure that the pin path's nearest existing directory is in bpffs.
fn ensure_bpffs(pin_path: &Path) -> Result<(), OpenError> {
    let existing = pin_path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
    if is_bpffs(existing) {
        return Ok(());
    }
    let usual = Path::new("/sys/fs/bpf");
    let no_bpffs =
        |mount: &Path, why: String| OpenError::NoBpffs { path: pin_path.to_owned(), mount: mount.to_owned(), why };
    if !pin_path.starts_with(usual) || !usual.exists() {
        let mount = pin_path.parent().unwrap_or(pin_path);
        return Err(no_bpffs(mount, format!("{} is another file system", existing.display())));
    }
    let none: Option<&str> = None;
    nix::mount::mount(Some("bpf"), usual, Some("bpf"), nix::mount::MsFlags::empty(), none).map_err(|e| match e {
        nix::errno::Errno::EPERM => OpenError::NoPrivilege,
        e => no_bpffs(usual, format!("mounting it failed: {e}")),
    })
}

fn fresh_maps_dir(pin_path: &Path) -> io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    let dir = pin_path.join(format!("maps-{}", now.as_micros()));
    fs::create_dir_all(&dir)?;
    Ok(dir)
}
