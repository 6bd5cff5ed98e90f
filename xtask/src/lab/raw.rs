//! Packet sockets: what is on a link as it is, and frames put on a link as they are.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::netns;

/// Opens a packet socket bound to an interface of the present namespace. `protocol` is what
/// it receives, in host byte order; 0 receives nothing.
///
/// # Errors
/// There is no such interface, or no privilege.
pub fn packet_socket(interface: &str, protocol: u16) -> Result<OwnedFd> {
    // Protocol 0 until it is bound: nothing of other interfaces gets in.
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
    let index = nix::net::if_::if_nametoindex(interface)?;
    // SAFETY: sockaddr_ll is plain data for which zeroes are valid.
    let mut address: libc::sockaddr_ll = unsafe { MaybeUninit::zeroed().assume_init() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = index as i32;
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address is a whole sockaddr_ll and outlives the call.
    if unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) } < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(socket)
}

/// Puts frames on a link, whatever they are.
pub struct Sender(OwnedFd);

impl Sender {
    /// Opens `interface` in `namespace`.
    ///
    /// # Errors
    /// There is no such interface, or no privilege.
    pub fn open(namespace: &str, interface: &str) -> Result<Self> {
        let socket = netns::enter(namespace, || packet_socket(interface, 0))
            .with_context(|| format!("cannot send on {interface} in {namespace}"))?;
        Ok(Self(socket))
    }

    /// Sends a frame; whether the kernel took it. It refuses what is shorter than an Ethernet
    /// header or longer than the interface's MTU.
    pub fn send(&self, frame: &[u8]) -> bool {
        nix::unistd::write(&self.0, frame).is_ok_and(|sent| sent == frame.len())
    }
}
