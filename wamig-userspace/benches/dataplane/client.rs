//! A controller that measures: OpenFlow 1.3 over a Unix socket, with messages encoded beforehand.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use wamig_openflow::{Hello, Message, Version, Xid, decode, encode, header};

/// Transaction of the message whose answer ends a measurement.
pub const LAST: u32 = 0xffff_0000;
/// How long a switch may take to answer.
const PATIENCE: Duration = Duration::from_mins(2);

/// Appends a message.
pub fn encoded(xid: u32, message: &Message, out: &mut BytesMut) {
    encode(Version::V13, Xid(xid), message, out).unwrap_or_else(|e| panic!("{e}"));
}

/// Some messages, and a barrier behind them.
pub fn with_barrier(messages: &[Message]) -> Bytes {
    let mut out = BytesMut::new();
    for (i, message) in messages.iter().enumerate() {
        encoded(i as u32 + 2, message, &mut out);
    }
    encoded(LAST, &Message::BarrierRequest, &mut out);
    out.freeze()
}

/// A connection to a switch.
pub struct Client {
    stream: UnixStream,
    buffer: BytesMut,
}

impl Client {
    /// Connects and agrees on OpenFlow 1.3; waits for a switch that is starting.
    pub fn connect(socket: &Path) -> Result<Self, String> {
        let since = Instant::now();
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(e) if since.elapsed() > Duration::from_secs(20) => {
                    return Err(format!("{}: {e}", socket.display()));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        stream.set_read_timeout(Some(PATIENCE)).map_err(|e| e.to_string())?;
        let mut client = Self { stream, buffer: BytesMut::new() };
        let mut hello = BytesMut::new();
        encoded(0, &Message::Hello(Hello { version: Version::V13.number(), versions: None }), &mut hello);
        client.stream.write_all(&hello).map_err(|e| e.to_string())?;
        client.until(|_, message| matches!(message, Message::Hello(_)))?;
        Ok(client)
    }

    /// Reads until a message is what is waited for; an error that comes before is the result.
    pub fn until(&mut self, mut wanted: impl FnMut(u32, &Message) -> bool) -> Result<(), String> {
        loop {
            while let Some(frame) = header::decode(&mut self.buffer).map_err(|e| format!("{e:?}"))? {
                let xid = frame.header.xid.0;
                let message = decode(&frame).map_err(|e| format!("{e:?}"))?;
                match &message {
                    Message::Error(error) => return Err(format!("refused: {:?}", error.code)),
                    Message::EchoRequest(data) => {
                        let mut reply = BytesMut::new();
                        encoded(xid, &Message::EchoReply(data.clone()), &mut reply);
                        self.stream.write_all(&reply).map_err(|e| e.to_string())?;
                    }
                    _ if wanted(xid, &message) => return Ok(()),
                    _ => {}
                }
            }
            let mut part = [0; 16384];
            let n = self.stream.read(&mut part).map_err(|e| format!("no answer: {e}"))?;
            if n == 0 {
                return Err("the switch closed the connection".to_owned());
            }
            self.buffer.extend_from_slice(&part[..n]);
        }
    }

    /// Sends all of it, and how long it took until the last message was answered.
    pub fn send(&mut self, messages: &Bytes) -> Result<Duration, String> {
        let mut writer = self.stream.try_clone().map_err(|e| e.to_string())?;
        let began = Instant::now();
        std::thread::scope(|scope| {
            let sender = scope.spawn(move || writer.write_all(messages));
            let answered = self.barrier();
            if answered.is_err() {
                // The sender may be waiting for a switch that reads no more.
                let _ = self.stream.shutdown(std::net::Shutdown::Both);
            }
            let sent = sender.join().map_err(|_| "the sender panicked".to_owned())?;
            answered.and(sent.map_err(|e| e.to_string()))
        })?;
        Ok(began.elapsed())
    }

    /// How many messages come that are wanted, until there are `enough` or the time is over.
    pub fn count(&mut self, time: Duration, enough: u64, wanted: impl Fn(&Message) -> bool) -> Result<u64, String> {
        let (began, mut n) = (Instant::now(), 0);
        self.stream.set_read_timeout(Some(Duration::from_millis(50))).map_err(|e| e.to_string())?;
        while n < enough && began.elapsed() < time {
            // Whatever is wrong with the session shows when it is used next; silence is no fault.
            let _ = self.until(|_, message| {
                n += u64::from(wanted(message));
                n >= enough || began.elapsed() > time
            });
        }
        self.stream.set_read_timeout(Some(PATIENCE)).map_err(|e| e.to_string())?;
        Ok(n)
    }

    /// Sends without waiting for an answer.
    pub fn write(&mut self, messages: &Bytes) -> Result<(), String> {
        self.stream.write_all(messages).map_err(|e| e.to_string())
    }

    /// Waits for the answer to the last barrier.
    pub fn barrier(&mut self) -> Result<(), String> {
        self.until(|xid, _| xid == LAST)
    }
}
