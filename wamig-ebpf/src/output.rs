//! Out of the switch: headers written back, frame sent.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{BPF_F_BROADCAST, BPF_F_EXCLUDE_INGRESS, xdp_action, xdp_md};
use aya_ebpf::helpers::generated::{bpf_redirect_map, bpf_xdp_adjust_head, bpf_xdp_store_bytes};
use aya_ebpf::programs::XdpContext;
use wamig_common::action::{OUTPUT, OUTPUT_IN_PORT, OUTPUT_SET};
use wamig_common::limits::WINDOW_HEADROOM;
use wamig_common::rules::PortRules;
use wamig_common::verdict::DropReason;

use crate::maps::{self, PORT_SET_MAPS, PORTS, Scratch};
use crate::{bounded_len, constants, lose, stats};

/// Writes the window back over the frame's headers.
#[inline(always)]
pub fn write_back(ctx: &XdpContext) -> Result<(), DropReason> {
    match g_write_back(ctx.as_ptr().cast()) {
        0 => Ok(()),
        _ => Err(DropReason::Kernel),
    }
}

/// 0 = written.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn g_write_back(ctx: *mut xdp_md) -> u32 {
    let Some(scratch) = maps::scratch() else { return 1 };
    let mut start = u64::from(scratch.plan.start);
    // SAFETY: plain arithmetic, in assembly so that the verifier sees the bound.
    unsafe { core::arch::asm!("{0} &= 255", inout(reg) start) };
    let shift = start as i32 - WINDOW_HEADROOM as i32;
    // SAFETY: the helper checks the room before and behind.
    if shift != 0 && unsafe { bpf_xdp_adjust_head(ctx, shift) } != 0 {
        return 1;
    }
    let held = bounded_len!(scratch.plan.held, "255");
    let from = scratch.window.from_mut(start as u32);
    // SAFETY: at most 256 bytes from an offset of at most 255 in a buffer of 512.
    u32::from(unsafe { bpf_xdp_store_bytes(ctx, 0, from.cast(), held) } != 0)
}

/// Sends the frame where the plan says.
#[inline(always)]
pub fn send(ctx: &XdpContext, scratch: &mut Scratch) -> u32 {
    let (out, total) = (scratch.plan.out, scratch.plan.edited_total());
    match scratch.plan.out_kind as u8 {
        OUTPUT_IN_PORT if constants::hairpin_by_redirect() == 0 => {
            if maps::rules(out).has(PortRules::NO_FORWARD) {
                return lose(ctx, DropReason::PortForwardsNot);
            }
            stats::sent(out, total);
            xdp_action::XDP_TX
        }
        OUTPUT | OUTPUT_IN_PORT => match PORTS.redirect(out, 0) {
            Ok(verdict) => {
                stats::sent(out, total);
                verdict
            }
            // A port that sends nothing is not in the map.
            Err(_) if maps::rules(out).has(PortRules::NO_FORWARD) => lose(ctx, DropReason::PortForwardsNot),
            Err(_) => lose(ctx, DropReason::NoPort),
        },
        OUTPUT_SET => {
            let Some(set) = PORT_SET_MAPS.get(out) else { return lose(ctx, DropReason::NoPort) };
            let flags = u64::from(BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS);
            // SAFETY: the inner map is a devmap; with these flags the key is not looked up.
            let verdict = unsafe { bpf_redirect_map(core::ptr::from_ref(set).cast_mut().cast(), 0, flags) };
            if verdict as u32 == xdp_action::XDP_REDIRECT { verdict as u32 } else { lose(ctx, DropReason::NoPort) }
        }
        _ => lose(ctx, DropReason::Inconsistent),
    }
}
