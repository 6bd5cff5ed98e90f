//! Meters (OpenFlow 1.3.5 §5.7): a bucket of tokens for each band.
//!
//! A bucket is kept as one number, the time at which it would be full again if nothing were
//! taken (the generic cell rate algorithm). Times are in 1/256 ns and wrap around after more than two years.

use crate::action::{BASE_L3, NEED_IPV4, NEED_IPV6, Op, SET, SUM_IPV4};
use crate::extract::{L3_IPV4, L3_IPV6};
use crate::limits::MAX_BANDS;

/// `Band::kind`: drop.
pub const DROP: u8 = 1;
/// `Band::kind`: raise the drop precedence.
pub const REMARK: u8 = 2;
/// Result of [`measure`]: no band's rate is exceeded.
pub const NO_BAND: u32 = 0xff;
/// Longest burst: 2^60 / 256 ns, about 52 days.
pub const MAX_BURST: u64 = 1 << 60;

/// A band.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Band {
    /// [`DROP`] or [`REMARK`]; 0 = unused.
    pub kind: u8,
    /// By how much [`REMARK`] raises the drop precedence.
    pub level: u8,
    /// As configured; of several bands that are exceeded the fastest applies.
    pub rate: u32,
    /// What a frame costs, in 1/256 ns.
    pub per_frame: u64,
    /// What a byte costs, in 2^-24 ns.
    pub per_byte: u64,
    /// How far ahead of its rate the traffic may be, in 1/256 ns.
    pub burst: u64,
}

impl Band {
    /// What a frame of so many bytes costs, in 1/256 ns.
    #[inline(always)]
    pub const fn cost(&self, bytes: u32) -> u64 {
        self.per_frame + (self.per_byte.wrapping_mul(bytes as u64) >> 16)
    }
}

/// The bands of a meter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bands {
    /// The bands, as the controller ordered them.
    pub bands: [Band; MAX_BANDS],
}

/// A bucket that is full at `full_at` is asked for `cost` at `now`: when it is full again after
/// that, or `None` if it holds too little. A frame may cost more than a burst: what counts is
/// that the frames before it have been paid for.
#[inline(always)]
pub const fn take(full_at: u64, now: u64, cost: u64, burst: u64) -> Option<u64> {
    let ahead = full_at.wrapping_sub(now);
    // In the past, that is; twice the longest burst is never ahead.
    let ahead = if ahead > 2 * MAX_BURST { 0 } else { ahead };
    if ahead > burst { None } else { Some(now.wrapping_add(ahead + cost)) }
}

/// Which band applies to a frame: of those whose rate it exceeds the fastest, [`NO_BAND`] if
/// it exceeds none. `take` takes a cost from a band's bucket, false = there is not enough.
#[inline(always)]
pub fn measure(meter: &Bands, bytes: u32, mut take: impl FnMut(usize, u64, u64) -> bool) -> u32 {
    let (mut best, mut rate) = (NO_BAND, 0);
    let mut i = 0;
    while i < MAX_BANDS {
        let band = &meter.bands[i];
        if band.kind != 0 && !take(i, band.cost(bytes), band.burst) && (best == NO_BAND || band.rate > rate) {
            best = i as u32;
            rate = band.rate;
        }
        i += 1;
    }
    best
}

/// A code point with its drop precedence raised: assured forwarding (RFC 2597) has three,
/// others have none and stay.
#[inline(always)]
pub const fn raised(dscp: u32, level: u32) -> u32 {
    let (class, precedence) = (dscp >> 3, dscp >> 1 & 3);
    if class < 1 || class > 4 || precedence == 0 || dscp & 1 != 0 {
        return dscp;
    }
    let precedence = precedence + level;
    class << 3 | (if precedence > 3 { 3 } else { precedence }) << 1
}

/// The action that marks an IP packet of this type of service; the type of service behind it.
#[inline(always)]
pub fn remark(l3: u8, tos: u32, level: u32) -> Option<Op> {
    let dscp = u64::from(raised(tos >> 2, level));
    let op = Op { kind: SET, base: BASE_L3, ..Op::default() };
    match l3 {
        _ if dscp == u64::from(tos >> 2) => None,
        L3_IPV4 => Some(Op { value: dscp << 50, mask: 0x3f << 50, flags: NEED_IPV4 | SUM_IPV4, ..op }),
        L3_IPV6 => Some(Op { value: dscp << 54, mask: 0x3f << 54, flags: NEED_IPV6, ..op }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 256_000_000_000;

    fn passed(per_second: u64, burst: u64, asked: &[u64]) -> usize {
        let mut full_at = asked[0];
        let mut passes = |now: &&u64| match take(full_at, **now, SECOND / per_second, burst) {
            Some(then) => {
                full_at = then;
                true
            }
            None => false,
        };
        asked.iter().filter(|now| passes(now)).count()
    }

    #[test]
    fn the_rate_passes_and_no_more_whatever_is_offered() {
        for offered in [150, 200, 10_000] {
            let times: Vec<u64> = (0..10 * offered).map(|i| (5 << 62) + i * SECOND / offered).collect();
            // One frame of burst: with none, what comes a little early is lost.
            let n = passed(100, SECOND / 100, &times);
            assert!((1000..=1003).contains(&n), "{offered}: {n}");
        }
    }

    #[test]
    fn what_was_not_used_is_saved_up_to_the_burst() {
        let at_once = [9 * SECOND; 50];
        assert_eq!(passed(100, 9 * SECOND / 100, &at_once), 10);
        assert_eq!(passed(100, 0, &at_once), 1);
        // Where time wraps around, nothing changes.
        let wrapping: Vec<u64> =
            (0..100).map(|i| 0u64.wrapping_sub(SECOND / 4).wrapping_add(i * SECOND / 200)).collect();
        assert!((49..=51).contains(&passed(100, 0, &wrapping)));
    }

    #[test]
    fn of_the_bands_that_are_exceeded_the_fastest_applies() {
        let band = |kind, rate| Band { kind, rate, per_frame: 1, ..Band::default() };
        let mut meter = Bands::default();
        meter.bands[..3].copy_from_slice(&[band(REMARK, 100), band(DROP, 300), band(REMARK, 200)]);
        let exceeded = |bands: &[usize]| measure(&meter, 60, |i, _, _| !bands.contains(&i));
        assert_eq!(exceeded(&[]), NO_BAND);
        assert_eq!(exceeded(&[0]), 0);
        assert_eq!(exceeded(&[0, 2]), 2);
        assert_eq!(exceeded(&[0, 1, 2]), 1);
    }

    #[test]
    fn only_assured_forwarding_has_a_drop_precedence() {
        assert_eq!(raised(18, 1), 20);
        assert_eq!(raised(10, 2), 14);
        assert_eq!(raised(34, 9), 38);
        for other in [0, 46, 8, 16, 11, 48, 63] {
            assert_eq!(raised(other, 1), other);
        }
    }
}
