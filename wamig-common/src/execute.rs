//! One action on the header window.

use crate::action::{self, BASE_L3, BASE_L4, BASE_ND_LL, BASE_TYPE, Op};
use crate::checksum::{delta, update, update_udp};
use crate::extract::{L3_ARP, L3_IPV4, L3_IPV6, L3_MPLS, L3_PBB, Layout, proto};
use crate::frame::Window;
use crate::plan::{EDITED, PacketIn, Plan, STALE_KEY, TO_INGRESS, USED};
use crate::verdict::{DropReason, PuntReason, SlowReason};

/// Offset of the destination in an IPv6 header.
const IPV6_DST_OFF: u8 = 24;

/// Step results, as a number because a BPF function returns one.
pub mod step {
    /// Go on with the next action.
    pub const NEXT: u32 = 0;
    /// The list is over.
    pub const END: u32 = 1;
    /// Stop here and carry out the plan (a TTL ran out).
    pub const STOP: u32 = 2;
    /// | index of the [`crate::verdict::SlowReason`].
    pub const SLOW: u32 = 0x100;
    /// | index of the [`crate::verdict::DropReason`].
    pub const DROP: u32 = 0x200;
}

/// What an action needs to know beside the window.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The flow whose action it is.
    pub flow: u32,
    /// Pipeline metadata.
    pub metadata: u64,
    /// The flow is a table-miss flow.
    pub miss: bool,
}

/// Runs one action; returns a [`step`].
#[inline(always)]
pub fn execute<W: Window>(plan: &mut Plan, window: &mut W, layout: &Layout, op: &Op, cx: Context) -> u32 {
    match op.kind {
        action::END => return step::END,
        action::GROUP => return step::SLOW | SlowReason::Group.index(),
        action::OUTPUT | action::OUTPUT_IN_PORT | action::OUTPUT_SET => return output(plan, op),
        action::CONTROLLER => {
            let reason = if cx.miss { PuntReason::NoMatch } else { PuntReason::Action };
            return packet_in(plan, reason, op.value as u32, cx);
        }
        _ => {}
    }
    // What is already on its way must not change any more.
    if plan.out_kind != 0 || plan.late.reason != 0 {
        return step::SLOW | SlowReason::EditAfterOutput.index();
    }
    match op.kind {
        action::SET | action::MOVE => write(plan, window, layout, op),
        action::DEC_TTL | action::DEC_MPLS_TTL => dec_ttl(plan, window, layout, op, cx),
        action::PUSH_VLAN | action::SET_TAG => {
            if (op.kind == action::PUSH_VLAN || !is_tagged(plan, window)) && !push_vlan(plan, window, op) {
                return step::SLOW | SlowReason::Headroom.index();
            }
            if op.kind == action::SET_TAG {
                let at = place(plan, layout, op.base, op.off);
                let old = window.load(at);
                window.store(at, old & !op.mask | op.value & op.mask);
                mark(plan);
            }
            step::NEXT
        }
        action::POP_VLAN => {
            pop_vlan(plan, window);
            step::NEXT
        }
        _ => step::DROP | DropReason::Inconsistent.index(),
    }
}

#[inline(always)]
fn output(plan: &mut Plan, op: &Op) -> u32 {
    if op.kind == action::OUTPUT && op.value as u32 == plan.in_port {
        plan.flags |= TO_INGRESS;
        return step::NEXT;
    }
    if plan.out_kind != 0 {
        return step::SLOW | SlowReason::SeveralOutputs.index();
    }
    plan.out_kind = u32::from(op.kind);
    plan.out = if op.kind == action::OUTPUT_IN_PORT { plan.in_port } else { op.value as u32 };
    step::NEXT
}

#[inline(always)]
fn packet_in(plan: &mut Plan, reason: PuntReason, max_len: u32, cx: Context) -> u32 {
    let edited = plan.has(EDITED);
    let place = if edited { &mut plan.late } else { &mut plan.early };
    if place.reason != 0 {
        return step::SLOW | SlowReason::SeveralPacketIns.index();
    }
    *place = PacketIn { flow: cx.flow, reason: USED | reason.index(), max_len, reserved: 0, metadata: cx.metadata };
    step::NEXT
}

/// A table miss that goes up: the whole frame, sent by no flow. Returns a [`step`].
#[inline(always)]
pub fn miss(plan: &mut Plan, cx: Context) -> u32 {
    packet_in(plan, PuntReason::Miss, u32::MAX, cx)
}

#[inline(always)]
fn mark(plan: &mut Plan) {
    plan.flags |= EDITED | STALE_KEY;
}

/// Place in the window of `off` bytes into header `base`.
#[inline(always)]
fn place(plan: &Plan, layout: &Layout, base: u8, off: u8) -> u32 {
    u32::from(off)
        + match base {
            BASE_L3 => plan.origin + u32::from(layout.l3_off),
            BASE_L4 => plan.origin + u32::from(layout.l4_off),
            BASE_ND_LL => plan.origin + u32::from(layout.l4_off) + u32::from(layout.nd),
            BASE_TYPE => plan.origin + u32::from(layout.l3_off) - 2,
            _ => plan.start,
        }
}

#[inline(always)]
fn is_met(layout: &Layout, flags: u16, tagged: bool) -> bool {
    (flags & action::NEED_IPV4 == 0 || layout.l3 == L3_IPV4)
        && (flags & action::NEED_IPV6 == 0 || layout.l3 == L3_IPV6)
        && (flags & action::NEED_ARP == 0 || layout.l3 == L3_ARP)
        && (flags & action::NEED_L4 == 0 || layout.l4_off != 0)
        && (flags & action::NEED_PORTS == 0 || matches!(layout.l4_proto, proto::TCP | proto::UDP | proto::SCTP))
        && (flags & action::NEED_TAG == 0 || tagged)
        && (flags & action::NEED_MPLS == 0 || layout.l3 == L3_MPLS)
        && (flags & action::NEED_PBB == 0 || layout.l3 == L3_PBB)
        && (flags & action::NEED_ND == 0 || layout.nd != 0)
        && (flags & action::NEED_ND_LL == 0 || layout.nd > 1)
}

/// True when the L4 header, or its checksum, may lie behind the window of a longer frame.
#[inline(always)]
fn l4_is_beyond(plan: &Plan, layout: &Layout) -> bool {
    // an option of neighbour discovery lies behind the 24 bytes that every other header has at most
    let reach = if layout.nd > 16 { u32::from(layout.nd) + 8 } else { 24 };
    plan.is_cut() && plan.origin + u32::from(layout.l4_off) + reach > plan.start + plan.held
}

/// Whether the frame begins with a tag, all of which is there.
#[inline(always)]
fn is_tagged<W: Window>(plan: &Plan, window: &W) -> bool {
    plan.held >= 18
        && matches!((window.load(plan.start + 12) >> 48) as u16, crate::extract::ETH_8021Q | crate::extract::ETH_8021AD)
}

#[inline(always)]
fn write<W: Window>(plan: &mut Plan, window: &mut W, layout: &Layout, op: &Op) -> u32 {
    let tagged = op.flags & action::NEED_TAG == 0 || is_tagged(plan, window);
    if !is_met(layout, op.flags, tagged) {
        return step::NEXT;
    }
    let mut flags = op.flags;
    if layout.routed != 0 && flags & action::NEED_IPV6 != 0 && op.off >= IPV6_DST_OFF {
        flags &= !action::SUM_PSEUDO;
    }
    let l4_sums = flags & (action::SUM_PSEUDO | action::SUM_L4) != 0 && layout.l4_off != 0;
    if (flags & action::NEED_L4 != 0 || l4_sums) && l4_is_beyond(plan, layout) {
        return step::SLOW | SlowReason::BeyondWindow.index();
    }
    if flags & action::SUM_L4 != 0 && layout.l4_proto == proto::SCTP {
        return step::SLOW | SlowReason::Sctp.index();
    }
    let at = place(plan, layout, op.base, op.off);
    let old = window.load(at);
    let bits = if op.kind == action::MOVE {
        window.load(place(plan, layout, op.src_base, op.src_off)).rotate_left(op.value as u32)
    } else {
        op.value
    };
    let new = old & !op.mask | bits & op.mask;
    window.store(at, new);
    mark(plan);
    if old != new {
        mend(plan, window, layout, flags, delta(old, new));
    }
    step::NEXT
}

/// Updates the checksums that `flags` name.
#[inline(always)]
pub(crate) fn mend<W: Window>(plan: &Plan, window: &mut W, layout: &Layout, flags: u16, delta: u64) {
    if flags & action::SUM_IPV4 != 0 {
        let at = plan.origin + u32::from(layout.l3_off) + 10;
        let word = window.load(at);
        store16(window, at, word, update((word >> 48) as u16, delta));
    }
    if flags & (action::SUM_PSEUDO | action::SUM_L4) == 0 || layout.l4_off == 0 {
        return;
    }
    let off = match layout.l4_proto {
        proto::TCP => 16,
        proto::UDP => 6,
        proto::ICMPV6 => 2,
        // ICMP has no pseudo-header
        proto::ICMP if flags & action::SUM_L4 != 0 => 2,
        _ => return,
    };
    let at = plan.origin + u32::from(layout.l4_off) + off;
    let word = window.load(at);
    let sum = (word >> 48) as u16;
    if layout.l4_proto == proto::UDP {
        // 0: the sender computed none
        if sum != 0 {
            store16(window, at, word, update_udp(sum, delta));
        }
    } else {
        store16(window, at, word, update(sum, delta));
    }
}

#[inline(always)]
fn store16<W: Window>(window: &mut W, at: u32, word: u64, value: u16) {
    window.store(at, word & 0x0000_ffff_ffff_ffff | u64::from(value) << 48);
}

#[inline(always)]
fn dec_ttl<W: Window>(plan: &mut Plan, window: &mut W, layout: &Layout, op: &Op, cx: Context) -> u32 {
    let l3 = plan.origin + u32::from(layout.l3_off);
    // IPv4: TTL is the first byte from 8; IPv6: hop limit is the last of the first eight;
    // MPLS: the fourth byte.
    let (at, shift) = match (layout.l3, op.kind) {
        (L3_IPV4, action::DEC_TTL) => (l3 + 8, 56),
        (L3_IPV6, action::DEC_TTL) => (l3, 0),
        (L3_MPLS, action::DEC_MPLS_TTL) => (l3, 32),
        _ => return step::NEXT,
    };
    let old = window.load(at);
    if old >> shift & 0xff <= 1 {
        let made = packet_in(plan, PuntReason::InvalidTtl, u32::MAX, cx);
        return if made == step::NEXT { step::STOP } else { made };
    }
    let new = old - (1 << shift);
    window.store(at, new);
    mark(plan);
    if layout.l3 == L3_IPV4 {
        mend(plan, window, layout, action::SUM_IPV4, delta(old, new));
    }
    step::NEXT
}

/// False: the window has no room for one more tag.
#[inline(always)]
fn push_vlan<W: Window>(plan: &mut Plan, window: &mut W, op: &Op) -> bool {
    if plan.start < 4 {
        return false;
    }
    let from = plan.start;
    let to = from - 4;
    let macs = window.load(from);
    let rest = window.load(from + 8); // last 4 MAC bytes, type, and the tag's TCI if there is one
    let tci = if is_tagged(plan, window) { window.load(from + 14) >> 48 } else { 0 };
    window.store(to, macs);
    window.store(to + 8, rest >> 32 << 32 | (op.value & 0xffff) << 16 | tci);
    plan.start = to;
    plan.held += 4;
    mark(plan);
    true
}

#[inline(always)]
fn pop_vlan<W: Window>(plan: &mut Plan, window: &mut W) {
    if !is_tagged(plan, window) {
        return;
    }
    let from = plan.start;
    let to = from + 4;
    let macs = window.load(from);
    let last = window.load(from + 8);
    let behind = window.load(to + 8);
    window.store(to, macs);
    window.store(to + 8, last >> 32 << 32 | behind & 0xffff_ffff);
    plan.start = to;
    plan.held -= 4;
    mark(plan);
}

#[cfg(test)]
#[path = "execute_tests.rs"]
mod tests;
