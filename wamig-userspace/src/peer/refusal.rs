//! What the peer sessions refuse, counted. Every refusal has a name and a number; the events
//! are limited, so that whoever can reach the port cannot write this site's log.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Least time between two events of one reason.
const EVENT_INTERVAL: Duration = Duration::from_secs(1);

/// A reason for not letting something in, or through.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refusal {
    /// A certificate that no peer is configured with.
    UnknownCertificate,
    /// No certificate at all.
    NoCertificate,
    /// No TLS 1.3, or no `wamig/1` inside.
    NotTls,
    /// TLS failed in another way, or the connection ended in it.
    Handshake,
    /// TLS and hello took too long.
    HandshakeTimeout,
    /// Room for the handshakes of others was needed.
    TooManyHandshakes,
    /// Whoever dialled does not accept our certificate.
    OurCertificate,
    /// A hello with another site's name.
    WrongSite,
    /// A hello of another major version.
    WrongVersion,
    /// Something that is no message; the session was ended.
    Malformed,
    /// A message of a later minor version; it was ignored.
    UnknownMessage,
    /// A session whose peer does not take what it is sent; it was ended.
    SlowPeer,
    /// A message of ours that does not fit into a frame; it was not sent.
    MessageTooLarge,
}

impl Refusal {
    /// All of them, in the order of the counters.
    pub const ALL: [Self; 13] = [
        Self::UnknownCertificate,
        Self::NoCertificate,
        Self::NotTls,
        Self::Handshake,
        Self::HandshakeTimeout,
        Self::TooManyHandshakes,
        Self::OurCertificate,
        Self::WrongSite,
        Self::WrongVersion,
        Self::Malformed,
        Self::UnknownMessage,
        Self::SlowPeer,
        Self::MessageTooLarge,
    ];

    /// A fixed name, part of the interface of `wamig status -o json` and of the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCertificate => "unknown-certificate",
            Self::NoCertificate => "no-certificate",
            Self::NotTls => "not-tls",
            Self::Handshake => "tls-handshake",
            Self::HandshakeTimeout => "handshake-timeout",
            Self::TooManyHandshakes => "too-many-handshakes",
            Self::OurCertificate => "our-certificate-refused",
            Self::WrongSite => "wrong-site-name",
            Self::WrongVersion => "wrong-version",
            Self::Malformed => "malformed-message",
            Self::UnknownMessage => "unknown-message",
            Self::SlowPeer => "slow-peer",
            Self::MessageTooLarge => "message-too-large",
        }
    }
}

/// When a reason was last reported, and how often it has been refused since.
type Reported = HashMap<Refusal, (Instant, u64)>;

/// Counts of every [`Refusal`] since the start. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct RefusalCounters {
    counts: Arc<[AtomicU64; Refusal::ALL.len()]>,
    reported: Arc<Mutex<Reported>>,
}

impl RefusalCounters {
    /// Every reason's name with its count.
    pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Refusal::ALL.iter().map(|refusal| refusal.as_str()).zip(counts).collect()
    }

    /// The count of one reason.
    pub fn get(&self, refusal: Refusal) -> u64 {
        self.counts.get(refusal as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Counts one. `Some` when it is to be reported: with how many of the same reason were
    /// counted, but not reported, before.
    pub(super) fn count(&self, refusal: Refusal, now: Instant) -> Option<u64> {
        if let Some(count) = self.counts.get(refusal as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        match reported.get_mut(&refusal) {
            Some((last, unreported)) if now.duration_since(*last) < EVENT_INTERVAL => {
                *unreported += 1;
                None
            }
            Some((last, unreported)) => {
                *last = now;
                Some(std::mem::take(unreported))
            }
            None => {
                reported.insert(refusal, (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_in_the_order_of_the_names() {
        let counters = RefusalCounters::default();
        for (times, refusal) in Refusal::ALL.into_iter().enumerate() {
            for _ in 0..times {
                counters.count(refusal, Instant::now());
            }
        }
        for (times, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(counters.get(refusal), times as u64);
            assert_eq!(counters.snapshot()[times], (refusal.as_str(), times as u64));
        }
    }

    #[test]
    fn reports_at_most_once_a_second_for_each_reason() {
        let counters = RefusalCounters::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(counters.count(Refusal::NotTls, at(0)), Some(0));
        assert_eq!(counters.count(Refusal::NotTls, at(10)), None);
        assert_eq!(counters.count(Refusal::NotTls, at(20)), None);
        assert_eq!(counters.count(Refusal::Malformed, at(30)), Some(0));
        assert_eq!(counters.count(Refusal::NotTls, at(1000)), Some(2));
        assert_eq!(counters.count(Refusal::NotTls, at(2000)), Some(0));
        assert_eq!(counters.get(Refusal::NotTls), 5);
    }
}
