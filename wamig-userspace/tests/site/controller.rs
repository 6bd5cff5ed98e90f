//! A scripted controller on the site's unix socket.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use wamig_openflow::message::{MultipartReply, MultipartRequest, PortConfig, PortMod, PortStats};
use wamig_openflow::{FlowMod, Hello, Message, PortDesc, PortNo, PortStatus, Version, Xid, decode, encode, header};

/// Long enough for any machine.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// A session.
pub struct Controller {
    stream: UnixStream,
    buffer: BytesMut,
    version: Version,
    last: u32,
    /// Notices that came while something else was waited for.
    notices: Vec<PortStatus>,
}

impl Controller {
    /// Connects as soon as the daemon listens, and agrees on a version.
    pub fn connect(path: &Path, version: Version) -> Self {
        let begun = Instant::now();
        let stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(e) if begun.elapsed() > PATIENCE => panic!("{}: {e}", path.display()),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut controller = Self { stream, buffer: BytesMut::new(), version, last: 0, notices: Vec::new() };
        controller.send(&Message::Hello(Hello { version: version.number(), versions: None }));
        let hello = controller.next();
        assert!(matches!(hello, (_, Message::Hello(_))), "{hello:?}");
        controller
    }

    fn send(&mut self, message: &Message) -> u32 {
        self.last += 1;
        self.say(self.last, message);
        self.last
    }

    fn say(&mut self, xid: u32, message: &Message) {
        let mut out = BytesMut::new();
        encode(self.version, Xid(xid), message, &mut out).unwrap();
        self.stream.write_all(&out).unwrap();
    }

    fn next(&mut self) -> (u32, Message) {
        loop {
            while let Some(frame) = header::decode(&mut self.buffer).unwrap() {
                match (frame.header.xid.0, decode(&frame).unwrap()) {
                    (xid, Message::EchoRequest(data)) => self.say(xid, &Message::EchoReply(data)),
                    said => return said,
                }
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => panic!("the switch has closed the connection"),
                Ok(n) => self.buffer.extend_from_slice(&bytes[..n]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => panic!("nothing comes"),
                Err(e) => panic!("{e}"),
            }
        }
    }

    /// Asks, and returns what is answered under the same transaction.
    pub fn ask(&mut self, message: &Message) -> Message {
        let asked = self.send(message);
        loop {
            match self.next() {
                (xid, answer) if xid == asked => return answer,
                (_, Message::PortStatus(status)) => self.notices.push(status),
                (_, Message::PacketIn(_)) => {}
                other => panic!("{other:?} instead of an answer to {message:?}"),
            }
        }
    }

    /// Changes flows, and waits until they are in force.
    pub fn program(&mut self, mods: &[FlowMod]) {
        for m in mods {
            self.send(&Message::FlowMod(m.clone()));
        }
        assert_eq!(self.ask(&Message::BarrierRequest), Message::BarrierReply);
    }

    /// Sets a port down or up.
    pub fn set_down(&mut self, desc: &PortDesc, down: bool) {
        let mask = PortConfig { down: true, ..PortConfig::default() };
        let config = PortConfig { down, ..PortConfig::default() };
        self.send(&Message::PortMod(PortMod { port: desc.port, mac: desc.mac, config, mask, advertise: 0 }));
    }

    /// The next change of a port.
    pub fn port_status(&mut self) -> PortStatus {
        if !self.notices.is_empty() {
            return self.notices.remove(0);
        }
        loop {
            match self.next() {
                (_, Message::PortStatus(status)) => return status,
                // 1.0 hears of every frame that no flow takes, such as the kernel's own.
                (_, Message::PacketIn(_)) => {}
                other => panic!("{other:?} instead of a port-status"),
            }
        }
    }

    /// The ports as the switch describes them.
    pub fn ports(&mut self) -> Vec<PortDesc> {
        if self.version == Version::V10 {
            let Message::FeaturesReply(features) = self.ask(&Message::FeaturesRequest) else { panic!("no features") };
            return features.ports;
        }
        let body = MultipartRequest::PortDesc;
        match self.ask(&Message::MultipartRequest { more: false, body }) {
            Message::MultipartReply { more: false, body: MultipartReply::PortDesc(ports) } => ports,
            other => panic!("{other:?}"),
        }
    }

    /// The counters of a port.
    pub fn port_stats(&mut self, port: PortNo) -> PortStats {
        let body = MultipartRequest::PortStats(port);
        match self.ask(&Message::MultipartRequest { more: false, body }) {
            Message::MultipartReply { body: MultipartReply::PortStats(stats), .. } => stats[0],
            other => panic!("{other:?}"),
        }
    }
}
