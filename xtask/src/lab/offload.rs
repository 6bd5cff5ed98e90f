//! Offloads of a virtual interface, by the ioctl that `ethtool -K` uses.
//!
//! A veth pair is two halves of one kernel: what a host sends has no checksum yet and may be
//! 64 KiB long, which no wire would carry and an XDP program cannot repair. Real interfaces
//! deliver complete frames, so the hosts of the lab are made to.

use std::mem::MaybeUninit;

use anyhow::{Context, Result, bail};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::netns;

const SIOCETHTOOL: libc::c_ulong = 0x8946;

/// A switch of `ethtool -K`, by its number in `linux/ethtool.h`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Offload {
    /// Transmit checksums left to the device.
    TxChecksum = 0x17,
    /// TCP segmentation left to the device.
    Tso = 0x1f,
    /// Segmentation left to the last moment.
    Gso = 0x24,
    /// Merging of received segments; on a veth it also is what lets the peer's native XDP send.
    Gro = 0x2c,
}

#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// Makes `interface` deliver complete, wire-sized frames, and take them from a peer's XDP.
///
/// # Errors
/// There is no such interface, or the kernel refuses.
pub fn like_a_wire(namespace: &str, interface: &str) -> Result<()> {
    netns::enter(namespace, || {
        for (offload, on) in
            [(Offload::TxChecksum, false), (Offload::Tso, false), (Offload::Gso, false), (Offload::Gro, true)]
        {
            set(interface, offload, on).with_context(|| format!("{offload:?} of {interface} in {namespace}"))?;
        }
        Ok(())
    })
}

fn set(interface: &str, offload: Offload, on: bool) -> Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let mut value = Value { command: offload as u32, data: u32::from(on) };
    // SAFETY: ifreq is plain data for which zeroes are valid.
    let mut request: libc::ifreq = unsafe { MaybeUninit::zeroed().assume_init() };
    if interface.len() >= request.ifr_name.len() {
        bail!("the interface name {interface:?} is too long");
    }
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: the request points to `value`, which outlives the call.
    let done = unsafe { libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&socket), SIOCETHTOOL, &raw mut request) };
    if done < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(())
}
