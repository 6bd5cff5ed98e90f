//! The XDP program under `BPF_PROG_TEST_RUN`, over maps of its own in a bpffs of its own.

use std::io;
use std::path::{Path, PathBuf};

use aya::Ebpf;
use aya::maps::{MapData, PerCpuArray};
use aya::programs::{TestRun as _, TestRunOptions, Xdp as Program};
use wamig_common::key::FlowKey;
use wamig_common::limits::SET_SLOTS;
use wamig_common::plan::Plan;
use wamig_openflow::{Instructions, Match, PortNo, TableId};
use wamig_userspace::fastpath::compile::compile;
use wamig_userspace::fastpath::xdp::open::{Constants, PuntRates, load};
use wamig_userspace::fastpath::xdp::{Opened, XdpConfig, XdpMode, maps::pin_of, open};
use wamig_userspace::fastpath::{Batch, Change, CompiledFlow, FastPort, FlowId};

/// Flows the maps have room for.
pub const FLOWS: u32 = 8192;

/// A BPF file system in a directory of its own, unmounted at the end.
pub struct Bpffs(tempfile::TempDir);

impl Bpffs {
    /// Mounts it.
    pub fn new() -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("wamig-test-bpffs-").tempdir()?;
        let none: Option<&str> = None;
        nix::mount::mount(Some("bpf"), dir.path(), Some("bpf"), nix::mount::MsFlags::empty(), none)?;
        Ok(Self(dir))
    }

    /// A pin path in it.
    pub fn pins(&self) -> PathBuf {
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

/// True when the kernel lets us; else says why the test is skipped.
pub fn may_run() -> bool {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: needs root");
        return false;
    }
    if wamig_userspace::object::bytes().is_none() {
        println!("SKIPPED: built without the XDP object; run cargo xtask build-ebpf first");
        return false;
    }
    true
}

/// One program of the data path, to be run on frames.
pub struct Bench {
    /// The data path, not attached.
    pub opened: Opened,
    /// The general program of each port, from port 1.
    pub programs: Vec<Ebpf>,
    /// Where the maps are pinned.
    pub maps_dir: PathBuf,
    scratch: PerCpuArray<MapData, RawScratch>,
    _bpffs: Bpffs,
}

/// The scratch memory up to the plan, as the program lays it out.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct RawScratch {
    key: FlowKey,
    layout: [u16; 4],
    plan: Plan,
    rest: [u64; 14 + 1 + 2 + 3 * SET_SLOTS + 64],
}

// SAFETY: whole numbers only, no padding, no pointers.
unsafe impl aya::Pod for RawScratch {}

/// What became of a frame.
#[derive(Debug)]
pub struct Ran {
    /// `XDP_*`
    pub action: u32,
    /// The frame.
    pub frame: Vec<u8>,
    /// The plan that the program made.
    pub plan: Plan,
    /// Nanoseconds per run.
    pub ns: u64,
}

impl Bench {
    /// A data path with ports 1..=`ports`, all of them the loopback interface.
    pub fn new(ports: u32) -> Self {
        let bpffs = Bpffs::new().expect("a bpffs can be mounted");
        let ports: Vec<FastPort> =
            (1..=ports).map(|n| FastPort { port: PortNo(n), name: format!("p{n}"), ifindex: 1 }).collect();
        let rates =
            PuntRates { arp: (1_000_000, 1_000_000), other: (1_000_000, 1_000_000), slow: (1_000_000, 1_000_000) };
        let config =
            XdpConfig { pin_path: bpffs.pins(), mode: XdpMode::Auto, ports: ports.clone(), rates, flows: FLOWS };
        let opened = open(&config).unwrap_or_else(|e| panic!("{e}"));
        let maps_dir = std::fs::read_dir(bpffs.pins()).unwrap().next().unwrap().unwrap().path();
        let programs = ports.iter().map(|p| variant(&maps_dir, p, Constants::default())).collect();
        let scratch = MapData::from_pin(pin_of(&maps_dir, "SCRATCH")).unwrap();
        let scratch = PerCpuArray::try_from(aya::maps::Map::PerCpuArray(scratch)).unwrap();
        Self { opened, programs, maps_dir, scratch, _bpffs: bpffs }
    }

    /// Runs a frame that came in by `port`.
    pub fn run(&self, port: u32, frame: &[u8]) -> Ran {
        run(&self.programs[port as usize - 1], "wamig", frame, 1, Some(&self.scratch))
    }

    /// Runs a frame through another object's program.
    pub fn run_in(&self, object: &Ebpf, frame: &[u8]) -> Ran {
        run(object, "wamig", frame, 1, Some(&self.scratch))
    }
}

/// A variant of the program of a port.
pub fn variant(maps_dir: &Path, port: &FastPort, constants: Constants) -> Ebpf {
    let bytes = wamig_userspace::object::bytes().expect("the object is embedded");
    load(bytes, maps_dir, FLOWS, Some(port), constants).unwrap_or_else(|e| panic!("{constants:?}: {e}"))
}

/// Runs a program of an object `repeat` times.
pub fn run(
    object: &Ebpf,
    program: &str,
    frame: &[u8],
    repeat: u32,
    scratch: Option<&PerCpuArray<MapData, RawScratch>>,
) -> Ran {
    pin_to_cpu();
    let program: &Program = object.program(program).unwrap().try_into().unwrap();
    let mut out = vec![0u8; 4096];
    let mut options = TestRunOptions::new();
    options.data_in = Some(frame);
    options.data_out = Some(&mut out);
    options.repeat = repeat;
    let result = program.test_run(options).unwrap();
    let (action, ns, len) = (result.return_value, result.duration.as_nanos() as u64, result.data_size_out as usize);
    out.truncate(len);
    let plan = scratch.map_or(Plan::default(), |s| s.get(&0, 0).unwrap()[0].plan);
    Ran { action, frame: out, plan, ns }
}

/// Per-CPU values are those of CPU 0.
fn pin_to_cpu() {
    let mut set = nix::sched::CpuSet::new();
    set.set(0).unwrap();
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set).unwrap();
}

/// A compiled flow.
pub fn flow(id: u64, table: u8, priority: u16, matching: &Match, instructions: &Instructions) -> CompiledFlow {
    compile(FlowId(id), TableId(table), priority, matching, instructions).unwrap()
}

/// A batch of new flows.
pub fn inserts(flows: impl IntoIterator<Item = CompiledFlow>) -> Batch {
    Batch { changes: flows.into_iter().map(Change::Insert).collect() }
}
