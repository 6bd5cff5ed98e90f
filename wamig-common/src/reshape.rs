//! The edits that the slow path alone makes: headers of MPLS and PBB that come and go, TTLs
//! copied between headers, and protocol numbers (OpenFlow 1.3.5 §5.12, table 7).
//!
//! The window holds every header that is read, and the layout is that of the frame as it
//! stands: after each of these actions it is made anew.

use crate::action::{self, Op};
use crate::checksum::{delta, update};
use crate::execute::{mend, step};
use crate::extract::{ETH_MPLS, ETH_MPLS_MULTICAST, ETH_PBB, L3_IPV4, L3_IPV6, L3_MPLS, L3_PBB, Layout};
use crate::frame::{Edited, Window};
use crate::key::VLAN_PRESENT;
use crate::plan::{EDITED, Plan, STALE_KEY};
use crate::verdict::DropReason;

/// Bottom of stack, in a label stack entry (RFC 3032 §2.1).
const BOTTOM: u32 = 0x100;
/// Bytes of the two MAC addresses.
const MACS: u32 = 12;
/// Bytes of a type, a service instance tag, and the customer's MAC addresses.
const PBB: u32 = 2 + 4 + MACS;

/// Runs one action that [`crate::execute`] does not know; returns a [`step`].
pub fn reshape<W: Window>(plan: &mut Plan, window: &mut W, layout: &Layout, op: &Op) -> u32 {
    let mut edit = Edit { l3: plan.start + u32::from(layout.l3_off), plan, window, layout };
    let done = match op.kind {
        action::PUSH_MPLS => edit.push_mpls(op.value as u16),
        action::POP_MPLS => Some(edit.pop_mpls(op.value as u16)),
        action::PUSH_PBB => edit.push_pbb(op.value as u16),
        action::POP_PBB => Some(edit.pop_pbb()),
        action::COPY_TTL_OUT => Some(edit.copy_ttl(true)),
        action::COPY_TTL_IN => Some(edit.copy_ttl(false)),
        action::SET_PROTO => Some(edit.set_proto(op.value as u8)),
        _ => return step::DROP | DropReason::Inconsistent.index(),
    };
    match done {
        Some(true) => plan.flags |= EDITED | STALE_KEY,
        Some(false) => {}
        None => return step::DROP | DropReason::NoHeadroom.index(),
    }
    step::NEXT
}

struct Edit<'a, W> {
    plan: &'a mut Plan,
    window: &'a mut W,
    layout: &'a Layout,
    /// Where the L3 header is in the window.
    l3: u32,
}

/// Each action says whether the frame changed; `None`: there is no room.
impl<W: Window> Edit<'_, W> {
    fn u8(&self, at: u32) -> u8 {
        (self.window.load(at) >> 56) as u8
    }

    fn set_u8(&mut self, at: u32, value: u8) {
        let old = self.window.load(at);
        self.window.store(at, old & (u64::MAX >> 8) | u64::from(value) << 56);
    }

    fn u16(&self, at: u32) -> u16 {
        (self.window.load(at) >> 48) as u16
    }

    fn set_u16(&mut self, at: u32, value: u16) {
        self.set_u8(at, (value >> 8) as u8);
        self.set_u8(at + 1, value as u8);
    }

    fn u32(&self, at: u32) -> u32 {
        (self.window.load(at) >> 32) as u32
    }

    fn set_u32(&mut self, at: u32, value: u32) {
        self.set_u16(at, (value >> 16) as u16);
        self.set_u16(at + 2, value as u16);
    }

    /// Copies bytes within the window; the two places may overlap.
    fn copy(&mut self, from: u32, to: u32, bytes: u32) {
        for i in 0..bytes {
            let i = if from < to { bytes - 1 - i } else { i };
            let byte = self.u8(from + i);
            self.set_u8(to + i, byte);
        }
    }

    /// Moves the frame's first byte by so many bytes: forward if negative.
    fn begin_at(&mut self, start: u32) {
        self.plan.held = self.plan.held + self.plan.start - start;
        self.plan.start = start;
    }

    /// Opens a gap of `gap` bytes behind the first `bytes`.
    fn open(&mut self, bytes: u32, gap: u32) -> Option<()> {
        let from = self.plan.start;
        let to = from.checked_sub(gap)?;
        self.copy(from, to, bytes);
        self.begin_at(to);
        Some(())
    }

    /// Closes a gap of `gap` bytes behind the first `bytes`.
    fn close(&mut self, bytes: u32, gap: u32) {
        let from = self.plan.start;
        self.copy(from, from + gap, bytes);
        self.begin_at(from + gap);
    }

    /// Whether the frame has an EtherType in front of its L3 header.
    fn has_type(&self) -> bool {
        self.u16(self.l3 - 2) >= 0x0600
    }

    /// Behind any VLAN tags: the outermost valid place of a label stack entry. Label, class
    /// and TTL are those of the entry below, or the TTL that of the IP header.
    fn push_mpls(&mut self, eth_type: u16) -> Option<bool> {
        if !self.has_type() {
            return Some(false);
        }
        let entry = match self.layout.l3 {
            L3_MPLS => self.u32(self.l3) & !BOTTOM,
            _ => BOTTOM | self.ip_ttl(self.l3).map_or(0, |at| u32::from(self.u8(at))),
        };
        self.open(u32::from(self.layout.l3_off), 4)?;
        self.set_u16(self.l3 - 6, eth_type);
        self.set_u32(self.l3 - 4, entry);
        Some(true)
    }

    fn pop_mpls(&mut self, eth_type: u16) -> bool {
        if self.layout.l3 != L3_MPLS {
            return false;
        }
        self.close(u32::from(self.layout.l3_off), 4);
        self.set_u16(self.l3 + 2, eth_type);
        true
    }

    /// In front of everything: the frame's own addresses are the customer's and stay the outer
    /// ones as well. The priority is that of an outer VLAN tag, the I-SID that of a tag below.
    fn push_pbb(&mut self, eth_type: u16) -> Option<bool> {
        let start = self.plan.start;
        let tagged = matches!(self.u16(start + MACS), crate::extract::ETH_8021Q | crate::extract::ETH_8021AD);
        let priority = if tagged { u32::from(self.u16(start + MACS + 2) & !VLAN_PRESENT) >> 13 << 29 } else { 0 };
        let isid = if self.layout.l3 == L3_PBB { self.u32(self.l3) & 0x00ff_ffff } else { 0 };
        self.open(MACS, PBB)?;
        let at = self.plan.start + MACS;
        self.set_u16(at, eth_type);
        self.set_u32(at + 2, priority | isid);
        Some(true)
    }

    /// VLAN tags of the backbone stay: they are popped by actions of their own.
    fn pop_pbb(&mut self) -> bool {
        let end = self.l3 + 4 + MACS + 2;
        if self.layout.l3 != L3_PBB || end > self.plan.start + self.plan.held {
            return false;
        }
        let start = self.plan.start;
        // tags go over the service instance tag, the customer's addresses in front of them
        let tags = u32::from(self.layout.l3_off) - 2 - MACS;
        let mut addresses = [0u8; MACS as usize];
        for (i, byte) in addresses.iter_mut().enumerate() {
            *byte = self.u8(self.l3 + 4 + i as u32);
        }
        self.copy(start + MACS, start + PBB + MACS, tags);
        for (i, byte) in addresses.into_iter().enumerate() {
            self.set_u8(start + PBB + i as u32, byte);
        }
        self.begin_at(start + PBB);
        true
    }

    /// Where the TTL of an IP header is that begins at `at`.
    fn ip_ttl(&self, at: u32) -> Option<u32> {
        let whole = |bytes| at + bytes <= self.plan.start + self.plan.held;
        match self.u8(at) >> 4 {
            4 if whole(20) && self.is_ip(at, L3_IPV4) => Some(at + 8),
            6 if whole(40) && self.is_ip(at, L3_IPV6) => Some(at + 7),
            _ => None,
        }
    }

    /// Below a label stack the first bits say what there is (RFC 4928 §3); elsewhere the
    /// EtherType did.
    fn is_ip(&self, at: u32, l3: u8) -> bool {
        at != self.l3 || self.layout.l3 == l3
    }

    /// Between the outermost label stack entry and what is next: another entry or IP.
    fn copy_ttl(&mut self, out: bool) -> bool {
        if self.layout.l3 != L3_MPLS {
            return false;
        }
        let (outer, next) = (self.l3 + 3, self.l3 + 4);
        let inner = if self.u32(self.l3) & BOTTOM == 0 {
            (next + 4 <= self.plan.start + self.plan.held).then_some(next + 3)
        } else {
            self.ip_ttl(next)
        };
        let Some(inner) = inner else { return false };
        if out {
            self.set_u8(outer, self.u8(inner));
            return true;
        }
        let old = self.window.load(inner);
        self.set_u8(inner, self.u8(outer));
        let change = delta(old, self.window.load(inner));
        // an IPv4 header's TTL is its ninth byte, its checksum the eleventh and twelfth
        if inner == next + 8 {
            let sum = update(self.u16(next + 10), change);
            self.set_u16(next + 10, sum);
        }
        true
    }

    /// The protocol of IPv4; in IPv6 the type of what follows the last extension header. Both
    /// are in the pseudo-header of what is above (RFC 8200 §8.1).
    fn set_proto(&mut self, proto: u8) -> bool {
        let (at, flags) = match self.layout.l3 {
            L3_IPV4 => (self.l3 + 9, action::SUM_IPV4 | action::SUM_PSEUDO),
            L3_IPV6 => (self.next_header(), action::SUM_PSEUDO),
            _ => return false,
        };
        let old = self.u8(at);
        self.set_u8(at, proto);
        mend(self.plan, self.window, self.layout, flags, delta(u64::from(old), u64::from(proto)));
        true
    }

    /// Where the type of the upper-layer header is.
    fn next_header(&self) -> u32 {
        let frame = Edited {
            window: &*self.window,
            start: self.plan.start,
            held: self.plan.held,
            total: self.plan.edited_total(),
        };
        crate::extract::last_next_header(&frame, usize::from(self.layout.l3_off)) as u32 + self.plan.start
    }
}

/// Whether a type can be pushed for an MPLS label stack entry.
pub const fn is_mpls(eth_type: u16) -> bool {
    matches!(eth_type, ETH_MPLS | ETH_MPLS_MULTICAST)
}

/// Whether a type can be pushed for a PBB service instance tag.
pub const fn is_pbb(eth_type: u16) -> bool {
    eth_type == ETH_PBB
}
