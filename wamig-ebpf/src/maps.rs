//! The maps, and the lookups that the pipeline makes in them.

use aya_ebpf::btf_maps::{ArrayOfMaps, DevMap as BtfDevMap};
use aya_ebpf::macros::{btf_map, map};
use aya_ebpf::maps::{Array, DevMap, HashMap, PerCpuArray, RingBuf};
use aya_ebpf::programs::XdpContext;
use wamig_common::action::{ActionList, Op};
use wamig_common::cache::{Luck, Set};
use wamig_common::entry::{
    FlowCount, FlowEntry, FlowRecord, FlowValue, PortCount, Records, Slot, Table, TableCount, Tables, filter_bit,
};
use wamig_common::extract::Layout;
use wamig_common::key::{FlowKey, FlowMask};
use wamig_common::limits::{
    ACTION_LISTS, CACHE_SETS, DEFAULT_FLOWS, FILTER_WORDS, MAX_OPS, MAX_TABLES, PORT_SETS, PORT_SLOTS, SUBTABLE_IDS,
    UNFILTERED_MASKS,
};
use wamig_common::plan::Plan;
use wamig_common::punt::{Bucket, BucketConfig, CLASS_COUNT};
use wamig_common::rules::PortRules;
use wamig_common::stats::COUNT;
use wamig_common::straight::Edit;
use wamig_common::translate::ActionSet;

use crate::constants;
use crate::frame::MapWindow;

/// `BPF_F_MMAPABLE`
const MMAPABLE: u32 = 1 << 10;
/// `BPF_F_NO_PREALLOC`
const NO_PREALLOC: u32 = 1;

/// What one frame's run needs and the stack has no room for.
#[repr(C)]
pub struct Scratch {
    /// Key.
    pub key: FlowKey,
    /// Where the headers are.
    pub layout: Layout,
    /// Plan.
    pub plan: Plan,
    /// Flows met on the straight way.
    pub path: [u32; MAX_TABLES],
    /// What the verdict cache was good for.
    pub luck: Luck,
    /// Best flow so far. In map memory, because before Linux 6.7 the verifier checks a
    /// `bpf_loop` callback as if it ran once, and takes an accumulator on the stack for the
    /// constant that it starts with.
    pub best: Slot,
    /// Action set.
    pub set: ActionSet,
    /// Header window.
    pub window: MapWindow,
}

#[map]
static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);
/// The version of the tables: one store makes a batch visible.
#[map]
static VERSION: Array<u64> = Array::with_max_entries(1, MMAPABLE);
/// Search order: table * 2 + (version & 1).
#[map]
static TABLES: Array<Table> = Array::with_max_entries(2 * MAX_TABLES as u32, 0);
/// Set of a plain frame's key → ways through the tables.
#[map]
pub static CACHE: PerCpuArray<Set> = PerCpuArray::with_max_entries(CACHE_SETS, 0);
#[map]
static MASKS: Array<FlowMask> = Array::with_max_entries(SUBTABLE_IDS as u32, MMAPABLE);
#[map]
static FILTERS: Array<[u64; FILTER_WORDS]> = Array::with_max_entries(SUBTABLE_IDS as u32, MMAPABLE);
#[map]
static FLOWS: HashMap<u64, FlowEntry> = HashMap::with_max_entries(DEFAULT_FLOWS, NO_PREALLOC);
#[map]
static RECORDS: Array<FlowRecord> = Array::with_max_entries(DEFAULT_FLOWS, MMAPABLE);
#[map]
static LISTS: Array<ActionList> = Array::with_max_entries(ACTION_LISTS, MMAPABLE);
/// Id of a list → the same for the straight way.
#[map]
pub static EDITS: Array<Edit> = Array::with_max_entries(ACTION_LISTS, MMAPABLE);
#[map]
pub static FLOW_COUNTS: PerCpuArray<FlowCount> = PerCpuArray::with_max_entries(DEFAULT_FLOWS, 0);
#[map]
pub static TABLE_COUNTS: PerCpuArray<TableCount> = PerCpuArray::with_max_entries(MAX_TABLES as u32, 0);
#[map]
pub static PORT_COUNTS: PerCpuArray<PortCount> = PerCpuArray::with_max_entries(PORT_SLOTS, 0);
#[map]
pub static STATS: PerCpuArray<u64> = PerCpuArray::with_max_entries(COUNT, 0);
/// Index of a port → its rules.
#[map]
static PORT_RULES: Array<PortRules> = Array::with_max_entries(PORT_SLOTS, 0);
/// Index of a port → interface.
#[map]
pub static PORTS: DevMap = DevMap::with_max_entries(PORT_SLOTS, 0);
/// Index of a port set → devmap of its members.
#[btf_map]
pub static PORT_SET_MAPS: ArrayOfMaps<BtfDevMap<{ PORT_SLOTS as usize }>, { PORT_SETS as usize }> = ArrayOfMaps::new();
#[map]
pub static PUNT_ARP: RingBuf = RingBuf::with_byte_size(1 << 20, 0);
#[map]
pub static PUNT_OTHER: RingBuf = RingBuf::with_byte_size(1 << 22, 0);
#[map]
pub static BUCKETS: PerCpuArray<Bucket> = PerCpuArray::with_max_entries(CLASS_COUNT, 0);
#[map]
pub static BUCKET_CONFIG: Array<BucketConfig> = Array::with_max_entries(CLASS_COUNT, 0);

/// Jiffies and monotonic nanoseconds, written by the program `clock`.
#[map]
pub static CLOCK: Array<[u64; 2]> = Array::with_max_entries(1, 0);

/// A flow map entry as `stage` gets it.
#[repr(C)]
struct Staged {
    digest: u64,
    entry: FlowEntry,
}

/// Changes the value of a key that is there, in place and word by word; false = it is not.
#[inline(always)]
pub fn stage(ctx: &XdpContext) -> bool {
    let staged = ctx.data() as *const Staged;
    if ctx.data() + size_of::<Staged>() > ctx.data_end() {
        return false;
    }
    // SAFETY: the packet holds all of it, as just checked.
    let staged = unsafe { &*staged };
    // The kernel takes keys from memory of ours only.
    let digest = staged.digest;
    let Some(p) = FLOWS.get_ptr_mut(digest) else { return false };
    let mut i = 0;
    while i < 2 {
        // SAFETY: a live map value that only this program changes, run by one writer. Words
        // are stored one by one, each slot before its version.
        unsafe {
            core::ptr::write_volatile(&raw mut (*p).value.slots[i], staged.entry.value.slots[i]);
            core::ptr::write_volatile(&raw mut (*p).value.since[i], staged.entry.value.since[i]);
        }
        i += 1;
    }
    true
}

/// This CPU's scratch.
#[inline(always)]
pub fn scratch() -> Option<&'static mut Scratch> {
    // SAFETY: a per-CPU value; a program is not interrupted by another run of itself on the
    // same CPU, and each function of this crate takes it anew.
    SCRATCH.get_ptr_mut(0).map(|p| unsafe { &mut *p })
}

/// The version of the tables; read once per frame.
#[inline(always)]
pub fn version() -> u64 {
    // SAFETY: the value of an array map, eight bytes aligned; userspace stores it at once.
    VERSION.get_ptr(0).map_or(0, |p| unsafe { core::ptr::read_volatile(p) })
}

/// The rules of a port, by index; none for a port that is none.
#[inline(always)]
pub fn rules(port: u32) -> PortRules {
    // SAFETY: the value of an array map, four bytes aligned; userspace stores it at once.
    PORT_RULES.get_ptr(port).map_or(PortRules(0), |p| unsafe { core::ptr::read_volatile(p) })
}

/// A table's search order as `version` sees it.
#[inline(always)]
pub fn table(table: u32, version: u64) -> Option<&'static Table> {
    TABLES.get(table * 2 + (version & 1) as u32)
}

/// A list's number of actions and flags.
#[inline(always)]
pub fn list_flags(list: u32) -> u32 {
    LISTS.get(list).map_or(0, |l| l.flags)
}

/// The maps as the pipeline's tables.
pub struct Maps;

impl Tables for Maps {
    #[inline(always)]
    fn used_words(&self) -> u32 {
        constants::words()
    }

    #[inline(always)]
    fn mask(&self, subtable: u32) -> Option<&FlowMask> {
        MASKS.get(subtable)
    }

    #[inline(always)]
    fn may_hold(&self, subtable: u32, tag: u32) -> bool {
        // With so few masks a filter costs more than it saves.
        if constants::masks() <= UNFILTERED_MASKS {
            return true;
        }
        let Some(filter) = FILTERS.get(subtable) else { return false };
        let (word, bit) = filter_bit(tag);
        let mut word = u64::from(word);
        // SAFETY: plain arithmetic, in assembly so that the verifier sees the mask.
        unsafe { core::arch::asm!("{0} &= 1023", inout(reg) word) };
        // SAFETY: the filter has 1024 words.
        let bits = unsafe { *filter.as_ptr().add(word as usize) };
        bits >> bit & 1 != 0
    }

    #[inline(always)]
    fn lookup(&self, subtable: u32, key: &FlowKey, mask: &FlowMask, digest: u64, version: u64) -> Slot {
        let Some(p) = FLOWS.get_ptr(digest) else { return Slot::default() };
        // SAFETY: a live map value. Its key never changes while it is there; of its value each
        // word is read once, versions first, because `stage` may be replacing the slot that
        // no reader takes.
        let (stored, since, slots) = unsafe {
            let since = [
                core::ptr::read_volatile(&raw const (*p).value.since[0]),
                core::ptr::read_volatile(&raw const (*p).value.since[1]),
            ];
            let slots = [
                core::ptr::read_volatile(&raw const (*p).value.slots[0]),
                core::ptr::read_volatile(&raw const (*p).value.slots[1]),
            ];
            (&(*p).key, since, slots)
        };
        let mut differs = stored.subtable ^ u64::from(subtable);
        let used = constants::words();
        macro_rules! words {
            ($($i:literal)*) => { $(
                if used >> $i & 1 != 0 {
                    differs |= stored.words[$i] ^ key.words[$i] & mask.words[$i];
                }
            )* };
        }
        words!(0 1 2 3 4 5 6 7 8 9 10 11 12);
        if differs != 0 {
            return Slot::default();
        }
        FlowValue { since, slots }.slot(version)
    }
}

impl Records for Maps {
    #[inline(always)]
    fn record(&self, flow: u32) -> Option<&FlowRecord> {
        RECORDS.get(flow)
    }

    #[inline(always)]
    fn op(&self, list: u32, index: u32) -> Option<&Op> {
        let list = LISTS.get(list)?;
        let mut index = u64::from(index);
        // SAFETY: plain arithmetic, in assembly so that the verifier sees the mask.
        unsafe { core::arch::asm!("{0} &= 15", inout(reg) index) };
        const { assert!(MAX_OPS == 16) };
        // SAFETY: the list has 16 actions.
        Some(unsafe { &*list.ops.as_ptr().add(index as usize) })
    }
}
