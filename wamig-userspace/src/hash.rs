//! Hash maps of the flow-mod's way: keyed by a seed of the process, as the standard library's, and
//! several times as fast for keys of a hundred bytes. And a hash that every process makes alike.

/// What seeds them.
pub type State = foldhash::fast::RandomState;
/// A map.
pub type Map<K, V> = std::collections::HashMap<K, V, State>;
/// A set.
pub type Set<K> = std::collections::HashSet<K, State>;

/// FNV-1a, 32 bits, over words or bytes (Fowler, Noll and Vo; draft-eastlake-fnv). For numbers that a
/// daemon that is started again has to find again; whoever chooses the words can choose the hash.
pub fn fnv1a(words: impl IntoIterator<Item = u32>) -> u32 {
    words.into_iter().fold(0x811c_9dc5, |h, word| (h ^ word).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::fnv1a;

    #[test]
    fn of_bytes_it_is_the_published_one() {
        assert_eq!(fnv1a([]), 0x811c_9dc5);
        assert_eq!(fnv1a(b"foobar".map(u32::from)), 0xbf9c_f968);
    }
}
