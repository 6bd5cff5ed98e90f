//! Captures every frame on an interface into memory, both directions, with the kernel's
//! timestamps; written out as pcap on request. A frame the socket had no room for is counted:
//! a proof over a capture with losses proves nothing.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg, setsockopt, sockopt};

use super::frame::Frame;
use super::netns;
use super::raw::packet_socket;

/// Octets kept of each frame: whole frames at the lab's MTU, the head of merged ones.
const SNAP: usize = 2048;

/// One captured frame.
#[derive(Clone, Debug)]
pub struct Record {
    /// When, in microseconds of the Unix epoch.
    pub at_us: u64,
    /// Sent by the host the interface belongs to, not received.
    pub sent: bool,
    /// Its length on the interface.
    pub length: usize,
    /// Its first octets.
    pub bytes: Vec<u8>,
}

impl Record {
    /// The frame, if it is one.
    pub fn frame(&self) -> Option<Frame<'_>> {
        Frame::read(&self.bytes)
    }
}

/// A running capture of one interface.
pub struct Capture {
    link: String,
    records: Arc<Mutex<Vec<Record>>>,
    socket: Arc<OwnedFd>,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
    dropped: std::cell::Cell<u32>,
}

impl Capture {
    /// Starts to capture `interface` in `namespace`; `link` names it in files and proofs.
    ///
    /// # Errors
    /// There is no such interface, or no privilege.
    pub fn start(link: &str, namespace: &str, interface: &str) -> Result<Self> {
        let socket = netns::enter(namespace, || open(interface))
            .with_context(|| format!("cannot capture {interface} in {namespace}"))?;
        let socket = Arc::new(socket);
        let records = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let reader = std::thread::Builder::new().name(format!("capture {link}")).spawn({
            let (socket, records, stop) = (socket.clone(), records.clone(), stop.clone());
            move || {
                let mut buffer = vec![0_u8; SNAP];
                while !stop.load(Ordering::Relaxed) {
                    let mut ready = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
                    if poll(&mut ready, PollTimeout::from(100_u8)).is_ok_and(|n| n > 0) {
                        receive(&socket, &mut buffer, &records);
                    }
                }
            }
        })?;
        let dropped = std::cell::Cell::new(0);
        Ok(Self { link: link.to_owned(), records, socket, stop, reader: Some(reader), dropped })
    }

    /// The link's name.
    pub fn link(&self) -> &str {
        &self.link
    }

    /// What was captured so far, in order of arrival.
    pub fn records(&self) -> MutexGuard<'_, Vec<Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Frames the kernel could not keep for us so far.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn dropped(&self) -> Result<u32> {
        // SAFETY: tpacket_stats is plain data for which zeroes are valid.
        let mut stats: libc::tpacket_stats = unsafe { MaybeUninit::zeroed().assume_init() };
        let mut length = size_of_val(&stats) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` octets into `stats`.
        let done = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut stats).cast(),
                &raw mut length,
            )
        };
        if done < 0 {
            return Err(anyhow!(std::io::Error::last_os_error()).context("PACKET_STATISTICS"));
        }
        // Reading it resets the kernel's count.
        self.dropped.set(self.dropped.get() + stats.tp_drops);
        Ok(self.dropped.get())
    }

    /// Writes the capture as a pcap file (little-endian, microseconds, Ethernet).
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_pcap(&self, path: &Path) -> Result<()> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut out = BufWriter::new(file);
        pcap(&mut out, &self.records())?;
        out.flush().with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn open(interface: &str) -> Result<OwnedFd> {
    let socket = packet_socket(interface, libc::ETH_P_ALL as u16)?;
    setsockopt(&socket, sockopt::RcvBufForce, &(16 << 20))?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    Ok(socket)
}

fn receive(socket: &OwnedFd, buffer: &mut [u8], records: &Mutex<Vec<Record>>) {
    let mut control = nix::cmsg_space!(libc::timespec);
    loop {
        let mut slices = [std::io::IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_TRUNC;
        let Ok(message) = recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags) else {
            // Nothing more for now, or the interface went down and will say so by silence.
            return;
        };
        let at_us = message
            .cmsgs()
            .ok()
            .and_then(|mut all| {
                all.find_map(|one| match one {
                    ControlMessageOwned::ScmTimestampns(at) => {
                        Some(at.tv_sec() as u64 * 1_000_000 + at.tv_nsec() as u64 / 1000)
                    }
                    _ => None,
                })
            })
            .unwrap_or_else(now_us);
        let sent = message.address.is_some_and(|address| address.pkttype() == libc::PACKET_OUTGOING);
        let length = message.bytes;
        let bytes = buffer[..length.min(SNAP)].to_vec();
        records.lock().unwrap_or_else(PoisonError::into_inner).push(Record { at_us, sent, length, bytes });
    }
}

/// Now, in microseconds of the Unix epoch.
pub fn now_us() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

fn pcap(out: &mut impl Write, records: &[Record]) -> std::io::Result<()> {
    let header: [u32; 6] = [0xa1b2_c3d4, 4 << 16 | 2, 0, 0, SNAP as u32, 1];
    for word in header {
        out.write_all(&word.to_le_bytes())?;
    }
    for record in records {
        let seconds = (record.at_us / 1_000_000) as u32;
        let micros = (record.at_us % 1_000_000) as u32;
        for word in [seconds, micros, record.bytes.len() as u32, record.length as u32] {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(&record.bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pcap_is_laid_out_as_the_format_says() {
        let record = Record { at_us: 3_000_007, sent: true, length: 60, bytes: vec![9; 4] };
        let mut out = Vec::new();
        pcap(&mut out, &[record]).unwrap();
        assert_eq!(out.len(), 24 + 16 + 4);
        assert_eq!(out[..8], [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0]);
        assert_eq!(out[24..40], [3, 0, 0, 0, 7, 0, 0, 0, 4, 0, 0, 0, 60, 0, 0, 0]);
    }
}
