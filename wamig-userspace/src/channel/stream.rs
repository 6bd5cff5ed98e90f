//! A byte stream, whatever carries it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::peer::Fingerprint;

/// What a stream has to be able to do.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connected stream.
pub struct Stream {
    io: Box<dyn Io>,
    /// Who is at the other end.
    pub remote: String,
    /// Its certificate, on TLS.
    pub certificate: Option<Fingerprint>,
}

impl Stream {
    /// A stream over `io`.
    pub fn new(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, remote: impl Into<String>) -> Self {
        Self { io: Box::new(io), remote: remote.into(), certificate: None }
    }

    /// The same, whose other side has shown this certificate.
    #[must_use]
    pub fn certified(mut self, certificate: Option<Fingerprint>) -> Self {
        self.certificate = certificate;
        self
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("remote", &self.remote).finish_non_exhaustive()
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
