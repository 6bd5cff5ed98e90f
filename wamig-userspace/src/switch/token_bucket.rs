//! A token bucket with the clock as an argument: what the slow path may cost.

use std::time::{Duration, Instant};

/// Lets `rate` frames a second pass, and `burst` of them at once.
#[derive(Clone, PartialEq, Debug)]
pub struct TokenBucket {
    rate: u32,
    burst: u32,
    tokens: f64,
    filled_at: Option<Instant>,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(rate: u32, burst: u32) -> Self {
        Self { rate, burst, tokens: f64::from(burst), filled_at: None }
    }

    /// Takes one token; false = refuse the frame.
    pub fn take(&mut self, now: Instant) -> bool {
        let since = self.filled_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.filled_at = Some(self.filled_at.map_or(now, |at| at.max(now)));
        self.tokens = f64::from(self.burst).min(self.tokens + since.as_secs_f64() * f64::from(self.rate));
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_burst_passes_then_the_rate() {
        let t = Instant::now();
        let mut b = TokenBucket::new(10, 3);
        assert_eq!((0..9).filter(|_| b.take(t)).count(), 3);
        assert!(!b.take(t + Duration::from_millis(99)));
        assert!(b.take(t + Duration::from_millis(101)));
        assert_eq!((0..90).filter(|_| b.take(t + Duration::from_mins(1))).count(), 3);
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing_away() {
        let t = Instant::now() + Duration::from_secs(5);
        let mut b = TokenBucket::new(1, 1);
        assert!(b.take(t));
        assert!(!b.take(t.checked_sub(Duration::from_secs(4)).unwrap()));
        assert!(!b.take(t + Duration::from_millis(900)));
    }
}
