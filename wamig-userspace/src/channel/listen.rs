//! Accepting connections, up to a number that all listeners share. Whoever comes when all
//! places are taken is told by the end of the connection, and counted.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::endpoint::Endpoint;
use super::stream::Stream;
use super::{ChannelEvent, Context, pump};

/// A bound listener.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Tls(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// Removes the socket at the end.
#[derive(Debug)]
pub(super) struct SocketFile(std::path::PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The next daemon replaces it if this fails.
        let _ = std::fs::remove_file(&self.0);
    }
}

enum Accepted {
    Plain(Stream),
    Tls(TcpStream, SocketAddr),
}

impl Listener {
    /// Binds; `None` for an endpoint that is dialled.
    pub(super) async fn bind(endpoint: &Endpoint) -> io::Result<Option<Self>> {
        Ok(match endpoint {
            Endpoint::ListenTcp(address) => Some(Self::Tcp(TcpListener::bind(address).await?)),
            Endpoint::ListenTls(address) => Some(Self::Tls(TcpListener::bind(address).await?)),
            Endpoint::ListenUnix(path) => {
                remove_dead(path)?;
                Some(Self::Unix(UnixListener::bind(path)?, SocketFile(path.clone())))
            }
            Endpoint::Tcp { .. } | Endpoint::Tls { .. } | Endpoint::Unix(_) => None,
        })
    }

    pub(super) fn local(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(l) | Self::Tls(l) => l.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(l) => l.accept().await.map(|(tcp, remote)| {
                // Messages are small and urgent. Failure would cost time, not correctness.
                let _ = tcp.set_nodelay(true);
                Accepted::Plain(Stream::new(tcp, remote.to_string()))
            }),
            Self::Tls(l) => l.accept().await.map(|(tcp, remote)| {
                let _ = tcp.set_nodelay(true);
                Accepted::Tls(tcp, remote)
            }),
            Self::Unix(l, file) => {
                let (unix, _) = l.accept().await?;
                Ok(Accepted::Plain(Stream::new(unix, format!("unix:{}", file.0.display()))))
            }
        }
    }
}

/// Removes a socket that nobody listens on any more.
fn remove_dead(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt as _;
    use std::os::unix::net::UnixStream;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused) {
        return std::fs::remove_file(path);
    }
    Ok(())
}

/// Accepts for ever.
pub(super) async fn accept(context: Arc<Context>, index: usize, listener: Listener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => {
                    if let Ok(place) = Arc::clone(&context.places).try_acquire_owned() {
                        let context = Arc::clone(&context);
                        connections.spawn(async move {
                            serve(&context, index, accepted).await;
                            drop(place);
                        });
                    } else {
                        let most = context.settings.max_connections;
                        let why = format!("a connection was refused: {most} (max_connections) are open");
                        // Whoever floods us with connections must not fill the queue as well.
                        let _ = context.events.try_send(ChannelEvent::Failed { endpoint: index, why });
                    }
                }
                Err(error) => {
                    // Out of descriptors, most likely: it passes, but not at once.
                    tracing::warn!("OpenFlow: cannot accept: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(context: &Context, index: usize, accepted: Accepted) {
    let stream = match accepted {
        Accepted::Plain(stream) => Ok(stream),
        Accepted::Tls(tcp, remote) => match &context.settings.tls {
            Some(tls) => timeout(context.settings.handshake, tls.accept(tcp, &remote.to_string()))
                .await
                .unwrap_or_else(|_| Err(format!("{remote}: no TLS handshake in time"))),
            None => Err("no certificate is configured".to_owned()),
        },
    };
    match stream {
        Ok(stream) => {
            pump::run(context, index, stream).await;
        }
        Err(why) => context.tell(ChannelEvent::Failed { endpoint: index, why }).await,
    }
}
