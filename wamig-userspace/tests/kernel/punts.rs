//! Frames that came up, taken from the receiver that the switch reads.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;
use wamig_userspace::fastpath::Punt;

/// How long a frame may take to come up; it is some microseconds on a machine that has time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes `n` frames, or as many as come in time.
pub fn take(from: &mut Receiver<Punt>, n: usize) -> Vec<Punt> {
    let start = Instant::now();
    let mut taken = Vec::new();
    while taken.len() < n && start.elapsed() < PATIENCE {
        match from.try_recv() {
            Ok(punt) => taken.push(punt),
            Err(_) => std::thread::sleep(Duration::from_micros(50)),
        }
    }
    taken
}
