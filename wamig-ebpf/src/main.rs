//! The XDP program of wamig: one OpenFlow pipeline, run on every frame of every port.
//!
//! `wamig` is loaded once per port, with the port's number as a load-time constant; all
//! copies share the maps. The walk itself is [`wamig_common::translate`]; this crate gives it
//! maps, packet memory, outputs and punts. `empty` does nothing and is there to be measured
//! beside.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod cache;
mod constants;
mod frame;
mod maps;
mod output;
mod punt;
mod stats;
mod straight;
mod walk;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{xdp_action, xdp_md};
use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_ktime_get_ns};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use aya_log_ebpf::warn;
use wamig_common::plan::EDITED;
use wamig_common::verdict::{DropReason, SlowReason, Verdict};

use crate::maps::Scratch;

/// The pipeline.
#[xdp]
pub fn wamig(ctx: XdpContext) -> u32 {
    let Some(scratch) = maps::scratch() else { return xdp_action::XDP_ABORTED };
    match straight::run(&ctx, scratch) {
        Some(action) => action,
        None => g_general(ctx.as_ptr().cast()),
    }
}

/// The general walk: whatever the straight way leaves.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn g_general(ctx: *mut xdp_md) -> u32 {
    let Some(scratch) = maps::scratch() else { return xdp_action::XDP_ABORTED };
    let ctx = XdpContext::new(ctx.cast());
    match walk::run(&ctx, scratch) {
        Verdict::Done => done(&ctx, scratch),
        Verdict::Slow(reason) => slow(&ctx, reason),
        Verdict::Drop(reason) => drop(&ctx, scratch, reason),
    }
}

/// Nothing at all: the cost of running a program.
#[xdp]
pub fn empty(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

/// Tells userspace the kernel's time: jiffies, in which flows are stamped, and nanoseconds
/// of the monotonic clock. Run by userspace, never attached.
#[xdp]
pub fn clock(_ctx: XdpContext) -> u32 {
    if let Some(now) = maps::CLOCK.get_ptr_mut(0) {
        // SAFETY: an array map's value; only userspace runs this program, one run at a time.
        unsafe { *now = [bpf_jiffies64(), bpf_ktime_get_ns()] };
    }
    xdp_action::XDP_DROP
}

/// Changes a value of the flow map: the packet is the key and the value. `XDP_PASS` = done,
/// `XDP_DROP` = there is no such key. Run by userspace, never attached.
#[xdp]
pub fn stage(ctx: XdpContext) -> u32 {
    if maps::stage(&ctx) { xdp_action::XDP_PASS } else { xdp_action::XDP_DROP }
}

/// Makes the packet-ins of the plan, writes the edited headers back, sends the frame.
#[inline(always)]
fn done(ctx: &XdpContext, scratch: &mut Scratch) -> u32 {
    match carry_out(ctx, scratch) {
        Ok(()) => output::send(ctx, scratch),
        Err(reason) => lose(ctx, reason),
    }
}

/// The plan's packet-ins and edits; the frame then stands as it is to be sent.
#[inline(always)]
fn carry_out(ctx: &XdpContext, scratch: &mut Scratch) -> Result<(), DropReason> {
    if scratch.plan.early.reason != 0 {
        punt::packet_in(ctx, false);
    }
    if scratch.plan.has(EDITED) && (scratch.plan.outputs() || scratch.plan.late.reason != 0) {
        output::write_back(ctx)?;
    }
    if scratch.plan.late.reason != 0 {
        punt::packet_in(ctx, true);
    }
    Ok(())
}

#[inline(always)]
fn drop(ctx: &XdpContext, scratch: &mut Scratch, reason: DropReason) -> u32 {
    if (scratch.plan.early.reason != 0 || scratch.plan.late.reason != 0)
        && let Err(lost) = carry_out(ctx, scratch)
    {
        return lose(ctx, lost);
    }
    lose(ctx, reason)
}

#[inline(always)]
fn slow(ctx: &XdpContext, reason: SlowReason) -> u32 {
    match punt::slow(ctx, reason) {
        // The slow path has the frame now; here it ends without being counted as dropped.
        Ok(()) => xdp_action::XDP_DROP,
        Err(reason) => lose(ctx, reason),
    }
}

/// Counts and drops. An inconsistency is worth a line in the log as well: it means that
/// userspace and the maps disagree.
#[inline(always)]
fn lose(ctx: &XdpContext, reason: DropReason) -> u32 {
    if constants::log() && reason as u8 == DropReason::Inconsistent as u8 {
        warn!(ctx, "the tables contradict themselves");
    }
    stats::drop(reason);
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
