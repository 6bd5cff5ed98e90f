//! A daemon that is stopped or killed, and started again, loses no frame.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "shared by test programs that need different parts of it")]
mod site;

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;
use site::wire::Wire;
use site::{Site, TWO_PORTS, may_run};

const A: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
const B: [u8; 6] = [2, 0, 0, 0, 0, 0xb];
#[test]
fn no_frame_is_lost_when_the_daemon_ends_and_starts_again() {
    if !may_run() {
        return;
    }
    let site = Site::new();
    site.configure(&format!("{}\nxdp_mode = \"generic\"", site.pinned()), "");
    let mut daemon = site.start(TWO_PORTS, "");
    let forwards = |s: &wamig_userspace::admin::status::Status| s.datapath.ports.iter().all(|p| p.mode == "generic");
    daemon.until("forwarding", forwards);
    let namespace = File::open(daemon.namespace()).unwrap();
    let inside = format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd());

    let over = AtomicBool::new(false);
    let (sent, got) = std::thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
            let (left, right) = (Wire::open("xup"), Wire::open("xsrv"));
            let (mut sent, mut got) = (0, Vec::new());
            // Both are heard, so that the switch knows where to send.
            right.send(A, B, 0);
            left.send(B, A, 0);
            while !over.load(Ordering::Relaxed) {
                sent += 1;
                left.send(B, A, sent);
                right.take(B, &mut got);
                std::thread::sleep(Duration::from_micros(500));
            }
            std::thread::sleep(Duration::from_millis(200));
            right.take(B, &mut got);
            (sent, got)
        });
        for signal in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGKILL] {
            std::thread::sleep(Duration::from_millis(300));
            daemon.signal(signal);
            std::thread::sleep(Duration::from_millis(300));
            daemon = site.start_in(&inside);
            daemon.until("forwarding", forwards);
        }
        std::thread::sleep(Duration::from_millis(300));
        over.store(true, Ordering::Relaxed);
        traffic.join().unwrap()
    });
    let numbers: HashSet<u32> = got.iter().copied().filter(|n| *n > 0).collect();
    let lost: Vec<u32> = (1..=sent).filter(|n| !numbers.contains(n)).collect();
    println!("{sent} frames sent, {} lost, 3 restarts", lost.len());
    assert!(sent > 1000, "there was traffic all the time: {sent}");
    assert!(lost.is_empty(), "{lost:?} of {sent}");
    assert_eq!(got.iter().filter(|n| **n > 0).count(), numbers.len(), "none came twice");
}
