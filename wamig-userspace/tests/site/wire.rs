//! Frames on an interface, past its addresses and routes.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// `ETH_P_ALL`, and an EtherType for experiments (IEEE 802.1).
const ALL: u16 = 0x0003;
const EXPERIMENT: u16 = 0x88b5;

/// A raw socket on an interface of this thread's network namespace.
pub struct Wire(OwnedFd);

impl Wire {
    /// Opens it.
    pub fn open(interface: &str) -> Self {
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

    /// Sends a frame with this number in it.
    pub fn send(&self, to: [u8; 6], from: [u8; 6], number: u32) {
        self.send_frame(&numbered(to, from, number));
    }

    /// Sends a frame.
    pub fn send_frame(&self, frame: &[u8]) {
        let sent = nix::unistd::write(&self.0, frame).unwrap();
        assert_eq!(sent, frame.len());
    }

    /// The numbers of all frames that have arrived for `to`.
    pub fn take(&self, to: [u8; 6], into: &mut Vec<u32>) {
        while let Some(frame) = self.take_frame() {
            if frame.len() >= 18 && frame[..6] == to && frame[12..14] == EXPERIMENT.to_be_bytes() {
                into.push(u32::from_be_bytes(frame[14..18].try_into().unwrap()));
            }
        }
    }

    /// The next frame that has arrived.
    pub fn take_frame(&self) -> Option<Vec<u8>> {
        let mut frame = vec![0; 2048];
        let flags = nix::sys::socket::MsgFlags::MSG_DONTWAIT;
        let len = nix::sys::socket::recv(self.0.as_raw_fd(), &mut frame, flags).ok()?;
        frame.truncate(len);
        Some(frame)
    }
}

/// A frame of the experiments' EtherType with a number in it.
fn numbered(to: [u8; 6], from: [u8; 6], number: u32) -> Vec<u8> {
    let mut frame = [&to[..], &from, &EXPERIMENT.to_be_bytes(), &number.to_be_bytes()].concat();
    frame.resize(60, 0);
    frame
}
