//! Sets interfaces up and down.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

fn call(fd: i32, request: libc::Ioctl, argument: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: the requests made here read and write the ifreq and nothing else.
    if unsafe { libc::ioctl(fd, request, &raw mut *argument) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Sets an interface up or down, as `ip link set up` does.
///
/// # Errors
/// The operating system's.
pub fn set_up(ifindex: u32, up: bool) -> io::Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let fd = socket.as_raw_fd();
    // SAFETY: zeroes are a valid ifreq.
    let mut request: libc::ifreq = unsafe { MaybeUninit::zeroed().assume_init() };
    request.ifr_ifru.ifru_ifindex = ifindex as i32;
    call(fd, libc::SIOCGIFNAME, &mut request)?;
    call(fd, libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: the kernel has just filled this member.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    let bit = libc::IFF_UP as i16;
    request.ifr_ifru.ifru_flags = if up { flags | bit } else { flags & !bit };
    call(fd, libc::SIOCSIFFLAGS, &mut request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_is_not_there_is_an_error() {
        assert_eq!(set_up(0x7fff_fff0, true).unwrap_err().raw_os_error(), Some(libc::ENODEV));
    }
}
