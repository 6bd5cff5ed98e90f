//! OpenFlow 1.3 to the bridge, in wamig's own wire form.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use wamig_openflow::message::ErrorCode;
use wamig_openflow::{Hello, Message, Version, Xid, decode, encode, header};

/// A connection.
pub struct Control {
    socket: UnixStream,
    buffer: BytesMut,
}

impl Control {
    /// Connects to the bridge's management socket and agrees on OpenFlow 1.3.
    pub fn connect(path: &Path) -> Self {
        let socket = UnixStream::connect(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let mut control = Self { socket, buffer: BytesMut::new() };
        let mut hello = BytesMut::new();
        encode(Version::V13, Xid(0), &Message::Hello(Hello { version: 4, versions: None }), &mut hello).unwrap();
        control.socket.write_all(&hello).unwrap();
        let (_, Message::Hello(_)) = control.next() else { panic!("no hello") };
        // Set-config with the extension that shows the ports of a packet's first fragment to flows, as
        // wamig does (ovs-ofctl(8), "nx-match").
        control.socket.write_all(&[4, 9, 0, 12, 0, 0, 0, 0, 0, 3, 0xff, 0xff]).unwrap();
        control
    }

    fn next(&mut self) -> (u32, Message) {
        loop {
            if let Some(frame) = header::decode(&mut self.buffer).unwrap() {
                let message = decode(&frame).unwrap_or_else(|e| panic!("{e}"));
                return (frame.header.xid.0, message);
            }
            let mut part = [0; 8192];
            let n = self.socket.read(&mut part).expect("the bridge answers");
            assert_ne!(n, 0, "the bridge closed the connection");
            self.buffer.extend_from_slice(&part[..n]);
        }
    }

    /// Sends messages and a barrier; which were refused, by place, and why.
    pub fn send(&mut self, messages: &[Message]) -> Vec<(usize, String)> {
        let mut out = BytesMut::new();
        let barrier = messages.len();
        for (i, message) in messages.iter().chain([&Message::BarrierRequest]).enumerate() {
            encode(Version::V13, Xid(i as u32), message, &mut out).unwrap_or_else(|e| panic!("{message:?}: {e}"));
        }
        self.socket.write_all(&out).expect("the bridge reads");
        let mut refused = Vec::new();
        loop {
            match self.next() {
                (xid, Message::BarrierReply) if xid == barrier as u32 => return refused,
                (xid, Message::Error(error)) => {
                    let why = match error.code {
                        ErrorCode::Known(kind) => format!("{kind:?}"),
                        other => format!("{other:?}"),
                    };
                    refused.push((xid as usize, why));
                }
                (xid, Message::EchoRequest(data)) => {
                    let mut reply = BytesMut::new();
                    encode(Version::V13, Xid(xid), &Message::EchoReply(data), &mut reply).unwrap();
                    self.socket.write_all(&reply).expect("the bridge reads");
                }
                _ => {}
            }
        }
    }
}
