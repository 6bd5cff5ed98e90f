//! The straight way through the tables: no header window, no action set, no punt. What it
//! cannot do it leaves untouched and uncounted for the general walk.

use aya_ebpf::helpers::generated::bpf_jiffies64;
use aya_ebpf::programs::XdpContext;
use wamig_common::action::OUTPUT;
use wamig_common::cache::{GENERAL, MISS, PlainKey};
use wamig_common::classify::probe;
use wamig_common::entry::{CLEAR, NO_GOTO, NONE, Records as _, SLOW, Slot};
use wamig_common::key::METADATA;
use wamig_common::limits::MAX_TABLES;
use wamig_common::plan::{EDITED, MISSED, STALE_KEY};
use wamig_common::rules::PortRules;
use wamig_common::straight::{Edit, HEAD, Head, TCP_HEAD, extract};
use wamig_common::verdict::DropReason;

use crate::maps::{self, EDITS, Maps, Scratch};
use crate::{cache, constants, lose, output, stats, walk};

/// The headers of a plain frame in packet memory.
struct PlainHead {
    data: usize,
    end: usize,
}

macro_rules! access {
    ($($get:ident $set:ident $t:ty;)*) => { $(
        #[inline(always)]
        fn $get(&self, off: usize) -> $t {
            // SAFETY: all offsets lie within the head, whose length `run` has checked. BPF
            // loads at any alignment; see `frame`.
            unsafe { *((self.data + off) as *const $t) }
        }

        #[inline(always)]
        fn $set(&mut self, off: usize, value: $t) {
            // SAFETY: as above.
            unsafe { *((self.data + off) as *mut $t) = value };
        }
    )* };
}

impl Head for PlainHead {
    access! {
        u16 set_u16 u16;
        u32 set_u32 u32;
        u64 set_u64 u64;
    }

    #[inline(always)]
    fn has_tcp(&self) -> bool {
        self.data + TCP_HEAD <= self.end
    }

    #[inline(always)]
    fn u8(&self, off: usize) -> u8 {
        // SAFETY: as above.
        unsafe { *((self.data + off) as *const u8) }
    }
}

/// Takes the frame the straight way; what becomes of it, or `None`: it needs the general walk.
#[inline(always)]
pub fn run(ctx: &XdpContext, scratch: &mut Scratch) -> Option<u32> {
    let (data, end) = (ctx.data(), ctx.data_end());
    let refusing = PortRules::NO_RECEIVE | PortRules::NO_RECEIVE_STP;
    let rules = maps::rules(constants::port_index());
    if data + HEAD > end || rules.has(refusing) {
        return None;
    }
    let proto = extract(&PlainHead { data, end }, end - data, constants::port(), constants::words(), &mut scratch.key)?;
    scratch.key.words[METADATA.word] = 0;
    let version = maps::version();
    if constants::cache_in_use() == 0 {
        let (apply, steps) = walk_tables(scratch, version);
        return finish(ctx, scratch, proto, Way { apply, steps, path: scratch.path.as_ptr() });
    }
    let key = PlainKey::of(&scratch.key, constants::words());
    let tries = scratch.luck.tries();
    if tries && let Some(entry) = cache::find(&key, version) {
        scratch.luck.hits += 1;
        scratch.luck.cold = 0;
        return finish(ctx, scratch, proto, Way { apply: entry.apply, steps: entry.steps, path: entry.path.as_ptr() });
    }
    scratch.luck.cold += 1;
    let (apply, steps) = walk_tables(scratch, version);
    if tries {
        cache::keep(scratch, key, version, apply, steps);
    }
    finish(ctx, scratch, proto, Way { apply, steps, path: scratch.path.as_ptr() })
}

/// The way of a frame through the tables.
struct Way {
    /// List of actions of the last flow (0 = none), [`MISS`] or [`GENERAL`].
    apply: u32,
    /// Tables that were searched.
    steps: u32,
    /// Flow and table of each: [`MAX_TABLES`] places.
    path: *const u32,
}

/// Does to the frame what its way through the tables says, and counts it.
#[inline(always)]
fn finish(ctx: &XdpContext, scratch: &mut Scratch, proto: u8, way: Way) -> Option<u32> {
    let (data, end) = (ctx.data(), ctx.data_end());
    let total = (end - data) as u32;
    if way.apply == GENERAL {
        return None;
    }
    if way.apply == MISS {
        if maps::rules(constants::port_index()).has(PortRules::MISSES_GO_UP) {
            return None;
        }
        scratch.plan.reset(constants::port_index(), total);
        scratch.plan.flags = MISSED;
        count(&way, total);
        return Some(lose(ctx, DropReason::TableMiss));
    }
    let out = if way.apply == NONE { None } else { Some(edit(way.apply, proto)?) };
    scratch.plan.reset(constants::port_index(), total);
    if let Some(edit) = out {
        if edit.is_edit() && constants::edits_in_use() != 0 {
            if data + HEAD > end {
                return None;
            }
            edit.apply(&mut PlainHead { data, end }, proto);
            scratch.plan.flags = EDITED | STALE_KEY;
        }
        scratch.plan.out_kind = edit.out_kind;
        scratch.plan.out =
            if edit.out_kind == u32::from(OUTPUT) || edit.out_kind == u32::from(wamig_common::action::OUTPUT_SET) {
                edit.out
            } else {
                constants::port_index()
            };
    }
    count(&way, total);
    Some(if out.is_some() { output::send(ctx, scratch) } else { lose(ctx, DropReason::NoOutput) })
}

/// What the last flow met does to the frame (see [`Way::apply`]), and how many tables were
/// searched.
#[inline(always)]
fn walk_tables(scratch: &mut Scratch, version: u64) -> (u32, u32) {
    let mut table = 0u32;
    let mut steps = 0u32;
    while steps < constants::tables() {
        let flow = classify(scratch, table, version).flow();
        // SAFETY: plain arithmetic, in assembly so that the verifier sees the mask.
        let mut place = u64::from(steps);
        unsafe { core::arch::asm!("{0} &= 15", inout(reg) place) };
        const { assert!(MAX_TABLES == 16) };
        // SAFETY: the path has 16 places.
        unsafe { *scratch.path.as_mut_ptr().add(place as usize) = flow | table << 24 };
        steps += 1;
        if flow == NONE {
            return (MISS, steps);
        }
        let Some(record) = Maps.record(flow) else { return (GENERAL, steps) };
        if record.flags & (SLOW | CLEAR) != 0 || record.write != NONE || record.meter != NONE {
            return (GENERAL, steps);
        }
        if record.goto == NO_GOTO {
            return (record.apply, steps);
        }
        if record.apply != NONE {
            return (GENERAL, steps);
        }
        let metadata = &mut scratch.key.words[METADATA.word];
        *metadata = *metadata & !record.metadata_mask | record.metadata;
        table = u32::from(record.goto);
    }
    (GENERAL, steps)
}

/// The best flow of a table. One mask needs no loop.
#[inline(always)]
fn classify(scratch: &mut Scratch, table: u32, version: u64) -> Slot {
    if constants::masks() > 1 {
        return Slot(walk::g_classify(table, version));
    }
    match maps::table(table, version) {
        Some(table) if table.n != 0 => probe(&Maps, &scratch.key, &table.subtables[0], version, Slot::default()),
        _ => Slot::default(),
    }
}

/// What a list does, if the straight way can do it to this frame.
#[inline(always)]
fn edit(list: u32, proto: u8) -> Option<&'static Edit> {
    let edit = EDITS.get(list)?;
    let to_ingress = edit.out_kind == u32::from(OUTPUT) && edit.out == constants::port_index();
    (edit.suits(proto) && !to_ingress).then_some(edit)
}

#[inline(always)]
fn count(way: &Way, total: u32) {
    // SAFETY: a helper without arguments.
    let jiffies = unsafe { bpf_jiffies64() };
    stats::received(total);
    let mut i = 0u32;
    while i < constants::tables() && i < MAX_TABLES as u32 {
        if i >= way.steps {
            break;
        }
        let mut place = u64::from(i);
        // SAFETY: plain arithmetic, in assembly so that the verifier sees the mask.
        unsafe { core::arch::asm!("{0} &= 15", inout(reg) place) };
        // SAFETY: the path has 16 places.
        let met = unsafe { *way.path.add(place as usize) };
        let flow = met & 0x00ff_ffff;
        stats::table(met >> 24, flow != NONE);
        if flow != NONE {
            stats::flow(flow, total, jiffies);
        }
        i += 1;
    }
}
