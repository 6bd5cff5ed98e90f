//! OpenFlow connections, for either end of one: a switch's to its controllers, a controller's
//! to its switches. What a message means is none of this module's business.
//!
//! ```text
//!   dial, listen ──▶ tls ──▶ hello ──▶ pump ── Batch ──▶ whoever owns the sessions
//!                                       ▲ └─── Outbox ◀── replies, events ──┘
//! ```
//!
//! * [`endpoint`] — where, in the syntax of Open vSwitch
//! * [`tls`] — certificates of a CA, or pinned
//! * [`pin`] — which of them on which endpoint
//! * [`hello`] — which version is spoken
//! * [`batch`] — as many messages as are there, decoded and handed over at once
//! * [`outbox`] — what is to be sent: bounded, replies never lost, packet-ins lost first
//! * [`pump`] — reads, writes, probes, and notices the end
//! * [`dial`], [`listen`] — connections come from here, for ever
//!
//! A connection that is not read by its owner is not read from the network either: it holds
//! [`batch::CREDITS`] batches at most. So whoever sends faster than it is served, or does not
//! take its replies, slows down itself and nobody else.

pub mod batch;
pub mod dial;
pub mod endpoint;
pub mod hello;
pub mod listen;
pub mod outbox;
pub mod pin;
pub mod pump;
pub mod stream;
pub mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use wamig_openflow::{Hello, Version};

use crate::peer::Fingerprint;
use batch::Batch;
use endpoint::Endpoint;
use listen::Listener;
use outbox::Outbox;
use pin::Pins;
use tls::Tls;

/// Names a connection while the process runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u64);

/// What a set of endpoints has in common.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Versions offered.
    pub offer: Hello,
    /// Without a byte for so long the other side is asked for an echo, and given up after as
    /// long again; `None` = never.
    pub probe: Option<Duration>,
    /// For TLS, and as long again for the hello.
    pub handshake: Duration,
    /// Before the first new attempt to dial; doubles with every failure.
    pub backoff_min: Duration,
    /// Before a new attempt, at most; as long as one attempt of TCP may take.
    pub backoff_max: Duration,
    /// Connections that listeners hold at once, all together.
    pub max_connections: usize,
    /// For the endpoints that want it.
    pub tls: Option<Tls>,
    /// Which certificate where.
    pub pins: Pins,
}

impl Settings {
    /// Settings with the usual times.
    pub const fn new(offer: Hello) -> Self {
        Self {
            offer,
            probe: Some(Duration::from_secs(5)),
            handshake: Duration::from_secs(5),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_millis(500),
            max_connections: 32,
            tls: None,
            pins: Pins::new("", BTreeMap::new()),
        }
    }
}

/// A connection whose version is agreed on.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its name.
    pub conn: ConnId,
    /// Index of its endpoint among those given to [`Channels::bind`].
    pub endpoint: usize,
    /// Who is at the other end.
    pub remote: String,
    /// What is spoken.
    pub version: Version,
    /// Takes what is to be sent.
    pub outbox: Arc<Outbox>,
    /// The other side's certificate, on TLS.
    pub certificate: Option<Fingerprint>,
}

/// What happens on the endpoints.
#[derive(Debug)]
pub enum ChannelEvent {
    /// A connection is ready.
    Opened(Opened),
    /// Messages arrived.
    Batch(ConnId, Batch),
    /// The outbox, which was full, takes replies again.
    Room(ConnId),
    /// A connection is over, and why.
    Closed(ConnId, String),
    /// There is no connection, and why: an attempt failed, or one that came was refused.
    Failed {
        /// Index of the endpoint.
        endpoint: usize,
        /// With whom, and what would help.
        why: String,
    },
}

/// Why an endpoint cannot be used.
#[derive(Debug)]
pub struct BindError {
    /// Which.
    pub endpoint: Endpoint,
    /// The operating system's reason.
    pub source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, source } = self;
        let remedy = match source.kind() {
            io::ErrorKind::AddrInUse => "stop who listens there (`ss -ltnp`), or choose another port",
            io::ErrorKind::AddrNotAvailable => "give an address of this machine",
            io::ErrorKind::PermissionDenied => "choose a place that may be written, or a port above 1023",
            _ => "check the endpoint",
        };
        write!(f, "{endpoint} cannot be listened on: {source}; {remedy}")
    }
}

impl std::error::Error for BindError {}

/// What every task of the endpoints shares.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) events: mpsc::Sender<ChannelEvent>,
    places: Arc<Semaphore>,
    next: AtomicU64,
}

impl Context {
    fn id(&self) -> ConnId {
        ConnId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Tells; whoever listens is gone only when the process is about to end.
    async fn tell(&self, event: ChannelEvent) {
        let _ = self.events.send(event).await;
    }
}

/// A set of endpoints, its listeners bound.
#[derive(Debug)]
pub struct Channels {
    settings: Settings,
    endpoints: Vec<Endpoint>,
    listeners: Vec<(usize, Listener)>,
}

impl Channels {
    /// Takes hold of the addresses that are listened on.
    ///
    /// # Errors
    /// [`BindError`], with its remedy.
    pub async fn bind(settings: Settings, endpoints: Vec<Endpoint>) -> Result<Self, BindError> {
        let mut listeners = Vec::new();
        for (index, endpoint) in endpoints.iter().enumerate() {
            let bound = Listener::bind(endpoint).await;
            let bound = bound.map_err(|source| BindError { endpoint: endpoint.clone(), source })?;
            listeners.extend(bound.map(|listener| (index, listener)));
        }
        Ok(Self { settings, endpoints, listeners })
    }

    /// The endpoints, in the order given.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Where the listener of an endpoint really listens (port 0 = one that was free).
    pub fn local(&self, endpoint: usize) -> Option<std::net::SocketAddr> {
        self.listeners.iter().find(|(index, _)| *index == endpoint).and_then(|(_, l)| l.local())
    }

    /// Dials and accepts for ever.
    pub async fn run(self, events: mpsc::Sender<ChannelEvent>) {
        let places = Arc::new(Semaphore::new(self.settings.max_connections));
        let context = Arc::new(Context { settings: self.settings, events, places, next: AtomicU64::new(1) });
        let mut tasks = JoinSet::new();
        for (index, listener) in self.listeners {
            tasks.spawn(listen::accept(Arc::clone(&context), index, listener));
        }
        for (index, endpoint) in self.endpoints.into_iter().enumerate().filter(|(_, e)| !e.is_passive()) {
            tasks.spawn(dial::dial(Arc::clone(&context), index, endpoint));
        }
        // Without an endpoint there is nothing to do, which is no reason to end.
        while tasks.join_next().await.is_some() {}
        std::future::pending::<()>().await;
    }
}
