//! A data path that is not attached to anything: maps of its own, in a bpffs of its own.

use std::io;
use std::path::PathBuf;

use wamig_openflow::PortNo;
use wamig_userspace::fastpath::FastPort;
use wamig_userspace::fastpath::needs::Constants;
use wamig_userspace::fastpath::xdp::open::PuntRates;
use wamig_userspace::fastpath::xdp::{Opened, XdpConfig, XdpMode, open};

/// Flows the maps have room for.
pub const FLOWS: u32 = 8192;

/// A BPF file system in a directory of its own, unmounted at the end.
struct Bpffs(tempfile::TempDir);

impl Bpffs {
    fn new() -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("wamig-test-bpffs-").tempdir()?;
        let none: Option<&str> = None;
        nix::mount::mount(Some("bpf"), dir.path(), Some("bpf"), nix::mount::MsFlags::empty(), none)?;
        Ok(Self(dir))
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        if let Err(e) = nix::mount::umount2(self.0.path(), nix::mount::MntFlags::MNT_DETACH) {
            eprintln!("{}: {e}", self.0.path().display());
        }
    }
}

/// True when the kernel lets us; else says why the test is skipped.
pub fn may_run() -> bool {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIP: needs root");
        return false;
    }
    if wamig_userspace::object::bytes().is_none() {
        println!("SKIP: built without the XDP object; `cargo xtask build-ebpf` makes it");
        return false;
    }
    true
}

/// Makes this thread run on one CPU, whose per-CPU values it may then read; `false` = there
/// is no such CPU.
pub fn stay_on(cpu: usize) -> bool {
    let mut set = nix::sched::CpuSet::new();
    set.set(cpu).unwrap();
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set).is_ok()
}

/// A port, which is the loopback interface.
pub fn port(port: PortNo) -> FastPort {
    FastPort { port, name: format!("p{port}"), ifindex: 1 }
}

/// The data path.
pub struct Bench {
    /// The data path, not attached.
    pub opened: Opened,
    /// Where the maps are pinned.
    pub maps_dir: PathBuf,
    _bpffs: Bpffs,
}

impl Bench {
    /// A data path with these ports, and punts that nothing holds back. Its thread stays on
    /// CPU 0.
    pub fn new(ports: &[PortNo]) -> Self {
        Self::with(ports.iter().map(|p| port(*p)).collect())
    }

    /// The same with ports that are told.
    pub fn with(ports: Vec<FastPort>) -> Self {
        assert!(stay_on(0));
        let bpffs = Bpffs::new().expect("a bpffs can be mounted");
        let pin_path = bpffs.0.path().join("wamig");
        let plenty = (1_000_000, 1_000_000);
        let rates = PuntRates { arp: plenty, other: plenty, slow: plenty };
        let foreseen = Constants::NOTHING;
        let config =
            XdpConfig { pin_path: pin_path.clone(), mode: XdpMode::Auto, ports, rates, flows: FLOWS, foreseen };
        let opened = open(&config).unwrap_or_else(|e| panic!("{e}"));
        let maps_dir = std::fs::read_dir(pin_path).unwrap().next().unwrap().unwrap().path();
        Self { opened, maps_dir, _bpffs: bpffs }
    }
}
