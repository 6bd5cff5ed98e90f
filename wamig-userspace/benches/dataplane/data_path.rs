//! A data path of wamig's: maps of its own, in a bpffs of its own.

use std::path::PathBuf;

use aya::Ebpf;
use aya::programs::{TestRun as _, TestRunAttrs, TestRunOptions, Xdp};
use wamig_openflow::PortNo;
use wamig_userspace::fastpath::needs::Constants;
use wamig_userspace::fastpath::xdp::open::{PuntRates, load};
use wamig_userspace::fastpath::xdp::{Opened, XdpConfig, XdpMode, open};
use wamig_userspace::fastpath::{Batch, Change, CompiledFlow, FastPort};

/// A BPF file system in a directory of its own, unmounted at the end.
pub struct Bpffs(tempfile::TempDir);

impl Bpffs {
    /// Mounted.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("wamig-bench-bpffs-").tempdir().unwrap();
        let none: Option<&str> = None;
        nix::mount::mount(Some("bpf"), dir.path(), Some("bpf"), nix::mount::MsFlags::empty(), none)
            .unwrap_or_else(|e| panic!("a BPF file system cannot be mounted: {e}"));
        Self(dir)
    }

    /// A directory in it.
    pub fn path(&self) -> PathBuf {
        self.0.path().join("wamig")
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        if let Err(e) = nix::mount::umount2(self.0.path(), nix::mount::MntFlags::MNT_DETACH) {
            eprintln!("{}: {e}", self.0.path().display());
        }
    }
}

/// The data path, and what it was opened with.
pub struct DataPath {
    /// The data path.
    pub opened: Opened,
    maps_dir: PathBuf,
    flows: u32,
    _bpffs: Bpffs,
}

impl DataPath {
    /// A data path with room for `flows` flows.
    pub fn new(ports: Vec<FastPort>, mode: XdpMode, flows: u32) -> Self {
        let bpffs = Bpffs::new();
        let foreseen = Constants::NOTHING;
        let config = XdpConfig { pin_path: bpffs.path(), mode, ports, rates: PuntRates::default(), flows, foreseen };
        let opened = open(&config).unwrap_or_else(|e| panic!("{e}"));
        let maps_dir = std::fs::read_dir(bpffs.path()).unwrap().next().unwrap().unwrap().path();
        Self { opened, maps_dir, flows, _bpffs: bpffs }
    }

    /// One whose ports 1 and 2 are the loopback interface; it is never attached.
    pub fn loopback(flows: u32) -> Self {
        let port = |n| FastPort { port: PortNo(n), name: format!("p{n}"), ifindex: 1 };
        Self::new(vec![port(1), port(2)], XdpMode::Auto, flows)
    }

    /// Adds flows in one batch.
    pub fn install(&mut self, flows: &[CompiledFlow]) {
        let changes = flows.iter().cloned().map(Change::Insert).collect();
        self.opened.fastpath.commit(&Batch { changes }).unwrap_or_else(|e| panic!("{e}"));
    }

    /// The program of port 1.
    pub fn program(&self, constants: Constants) -> Ebpf {
        let bytes = wamig_userspace::object::bytes().expect("the XDP object is embedded");
        let port = FastPort { port: PortNo(1), name: "p1".to_owned(), ifindex: 1 };
        load(bytes, &self.maps_dir, self.flows, Some(&port), constants).unwrap_or_else(|e| panic!("{constants:?}: {e}"))
    }
}

/// Runs a program on a frame `repeat` times; each run finds the frame as the one before left
/// it. What it returned, the frame, nanoseconds for one run.
pub fn run(program: &Xdp, frame: &[u8], repeat: u32) -> (u32, Vec<u8>, f64) {
    let mut out = vec![0u8; 2048];
    let mut options = TestRunOptions::new();
    options.data_in = Some(frame);
    options.data_out = Some(&mut out);
    options.repeat = repeat;
    let result = program.test_run(options).unwrap();
    out.truncate(result.data_size_out as usize);
    (result.return_value, out, result.duration.as_nanos() as f64)
}

/// Runs a program on frames that are really sent.
pub fn run_live(program: &Xdp, frame: &[u8], repeat: u32) {
    // `struct xdp_md`: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex
    let mut context = [0u8; 24];
    context[4..8].copy_from_slice(&(frame.len() as u32).to_ne_bytes());
    let mut options = TestRunOptions::new();
    options.data_in = Some(frame);
    options.ctx_in = Some(&context);
    options.repeat = repeat;
    options.attrs = TestRunAttrs::new().xdp_live_frames(64);
    program.test_run(options).unwrap_or_else(|e| panic!("frames cannot be made: {e}"));
}
