//! Packet memory and the header window: the only pointer arithmetic of the program.
//!
//! BPF machines load and store at any alignment, but the compiler splits accesses that it
//! knows to be unaligned into bytes (1.3 times the program's time). So they are written as
//! plain accesses through pointers to whole numbers.

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::programs::XdpContext;
use core::arch::asm;
use wamig_common::frame::{Edited, Frame, Window};
use wamig_common::limits::{MAX_HEADER_OFFSET, WINDOW_BUF, WINDOW_MASK};

use crate::walk;

/// The frame in packet memory.
pub struct XdpFrame {
    data: usize,
    end: usize,
    ctx: *mut xdp_md,
}

impl XdpFrame {
    /// The frame of a context.
    #[inline(always)]
    pub fn new(ctx: &XdpContext) -> Self {
        use aya_ebpf::EbpfContext as _;
        Self { data: ctx.data(), end: ctx.data_end(), ctx: ctx.as_ptr().cast() }
    }

    #[inline(always)]
    fn at<T: Copy>(&self, off: usize) -> Option<T> {
        if off > MAX_HEADER_OFFSET {
            return None;
        }
        let p = self.data + off;
        if p + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: p..p + size lies between data and data_end, as just checked.
        Some(unsafe { *(p as *const T) })
    }
}

impl Frame for XdpFrame {
    #[inline(always)]
    fn u8(&self, off: usize) -> Option<u8> {
        self.at(off)
    }

    #[inline(always)]
    fn u16(&self, off: usize) -> Option<u16> {
        self.at(off).map(u16::from_be)
    }

    #[inline(always)]
    fn u32(&self, off: usize) -> Option<u32> {
        self.at(off).map(u32::from_be)
    }

    #[inline(always)]
    fn u64(&self, off: usize) -> Option<u64> {
        self.at(off).map(u64::from_be)
    }

    #[inline(always)]
    fn len(&self) -> usize {
        self.end - self.data
    }

    #[inline(always)]
    fn ext_header(&self, next: u8, seen: u16, off: usize) -> u64 {
        walk::g_ext_header(self.ctx, u32::from(next) | u32::from(seen) << 8, off as u32)
    }

    #[inline(always)]
    fn nd_part(&self, part: u32, l4: usize, end: usize) -> u64 {
        walk::g_nd_part(self.ctx, part, l4 as u32, end as u32)
    }
}

/// The header window in map memory.
#[repr(C, align(8))]
pub struct MapWindow {
    bytes: [u8; WINDOW_BUF],
}

impl MapWindow {
    /// The byte at `off`, which is taken modulo 256.
    #[inline(always)]
    fn place(&self, off: u32) -> *const u8 {
        let mut off = u64::from(off);
        // SAFETY: plain arithmetic; written in assembly because the compiler would drop the
        // mask where it believes to know better, and the verifier would refuse the access.
        unsafe { asm!("{0} &= 255", inout(reg) off) };
        // SAFETY: off is at most 255 and the buffer has 512 bytes, so that eight more fit.
        unsafe { self.bytes.as_ptr().add(off as usize) }
    }

    /// The bytes from `off` on, for the kernel's helpers.
    #[inline(always)]
    pub fn from_mut(&mut self, off: u32) -> *mut u8 {
        self.place(off).cast_mut()
    }
}

impl Window for MapWindow {
    const LAST: u32 = WINDOW_MASK;

    #[inline(always)]
    fn load(&self, off: u32) -> u64 {
        // SAFETY: see `place`.
        u64::from_be(unsafe { *self.place(off).cast::<u64>() })
    }

    #[inline(always)]
    fn store(&mut self, off: u32, value: u64) {
        // SAFETY: see `place`; the map value is ours for the time of the run.
        unsafe { *self.from_mut(off).cast::<u64>() = value.to_be() };
    }

    #[inline(always)]
    fn ext_header(_edited: &Edited<'_, Self>, next: u8, seen: u16, off: usize) -> u64 {
        walk::g_ext_header_edited(u32::from(next) | u32::from(seen) << 8, off as u32)
    }

    #[inline(always)]
    fn nd_part(_edited: &Edited<'_, Self>, part: u32, l4: usize, end: usize) -> u64 {
        walk::g_nd_part_edited(part, l4 as u32, end as u32)
    }
}

/// 1..=`mask` + 1 out of any number that is not 0 and not more than that: tells the verifier
/// the range of a length. `$mask` is one less than a power of two.
#[macro_export]
macro_rules! bounded_len {
    ($len:expr, $mask:literal) => {{
        let mut n = ($len as u64).wrapping_sub(1);
        // SAFETY: plain arithmetic; in assembly so that the two cannot be merged into one
        // comparison that the verifier does not follow.
        unsafe { core::arch::asm!(concat!("{0} &= ", $mask), "{0} += 1", inout(reg) n) };
        n as u32
    }};
}
