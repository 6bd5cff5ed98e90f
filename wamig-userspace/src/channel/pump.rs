//! A connection at work: hello, then reading, writing and probing until it ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wamig_openflow::message::{ErrorCode, ErrorMessage};
use wamig_openflow::{Message, Version, Xid};

use super::batch::{self, Batch, CREDITS};
use super::outbox::{Class, Next, Outbox};
use super::stream::Stream;
use super::{ChannelEvent, ConnId, Context, Opened, hello};

/// Room for one read; messages are cut out of it without a copy.
const READ: usize = 64 * 1024;
/// Transactions of our own probes: none that a controller would choose.
const PROBE: Xid = Xid(0x7072_6f62);

struct Pump<'a> {
    context: &'a Context,
    conn: ConnId,
    version: Version,
    outbox: Arc<Outbox>,
    credits: Arc<Semaphore>,
}

/// Speaks OpenFlow on a stream until that ends; true if it was opened at all.
pub(super) async fn run(context: &Context, endpoint: usize, mut stream: Stream) -> bool {
    let mut buffer = BytesMut::with_capacity(READ);
    let (remote, certificate) = (stream.remote.clone(), stream.certificate);
    if let Err(why) = context.settings.pins.check(endpoint, certificate) {
        return failed(context, endpoint, &remote, &why).await;
    }
    let greeting = hello::exchange(&mut stream, &mut buffer, context.settings.offer.clone());
    let version = match timeout(context.settings.handshake, greeting).await {
        Ok(Ok(version)) => version,
        Ok(Err(why)) => return failed(context, endpoint, &remote, &why).await,
        Err(_) => return failed(context, endpoint, &remote, "no hello in time").await,
    };
    let conn = context.id();
    let outbox = Arc::new(Outbox::default());
    let opened = Opened { conn, endpoint, remote, version, outbox: Arc::clone(&outbox), certificate };
    context.tell(ChannelEvent::Opened(opened)).await;
    let pump = Pump { context, conn, version, outbox, credits: Arc::new(Semaphore::new(CREDITS)) };
    let (reader, writer) = split(stream);
    let Err(why) = tokio::select! {
        ended = pump.read(reader, buffer) => ended,
        ended = pump.write(writer) => ended,
    };
    context.tell(ChannelEvent::Closed(conn, why)).await;
    true
}

async fn failed(context: &Context, endpoint: usize, remote: &str, why: &str) -> bool {
    let why = format!("{remote}: {why}");
    context.tell(ChannelEvent::Failed { endpoint, why }).await;
    false
}

impl Pump<'_> {
    async fn read(&self, mut io: ReadHalf<Stream>, mut buffer: BytesMut) -> Result<Infallible, String> {
        loop {
            let credit = Arc::clone(&self.credits).acquire_owned().await.map_err(|e| e.to_string())?;
            let messages = loop {
                match batch::take(&mut buffer, self.version) {
                    Ok(messages) if messages.is_empty() => self.more(&mut io, &mut buffer).await?,
                    Ok(messages) => break messages,
                    Err(lost) => {
                        let error = lost.error();
                        let data = Bytes::copy_from_slice(&buffer[..buffer.len().min(64)]);
                        let message = Message::Error(ErrorMessage { code: ErrorCode::Known(error.kind), data });
                        // Both versions can say this one.
                        let _ = self.outbox.push(Class::Reply, self.version, lost.header.xid, &message);
                        self.outbox.close(error.to_string());
                        // The writer ends it.
                        std::future::pending::<()>().await;
                    }
                }
            };
            let batch = Batch::on(credit, messages);
            let told = self.context.events.send(ChannelEvent::Batch(self.conn, batch)).await;
            told.map_err(|_| "the switch is gone".to_owned())?;
        }
    }

    /// Reads something, however long it takes while the other side answers probes.
    async fn more(&self, io: &mut ReadHalf<Stream>, buffer: &mut BytesMut) -> Result<(), String> {
        buffer.reserve(READ / 2);
        let mut asked = false;
        loop {
            let read = io.read_buf(buffer);
            let read = match self.context.settings.probe {
                Some(probe) => timeout(probe, read).await,
                None => Ok(read.await),
            };
            match read {
                Ok(Ok(0)) => return Err("the other side closed the connection".to_owned()),
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => return Err(error.to_string()),
                Err(_) if asked => return Err("the other side does not answer the inactivity probe".to_owned()),
                Err(_) => {
                    asked = true;
                    // Every version has it.
                    let _ = self.outbox.push(Class::Reply, self.version, PROBE, &Message::EchoRequest(Bytes::new()));
                }
            }
        }
    }

    async fn write(&self, mut io: WriteHalf<Stream>) -> Result<Infallible, String> {
        let patience = self.context.settings.probe.map_or(Duration::MAX, |p| p.saturating_mul(2));
        loop {
            match self.outbox.next().await {
                Next::Bytes { mut bytes, room } => {
                    if room {
                        self.context.tell(ChannelEvent::Room(self.conn)).await;
                    }
                    while !bytes.is_empty() {
                        let written = match timeout(patience, io.write(&bytes)).await {
                            Ok(written) => written.map_err(|e| e.to_string())?,
                            Err(_) => return Err("the other side does not read".to_owned()),
                        };
                        if written == 0 {
                            return Err("the other side closed the connection".to_owned());
                        }
                        bytes.advance(written);
                    }
                    // TLS may hold back what was written.
                    match timeout(patience, io.flush()).await {
                        Ok(flushed) => flushed.map_err(|e| e.to_string())?,
                        Err(_) => return Err("the other side does not read".to_owned()),
                    }
                }
                Next::Close(why) => {
                    let _ = timeout(Duration::from_secs(1), io.shutdown()).await;
                    return Err(why);
                }
            }
        }
    }
}
