//! Accepting peers. Until its certificate is known, a connection costs one of few places and
//! a few seconds, whoever it comes from.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::context::Context;
use super::event::DownReason;
use super::fingerprint::Fingerprint;
use super::greeting::{Greeted, greet};
use super::refusal::Refusal;
use super::registry::Note;
use super::session::carry;
use super::tls::Fault;

/// Connections that may be in their handshake at once.
pub const MAX_HANDSHAKES: usize = 64;

/// How long whoever was refused may take to read why.
const LINGER: Duration = Duration::from_secs(1);

/// Accepts for ever.
pub(super) async fn accept(context: Arc<Context>, listener: TcpListener) {
    let mut handshakes = JoinSet::new();
    let mut sessions = JoinSet::new();
    let mut places = Places::default();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, remote)) => {
                    if let Some(evicted) = places.make_room() {
                        let detail = format!("{evicted}: its unfinished handshake made room for another");
                        context.refuse(Refusal::TooManyHandshakes, &detail);
                    }
                    let task = handshakes.spawn(handshake(Arc::clone(&context), tcp, remote));
                    places.take(remote.ip(), task);
                }
                Err(error) => {
                    // Out of descriptors, most likely: it passes, but not at once.
                    tracing::warn!("peering: cannot accept: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
            },
            Some(done) = handshakes.join_next() => if let Ok(Some(greeted)) = done {
                let context = Arc::clone(&context);
                sessions.spawn(async move { carry(&context, greeted).await });
            },
            Some(_) = sessions.join_next() => {}
        }
    }
}

/// Who is in a handshake, oldest first.
#[derive(Default)]
struct Places(VecDeque<(IpAddr, AbortHandle)>);

impl Places {
    fn take(&mut self, address: IpAddr, task: AbortHandle) {
        self.0.push_back((address, task));
    }

    /// When all places are taken, ends the oldest handshake of the address that has most of
    /// them: a flood from one address pushes out itself, not the peer.
    fn make_room(&mut self) -> Option<IpAddr> {
        self.0.retain(|(_, task)| !task.is_finished());
        if self.0.len() < MAX_HANDSHAKES {
            return None;
        }
        let mut taken: HashMap<IpAddr, usize> = HashMap::new();
        for (address, _) in &self.0 {
            *taken.entry(*address).or_default() += 1;
        }
        let greediest = taken.into_iter().max_by_key(|(_, count)| *count).map(|(address, _)| address)?;
        let oldest = self.0.iter().position(|(address, _)| *address == greediest)?;
        let (address, task) = self.0.remove(oldest)?;
        task.abort();
        Some(address)
    }
}

/// TLS and greeting with whoever dialled. Every way to fail is counted.
async fn handshake(context: Arc<Context>, tcp: TcpStream, remote: SocketAddr) -> Option<Greeted> {
    // Claims are small and urgent. Failure would cost time, not correctness.
    let _ = tcp.set_nodelay(true);
    if let Ok(greeted) = timeout(context.timers().handshake, authenticate(&context, tcp, remote)).await {
        return greeted;
    }
    context.refuse(Refusal::HandshakeTimeout, &format!("{remote}: no TLS handshake and hello in time"));
    None
}

async fn authenticate(context: &Context, tcp: TcpStream, remote: SocketAddr) -> Option<Greeted> {
    let live = context.live();
    let acceptor = TlsAcceptor::from(Arc::clone(&live.tls));
    let stream = match acceptor.accept(tcp).into_fallible().await {
        Ok(stream) => stream,
        Err((error, tcp)) => {
            let (refusal, detail) = explain(error.into(), remote);
            context.refuse(refusal, &detail);
            let_read(tcp).await;
            return None;
        }
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let site = certificate.and_then(|der| live.names.get(&Fingerprint::of_der(der)));
    // TLS has let in pinned certificates only; without one there is nobody to greet.
    let site = site?.clone();
    match greet(context, &site, false, stream.into()).await {
        Ok(greeted) => Some(greeted),
        Err(failure) => {
            let refusal = match failure.reason {
                DownReason::WrongSite => Refusal::WrongSite,
                DownReason::WrongVersion => Refusal::WrongVersion,
                DownReason::Protocol => Refusal::Malformed,
                DownReason::NotWamig => Refusal::NotTls,
                _ => Refusal::Handshake,
            };
            let remedy = failure.reason.remedy();
            context.refuse(refusal, &format!("{remote} as {site}: {}. {remedy}", failure.detail));
            // What the peer does wrong keeps it down; that it hung up says less than our own dialling.
            if refusal != Refusal::Handshake {
                let _ = context.notes.send(Note::Failed { site, failure }).await;
            }
            None
        }
    }
}

/// Closes so that the alert just sent is read: octets that arrive at a closed socket would
/// make the kernel reset the connection, and the other side lose the reason.
async fn let_read(mut tcp: TcpStream) {
    let discard = async {
        let _ = tcp.shutdown().await;
        let mut sink = [0; 1024];
        while matches!(tcp.read(&mut sink).await, Ok(1..)) {}
    };
    let _ = timeout(LINGER, discard).await;
}

fn explain(fault: Fault, remote: SocketAddr) -> (Refusal, String) {
    match fault {
        Fault::NotPinned(seen) => (
            Refusal::UnknownCertificate,
            format!(
                "{remote} presented {seen}, which is no peer's. If it is a peer's new certificate, set it as the \
                 fingerprint in that [[peer]]."
            ),
        ),
        Fault::NoCertificate => (Refusal::NoCertificate, format!("{remote} presented no certificate")),
        Fault::Refused => (
            Refusal::OurCertificate,
            format!("{remote} does not accept this site's certificate. {}", DownReason::RefusedCertificate.remedy()),
        ),
        Fault::Foreign(text) => (Refusal::NotTls, format!("{remote} speaks no TLS 1.3 with wamig/1: {text}")),
        Fault::Closed(text) | Fault::Tls(text) | Fault::Network(text) => {
            (Refusal::Handshake, format!("{remote}: TLS handshake failed: {text}"))
        }
    }
}
