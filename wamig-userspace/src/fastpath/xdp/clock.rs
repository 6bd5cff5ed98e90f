//! The kernel's jiffies, in which the XDP program stamps flows: two nanoseconds a frame, where
//! reading a clock would cost forty.

use std::io;

use aya::Ebpf;
use aya::maps::{Array, MapData};
use aya::programs::{TestRun as _, TestRunOptions, Xdp};

/// What `clock` writes: jiffies and monotonic nanoseconds.
type Now = [u64; 2];

/// Values of `CONFIG_HZ` that exist.
const HERTZ: [u64; 4] = [100, 250, 300, 1000];

/// The clock.
pub struct Clock {
    now: Array<MapData, Now>,
    hz: u64,
}

impl Clock {
    /// A clock out of an object whose program `clock` is loaded.
    pub fn new(object: &mut Ebpf) -> io::Result<Self> {
        let map = object.take_map("CLOCK").ok_or_else(|| io::Error::other("the object has no map CLOCK"))?;
        let now = Array::try_from(map).map_err(io::Error::other)?;
        let mut clock = Self { now, hz: 0 };
        let [jiffies, ns] = clock.read(object)?;
        clock.hz = hertz(jiffies, ns);
        Ok(clock)
    }

    /// Jiffies per second.
    pub fn hz(&self) -> u64 {
        self.hz
    }

    /// Jiffies now.
    pub fn jiffies(&self, object: &Ebpf) -> io::Result<u64> {
        Ok(self.read(object)?[0])
    }

    fn read(&self, object: &Ebpf) -> io::Result<Now> {
        let program = object.program("clock").ok_or_else(|| io::Error::other("the object has no program clock"))?;
        let program: &Xdp = program.try_into().map_err(io::Error::other)?;
        let mut options = TestRunOptions::new();
        options.data_in = Some(&[0; 14]);
        program.test_run(options).map_err(io::Error::other)?;
        self.now.get(&0, 0).map_err(io::Error::other)
    }
}

/// Jiffies start 300 s before they overflow 32 bits (`INITIAL_JIFFIES`) and count with the
/// monotonic clock; only one frequency makes both agree.
fn hertz(jiffies: u64, monotonic_ns: u64) -> u64 {
    let off = |hz: u64| {
        let start = (1u64 << 32) - 300 * hz;
        let expected = start + (u128::from(monotonic_ns) * u128::from(hz) / 1_000_000_000) as u64;
        jiffies.abs_diff(expected)
    };
    HERTZ.into_iter().min_by_key(|hz| off(*hz)).unwrap_or(250)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frequency_follows_from_one_reading() {
        for hz in HERTZ {
            for seconds in [1u64, 299, 301, 86_400, 400 * 86_400] {
                let jiffies = (1u64 << 32) - 300 * hz + seconds * hz + 3;
                assert_eq!(hertz(jiffies, seconds * 1_000_000_000), hz, "{seconds} s");
            }
        }
    }
}
