//! A network namespace of the test's own, and raw frames at an interface in it.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long frames may still be on their way.
const LATE: Duration = Duration::from_millis(700);

/// Runs work on a thread in a namespace that ends with it.
pub fn in_new_namespace(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let entered = scope.spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            ip(&["link", "set", "lo", "up"]);
            work();
        });
        if let Err(panicked) = entered.join() {
            std::panic::resume_unwind(panicked);
        }
    });
}

/// Runs a program, which must succeed.
pub fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Runs `ip` of iproute2.
pub fn ip(args: &[&str]) {
    run("ip", args);
}

/// A packet socket.
pub struct Packets(OwnedFd);

impl Packets {
    /// At an interface.
    pub fn open(interface: &str) -> Self {
        let ifindex = nix::net::if_::if_nametoindex(interface).unwrap();
        let all = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: plain numbers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, i32::from(all)) };
        assert!(fd >= 0, "{}", io::Error::last_os_error());
        // SAFETY: the kernel has just given us this descriptor.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: all zeros is a value of the type.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = all;
        address.sll_ifindex = ifindex as i32;
        let wait = libc::timeval { tv_sec: 0, tv_usec: 50_000 };
        // SAFETY: the pointers are to live values of the sizes told.
        unsafe {
            let size = size_of::<libc::sockaddr_ll>() as u32;
            assert_eq!(libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size), 0);
            let size = size_of::<libc::timeval>() as u32;
            let option = (libc::SOL_SOCKET, libc::SO_RCVTIMEO);
            assert_eq!(libc::setsockopt(fd.as_raw_fd(), option.0, option.1, (&raw const wait).cast(), size), 0);
        }
        Self(fd)
    }

    /// Sends a frame.
    pub fn send(&self, frame: &[u8]) {
        // SAFETY: the frame is live and as long as told.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        assert_eq!(sent, frame.len() as isize, "{}", io::Error::last_os_error());
    }

    /// The next frame; `None` when told to stop and none comes any more.
    pub fn receive(&self, stop: &AtomicBool) -> Option<Vec<u8>> {
        let mut buffer = [0u8; 2048];
        let mut last = Instant::now();
        loop {
            // SAFETY: the buffer is live and as long as told.
            let n = unsafe { libc::recv(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            if n > 0 {
                return Some(buffer[..n as usize].to_vec());
            }
            if !stop.load(Ordering::Relaxed) {
                last = Instant::now();
            } else if last.elapsed() > LATE {
                return None;
            }
        }
    }
}
