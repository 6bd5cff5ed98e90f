//! Sessions over loopback with real TLS.

mod hostile;
mod reload;
mod sessions;
mod trust;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::codec::{Decoder, Encoder};

use super::codec::{Frame, PeerCodec};
use super::greeting::{Greeted, greet};
use super::*;
use crate::peer::message::Epoch;

/// How long anything may take before a test has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Quick, yet with room for a machine that is busy with something else.
const TIMERS: PeerTimers = PeerTimers {
    keepalive: Duration::from_millis(100),
    peer_down: Duration::from_secs(4),
    handshake: Duration::from_secs(4),
    backoff_min: Duration::from_millis(20),
    backoff_max: Duration::from_millis(100),
};

/// A site before its daemon runs.
#[derive(Clone)]
struct Site {
    name: &'static str,
    identity: Identity,
    address: SocketAddr,
}

impl Site {
    fn new(name: &'static str) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        identity::keygen(name, dir.path()).expect("keygen");
        Self { name, identity: load(name, dir.path()), address: free_address() }
    }

    /// This site as others configure it.
    fn as_peer(&self) -> PeerConfig {
        PeerConfig {
            name: self.name.to_owned(),
            endpoint: self.address.to_string(),
            fingerprint: self.identity.fingerprint(),
        }
    }

    fn config(&self, peers: Vec<PeerConfig>) -> PeeringConfig {
        PeeringConfig {
            site: self.name.to_owned(),
            listen: self.address,
            identity: self.identity.clone(),
            peers,
            timers: TIMERS,
        }
    }

    async fn start(&self, peers: Vec<PeerConfig>) -> Running {
        Running::start(Peers::bind(self.config(peers)).await.expect("binds"))
    }

    /// This site with `peer`, to be played by the test.
    async fn script(&self, peer: &Site) -> Script {
        let Peers { context, listener, configured, .. } =
            Peers::bind(self.config(vec![peer.as_peer()])).await.expect("binds");
        let (_, tls) = configured.into_iter().next().expect("one peer");
        Script { context, listener, tls, peer: peer.name, address: peer.address }
    }
}

fn load(name: &str, dir: &Path) -> Identity {
    Identity::load(&dir.join(format!("{name}.pem")), &dir.join(format!("{name}.key"))).expect("loads")
}

/// An address of this process and test alone: all of 127/8 is this machine.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let [.., host] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    SocketAddr::from((IpAddr::V4(Ipv4Addr::new(127, high, low, host)), 7946))
}

/// An endpoint where nobody listens.
fn nowhere(mut peer: PeerConfig) -> PeerConfig {
    peer.endpoint = free_address().to_string();
    peer
}

/// A site's sessions at work.
struct Running {
    events: mpsc::Receiver<PeerEvent>,
    outbound: mpsc::Sender<(String, Message)>,
    refusals: RefusalCounters,
    changer: Changer,
    task: JoinHandle<Result<(), PeeringError>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    fn start(peers: Peers) -> Self {
        let (events, received) = mpsc::channel(8);
        let (outbound, to_send) = mpsc::channel(8);
        let (refusals, changer) = (peers.refusals(), peers.changer());
        Self { events: received, outbound, refusals, changer, task: tokio::spawn(peers.run(events, to_send)) }
    }

    /// As if the daemon were killed.
    async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    async fn event(&mut self) -> PeerEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("still running")
    }

    /// The events up to the first that `wanted` accepts.
    async fn until(&mut self, wanted: impl Fn(&PeerEvent) -> bool) -> Vec<PeerEvent> {
        let mut seen = Vec::new();
        let found = timeout(PATIENCE, async {
            loop {
                let event = self.events.recv().await.expect("still running");
                let done = wanted(&event);
                seen.push(event);
                if done {
                    break;
                }
            }
        });
        let in_time = found.await.is_ok();
        assert!(in_time, "not among {seen:#?}");
        seen
    }

    async fn until_up(&mut self, peer: &str) -> Vec<PeerEvent> {
        self.until(|event| matches!(event, PeerEvent::Up { site, .. } if site == peer)).await
    }

    async fn until_down(&mut self, wanted: DownReason) -> String {
        let seen = self.until(|event| matches!(event, PeerEvent::Down { reason, .. } if *reason == wanted)).await;
        match seen.into_iter().next_back() {
            Some(PeerEvent::Down { detail, .. }) => detail,
            other => panic!("{other:?}"),
        }
    }

    async fn until_refused(&mut self, refusal: Refusal) -> String {
        let wanted = refusal.as_str();
        let seen = self.until(|event| matches!(event, PeerEvent::Refused { reason, .. } if *reason == wanted)).await;
        match seen.into_iter().next_back() {
            Some(PeerEvent::Refused { detail, .. }) => detail,
            other => panic!("{other:?}"),
        }
    }

    /// The next message, which must be the next event.
    async fn message(&mut self) -> Message {
        match self.event().await {
            PeerEvent::Message { message, .. } => message,
            other => panic!("{other:?} instead of a message"),
        }
    }

    async fn send(&self, peer: &str, message: Message) {
        timeout(PATIENCE, self.outbound.send((peer.to_owned(), message))).await.expect("taken").expect("running");
    }

    /// Nothing is reported for a while.
    async fn is_quiet(&mut self, period: Duration) {
        if let Ok(event) = timeout(period, self.events.recv()).await {
            panic!("{event:?}");
        }
    }

    /// The counts that are not zero.
    fn refused(&self) -> Vec<(&'static str, u64)> {
        self.refusals.snapshot().into_iter().filter(|(_, count)| *count > 0).collect()
    }

    async fn until_counted(&self, refusal: Refusal, at_least: u64) {
        let counted = timeout(PATIENCE, async {
            while self.refusals.get(refusal) < at_least {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(counted.await.is_ok(), "{}: {:?}", refusal.as_str(), self.refused());
    }
}

/// A site whose every octet the test decides.
struct Script {
    context: Arc<Context>,
    listener: TcpListener,
    tls: Arc<ClientConfig>,
    /// Whom it talks to.
    peer: &'static str,
    /// Where that is.
    address: SocketAddr,
}

impl Script {
    async fn dial(&self) -> Greeted {
        let tcp = TcpStream::connect(self.address).await.expect("connects");
        let name = "wamig".try_into().expect("a name");
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await.expect("TLS");
        let greeted = timeout(PATIENCE, greet(&self.context, self.peer, true, stream.into())).await;
        greeted.expect("greets in time").expect("greets")
    }

    async fn accept(&self) -> Greeted {
        let (tcp, _) = timeout(PATIENCE, self.listener.accept()).await.expect("dialled").expect("accepts");
        let stream = TlsAcceptor::from(Arc::clone(&self.context.live().tls)).accept(tcp).await.expect("TLS");
        let greeted = timeout(PATIENCE, greet(&self.context, self.peer, false, stream.into())).await;
        greeted.expect("greets in time").expect("greets")
    }
}

/// The test's end of a session.
impl Greeted {
    async fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.expect("writes");
        self.stream.flush().await.expect("flushes");
    }

    async fn say(&mut self, message: &Message) {
        let mut octets = BytesMut::new();
        PeerCodec.encode(message, &mut octets).expect("encodes");
        self.write(&octets).await;
    }

    /// The next frame, or `None` at the end of the stream.
    async fn hear(&mut self) -> Option<Frame> {
        let heard = timeout(PATIENCE, async {
            loop {
                if let Some(frame) = PeerCodec.decode(&mut self.buffer).expect("well-formed") {
                    return Some(frame);
                }
                if !matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..)) {
                    return None;
                }
            }
        });
        heard.await.expect("a frame in time")
    }

    async fn hear_message(&mut self) -> Option<Message> {
        loop {
            match self.hear().await? {
                Frame::Keepalive => {}
                Frame::Message(message) => return Some(message),
            }
        }
    }
}

/// A message that can be told from others.
fn numbered(number: u32) -> Message {
    Message::Ready {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53)),
        epoch: Epoch { incarnation: 1, counter: number },
    }
}
