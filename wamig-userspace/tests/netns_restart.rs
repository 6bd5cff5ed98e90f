//! A daemon that is stopped or killed, and started again, loses no frame.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "shared by test programs that need different parts of it")]
mod site;

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;
use site::{Site, TWO_PORTS, may_run};

const A: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
const B: [u8; 6] = [2, 0, 0, 0, 0, 0xb];
/// `ETH_P_ALL`, and an EtherType for experiments (IEEE 802.1).
const ALL: u16 = 0x0003;
const EXPERIMENT: u16 = 0x88b5;

/// A raw socket on an interface of this thread's network namespace.
struct Wire(OwnedFd);

impl Wire {
    fn open(interface: &str) -> Self {
        let protocol = i32::from(ALL.to_be());
        // SAFETY: no pointer is passed.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) };
        assert!(fd >= 0, "{}", std::io::Error::last_os_error());
        // SAFETY: the descriptor was just made and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let index = nix::net::if_::if_nametoindex(interface).unwrap();
        // SAFETY: all zeros is a sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = ALL.to_be();
        address.sll_ifindex = index as i32;
        let size = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the address is a sockaddr_ll of that size, alive for the call.
        let bound = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size) };
        assert_eq!(bound, 0, "{}", std::io::Error::last_os_error());
        Self(fd)
    }

    fn send(&self, to: [u8; 6], from: [u8; 6], number: u32) {
        let mut frame = [&to[..], &from, &EXPERIMENT.to_be_bytes(), &number.to_be_bytes()].concat();
        frame.resize(60, 0);
        let sent = nix::unistd::write(&self.0, &frame).unwrap();
        assert_eq!(sent, frame.len());
    }

    /// The numbers of all frames that have arrived for `to`.
    fn take(&self, to: [u8; 6], into: &mut Vec<u32>) {
        let mut frame = [0; 2048];
        loop {
            let flags = nix::sys::socket::MsgFlags::MSG_DONTWAIT;
            let Ok(len) = nix::sys::socket::recv(self.0.as_raw_fd(), &mut frame, flags) else { return };
            if len >= 18 && frame[..6] == to && frame[12..14] == EXPERIMENT.to_be_bytes() {
                into.push(u32::from_be_bytes(frame[14..18].try_into().unwrap()));
            }
        }
    }
}

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
