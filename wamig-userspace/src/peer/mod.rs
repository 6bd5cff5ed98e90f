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
mod session;
pub(crate) mod tls;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::rustls::ClientConfig;

pub use context::{PROTOCOL_VERSION, PeerTimers};
pub use event::{DownReason, PeerEvent};
pub use fingerprint::{BadFingerprint, Fingerprint};
pub use identity::Identity;
pub use listen::MAX_HANDSHAKES;
pub use refusal::{Refusal, RefusalCounters};

use context::Context;
use dial::Dialler;
use message::Message;
use registry::{Note, Registry};

/// Notes that may wait for the registry.
const NOTES: usize = 256;

/// Events that may wait for the daemon, beside those in its channel.
const PENDING: usize = 64;

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
    configured: Vec<(PeerConfig, Arc<ClientConfig>)>,
    notes: mpsc::Receiver<Note>,
}

impl Peers {
    /// Checks the configuration and takes the address to listen on. Nobody is dialled yet.
    pub async fn bind(config: PeeringConfig) -> Result<Self, PeeringError> {
        Self::bind_as(config, PROTOCOL_VERSION).await
    }

    async fn bind_as(config: PeeringConfig, version: u16) -> Result<Self, PeeringError> {
        let names = names(&config)?;
        let tls = tls::server_config(&config.identity, names.keys().copied().collect())?;
        let mut configured = Vec::with_capacity(config.peers.len());
        for peer in config.peers {
            let tls = tls::client_config(&config.identity, peer.fingerprint)?;
            configured.push((peer, tls));
        }
        let address = config.listen;
        let listener = TcpListener::bind(address).await.map_err(|source| PeeringError::Listen { address, source })?;
        let mut boot_id = [0; 8];
        SystemRandom::new().fill(&mut boot_id).map_err(|_| PeeringError::Random)?;
        let (notes, received) = mpsc::channel(NOTES);
        let context = Context {
            site: config.site,
            boot_id: u64::from_be_bytes(boot_id),
            fingerprint: config.identity.fingerprint(),
            tls,
            names,
            timers: config.timers,
            version,
            notes,
            refusals: RefusalCounters::default(),
            next_session: AtomicU64::new(1),
        };
        Ok(Self { context: Arc::new(context), listener, configured, notes: received })
    }

    /// Where peers are accepted.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The counts of what was refused; they stay readable while [`Peers::run`] runs.
    pub fn refusals(&self) -> RefusalCounters {
        self.context.refusals.clone()
    }

    /// Keeps the sessions up and carries messages, until the daemon drops its end of `events`
    /// or of `outbound`. A message to a peer without a session is lost, as is one to an unknown
    /// peer. Dropping the future ends all sessions.
    pub async fn run(
        self,
        events: mpsc::Sender<PeerEvent>,
        mut outbound: mpsc::Receiver<(String, Message)>,
    ) -> Result<(), PeeringError> {
        let Self { context, listener, configured, mut notes } = self;
        let mut registry = Registry::new(context.site.clone(), context.timers.handshake);
        let mut tasks = JoinSet::new();
        tasks.spawn(listen::accept(Arc::clone(&context), listener));
        for (peer, tls) in configured {
            let dialler = Dialler {
                context: Arc::clone(&context),
                up: registry.add(peer.name.clone()),
                site: peer.name,
                endpoint: peer.endpoint,
                fingerprint: peer.fingerprint,
                tls,
            };
            tasks.spawn(dialler.run());
        }
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
                Some(ended) = tasks.join_next() => {
                    let why = ended.err().map_or_else(|| "without an error".to_owned(), |error| error.to_string());
                    return Err(PeeringError::Defect(why));
                }
            }
        }
    }
}

/// The peers by certificate, once it is sure that everybody can be told from everybody.
fn names(config: &PeeringConfig) -> Result<BTreeMap<Fingerprint, String>, PeeringError> {
    let mut names: BTreeMap<Fingerprint, String> = BTreeMap::new();
    for PeerConfig { name, fingerprint, .. } in &config.peers {
        let wrong = |problem: String| Err(PeeringError::Config { peer: name.clone(), problem });
        if !identity::is_site_name(name) {
            return wrong("a site name has 1 to 63 letters, digits, '-', '_' or '.'".to_owned());
        }
        if *name == config.site {
            return wrong("this is the site's own name; a peer must have another".to_owned());
        }
        if *fingerprint == config.identity.fingerprint() {
            return wrong("the fingerprint is of this site's own certificate; set the peer's".to_owned());
        }
        if names.values().any(|known| known == name) {
            return wrong("the name is there twice".to_owned());
        }
        if let Some(other) = names.insert(*fingerprint, name.clone()) {
            return wrong(format!("the fingerprint is also that of {other}; every peer has its own"));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
