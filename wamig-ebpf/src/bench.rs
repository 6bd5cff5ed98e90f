//! The programs that wamig is measured against, and those that measure: an object of its own,
//! which `cargo xtask bench` loads. Nothing of it is in the product.
//!
//! * `limit`, `tc_limit` — one purpose, no tables: a UDP frame's destination is looked up,
//!   rewritten, both checksums are mended by a difference that userspace computed, both MAC
//!   addresses are written, the frame is sent. What a general switch is compared with.
//! * `redirect` — sends the frame as it is: the cost of the way alone
//! * `generate` — makes the frames, run by `BPF_PROG_TEST_RUN` with live frames
//! * `sink` — counts what arrives and checks it
#![no_std]
#![no_main]

use aya_ebpf::bindings::{TC_ACT_SHOT, xdp_action};
use aya_ebpf::helpers::generated::bpf_redirect;
use aya_ebpf::macros::{classifier, map, xdp};
use aya_ebpf::maps::{Array, DevMap, HashMap, PerCpuArray};
use aya_ebpf::programs::{TcContext, XdpContext};

/// Headers of a frame: Ethernet, IPv4 without options, UDP, four bytes.
const HEADERS: usize = 46;
/// First address of the frames made, and bits that tell the addresses of rewritten ones.
const OLD: u32 = 0x0a01_0000;
const NEW: u32 = 0x0ac8_0000;
const NEW_MASK: u32 = 0xfff0_0000;

/// What is done to the frames of one destination.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Rewrite {
    /// New destination as it stands in the frame.
    address: u32,
    /// Folded difference of the addresses, as a checksum takes it.
    delta: u32,
    /// Both MAC addresses as they stand in the frame.
    macs: [u32; 3],
    /// Port of `OUT`.
    port: u32,
    /// Interface, for `tc_limit`.
    ifindex: u32,
    /// Zero.
    reserved: u32,
}

/// What the generator makes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Template {
    /// The headers of the frame to [`OLD`], both checksums zero.
    headers: [u64; 6],
    /// Sums of what the checksums cover but for the destination.
    ip_sum: u32,
    udp_sum: u32,
    /// Number of destinations - 1; one less than a power of two.
    flows: u32,
    /// Interface that sends.
    ifindex: u32,
    /// State.
    random: u32,
    /// Zero.
    reserved: u32,
    /// Frames made.
    sent: u64,
}

#[map]
static REWRITES: HashMap<u32, Rewrite> = HashMap::with_max_entries(1024, 0);
#[map]
static OUT: DevMap = DevMap::with_max_entries(64, 0);
#[map]
static TEMPLATE: Array<Template> = Array::with_max_entries(1, 0);
/// Frames that arrived, those with a rewritten destination, those with a wrong checksum
/// (every 256th is looked at), and those that are no frame of ours.
#[map]
static ARRIVED: PerCpuArray<[u64; 4]> = PerCpuArray::with_max_entries(1, 0);

/// The number at an offset of a frame; whoever calls has checked the frame's length.
macro_rules! at {
    ($data:expr, $off:literal, $t:ty) => {
        *(($data + $off) as *mut $t)
    };
}

#[inline(always)]
fn mended(sum: u16, delta: u32) -> u16 {
    let sum = u32::from(!sum) + delta;
    let sum = (sum & 0xffff) + (sum >> 16);
    !(((sum & 0xffff) + (sum >> 16)) as u16)
}

/// Whether the headers are those of an unfragmented UDP packet without options.
///
/// # Safety
/// `HEADERS` bytes from `data` on are the frame's.
#[inline(always)]
unsafe fn is_udp(data: usize) -> bool {
    // SAFETY: as the caller says.
    unsafe {
        at!(data, 12, u16) == 0x0800u16.to_be()
            && at!(data, 14, u8) == 0x45
            && at!(data, 23, u8) == 17
            && at!(data, 20, u16) & 0x3fffu16.to_be() == 0
            && at!(data, 22, u8) > 1
    }
}

/// Rewrites the frame; what was done, or `None` if nothing was.
#[inline(always)]
fn rewrite(data: usize, end: usize) -> Option<&'static Rewrite> {
    if data + HEADERS > end {
        return None;
    }
    // SAFETY: the frame is as long as that, as just checked; map values live on.
    unsafe {
        if !is_udp(data) {
            return None;
        }
        let to = &*REWRITES.get_ptr(at!(data, 30, u32))?;
        at!(data, 30, u32) = to.address;
        at!(data, 24, u16) = mended(at!(data, 24, u16), to.delta);
        let sum = at!(data, 40, u16);
        if sum != 0 {
            let sum = mended(sum, to.delta);
            at!(data, 40, u16) = if sum == 0 { 0xffff } else { sum };
        }
        at!(data, 0, u32) = to.macs[0];
        at!(data, 4, u32) = to.macs[1];
        at!(data, 8, u32) = to.macs[2];
        Some(to)
    }
}

/// The limit.
#[xdp]
pub fn limit(ctx: XdpContext) -> u32 {
    match rewrite(ctx.data(), ctx.data_end()) {
        Some(to) => OUT.redirect(to.port, 0).unwrap_or(xdp_action::XDP_ABORTED),
        None => xdp_action::XDP_PASS,
    }
}

/// The same on socket buffers.
#[classifier]
pub fn tc_limit(ctx: TcContext) -> i32 {
    match rewrite(ctx.data(), ctx.data_end()) {
        // SAFETY: a helper that takes numbers.
        Some(to) => (unsafe { bpf_redirect(to.ifindex, 0) }) as i32,
        None => TC_ACT_SHOT as i32,
    }
}

/// The way alone.
#[xdp]
pub fn redirect(_ctx: XdpContext) -> u32 {
    OUT.redirect(0, 0).unwrap_or(xdp_action::XDP_ABORTED)
}

/// Nothing: a native XDP program on the far end of a veth lets the near end send.
#[xdp]
pub fn pass(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

#[inline(always)]
fn folded(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    !(((sum & 0xffff) + (sum >> 16)) as u16)
}

/// One frame, to the next destination.
#[xdp]
pub fn generate(ctx: XdpContext) -> u32 {
    let data = ctx.data();
    if data + 48 > ctx.data_end() {
        return xdp_action::XDP_ABORTED;
    }
    let Some(template) = TEMPLATE.get_ptr_mut(0) else { return xdp_action::XDP_ABORTED };
    // SAFETY: one generator runs at a time, and the frame is long enough.
    unsafe {
        let template = &mut *template;
        at!(data, 0, u64) = template.headers[0];
        at!(data, 8, u64) = template.headers[1];
        at!(data, 16, u64) = template.headers[2];
        at!(data, 24, u64) = template.headers[3];
        at!(data, 32, u64) = template.headers[4];
        at!(data, 40, u64) = template.headers[5];
        template.random = template.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let to = OLD + (template.random >> 3 & template.flows);
        let halves = (to >> 16) + (to & 0xffff);
        at!(data, 30, u32) = to.to_be();
        at!(data, 24, u16) = folded(template.ip_sum + halves).to_be();
        let sum = folded(template.udp_sum + halves);
        at!(data, 40, u16) = (if sum == 0 { 0xffff } else { sum }).to_be();
        template.sent += 1;
        bpf_redirect(template.ifindex, 0) as u32
    }
}

/// Counts, and drops.
#[xdp]
pub fn sink(ctx: XdpContext) -> u32 {
    let Some(arrived) = ARRIVED.get_ptr_mut(0) else { return xdp_action::XDP_ABORTED };
    let data = ctx.data();
    // SAFETY: a per-CPU value; the frame's length is checked before it is read.
    unsafe {
        let arrived = &mut *arrived;
        if data + 64 > ctx.data_end() || !is_udp(data) {
            arrived[3] += 1;
            return xdp_action::XDP_DROP;
        }
        arrived[0] += 1;
        if u32::from_be(at!(data, 30, u32)) & NEW_MASK == NEW & NEW_MASK {
            arrived[1] += 1;
        }
        if arrived[0] & 255 == 0 {
            let (mut ip, mut udp) = (0u32, 17u32.swap_bytes() >> 16);
            let mut i = 0;
            while i < 25 {
                let word = u32::from(*((data + 14 + i * 2) as *const u16));
                if i < 10 {
                    ip += word;
                }
                // addresses of the pseudo-header, and everything from the UDP header on
                if i >= 6 {
                    udp += word;
                }
                i += 1;
            }
            udp += u32::from(at!(data, 38, u16));
            if folded(ip) != 0 || folded(udp) != 0 {
                arrived[2] += 1;
            }
        }
    }
    xdp_action::XDP_DROP
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
