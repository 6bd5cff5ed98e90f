//! Dialling one peer, for as long as the daemon runs and there is no session with it.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::context::{Context, PeerTimers};
use super::event::DownReason;
use super::fingerprint::Fingerprint;
use super::greeting::{Failure, Greeted, greet};
use super::registry::Note;
use super::session::carry;
use super::tls::Fault;

/// A peer to dial.
pub(super) struct Dialler {
    pub(super) context: Arc<Context>,
    /// Its name.
    pub(super) site: String,
    /// host:port.
    pub(super) endpoint: String,
    /// Of its certificate.
    pub(super) fingerprint: Fingerprint,
    pub(super) tls: Arc<ClientConfig>,
    /// Whether the registry has a session with it, whoever dialled.
    pub(super) up: watch::Receiver<bool>,
}

impl Dialler {
    /// Returns only when the registry is gone.
    pub(super) async fn run(mut self) {
        let PeerTimers { backoff_min: least, backoff_max: most, .. } = self.context.timers();
        // Half a step apart at the start, the two sites seldom dial each other at once.
        let mut delay = if self.context.site < self.site { Duration::ZERO } else { least / 2 };
        loop {
            sleep(delay).await;
            let waiting = Instant::now();
            if self.up.wait_for(|up| !up).await.is_err() {
                return;
            }
            let waited = waiting.elapsed();
            let attempt = timeout(self.context.timers().handshake, self.attempt()).await;
            let attempt = attempt.unwrap_or_else(|_| {
                let detail = format!("{} did not answer in time", self.endpoint);
                Err(Failure::new(DownReason::Unreachable, detail))
            });
            let lasted = match attempt {
                Ok(greeted) => {
                    let begun = Instant::now();
                    carry(&self.context, greeted).await;
                    begun.elapsed()
                }
                Err(failure) => {
                    let note = Note::Failed { site: self.site.clone(), failure };
                    if self.context.notes.send(note).await.is_err() {
                        return;
                    }
                    Duration::ZERO
                }
            };
            // A session that ends at once must not make us dial without pause.
            delay = if waited.max(lasted) >= most { least } else { (delay * 2).clamp(least, most) };
        }
    }

    /// A connection to the first of the endpoint's addresses that takes one.
    async fn connect(&self) -> Result<TcpStream, Failure> {
        let endpoint = &self.endpoint;
        let unresolvable = |why: &dyn Display| Failure::new(DownReason::Unresolvable, format!("{endpoint}: {why}"));
        let addresses = tokio::net::lookup_host(endpoint.as_str()).await.map_err(|error| unresolvable(&error))?;
        let addresses: Vec<_> = addresses.collect();
        // One address that swallows everything must leave time for the others, and for TLS.
        let share = self.context.timers().handshake / (addresses.len() as u32).saturating_add(1);
        let mut failure = unresolvable(&"no address");
        for address in addresses {
            let error = match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => return Ok(tcp),
                Ok(Err(error)) => error,
                Err(_) => io::ErrorKind::TimedOut.into(),
            };
            let reason = match error.kind() {
                io::ErrorKind::ConnectionRefused => DownReason::ConnectionRefused,
                _ => DownReason::Unreachable,
            };
            failure = Failure::new(reason, format!("{endpoint}: {error}"));
        }
        Err(failure)
    }

    async fn attempt(&self) -> Result<Greeted, Failure> {
        let endpoint = &self.endpoint;
        let tcp = self.connect().await?;
        // Claims are small and urgent. Failure would cost time, not correctness.
        let _ = tcp.set_nodelay(true);
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(server_name()?, tcp).await.map_err(|error| {
            let fault = Fault::from(error);
            let Failure { reason, detail } = Failure::of_stream(fault.clone(), &self.context);
            match fault {
                Fault::NotPinned(_) => {
                    Failure::new(reason, format!("{endpoint}: {detail}, configured is {}", self.fingerprint))
                }
                _ => Failure::new(reason, format!("{endpoint}: {detail}")),
            }
        })?;
        greet(&self.context, &self.site, true, stream.into())
            .await
            .map_err(|Failure { reason, detail }| Failure::new(reason, format!("{endpoint}: {detail}")))
    }
}

/// TLS wants a name; it is neither sent nor checked (see [`super::tls`]).
fn server_name() -> Result<ServerName<'static>, Failure> {
    ServerName::try_from("wamig").map_err(|error| Failure::new(DownReason::NotWamig, error.to_string()))
}
