//! The timers and the damping: each with its bounds, the defaults from those who use them.

use std::time::Duration;

use toml::Spanned;

use super::check::Check;
use super::file::{self, Number};
use crate::migration::config::{Damping, Timers};
use crate::peer::PeerTimers;

/// Longest time that is configured in milliseconds.
const MINUTE_MS: u64 = 60_000;
/// Longest time that is configured in seconds.
const DAY_S: u64 = 86_400;
/// Most moves that are borne within the window.
const MOST_MOVES: u64 = 1000;

/// A configured time: its key, its place if it is written, its value if that is right.
struct Time<'a> {
    key: &'static str,
    at: Option<&'a Number>,
    value: Option<Duration>,
}

impl Check<'_, '_> {
    fn ms(&mut self, n: Option<&Number>, default: Duration, min: u64) -> Option<Duration> {
        self.number(n, default.as_millis() as u64, min, MINUTE_MS, "milliseconds").map(Duration::from_millis)
    }

    fn seconds(&mut self, n: Option<&Number>, default: Duration) -> Option<Duration> {
        self.number(n, default.as_secs(), 1, DAY_S, "seconds").map(Duration::from_secs)
    }

    pub(super) fn timers(&mut self, timers: &file::Timers) -> Option<Timers> {
        let d = Timers::default();
        let claim_retry = self.ms(timers.claim_retry_ms.as_ref(), d.claim_retry, 10);
        let home_probe = self.ms(timers.home_probe_ms.as_ref(), d.home_probe, 10);
        let claimed = self.ms(timers.claimed_ms.as_ref(), d.claimed, 10);
        let ready_retry = self.ms(timers.ready_retry_ms.as_ref(), d.ready_retry, 10);
        let query = self.ms(timers.query_ms.as_ref(), d.query, 10);
        let drain = self.ms(timers.drain_ms.as_ref(), d.drain, 0);
        let backoff_min = self.ms(timers.backoff_min_ms.as_ref(), d.backoff_min, 10);
        let backoff_max = self.ms(timers.backoff_max_ms.as_ref(), d.backoff_max, 10);
        let arp_probe_min = self.ms(timers.arp_probe_min_ms.as_ref(), d.arp_probe_min, 10);
        let arp_probe_max = self.ms(timers.arp_probe_max_ms.as_ref(), d.arp_probe_max, 10);
        let announce_wait = self.ms(timers.announce_wait_ms.as_ref(), d.announce_wait, 10);
        let lease = self.seconds(timers.lease_s.as_ref(), d.lease);
        let renew = self.seconds(timers.renew_s.as_ref(), d.renew);
        let fence_silence = self.seconds(timers.fence_silence_s.as_ref(), d.fence_silence);
        let forget = self.seconds(timers.forget_s.as_ref(), d.forget);
        let prepared = self.seconds(timers.prepared_s.as_ref(), d.prepared);
        let time = |key, at, value| Time { key, at, value };
        let in_order = [
            self.ordered(
                time("renew_s", timers.renew_s.as_ref(), renew),
                time("lease_s", timers.lease_s.as_ref(), lease),
            ),
            self.ordered(
                time("backoff_min_ms", timers.backoff_min_ms.as_ref(), backoff_min),
                time("backoff_max_ms", timers.backoff_max_ms.as_ref(), backoff_max),
            ),
            self.ordered(
                time("arp_probe_min_ms", timers.arp_probe_min_ms.as_ref(), arp_probe_min),
                time("arp_probe_max_ms", timers.arp_probe_max_ms.as_ref(), arp_probe_max),
            ),
        ];
        in_order.into_iter().collect::<Option<()>>()?;
        Some(Timers {
            claim_retry: claim_retry?,
            home_probe: home_probe?,
            claimed: claimed?,
            ready_retry: ready_retry?,
            query: query?,
            drain: drain?,
            backoff_min: backoff_min?,
            backoff_max: backoff_max?,
            arp_probe_min: arp_probe_min?,
            arp_probe_max: arp_probe_max?,
            announce_wait: announce_wait?,
            lease: lease?,
            renew: renew?,
            fence_silence: fence_silence?,
            forget: forget?,
            prepared: prepared?,
            ..d
        })
    }

    pub(super) fn damping(&mut self, damping: &file::Damping) -> Option<Damping> {
        let d = Damping::default();
        let moves = self.number(damping.moves.as_ref(), d.moves as u64, 0, MOST_MOVES, "moves (0 = any number)");
        let window = self.seconds(damping.window_s.as_ref(), d.window);
        Some(Damping { moves: moves? as usize, window: window? })
    }

    /// Notes a mistake unless the first time is the shorter one. Times that were wrong
    /// themselves are not compared.
    fn ordered(&mut self, short: Time<'_>, long: Time<'_>) -> Option<()> {
        let (Some(a), Some(b)) = (short.value, long.value) else { return Some(()) };
        if a < b {
            return Some(());
        }
        let span = short.at.or(long.at).map_or(0..0, Spanned::span);
        self.wrong(
            span,
            format!("{} is {} ms and {} is {} ms", short.key, a.as_millis(), long.key, b.as_millis()),
            format!("allowed: {} less than {}", short.key, long.key),
        )
    }

    pub(super) fn peer_timers(&mut self, timers: &file::Timers) -> Option<PeerTimers> {
        let d = PeerTimers::default();
        let peer_down = self.seconds(timers.peer_down_s.as_ref(), d.peer_down)?;
        // A peer that is to be missed so soon must be heard more often than that.
        Some(PeerTimers { peer_down, keepalive: d.keepalive.min(peer_down / 4), ..d })
    }
}
