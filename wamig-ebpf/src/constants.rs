//! Load-time constants: userspace writes them into the object's read-only data before it is
//! loaded, the verifier then takes them for known and drops the code that they switch off.
//! What a constant may switch off is what the tables do not need, never what traffic might
//! contain.

macro_rules! constants {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $get:ident;)*) => { $(
        #[unsafe(no_mangle)]
        static $name: u32 = $value;

        $(#[$doc])*
        #[inline(always)]
        pub fn $get() -> u32 {
            // SAFETY: a static of this crate; volatile, so that the compiler does not take
            // the default for the value that will be loaded.
            unsafe { core::ptr::read_volatile(&raw const $name) }
        }
    )* };
}

constants! {
    /// The port's OpenFlow number (0xffff_fffe for LOCAL).
    PORT_NUMBER = 1, port;
    /// The port's index in the fast path's maps.
    PORT_INDEX = 1, port_index;
    /// Tables in use: bound of the walk.
    TABLE_LIMIT = 16, tables;
    /// Masks of the fullest table: up to 8 are searched by a plain loop.
    MASK_LIMIT = 64, masks;
    /// Key words that some mask in force reads.
    WORDS_USED = 0x1fff, words;
    /// Whether some flow writes to the action set.
    USES_ACTION_SET = 1, action_set_in_use;
    /// Whether some flow changes headers.
    USES_EDITS = 1, edits_in_use;
    /// Whether ways through the tables are remembered.
    USES_CACHE = 1, cache_in_use;
    /// Whether a hairpin goes through the port map instead of `XDP_TX`: a veth sends nothing
    /// by `XDP_TX` unless its other end runs an XDP program.
    HAIRPIN_BY_REDIRECT = 0, hairpin_by_redirect;
    /// Whether inconsistencies are logged (aya-log).
    LOG_LEVEL = 1, log_level;
}

/// Whether inconsistencies are logged.
#[inline(always)]
pub fn log() -> bool {
    log_level() != 0
}
