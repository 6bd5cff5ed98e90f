//! One program, loaded and run on frames by `BPF_PROG_TEST_RUN`.

use std::path::Path;
use std::time::Duration;

use aya::Ebpf;
use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use wamig_openflow::PortNo;
use wamig_userspace::fastpath::needs::Constants;
use wamig_userspace::fastpath::xdp::open::load;

use super::bench::{FLOWS, port};

/// What came of a frame: `XDP_*`, the frame, the time of one run.
pub type Ran = (u32, Vec<u8>, Duration);

/// A variant of the program of a port.
pub fn variant(maps_dir: &Path, number: PortNo, constants: Constants) -> Ebpf {
    let bytes = wamig_userspace::object::bytes().expect("the object is embedded");
    load(bytes, maps_dir, FLOWS, Some(&port(number)), constants).unwrap_or_else(|e| panic!("{constants:?}: {e}"))
}

/// Runs a program of an object `repeat` times; each run finds the frame as the one before
/// left it.
pub fn run(object: &Ebpf, program: &str, frame: &[u8], repeat: u32) -> Ran {
    let program: &Xdp = object.program(program).unwrap().try_into().unwrap();
    let mut out = vec![0u8; 4096];
    let mut options = TestRunOptions::new();
    options.data_in = Some(frame);
    options.data_out = Some(&mut out);
    options.repeat = repeat;
    let result = program.test_run(options).unwrap();
    let (action, time, len) = (result.return_value, result.duration, result.data_size_out as usize);
    out.truncate(len);
    (action, out, time)
}
