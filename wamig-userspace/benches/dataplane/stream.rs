//! Frames of other flows while a storm of flow-mods goes on. Each is known by its number, and
//! has one form in which it may arrive, so that what is lost and what is wrong is counted exactly.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use etherparse::PacketBuilder;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt};
use nix::sys::time::TimeVal;
use wamig_openflow::{Cookie, Field, FlowMod, Instructions, Match, TableId};

use super::netns::{Row3, must_run};
use super::rules::{NEW_MACS, OLD_MACS, address_new, address_old, rewrite};

/// Flows of the stream.
const FLOWS: u32 = 64;
/// The first of their addresses: behind those of every storm.
const FIRST: u32 = 1 << 18;
/// Between two frames.
const PERIOD: Duration = Duration::from_micros(250);
/// How long after the last one a frame may still come.
const LATE: Duration = Duration::from_secs(1);
/// How long the switch may take until the stream goes through.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where the number is: behind Ethernet, IPv4 and UDP.
const NUMBER: std::ops::Range<usize> = 42..50;
/// Cookie of the stream's flows; those of the storm have 0.
const COOKIE: Cookie = Cookie(1);

/// What became of the frames.
#[derive(Clone, Copy, Default)]
pub struct Counted {
    /// Sent.
    pub sent: u64,
    /// Sent, and never seen in the right form.
    pub lost: u64,
    /// Seen in any other form, or twice.
    pub wrong: u64,
}

/// The flows that the stream goes through: of the mask and priority of the storm's.
pub fn flows() -> Vec<FlowMod> {
    let flow = |i| {
        let matching = Match::any().ipv4().ip(Field::Ipv4Dst, address_old(FIRST + i));
        FlowMod::add(TableId(0), 50100, matching, Instructions::apply(rewrite(address_new(i))), COOKIE)
    };
    (0..FLOWS).map(flow).collect()
}

fn frame(number: u64, arrived: bool) -> Vec<u8> {
    let flow = (number % u64::from(FLOWS)) as u32;
    let (destination, source, to) = if arrived {
        (&NEW_MACS[..6], &NEW_MACS[6..], address_new(flow))
    } else {
        (&OLD_MACS.1[..], &OLD_MACS.0[..], address_old(FIRST + flow))
    };
    let mut payload = [0; 22];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(source.try_into().unwrap(), destination.try_into().unwrap())
        .ipv4([203, 0, 113, 10], to.octets(), 64)
        .udp(40000, 53)
        .write(&mut frame, &payload)
        .unwrap();
    frame
}

/// A packet socket at an interface of the thread's namespace; `protocol` 0 receives nothing.
pub fn packets(interface: &str, protocol: u16) -> OwnedFd {
    let fd = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).unwrap();
    setsockopt(&fd, sockopt::RcvBufForce, &(64 << 20)).unwrap();
    setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(0, 50_000)).unwrap();
    // SAFETY: all zeros is a value of the type.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = nix::net::if_::if_nametoindex(interface).unwrap() as i32;
    let size = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address is live and of the size told.
    let bound = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size) };
    assert_eq!(bound, 0, "{interface}: {}", io::Error::last_os_error());
    fd
}

/// What the two ends of the stream tell each other.
#[derive(Default)]
struct Progress {
    right: AtomicU64,
    /// The whole stream went through once.
    flowing: AtomicBool,
    /// Send no more.
    stop: AtomicBool,
    /// No more is sent.
    over: AtomicBool,
}

/// Sends rounds until one arrives as a whole, then on until told to stop; the numbers sent
/// since.
fn send(progress: &Progress) -> std::ops::Range<u64> {
    let socket = packets("wbg0", 0);
    let mut number = 0;
    let mut next = || {
        while nix::unistd::write(&socket, &frame(number, false)).is_err() {
            std::thread::sleep(PERIOD);
        }
        number += 1;
        number
    };
    let mut first = 0;
    while !progress.stop.load(Ordering::Relaxed) && !progress.flowing.load(Ordering::Relaxed) {
        let before = progress.right.load(Ordering::Relaxed);
        for _ in 0..FLOWS {
            first = next();
        }
        std::thread::sleep(Duration::from_millis(300));
        let whole = progress.right.load(Ordering::Relaxed) == before + u64::from(FLOWS);
        progress.flowing.store(whole, Ordering::Relaxed);
    }
    let mut end = first;
    while !progress.stop.load(Ordering::Relaxed) {
        end = next();
        std::thread::sleep(PERIOD);
    }
    progress.over.store(true, Ordering::Relaxed);
    first..end
}

/// Which numbers arrived in the right form, and how many frames in another.
fn receive(socket: &OwnedFd, progress: &Progress) -> (Vec<bool>, u64) {
    let (mut seen, mut wrong, mut last) = (Vec::new(), 0, Instant::now());
    let mut buffer = [0; 2048];
    loop {
        let Ok(n) = nix::unistd::read(socket, &mut buffer) else {
            if !progress.over.load(Ordering::Relaxed) {
                last = Instant::now();
            } else if last.elapsed() > LATE {
                return (seen, wrong);
            }
            continue;
        };
        last = Instant::now();
        let number = buffer[..n].get(NUMBER).map(|b| u64::from_be_bytes(b.try_into().unwrap()));
        let number = number.filter(|number| buffer[..n] == frame(*number, true));
        let Some(at) = number.map(|number| number as usize) else {
            wrong += 1;
            continue;
        };
        if seen.len() <= at {
            seen.resize(at + 1, false);
        }
        if std::mem::replace(&mut seen[at], true) {
            wrong += 1;
        } else {
            progress.right.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Works while the stream goes through a switch that has its [`flows`].
pub fn beside<T>(row: &Row3, work: impl FnOnce() -> Result<T, String>) -> Result<(T, Counted), String> {
    // Redirected frames reach only interfaces that poll.
    row.within(2, || must_run("ethtool", &["-K", "wbs0", "gro", "on"]));
    let socket = row.within(2, || packets("wbs0", libc::ETH_P_ALL as u16));
    let progress = Progress::default();
    std::thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(&socket, &progress));
        let sender = scope.spawn(|| row.within(0, || send(&progress)));
        let since = Instant::now();
        while !progress.flowing.load(Ordering::Relaxed) && since.elapsed() < PATIENCE {
            std::thread::sleep(PERIOD);
        }
        let flowing = progress.flowing.load(Ordering::Relaxed);
        let done = if flowing { work() } else { Err("the stream does not go through".to_owned()) };
        progress.stop.store(true, Ordering::Relaxed);
        let numbers = sender.join().unwrap();
        let (seen, wrong) = receiver.join().unwrap();
        let right = numbers.clone().filter(|number| seen.get(*number as usize) == Some(&true)).count() as u64;
        let sent = numbers.end - numbers.start;
        Ok((done?, Counted { sent, lost: sent - right, wrong }))
    })
}
