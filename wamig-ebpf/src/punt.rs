//! Up to userspace: a copy of the frame into a ring buffer, behind a token bucket.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_xdp_load_bytes};
use aya_ebpf::maps::RingBuf;
use aya_ebpf::programs::XdpContext;
use wamig_common::extract::ETH_ARP;
use wamig_common::key::{ETH_TYPE, METADATA};
use wamig_common::plan::PacketIn;
use wamig_common::punt::{Class, PuntHeader, SIZES};
use wamig_common::rules::PortRules;
use wamig_common::verdict::{DropReason, PuntLoss, PuntReason, SlowReason};

use crate::maps::{self, BUCKET_CONFIG, BUCKETS, PUNT_ARP, PUNT_OTHER};
use crate::{bounded_len, constants, stats};

/// `g_punt`'s word for the plan's early packet-in.
const EARLY: u32 = 0;
/// `g_punt`'s word for the plan's late packet-in.
const LATE: u32 = 1;
/// `g_punt`'s word for the slow path.
const SLOW: u32 = 2;

/// Result of [`g_punt`].
const MADE: u32 = 0;
const LIMITED: u32 = 1;
const RING_FULL: u32 = 2;

/// Makes the plan's packet-in of the frame as it now stands. A packet-in that is lost is
/// counted and does not stop the frame.
#[inline(always)]
pub fn packet_in(ctx: &XdpContext, late: bool) {
    g_punt(ctx.as_ptr().cast(), if late { LATE } else { EARLY }, 0);
}

/// Hands the frame, which is as received, to the slow path.
#[inline(always)]
pub fn slow(ctx: &XdpContext, reason: SlowReason) -> Result<(), DropReason> {
    match g_punt(ctx.as_ptr().cast(), SLOW, reason.index()) {
        MADE => Ok(()),
        LIMITED => Err(DropReason::SlowLimited),
        _ => Err(DropReason::SlowRingFull),
    }
}

/// A record with room for N bytes of frame.
#[repr(C)]
struct Record<const N: usize> {
    header: PuntHeader,
    frame: [u8; N],
}

/// Takes a token, then copies header and frame into the ring of the frame's class.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn g_punt(ctx: *mut xdp_md, what: u32, slow: u32) -> u32 {
    let Some(scratch) = maps::scratch() else { return RING_FULL };
    let packet_in = match what {
        EARLY => scratch.plan.early,
        LATE => scratch.plan.late,
        _ => PacketIn { max_len: u32::MAX, metadata: scratch.key.words[METADATA.word], ..PacketIn::default() },
    };
    let reason = if what == SLOW { PuntReason::Slow.index() } else { packet_in.reason & 0xff };
    let miss = reason == PuntReason::NoMatch.index() || reason == PuntReason::Miss.index();
    let silent = miss && maps::rules(constants::port_index()).has(PortRules::NO_PACKET_IN);
    if silent {
        stats::loss(PuntLoss::PortSilent);
        return LIMITED;
    }
    let arp = scratch.key.get(ETH_TYPE) == u64::from(ETH_ARP);
    let class = if what == SLOW {
        Class::Slow
    } else if arp {
        Class::Arp
    } else {
        Class::Other
    };
    if !take_token(class) {
        if what != SLOW {
            stats::loss(if arp { PuntLoss::ArpLimited } else { PuntLoss::OtherLimited });
        }
        return LIMITED;
    }
    let total = XdpContext::new(ctx.cast());
    let total = (total.data_end() - total.data()) as u32;
    // In generic mode a frame may be longer than the longest record.
    let most = if total > SIZES[2] as u32 { SIZES[2] as u32 } else { total };
    let wanted = if most > packet_in.max_len { packet_in.max_len } else { most };
    let header = PuntHeader {
        flow: packet_in.flow,
        in_port: constants::port(),
        frame_len: total,
        held: wanted,
        reason,
        slow,
        metadata: packet_in.metadata,
        version: maps::version(),
    };
    let ring = if arp { &PUNT_ARP } else { &PUNT_OTHER };
    let made = if wanted <= SIZES[0] as u32 {
        put::<{ SIZES[0] }>(ctx, ring, &header, bounded_len!(wanted, "255"))
    } else if wanted <= SIZES[1] as u32 {
        put::<{ SIZES[1] }>(ctx, ring, &header, bounded_len!(wanted, "2047"))
    } else {
        put::<{ SIZES[2] }>(ctx, ring, &header, bounded_len!(wanted, "4095"))
    };
    if !made {
        if what != SLOW {
            stats::loss(if arp { PuntLoss::ArpRingFull } else { PuntLoss::OtherRingFull });
        }
        return RING_FULL;
    }
    stats::punt(reason);
    if what == SLOW {
        stats::slow(slow);
    }
    MADE
}

#[inline(always)]
fn take_token(class: Class) -> bool {
    let (Some(bucket), Some(config)) = (BUCKETS.get_ptr_mut(class as u32), BUCKET_CONFIG.get(class as u32)) else {
        return false;
    };
    // SAFETY: a per-CPU value; the helper has no arguments.
    unsafe { (*bucket).take(bpf_jiffies64(), config) }
}

#[inline(always)]
fn put<const N: usize>(ctx: *mut xdp_md, ring: &RingBuf, header: &PuntHeader, len: u32) -> bool {
    let Some(mut entry) = ring.reserve::<Record<N>>(0) else { return false };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved and ours until it is submitted; len is at most N.
    let copied = unsafe {
        (*record).header = *header;
        header.held == 0 || bpf_xdp_load_bytes(ctx, 0, (&raw mut (*record).frame).cast(), len) == 0
    };
    if copied {
        entry.submit(0);
    } else {
        entry.discard(0);
    }
    copied
}
