//! Frames by packet sockets: a flood into a switch, and a count of what comes out of it.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::netns::{Row3, must_run};
use super::rules::{address_old, udp};
use super::stream::packets;

/// A socket behind the switch, that sees what it sends.
pub fn behind(row: &Row3) -> OwnedFd {
    row.within(2, || {
        // Redirected frames reach only interfaces that poll.
        must_run("ethtool", &["-K", "wbs0", "gro", "on"]);
        packets("wbs0", libc::ETH_P_ALL as u16)
    })
}

/// A socket before the switch, to send by.
pub fn before(row: &Row3) -> OwnedFd {
    row.within(0, || packets("wbg0", 0))
}

/// The frame that is sent.
pub fn frame() -> Vec<u8> {
    udp(address_old(0))
}

/// Sends one frame, however long there is no room for it.
pub fn send(socket: &OwnedFd, frame: &[u8]) {
    while nix::unistd::write(socket, frame).is_err() {
        std::thread::yield_now();
    }
}

/// Whether a frame comes before the socket's timeout.
pub fn arrives(socket: &OwnedFd) -> bool {
    nix::unistd::read(socket, &mut [0; 2048]).is_ok()
}

/// Works while so many frames a second are sent; how many that were. Whoever is behind gets them in a burst, as from
/// any sender.
pub fn under<T>(row: &Row3, per_second: u32, work: impl FnOnce() -> T) -> (T, u64) {
    let (socket, frame, stop) = (before(row), frame(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let (began, mut sent) = (Instant::now(), 0_u64);
            while !stop.load(Ordering::Relaxed) {
                let due = (began.elapsed().as_secs_f64() * f64::from(per_second)) as u64;
                if sent >= due {
                    std::thread::sleep(Duration::from_micros(200));
                }
                while sent < due && !stop.load(Ordering::Relaxed) {
                    send(&socket, &frame);
                    sent += 1;
                }
            }
            sent
        });
        let done = work();
        stop.store(true, Ordering::Relaxed);
        (done, sender.join().unwrap())
    })
}

/// Frames a second that come out of the switch for so long.
pub fn rate(socket: &OwnedFd, time: Duration) -> f64 {
    let began = Instant::now();
    let mut n = 0_u64;
    while began.elapsed() < time {
        n += u64::from(arrives(socket));
    }
    n as f64 / began.elapsed().as_secs_f64()
}
