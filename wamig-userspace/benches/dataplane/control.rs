//! Group `control`: flow-mods per second over OpenFlow. One client, which has encoded all
//! messages before, sends them to wamig and to Open vSwitch alike, then waits for the answer
//! to a barrier or to the commit of a bundle. The last storms pass beside a stream of frames
//! of other flows ([`stream`]).

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use wamig_openflow::message::{BundleAdd, BundleControl, BundleControlType, BundleFlags};
use wamig_openflow::{Cookie, FlowMod, Hello, Message, TableId, Version, Xid, decode, encode, header};

use super::Options;
use super::data_path::Bpffs;
use super::netns::Row3;
use super::rivals::Ovs;
use super::row::Row;
use super::rules::exact;
use super::stream;

const GROUP: &str = "control";
/// Transaction of the message whose answer ends a measurement.
const LAST: u32 = 0xffff_0000;
/// How long a switch may take to answer.
const PATIENCE: Duration = Duration::from_mins(2);

/// How flow-mods are sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Single,
    Bundle,
}

fn encoded(xid: u32, message: &Message, out: &mut BytesMut) {
    encode(Version::V13, Xid(xid), message, out).unwrap_or_else(|e| panic!("{e}"));
}

/// All of it as it goes over the wire, and how it ends.
fn storm(mods: &[FlowMod], how: How) -> Bytes {
    let mut out = BytesMut::new();
    let flags = BundleFlags { atomic: true, ordered: true };
    let control = |ty| Message::BundleControl(BundleControl { bundle: 1, ty, flags });
    if how == How::Bundle {
        encoded(1, &control(BundleControlType::OpenRequest), &mut out);
    }
    for (i, flow) in mods.iter().enumerate() {
        let (xid, message) = (i as u32 + 2, Message::FlowMod(flow.clone()));
        if how == How::Single {
            encoded(xid, &message, &mut out);
        } else {
            let mut inner = BytesMut::new();
            encoded(xid, &message, &mut inner);
            encoded(xid, &Message::BundleAdd(BundleAdd { bundle: 1, flags, message: inner.freeze() }), &mut out);
        }
    }
    let last = if how == How::Single { Message::BarrierRequest } else { control(BundleControlType::CommitRequest) };
    encoded(LAST, &last, &mut out);
    out.freeze()
}

/// A connection to a switch.
struct Client {
    stream: UnixStream,
    buffer: BytesMut,
}

impl Client {
    /// Connects and agrees on OpenFlow 1.3; waits for a switch that is starting.
    fn connect(socket: &Path) -> Result<Self, String> {
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
    fn until(&mut self, wanted: impl Fn(u32, &Message) -> bool) -> Result<(), String> {
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
    fn send(&mut self, messages: &Bytes) -> Result<Duration, String> {
        let mut writer = self.stream.try_clone().map_err(|e| e.to_string())?;
        let began = Instant::now();
        std::thread::scope(|scope| {
            let sender = scope.spawn(move || writer.write_all(messages));
            let answered = self.until(|xid, _| xid == LAST);
            if answered.is_err() {
                // The sender may be waiting for a switch that reads no more.
                let _ = self.stream.shutdown(std::net::Shutdown::Both);
            }
            let sent = sender.join().map_err(|_| "the sender panicked".to_owned())?;
            answered.and(sent.map_err(|e| e.to_string()))
        })?;
        Ok(began.elapsed())
    }

    /// Deletes the flows of a storm, which have no cookie. In table 0 only: Open vSwitch keeps
    /// flows of its own without a cookie in its last table, and refuses to delete those.
    fn clear(&mut self) -> Result<(), String> {
        let delete = FlowMod { table: TableId(0), ..FlowMod::delete_by_cookie(Cookie(0), u64::MAX) };
        self.send(&storm(&[delete], How::Single)).map(drop)
    }

    /// Flow-mods per second of a storm, which leaves nothing behind.
    fn rate(&mut self, n: u32, messages: &Bytes) -> Result<f64, String> {
        self.clear()?;
        let took = self.send(messages)?;
        self.clear()?;
        Ok(f64::from(n) / took.as_secs_f64())
    }
}

/// The daemon on the two ports of the row.
struct Daemon {
    child: Child,
    dir: tempfile::TempDir,
    _bpffs: Bpffs,
}

impl Daemon {
    fn start(row: &Row3) -> Result<Self, String> {
        let io = |e: std::io::Error| e.to_string();
        let dir = tempfile::Builder::new().prefix("wamig-bench-").tempdir().map_err(io)?;
        let bpffs = Bpffs::new();
        let text = format!(
            "site = \"bench\"\nstate_dir = \"state\"\ncontrol_socket = \"ctl.sock\"\n\
             [switch]\nports = [\"in\", \"out\"]\npin_path = \"{}\"\ncontrol = \"openflow\"\n\
             [openflow]\nlisten = [\"punix:{}\"]\n",
            bpffs.path().display(),
            dir.path().join("of.sock").display()
        );
        let config = dir.path().join("bench.toml");
        std::fs::write(&config, text).map_err(io)?;
        let log = std::fs::File::create(dir.path().join("log")).map_err(io)?;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", row.dut(), env!("CARGO_BIN_EXE_wamig"), "run", "--config"]).arg(&config);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().map_err(io)?;
        Ok(Self { child, dir, _bpffs: bpffs })
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("of.sock")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already; then waiting tells that at once.
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// A switch, the row that it stands in, and where it listens.
struct Contender<'a> {
    name: &'static str,
    row: &'a Row3,
    socket: Result<PathBuf, String>,
}

impl Contender<'_> {
    fn client(&self) -> Result<Client, String> {
        self.socket.clone().and_then(|socket| Client::connect(&socket))
    }

    fn sample(&self, n: u32, messages: &Bytes) -> Result<f64, String> {
        self.client()?.rate(n, messages)
    }

    /// The same, beside the stream.
    fn sample_beside(&self, n: u32, messages: &Bytes) -> Result<(f64, stream::Counted), String> {
        let mut client = self.client()?;
        client.send(&storm(&stream::flows(), How::Single))?;
        stream::beside(self.row, || client.rate(n, messages))
    }
}

/// Measures storms of `n` flow-mods in turn, and prints the rows.
fn storms(contenders: &[Contender<'_>; 2], n: u32, rounds: usize, beside: bool) {
    let mods = exact(n, 1);
    for (how, name) in [(How::Single, "one by one"), (How::Bundle, "in a bundle")] {
        let messages = storm(&mods, how);
        let what = format!("{n} flow-mods {name}{}", if beside { ", beside a stream" } else { "" });
        let mut rows = contenders.each_ref().map(|c| Row::new(GROUP, format!("{}, {what}", c.name), "flow-mods/s"));
        let mut counted = [stream::Counted::default(); 2];
        for round in 0..rounds {
            for ((contender, row), counted) in contenders.iter().zip(&mut rows).zip(&mut counted) {
                if row.missing.is_some() {
                    continue;
                }
                let sample = if beside {
                    contender.sample_beside(n, &messages).map(|(rate, one)| {
                        counted.sent += one.sent;
                        counted.lost += one.lost;
                        counted.wrong += one.wrong;
                        rate
                    })
                } else {
                    contender.sample(n, &messages)
                };
                match sample {
                    Ok(rate) => row.samples.push(rate),
                    Err(why) => row.missing = Some(why),
                }
            }
            eprint!("\rcontrol, {what}: round {} of {rounds}        ", round + 1);
        }
        for (mut row, counted) in rows.into_iter().zip(counted) {
            if beside && row.missing.is_none() {
                let notes = [("frames", counted.sent), ("lost", counted.lost), ("wrong", counted.wrong)];
                row.notes.extend(notes.map(|(name, n)| (name.to_owned(), n as f64)));
            }
            row.print();
        }
    }
}

/// Measures, and prints the rows.
pub fn measure(options: &Options) {
    let (sizes, rounds): (&[u32], usize) = if options.quick { (&[10_000], 3) } else { (&[10_000, 100_000], 3) };
    let row = Row3::new();
    let daemon = Daemon::start(&row);
    // Its own ports: the daemon keeps those of the first row.
    let other = Row3::numbered(1);
    let ovs = Ovs::start(&other, "", 1);
    let contenders = [
        Contender { name: "wamig", row: &row, socket: daemon.as_ref().map(Daemon::socket).map_err(Clone::clone) },
        Contender { name: "OVS netdev", row: &other, socket: ovs.as_ref().map(Ovs::socket).map_err(Clone::clone) },
    ];
    for n in sizes {
        storms(&contenders, *n, rounds, false);
    }
    storms(&contenders, sizes[sizes.len() - 1], rounds, true);
    eprintln!();
}
