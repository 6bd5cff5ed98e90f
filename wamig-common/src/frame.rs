//! How the pipeline reads a frame, and how it edits the copy of its headers.

use crate::limits::{MAX_HEADER_OFFSET, SLOW_HEADROOM, SLOW_WINDOW_LEN};

/// Bytes that may end anywhere. Offsets count from the destination MAC; numbers are read most
/// significant byte first. `None` = not all of it is there, or it lies
/// behind [`MAX_HEADER_OFFSET`].
pub trait Frame {
    /// One byte.
    fn u8(&self, off: usize) -> Option<u8>;
    /// Two bytes.
    fn u16(&self, off: usize) -> Option<u16>;
    /// Four bytes.
    fn u32(&self, off: usize) -> Option<u32>;
    /// Eight bytes.
    fn u64(&self, off: usize) -> Option<u64>;
    /// Length of the whole frame in bytes; may be more than can be read.
    fn len(&self) -> usize;

    /// True for a frame without a byte.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One step over an IPv6 extension header: see [`crate::extract::ext_header`]. The XDP
    /// program overrides it by a function that is verified once; inlined, the loop over it
    /// has more than a million paths for the verifier of Linux 6.1.
    fn ext_header(&self, next: u8, seen: u16, off: usize) -> u64 {
        crate::extract::ext_header(self, next, seen, off)
    }

    /// A part of a message of neighbour discovery: see [`crate::extract::nd_part`]. Overridden
    /// for the same reason.
    fn nd_part(&self, part: u32, l4: usize, end: usize) -> u64 {
        crate::extract::nd_part(self, part, l4, end)
    }
}

fn bytes_at<const N: usize>(frame: &[u8], off: usize) -> Option<[u8; N]> {
    if off > MAX_HEADER_OFFSET {
        return None;
    }
    frame.get(off..)?.first_chunk().copied()
}

impl Frame for [u8] {
    fn u8(&self, off: usize) -> Option<u8> {
        bytes_at(self, off).map(u8::from_be_bytes)
    }

    fn u16(&self, off: usize) -> Option<u16> {
        bytes_at(self, off).map(u16::from_be_bytes)
    }

    fn u32(&self, off: usize) -> Option<u32> {
        bytes_at(self, off).map(u32::from_be_bytes)
    }

    fn u64(&self, off: usize) -> Option<u64> {
        bytes_at(self, off).map(u64::from_be_bytes)
    }

    fn len(&self) -> usize {
        <[u8]>::len(self)
    }
}

/// The header window: a copy of the frame's first bytes, edited in place. Offsets count from
/// the buffer's first byte.
pub trait Window {
    /// Highest offset in the frame at which a header is read.
    const LAST: u32;

    /// Eight bytes at `off`, most significant first.
    fn load(&self, off: u32) -> u64;
    /// Replaces them.
    fn store(&mut self, off: u32, value: u64);

    /// As [`Frame::ext_header`], for the frame as it stands in this window.
    fn ext_header(edited: &Edited<'_, Self>, next: u8, seen: u16, off: usize) -> u64
    where
        Self: Sized,
    {
        crate::extract::ext_header(edited, next, seen, off)
    }

    /// As [`Frame::nd_part`], for the frame as it stands in this window.
    fn nd_part(edited: &Edited<'_, Self>, part: u32, l4: usize, end: usize) -> u64
    where
        Self: Sized,
    {
        crate::extract::nd_part(edited, part, l4, end)
    }
}

/// Bytes of a [`Buffer`]: headroom, window, and slack for eight bytes at its end.
const BUFFER: usize = SLOW_HEADROOM + SLOW_WINDOW_LEN + 8;

/// The window in plain memory.
#[derive(Clone, Debug)]
pub struct Buffer(pub [u8; BUFFER]);

impl Buffer {
    /// The window of a frame: its first [`SLOW_WINDOW_LEN`] bytes behind `room` bytes, which
    /// are at most [`SLOW_HEADROOM`].
    pub fn of(frame: &[u8], room: usize) -> Self {
        let mut buf = [0; BUFFER];
        let n = frame.len().min(SLOW_WINDOW_LEN);
        buf[room..room + n].copy_from_slice(&frame[..n]);
        Self(buf)
    }
}

impl Window for Buffer {
    const LAST: u32 = MAX_HEADER_OFFSET as u32;

    fn load(&self, off: u32) -> u64 {
        let bytes = self.0.get(off as usize..).and_then(|b| b.first_chunk());
        bytes.map_or(0, |b| u64::from_be_bytes(*b))
    }

    fn store(&mut self, off: u32, value: u64) {
        if let Some(bytes) = self.0.get_mut(off as usize..).and_then(|b| b.first_chunk_mut()) {
            *bytes = value.to_be_bytes();
        }
    }
}

/// The frame as it stands in the window: what extraction reads after an edit.
#[derive(Debug)]
pub struct Edited<'a, W> {
    /// The window.
    pub window: &'a W,
    /// Offset of the frame's first byte in it.
    pub start: u32,
    /// Bytes of the frame that it holds.
    pub held: u32,
    /// Length of the whole frame.
    pub total: u32,
}

impl<W: Window> Edited<'_, W> {
    #[inline(always)]
    fn read(&self, off: usize, bytes: u32) -> Option<u64> {
        let off = off as u32;
        if off > W::LAST || off + bytes > self.held {
            return None;
        }
        Some(self.window.load(self.start + off) >> (64 - 8 * bytes))
    }
}

impl<W: Window> Frame for Edited<'_, W> {
    #[inline(always)]
    fn u8(&self, off: usize) -> Option<u8> {
        self.read(off, 1).map(|v| v as u8)
    }

    #[inline(always)]
    fn u16(&self, off: usize) -> Option<u16> {
        self.read(off, 2).map(|v| v as u16)
    }

    #[inline(always)]
    fn u32(&self, off: usize) -> Option<u32> {
        self.read(off, 4).map(|v| v as u32)
    }

    #[inline(always)]
    fn u64(&self, off: usize) -> Option<u64> {
        self.read(off, 8)
    }

    #[inline(always)]
    fn len(&self) -> usize {
        self.total as usize
    }

    #[inline(always)]
    fn ext_header(&self, next: u8, seen: u16, off: usize) -> u64 {
        W::ext_header(self, next, seen, off)
    }

    fn nd_part(&self, part: u32, l4: usize, end: usize) -> u64 {
        W::nd_part(self, part, l4, end)
    }
}
