//! Frames that come up: a thread that drains the ring buffers, ARP first. It passes the XDP
//! programs' rare log lines on as well.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use aya::maps::{Map, MapData, RingBuf};
use bytes::Bytes;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc::{self, error::TrySendError};
use wamig_common::punt::PuntHeader;
use wamig_common::verdict::PuntReason;
use wamig_openflow::PortNo;
use zerocopy::FromBytes as _;

use crate::fastpath::Punt;
use crate::fastpath::owners::Owners;

/// How long the thread may take to notice that it should stop.
const STOP_MS: u16 = 100;

/// The reading thread; dropping it ends it.
pub struct PuntReader {
    stop: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl PuntReader {
    /// Reads the rings, in order of importance. `flush_log` is called at least ten times a
    /// second, to pass on what the programs logged.
    pub fn start(
        rings: [Option<Map>; 2],
        mut flush_log: impl FnMut() + Send + 'static,
        owners: Owners,
        to: mpsc::Sender<Punt>,
    ) -> io::Result<Self> {
        let mut open = Vec::new();
        for ring in rings {
            let ring = ring.ok_or_else(|| io::Error::other("the XDP object lacks a ring for punts"))?;
            open.push(RingBuf::try_from(ring).map_err(io::Error::other)?);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let lost = Arc::new(AtomicU64::new(0));
        let (stopped, losses) = (Arc::clone(&stop), Arc::clone(&lost));
        let thread = std::thread::Builder::new()
            .name("wamig-punt".into())
            .spawn(move || read(&mut open, &mut flush_log, &owners, &to, &stopped, &losses))?;
        Ok(Self { stop, lost, thread: Some(thread) })
    }

    /// Punts thrown away because the switch did not keep up.
    pub fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.lost)
    }
}

impl Drop for PuntReader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in it has nothing to tell us here.
            let _ = thread.join();
        }
    }
}

fn read(
    rings: &mut [RingBuf<MapData>],
    flush_log: &mut impl FnMut(),
    owners: &Owners,
    to: &mpsc::Sender<Punt>,
    stop: &AtomicBool,
    lost: &AtomicU64,
) {
    let raw: Vec<i32> = rings.iter().map(|r| r.as_fd().as_raw_fd()).collect();
    while !stop.load(Ordering::Relaxed) {
        // SAFETY: the rings outlive the loop.
        let fds = raw.iter().map(|fd| unsafe { BorrowedFd::borrow_raw(*fd) });
        let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        if let Err(e) = poll(&mut fds, PollTimeout::from(STOP_MS))
            && e != nix::errno::Errno::EINTR
        {
            tracing::error!("frames can no longer be read from the data path: {e}");
            return;
        }
        flush_log();
        loop {
            // After each frame of a lesser ring, look at the ARP ring again.
            let Some(punt) = rings.iter_mut().find_map(|r| r.next().map(|item| parse(&item, owners))) else { break };
            let Some(punt) = punt else { continue };
            match to.try_send(punt) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
                Err(TrySendError::Closed(_)) => return,
            }
        }
    }
}

fn parse(record: &[u8], owners: &Owners) -> Option<Punt> {
    let (header, rest) = PuntHeader::read_from_prefix(record).ok()?;
    Some(Punt {
        in_port: PortNo(header.in_port),
        reason: PuntReason::from_index(header.reason)?,
        flow: owners.get(header.flow),
        metadata: header.metadata,
        frame_len: header.frame_len,
        frame: Bytes::copy_from_slice(rest.get(..header.held as usize)?),
    })
}
