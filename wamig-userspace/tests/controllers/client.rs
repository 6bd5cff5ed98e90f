//! A scripted controller: it says what the test says, and hears what comes.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wamig_openflow::message::ErrorCode;
use wamig_openflow::{ErrorKind, Hello, Message, Version, Xid, decode, encode, header};

/// One connection.
pub struct Client {
    tcp: TcpStream,
    buffer: BytesMut,
    version: Version,
}

impl Client {
    /// Connects and says nothing.
    pub async fn silent(port: u16, version: Version) -> Self {
        let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        Self { tcp, buffer: BytesMut::new(), version }
    }

    /// Connects and agrees on a version.
    pub async fn connect(port: u16, version: Version) -> Self {
        let mut client = Self::silent(port, version).await;
        client.send(1, &Message::Hello(Hello { version: version.number(), versions: None })).await;
        let Some((_, Message::Hello(hello))) = client.next().await else { panic!("no hello") };
        assert_eq!(hello, Hello::ours());
        client
    }

    /// This end of the connection.
    pub fn local(&self) -> SocketAddr {
        self.tcp.local_addr().unwrap()
    }

    /// Sends bytes as they are.
    pub async fn raw(&mut self, bytes: &[u8]) {
        self.try_raw(bytes).await.unwrap();
    }

    /// The same, unless the connection is over.
    pub async fn try_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.tcp.write_all(bytes).await
    }

    pub async fn send(&mut self, xid: u32, message: &Message) {
        let bytes = self.encoded(xid, message);
        self.raw(&bytes).await;
    }

    pub fn encoded(&self, xid: u32, message: &Message) -> Bytes {
        let mut out = BytesMut::new();
        encode(self.version, Xid(xid), message, &mut out).unwrap();
        out.freeze()
    }

    /// The next message; `None` when the switch has closed the connection.
    pub async fn next(&mut self) -> Option<(u32, Message)> {
        loop {
            if let Some(frame) = header::decode(&mut self.buffer).unwrap() {
                return Some((frame.header.xid.0, decode(&frame).unwrap()));
            }
            let read = timeout(Duration::from_secs(20), self.tcp.read_buf(&mut self.buffer)).await;
            if !matches!(read.expect("the switch says something"), Ok(1..)) {
                return None;
            }
        }
    }

    /// Asks, and returns what is answered under the same transaction.
    pub async fn ask(&mut self, xid: u32, message: &Message) -> Message {
        self.send(xid, message).await;
        let (got, answer) = self.next().await.expect("an answer");
        assert_eq!(got, xid, "{answer:?}");
        answer
    }

    /// Asks, and returns the error that is answered.
    pub async fn refused(&mut self, xid: u32, message: &Message) -> ErrorKind {
        let answer = self.ask(xid, message).await;
        let Message::Error(error) = answer else { panic!("{message:?} is answered by {answer:?}") };
        let asked = self.encoded(xid, message);
        assert_eq!(error.data, asked.slice(..asked.len().min(64)), "the start of the request");
        let ErrorCode::Known(kind) = error.code else { panic!("{:?}", error.code) };
        kind
    }

    /// Everything until the answer to a barrier.
    pub async fn barrier(&mut self, xid: u32) -> Vec<(u32, Message)> {
        self.send(xid, &Message::BarrierRequest).await;
        let mut before = Vec::new();
        loop {
            match self.next().await.expect("the switch is there") {
                (got, Message::BarrierReply) if got == xid => return before,
                other => before.push(other),
            }
        }
    }
}
