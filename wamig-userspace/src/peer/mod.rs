//! Signalling between sites: one authenticated session with every configured peer, kept up for
//! ever. docs/peer-protocol.cddl is the specification.
//!
//! ```text
//!  daemon                      Peers::run (one task)                 tasks in its JoinSets
//!  ──────                ┌──────────────────────────────┐
//!  events  <──bounded─── │ registry: which session is   │ <─notes─┬─ dial::Dialler  (one a peer)
//!  outbound ──bounded──> │ *the* session with each peer │         │    └ session::carry
//!                        └──────────────────────────────┘         └─ listen::accept (one)
//!                              │ queue of each session                 ├ handshake  (at most 64)
//!                              └──────────────────────────────────>    └ session::carry
//! ```
//! The registry never waits for a session: a peer that does not take its messages loses its
//! session. It waits for the daemon to take events, and while it does, reading from the peers
//! pauses; `outbound` is always taken, so that a daemon with one loop cannot lock up.
//!
//! Nothing a peer or a stranger sends ends anything but its own connection.
//!
//! * [`message`], [`codec`] — what is said, and how it is written
//! * [`identity`], [`Fingerprint`] — this site's certificate, and what a peer's must be
//! * [`PeerEvent`], [`DownReason`], [`refusal`] — what the daemon is told

mod cbor;
pub mod codec;
mod context;
mod dial;
mod event;
mod fingerprint;
mod greeting;
pub mod identity;
mod listen;
pub mod message;
pub mod refusal;
mod registry;
mod reload;
mod session;
pub(crate) mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};

use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use context::{PROTOCOL_VERSION, PeerTimers};
pub use event::{DownReason, PeerEvent};
pub use fingerprint::{BadFingerprint, Fingerprint};
pub use identity::Identity;
pub use listen::MAX_HANDSHAKES;
pub use refusal::{Refusal, RefusalCounters};
pub use reload::{Changer, Prepared};

use context::Context;
use message::Message;
use registry::{Note, Registry};
use reload::{Configured, Diallers};

/// Notes that may wait for the registry.
const NOTES: usize = 256;

/// Events that may wait for the daemon, beside those in its channel.
const PENDING: usize = 64;

/// Changes of the peers that may wait.
const CHANGES: usize = 1;

/// Everything the sessions need to know.
#[derive(Clone, Debug)]
pub struct PeeringConfig {
    /// This site's name.
    pub site: String,
    /// Where to accept peers; port 0 for any.
    pub listen: SocketAddr,
    /// This site's certificate and key.
    pub identity: Identity,
    /// With whom to have sessions.
    pub peers: Vec<PeerConfig>,
    /// How long things may take.
    pub timers: PeerTimers,
}

/// One peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerConfig {
    /// Its site name.
    pub name: String,
    /// Where it accepts peers, host:port.
    pub endpoint: String,
    /// Of its certificate.
    pub fingerprint: Fingerprint,
}

/// Why there can be no sessions at all.
#[derive(Debug, thiserror::Error)]
pub enum PeeringError {
    /// Two peers, or a peer and this site, cannot be told apart; or a name cannot be one.
    #[error("[[peer]] {peer}: {problem}")]
    Config {
        /// The peer's name.
        peer: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The address to listen on cannot be had.
    #[error("cannot listen on {address}: {source}; [peering] listen must be a free address and port of this machine")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// TLS cannot be set up with this identity.
    #[error("cannot use this site's certificate: {0}; make another with `wamig keygen`")]
    Tls(#[from] tokio_rustls::rustls::Error),
    /// The kernel gives no random numbers.
    #[error("the system's random number generator does not work")]
    Random,
    /// A task of the sessions panicked: a defect of this program.
    #[error("a task of the peer sessions ended: {0}")]
    Defect(String),
}

/// The sessions with all peers: made by [`Peers::bind`], driven by [`Peers::run`].
#[derive(Debug)]
pub struct Peers {
    context: Arc<Context>,
    listener: TcpListener,
    configured: Vec<Configured>,
    notes: mpsc::Receiver<Note>,
    changer: Changer,
    changes: mpsc::Receiver<Vec<Configured>>,
}

impl Peers {
    /// Checks the configuration and takes the address to listen on. Nobody is dialled yet.
    pub async fn bind(config: PeeringConfig) -> Result<Self, PeeringError> {
        Self::bind_as(config, PROTOCOL_VERSION).await
    }

    async fn bind_as(config: PeeringConfig, version: u16) -> Result<Self, PeeringError> {
        let Prepared { live, configured } =
            reload::prepare(&config.site, &config.identity, &config.peers, config.timers)?;
        let address = config.listen;
        let listener = TcpListener::bind(address).await.map_err(|source| PeeringError::Listen { address, source })?;
        let mut boot_id = [0; 8];
        SystemRandom::new().fill(&mut boot_id).map_err(|_| PeeringError::Random)?;
        let (notes, received) = mpsc::channel(NOTES);
        let context = Context {
            site: config.site,
            boot_id: u64::from_be_bytes(boot_id),
            fingerprint: config.identity.fingerprint(),
            live: RwLock::new(Arc::new(live)),
            version,
            notes,
            refusals: RefusalCounters::default(),
            next_session: AtomicU64::new(1),
        };
        let context = Arc::new(context);
        let (change, changes) = mpsc::channel(CHANGES);
        let changer = Changer::new(Arc::clone(&context), config.identity, change);
        Ok(Self { context, listener, configured, notes: received, changer, changes })
    }

    /// Where peers are accepted.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The counts of what was refused; they stay readable while [`Peers::run`] runs.
    pub fn refusals(&self) -> RefusalCounters {
        self.context.refusals.clone()
    }

    /// What changes the peers while [`Peers::run`] runs.
    pub fn changer(&self) -> Changer {
        self.changer.clone()
    }

    /// Keeps the sessions up and carries messages, until the daemon drops its end of `events`
    /// or of `outbound`. A message to a peer without a session is lost, as is one to an unknown
    /// peer. Dropping the future ends all sessions.
    pub async fn run(
        self,
        events: mpsc::Sender<PeerEvent>,
        mut outbound: mpsc::Receiver<(String, Message)>,
    ) -> Result<(), PeeringError> {
        let Self { context, listener, configured, mut notes, changer: _, mut changes } = self;
        let mut registry = Registry::new(context.site.clone(), context.timers().handshake);
        let mut tasks = JoinSet::new();
        tasks.spawn(listen::accept(Arc::clone(&context), listener));
        let mut diallers = Diallers::default();
        diallers.set(&context, configured, &mut registry, &mut tasks);
        loop {
            tokio::select! {
                permit = events.reserve(), if registry.pending() > 0 => match permit {
                    Ok(permit) => if let Some(event) = registry.next_event() {
                        permit.send(event);
                    },
                    Err(_) => return Ok(()),
                },
                Some(note) = notes.recv(), if registry.pending() < PENDING => registry.note(note),
                message = outbound.recv() => match message {
                    Some((site, message)) => if let Some(refusal) = registry.send(&site, message) {
                        context.refuse(refusal, &format!("{site}: its queue is full; the session was ended"));
                    },
                    None => return Ok(()),
                },
                Some(configured) = changes.recv() => diallers.set(&context, configured, &mut registry, &mut tasks),
                Some(ended) = tasks.join_next() => {
                    if ended.as_ref().is_err_and(tokio::task::JoinError::is_cancelled) {
                        // Of a peer that is not configured so any more.
                        continue;
                    }
                    let why = ended.err().map_or_else(|| "without an error".to_owned(), |error| error.to_string());
                    return Err(PeeringError::Defect(why));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
