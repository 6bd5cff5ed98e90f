//! Frames that came up, taken from the receiver that the switch reads.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;
use wamig_common::verdict::PuntReason;
use wamig_userspace::fastpath::Punt;

use crate::paths::Up;

/// How long a frame may take to come up; it is some microseconds on a machine that has time.
const PATIENCE: Duration = Duration::from_secs(40);

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

/// Frames that came up, as they are compared. What the metadata of a frame for the slow path
/// is, nobody asks: it is walked anew.
pub fn ups(punts: Vec<Punt>) -> Vec<Up> {
    let up = |p: Punt| Up {
        flow: p.flow,
        reason: p.reason.as_str(),
        metadata: if p.reason == PuntReason::Slow { 0 } else { p.metadata },
        frame_len: p.frame_len as usize,
        frame: p.frame.to_vec(),
    };
    let mut ups: Vec<Up> = punts.into_iter().map(up).collect();
    ups.sort();
    ups
}
