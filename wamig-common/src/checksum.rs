//! Internet checksums, updated incrementally (RFC 1624, equation 3: HC' = ~(~HC + ~m + m')).
//!
//! A delta is the one's-complement sum of `~old + new` over 16-bit words, unfolded: at most
//! 2^35 for the longest field. One delta serves every checksum that covers the bits.

/// Sum of the four 16-bit words of `value`.
#[inline(always)]
const fn sum16(value: u64) -> u64 {
    (value >> 48) + (value >> 32 & 0xffff) + (value >> 16 & 0xffff) + (value & 0xffff)
}

/// The delta of replacing eight bytes, which start at an even offset of what is summed.
#[inline(always)]
pub const fn delta(old: u64, new: u64) -> u64 {
    sum16(!old) + sum16(new)
}

/// Folds a sum to 16 bits.
#[inline(always)]
pub const fn fold(sum: u64) -> u16 {
    let s = (sum & 0xffff_ffff) + (sum >> 32);
    let s = (s & 0xffff) + (s >> 16);
    let s = (s & 0xffff) + (s >> 16);
    ((s & 0xffff) + (s >> 16)) as u16
}

/// The checksum after a change of `delta`.
#[inline(always)]
pub const fn update(checksum: u16, delta: u64) -> u16 {
    !fold((!checksum) as u64 + delta)
}

/// As [`update`] for UDP, where 0 means "not computed": a sum of 0 is sent as 0xffff (RFC 768).
#[inline(always)]
pub const fn update_udp(checksum: u16, delta: u64) -> u16 {
    match update(checksum, delta) {
        0 => 0xffff,
        sum => sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn full(words: &[u16]) -> u16 {
        !fold(words.iter().map(|w| u64::from(*w)).sum())
    }

    proptest! {
        #[test]
        fn an_update_equals_a_recomputation(mut data in prop::collection::vec(any::<u16>(), 8..20), at in 0usize..4, new in any::<u64>()) {
            let before = full(&data);
            let old = (0..4).fold(0u64, |v, i| v << 16 | u64::from(data[at + i]));
            for i in 0..4 {
                data[at + i] = (new >> (48 - 16 * i)) as u16;
            }
            // 0 and 0xffff are the same sum; an update never turns one into the other wrongly
            // unless all words are zero, which no IP header is.
            prop_assume!(data.iter().any(|w| *w != 0));
            let updated = update(before, delta(old, new));
            prop_assert_eq!(fold(u64::from(updated) + data.iter().map(|w| u64::from(*w)).sum::<u64>()), 0xffff);
        }
    }

    #[test]
    fn a_computed_udp_checksum_is_never_zero() {
        assert_eq!(update_udp(1, delta(0, 1)), 0xffff);
    }
}
