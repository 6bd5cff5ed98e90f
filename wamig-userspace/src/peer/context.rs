//! What every task of the peer sessions shares: who this site is, and where to report.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_rustls::rustls::ServerConfig;

use super::event::PeerEvent;
use super::fingerprint::Fingerprint;
use super::message::Message;
use super::refusal::{Refusal, RefusalCounters};
use super::registry::{Note, SessionId};

/// Protocol version this program speaks: major << 8 | minor. 1.1 has planned moves, 1.2 IPv6.
pub const PROTOCOL_VERSION: u16 = 0x0102;

/// How long things may take. The defaults are those of docs/peer-protocol.cddl.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerTimers {
    /// Between two keepalives (1 s); also how long a superseded session is still read.
    pub keepalive: Duration,
    /// Without any octet from the peer, or with octets it does not take (5 s).
    pub peer_down: Duration,
    /// For connecting, TLS and hello together (5 s).
    pub handshake: Duration,
    /// Before the first redial (0.2 s); doubles with every failure.
    pub backoff_min: Duration,
    /// Before a redial, at most (2 s).
    pub backoff_max: Duration,
}

impl Default for PeerTimers {
    fn default() -> Self {
        Self {
            keepalive: Duration::from_secs(1),
            peer_down: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            backoff_min: Duration::from_millis(200),
            backoff_max: Duration::from_secs(2),
        }
    }
}

/// What a reloaded configuration may say anew.
#[derive(Debug)]
pub(super) struct Live {
    /// For accepting.
    pub(super) tls: Arc<ServerConfig>,
    /// The peers by their certificates.
    pub(super) names: BTreeMap<Fingerprint, String>,
    pub(super) timers: PeerTimers,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Context {
    /// This site's name.
    pub(super) site: String,
    /// New with every start.
    pub(super) boot_id: u64,
    /// Of this site's certificate.
    pub(super) fingerprint: Fingerprint,
    /// Looked at anew by every handshake and for every pause.
    pub(super) live: RwLock<Arc<Live>>,
    pub(super) version: u16,
    /// To the registry.
    pub(super) notes: mpsc::Sender<Note>,
    pub(super) refusals: RefusalCounters,
    pub(super) next_session: AtomicU64,
}

impl Context {
    /// What is configured at present.
    pub(super) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How long things may take at present.
    pub(super) fn timers(&self) -> PeerTimers {
        self.live().timers
    }

    /// From now on this is configured.
    pub(super) fn adopt(&self, live: Live) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
    }

    /// What this site says first.
    pub(super) fn hello(&self) -> Message {
        Message::Hello { version: self.version, site: self.site.clone(), boot_id: self.boot_id }
    }

    /// A number that no other session has.
    pub(super) fn session_id(&self) -> SessionId {
        SessionId(self.next_session.fetch_add(1, Ordering::Relaxed))
    }

    /// Counts a refusal and, unless there was one like it just now, reports it. Never waits:
    /// whoever is being refused must not be able to hold up the others.
    pub(super) fn refuse(&self, refusal: Refusal, detail: &str) {
        let Some(unreported) = self.refusals.count(refusal, Instant::now()) else { return };
        let more = if unreported > 0 { format!(" ({unreported} more since the last report)") } else { String::new() };
        let detail = format!("{detail}{more}");
        tracing::warn!(reason = refusal.as_str(), "peering: {detail}");
        // A full queue means that the daemon is behind; the count is what it will see.
        let _ = self.notes.try_send(Note::Event(PeerEvent::refused(refusal, detail)));
    }
}
