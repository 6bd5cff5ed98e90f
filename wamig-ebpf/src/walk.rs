//! The walk through the tables, cut into functions that the verifier checks once each.
//!
//! A function with BTF linkage "global" (`no_mangle`, `extern "C"`, not inlined) is verified
//! on its own; everything inlined or static is verified anew at every call. Global functions
//! take numbers and the context only, so each finds the scratch memory itself. Every argument
//! must be used: the compiler removes unused ones, and the verifier misses them.

use core::ffi::c_void;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_loop, bpf_xdp_load_bytes};
use aya_ebpf::programs::XdpContext;
use wamig_common::action::{END, LIST_EDITS, slot};
use wamig_common::classify::{classify, is_settled, probe};
use wamig_common::entry::{FlowRecord, NONE, Records as _, Slot, Table};
use wamig_common::execute::{self, Context, execute, step};
use wamig_common::extract::{Layout, ext_header, extract, nd_part};
use wamig_common::frame::Edited;
use wamig_common::key::{KEY_WORDS, METADATA};
use wamig_common::limits::{MAX_OPS, PLAIN_LOOP_MASKS, SET_SLOTS, WINDOW_HEADROOM};
use wamig_common::plan::{LOADED, Plan, STALE_KEY};
use wamig_common::rules::PortRules;
use wamig_common::translate::{Machine, refreshed, translate};
use wamig_common::verdict::{DropReason, SlowReason, Verdict};

use crate::bounded_len;
use crate::constants;
use crate::frame::{MapWindow, XdpFrame};
use crate::maps::{self, Maps, Scratch};
use crate::stats;

/// Walks the frame of `ctx` through the tables.
#[inline(always)]
pub fn run(ctx: &XdpContext, scratch: &mut Scratch) -> Verdict {
    let total = (ctx.data_end() - ctx.data()) as u32;
    scratch.plan.reset(constants::port_index(), total);
    scratch.key.words[0] = 0;
    if constants::action_set_in_use() != 0 {
        scratch.set.used = 0;
    }
    stats::received(total);
    if g_extract(ctx.as_ptr().cast()) == 0 {
        return Verdict::Drop(DropReason::Truncated);
    }
    if scratch.layout.anomalies != 0 {
        stats::anomalies(scratch.layout.anomalies);
    }
    if let Some(reason) = maps::rules(constants::port_index()).refuses(&scratch.key) {
        return Verdict::Drop(reason);
    }
    translate(&mut Xdp { ctx, scratch, version: maps::version() })
}

/// One frame's machine.
struct Xdp<'a> {
    ctx: &'a XdpContext,
    scratch: &'a mut Scratch,
    version: u64,
}

impl Xdp<'_> {
    #[inline(always)]
    fn load_window(&mut self) -> bool {
        self.scratch.plan.has(LOADED) || g_load(self.ctx.as_ptr().cast()) != 0
    }
}

impl Machine for Xdp<'_> {
    #[inline(always)]
    fn tables(&self) -> u32 {
        constants::tables()
    }

    #[inline(always)]
    fn classify(&mut self, table: u8) -> u32 {
        let flow = Slot(g_classify(u32::from(table), self.version)).flow();
        stats::table(u32::from(table), flow != NONE);
        if flow != NONE {
            // SAFETY: a helper without arguments.
            stats::flow(flow, self.scratch.plan.total, unsafe { bpf_jiffies64() });
        }
        flow
    }

    #[inline(always)]
    fn miss(&mut self, cx: Context) -> u32 {
        if maps::rules(constants::port_index()).has(PortRules::MISSES_GO_UP) {
            execute::miss(&mut self.scratch.plan, cx)
        } else {
            step::NEXT
        }
    }

    #[inline(always)]
    fn record(&mut self, flow: u32) -> Option<FlowRecord> {
        Maps.record(flow).copied()
    }

    #[inline(always)]
    fn meter(&mut self, _meter: u32, _cx: Context) -> u32 {
        // Flows with a meter are marked for the slow path and do not get here.
        step::SLOW | SlowReason::Meter.index()
    }

    #[inline(always)]
    fn apply(&mut self, list: u32, cx: Context) -> u32 {
        if constants::edits_in_use() != 0 && maps::list_flags(list) & LIST_EDITS != 0 && !self.load_window() {
            return step::DROP | DropReason::Kernel.index();
        }
        let mut i = 0;
        while i < MAX_OPS as u32 {
            let result = g_op(list, i, cx.flow, u32::from(cx.miss));
            if result != step::NEXT {
                return result;
            }
            i += 1;
        }
        step::NEXT
    }

    #[inline(always)]
    fn merge(&mut self, list: u32, cx: Context) -> u32 {
        if constants::action_set_in_use() == 0 {
            return step::DROP | DropReason::Inconsistent.index();
        }
        let mut i = 0;
        while i < MAX_OPS as u32 {
            let result = g_merge(list, i, cx.flow, u32::from(cx.miss));
            if result != step::NEXT {
                return result;
            }
            i += 1;
        }
        step::NEXT
    }

    #[inline(always)]
    fn clear_set(&mut self) {
        self.scratch.set.used = 0;
    }

    #[inline(always)]
    fn run_set(&mut self, cx: Context) -> u32 {
        if constants::action_set_in_use() == 0 || self.scratch.set.used == 0 {
            return step::NEXT;
        }
        if self.scratch.set.used != 1 << slot::OUTPUT && !self.load_window() {
            return step::DROP | DropReason::Kernel.index();
        }
        let mut i = 0;
        while i < SET_SLOTS as u32 {
            let result = g_set_op(i, cx.flow, u32::from(cx.miss));
            if result != step::NEXT {
                return result;
            }
            i += 1;
        }
        step::NEXT
    }

    #[inline(always)]
    fn metadata(&self) -> u64 {
        self.scratch.key.words[METADATA.word]
    }

    #[inline(always)]
    fn set_metadata(&mut self, value: u64) {
        self.scratch.key.words[METADATA.word] = value;
    }

    #[inline(always)]
    fn refresh_key(&mut self) -> u32 {
        if constants::edits_in_use() == 0 || !self.scratch.plan.has(STALE_KEY) { step::NEXT } else { g_refresh() }
    }

    #[inline(always)]
    fn plan(&mut self) -> &mut Plan {
        &mut self.scratch.plan
    }
}

/// Zeroes the key but for metadata. Volatile, because the compiler would call a memset that
/// stores bytes.
#[inline(always)]
fn clear_key(scratch: &mut Scratch) {
    let words = scratch.key.words.as_mut_ptr();
    let mut i = 1;
    while i < KEY_WORDS {
        // SAFETY: i is less than the number of words.
        unsafe { core::ptr::write_volatile(words.add(i), 0) };
        i += 1;
    }
    scratch.layout = Layout::default();
}

/// Frame → key. 0 = too short.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn g_extract(ctx: *mut xdp_md) -> u32 {
    let Some(scratch) = maps::scratch() else { return 0 };
    clear_key(scratch);
    let frame = XdpFrame::new(&XdpContext::new(ctx.cast()));
    u32::from(extract(&frame, constants::port(), &mut scratch.key, &mut scratch.layout).is_some())
}

/// One IPv6 extension header of the frame in packet memory; `next`: its type in bits 7..0, the
/// headers before it from bit 8 on.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn g_ext_header(ctx: *mut xdp_md, next: u32, off: u32) -> u64 {
    ext_header(&XdpFrame::new(&XdpContext::new(ctx.cast())), next as u8, (next >> 8) as u16, off as usize)
}

/// An offset of at most 511: what the verifier has to see before it is added to a frame.
#[inline(always)]
fn near(off: u32) -> usize {
    let mut off = u64::from(off);
    // SAFETY: plain arithmetic, in assembly so that it is not left out.
    unsafe { core::arch::asm!("{0} &= 511", inout(reg) off) };
    off as usize
}

/// A part of a message of neighbour discovery in packet memory.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn g_nd_part(ctx: *mut xdp_md, part: u32, l4: u32, end: u32) -> u64 {
    nd_part(&XdpFrame::new(&XdpContext::new(ctx.cast())), part, near(l4), end as usize)
}

/// A part of a message of neighbour discovery in the window.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn g_nd_part_edited(part: u32, l4: u32, end: u32) -> u64 {
    let Some(scratch) = maps::scratch() else { return 0 };
    nd_part(&edited(&scratch.plan, &scratch.window), part, near(l4), end as usize)
}

/// One IPv6 extension header of the frame in the window.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn g_ext_header_edited(next: u32, off: u32) -> u64 {
    let Some(scratch) = maps::scratch() else { return 0 };
    ext_header(&edited(&scratch.plan, &scratch.window), next as u8, (next >> 8) as u16, off as usize)
}

#[inline(always)]
fn edited<'a>(plan: &Plan, window: &'a MapWindow) -> Edited<'a, MapWindow> {
    Edited { window, start: plan.start, held: plan.held, total: plan.edited_total() }
}

/// Window → key, after an edit: a [`step`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn g_refresh() -> u32 {
    let Some(scratch) = maps::scratch() else { return step::DROP };
    clear_key(scratch);
    scratch.plan.flags &= !STALE_KEY;
    scratch.plan.origin = scratch.plan.start;
    let edited = edited(&scratch.plan, &scratch.window);
    let read = extract(&edited, constants::port(), &mut scratch.key, &mut scratch.layout);
    refreshed(read, &scratch.plan, &scratch.layout, &scratch.key)
}

/// Best flow of a table: a [`Slot`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn g_classify(table: u32, version: u64) -> u64 {
    let Some(scratch) = maps::scratch() else { return 0 };
    let Some(table) = maps::table(table, version) else { return 0 };
    if constants::masks() <= PLAIN_LOOP_MASKS {
        return classify(&Maps, &scratch.key, table, PLAIN_LOOP_MASKS as usize, version).0;
    }
    scratch.best = Slot::default();
    let mut search = Search { scratch, table, version };
    // SAFETY: the callback has the signature that the helper calls; the context outlives it.
    unsafe { bpf_loop(constants::masks(), probe_nth as *mut c_void, (&raw mut search).cast(), 0) };
    search.scratch.best.0
}

/// Context of the search by `bpf_loop`.
struct Search<'a> {
    scratch: &'a mut Scratch,
    table: &'a Table,
    version: u64,
}

unsafe extern "C" fn probe_nth(i: u32, search: *mut c_void) -> i64 {
    // SAFETY: the helper passes on what `g_classify` gave it.
    let search = unsafe { &mut *search.cast::<Search<'_>>() };
    let (scratch, table) = (&mut *search.scratch, search.table);
    if i >= table.n {
        return 1;
    }
    let mut i = u64::from(i);
    // SAFETY: plain arithmetic, in assembly so that the verifier sees the mask.
    unsafe { core::arch::asm!("{0} &= 63", inout(reg) i) };
    // SAFETY: a table has 64 subtables.
    let subtable = unsafe { &*table.subtables.as_ptr().add(i as usize) };
    if is_settled(scratch.best, subtable) {
        return 1;
    }
    scratch.best = probe(&Maps, &scratch.key, subtable, search.version, scratch.best);
    0
}

/// Loads the window. 0 = the kernel refused.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn g_load(ctx: *mut xdp_md) -> u32 {
    let Some(scratch) = maps::scratch() else { return 0 };
    let held = bounded_len!(scratch.plan.held, "255");
    let to = scratch.window.from_mut(WINDOW_HEADROOM as u32);
    // SAFETY: the buffer has 512 bytes, of which 32 lie before `to`; held is at most 256.
    if unsafe { bpf_xdp_load_bytes(ctx, 0, to.cast(), held) } != 0 {
        return 0;
    }
    scratch.plan.flags |= LOADED;
    1
}

/// One action of an apply-list: a [`step`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn g_op(list: u32, index: u32, flow: u32, miss: u32) -> u32 {
    let Some(scratch) = maps::scratch() else { return step::DROP };
    let Some(op) = Maps.op(list, index) else { return step::DROP | DropReason::Inconsistent.index() };
    let cx = Context { flow, metadata: scratch.key.words[METADATA.word], miss: miss != 0 };
    execute(&mut scratch.plan, &mut scratch.window, &scratch.layout, op, cx)
}

/// One action of a write-list into the action set: a [`step`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn g_merge(list: u32, index: u32, flow: u32, miss: u32) -> u32 {
    let Some(scratch) = maps::scratch() else { return step::DROP };
    let Some(op) = Maps.op(list, index) else { return step::DROP | DropReason::Inconsistent.index() };
    if op.kind == END {
        return step::END;
    }
    let cx = Context { flow, metadata: scratch.key.words[METADATA.word], miss: miss != 0 };
    scratch.set.write(op, cx);
    step::NEXT
}

/// One slot of the action set: a [`step`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn g_set_op(index: u32, flow: u32, miss: u32) -> u32 {
    let Some(scratch) = maps::scratch() else { return step::DROP };
    if scratch.set.used >> (index & 63) & 1 == 0 {
        return step::NEXT;
    }
    let Some(op) = scratch.set.ops.get(index as usize) else { return step::DROP | DropReason::Inconsistent.index() };
    let cx = Context { flow, metadata: scratch.key.words[METADATA.word], miss: miss != 0 };
    let cx = scratch.set.context(index as u8, cx);
    let result = execute(&mut scratch.plan, &mut scratch.window, &scratch.layout, op, cx);
    if result == step::END { step::NEXT } else { result }
}
