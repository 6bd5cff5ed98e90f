//! Every bound of the pipeline and every map name, once.

/// Flow tables, numbered from 0.
pub const MAX_TABLES: usize = 16;
/// Masks (subtables) that one table may hold at a time.
pub const MAX_SUBTABLES: usize = 64;
/// Subtables in all tables together; id 0 is never used.
pub const SUBTABLE_IDS: usize = 512;
/// Actions in one apply or write list.
pub const MAX_OPS: usize = 16;
/// Slots of the action set.
pub const SET_SLOTS: usize = 54;
/// Highest OpenFlow number of a physical port.
pub const MAX_PORTS: u32 = 254;
/// The number under which the fast path keeps the LOCAL port.
pub const LOCAL_INDEX: u32 = 255;
/// Entries of the port map: 0 unused, 1..=254 physical, 255 LOCAL.
pub const PORT_SLOTS: u32 = 256;
/// Port sets: 0 = ALL, 1 = FLOOD, the others interned by content.
pub const PORT_SETS: u32 = 256;
/// Flows (map entries) unless configured otherwise.
pub const DEFAULT_FLOWS: u32 = 131_072;
/// Action lists unless configured otherwise: one may serve many flows, but each flow may have
/// one of its own.
pub const ACTION_LISTS: u32 = DEFAULT_FLOWS;
/// Groups.
pub const MAX_GROUPS: u32 = 1024;
/// Buckets of a group.
pub const MAX_BUCKETS: usize = 32;
/// Places among which the buckets of a group share frames; a power of two.
pub const PICKS: usize = 256;
/// Groups that one frame may go through, each a bucket of the one before.
pub const MAX_CHAIN: usize = 4;
/// Buckets that a group may run for one frame, those of the groups behind it included.
pub const MAX_COPIES: usize = 256;
/// Meters.
pub const MAX_METERS: u32 = 1024;
/// Bands of a meter.
pub const MAX_BANDS: usize = 4;
/// Words of a subtable's filter (64 bits each: 64 Kbit).
pub const FILTER_WORDS: usize = 1024;

/// Highest offset at which a header is read: the verifier wants a bound, and every way of
/// reading a frame must have the same.
pub const MAX_HEADER_OFFSET: usize = 0x1ff;

/// Bytes of a frame that the header window holds at most.
pub const WINDOW_LEN: usize = 192;
/// The same for the slow path: whatever header can be read, with its checksum.
pub const SLOW_WINDOW_LEN: usize = MAX_HEADER_OFFSET + 33;
/// Room before the slow path's window for what actions push, in bytes.
pub const SLOW_HEADROOM: usize = 320;
/// Room before the window for pushed tags, in bytes.
pub const WINDOW_HEADROOM: usize = 32;
/// Size of the window's buffer in the XDP program: at most [`WINDOW_MASK`] + 1 bytes from an
/// offset of at most [`WINDOW_MASK`], which is all that the verifier sees.
pub const WINDOW_BUF: usize = 512;
/// Offsets into that buffer are taken modulo this + 1, so that no access can leave it.
pub const WINDOW_MASK: u32 = 255;

/// Masks up to this number are searched by a plain loop, more by `bpf_loop`.
pub const PLAIN_LOOP_MASKS: u32 = 8;

/// Sets of the verdict cache of one CPU, a power of two; 1 MiB.
pub const CACHE_SETS: u32 = 4096;

/// Tables of so few masks are searched without asking the filters.
pub const UNFILTERED_MASKS: u32 = 2;
