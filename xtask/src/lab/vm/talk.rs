//! The client's one TCP connection to the guest's echo service: a numbered line every few milliseconds, each of
//! which has to come back, in order, over the same connection, wherever the guest is.

use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::lab::capture::now_us;
use crate::lab::netns;
use crate::lab::topology::SERVER;

/// Where the guest returns what it is sent (the echo service's port).
pub const PORT: u16 = 7;
/// Between two attempts to connect.
const BETWEEN: Duration = Duration::from_millis(100);

/// What became of the lines so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Record {
    /// When each line was sent, in microseconds of the Unix epoch; its number is its place.
    pub sent_us: Vec<u64>,
    /// When each came back. All before the last one have, or the order was broken.
    pub back_us: Vec<u64>,
    /// Why the connection is over, if it is.
    pub ended: Option<String>,
}

impl Record {
    /// The longest time in a window without a line that came back, in microseconds, and when it began.
    pub fn longest_gap(&self, from_us: u64, until_us: u64) -> (u64, u64) {
        let inside = self.back_us.iter().copied().filter(|at| (from_us..until_us).contains(at));
        let points: Vec<u64> = std::iter::once(from_us).chain(inside).chain([until_us]).collect();
        points.windows(2).map(|two| (two[1] - two[0], two[0])).max().unwrap_or((0, from_us))
    }
}

/// A conversation that goes on until it is dropped.
pub struct Talk {
    record: Arc<Mutex<Record>>,
    stop: Arc<AtomicBool>,
    stream: TcpStream,
    threads: Vec<JoinHandle<()>>,
}

impl Talk {
    /// Opens the connection from `namespace` and begins to talk.
    ///
    /// # Errors
    /// Nobody answers within 10 s, or the guest refuses for so long: its service starts after its interface.
    pub fn start(namespace: &str, beat: Duration) -> Result<Self> {
        let to = SocketAddr::from((SERVER, PORT));
        let stream = netns::enter(namespace, || connect(to, Instant::now() + Duration::from_secs(10)))
            .with_context(|| format!("the client cannot connect to {to}"))?;
        stream.set_nodelay(true)?;
        let record = Arc::new(Mutex::new(Record::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let writer = std::thread::Builder::new().name("talk".into()).spawn({
            let (mut stream, record, stop) = (stream.try_clone()?, record.clone(), stop.clone());
            move || {
                let mut number = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    lock(&record).sent_us.push(now_us());
                    if let Err(error) = stream.write_all(format!("{number}\n").as_bytes()) {
                        end(&record, &stop, format!("sending failed: {error}"));
                        return;
                    }
                    number += 1;
                    std::thread::sleep(beat);
                }
            }
        })?;
        let reader = std::thread::Builder::new().name("listen".into()).spawn({
            let (stream, record, stop) = (stream.try_clone()?, record.clone(), stop.clone());
            move || {
                for (expected, line) in BufReader::new(stream).lines().enumerate() {
                    match line {
                        Ok(line) if line == expected.to_string() => lock(&record).back_us.push(now_us()),
                        Ok(line) => return end(&record, &stop, format!("line {expected} came back as {line:?}")),
                        Err(error) => return end(&record, &stop, format!("receiving failed: {error}")),
                    }
                }
                end(&record, &stop, "the guest closed it".to_owned());
            }
        })?;
        Ok(Self { record, stop, stream, threads: vec![writer, reader] })
    }

    /// What became of it so far.
    pub fn record(&self) -> Record {
        lock(&self.record).clone()
    }

    /// When the first line that was sent at or after `from_us` came back.
    pub fn first_back(&self, from_us: u64) -> Option<u64> {
        let record = lock(&self.record);
        let number = record.sent_us.iter().position(|at| *at >= from_us)?;
        record.back_us.get(number).copied()
    }
}

fn connect(to: SocketAddr, until: Instant) -> Result<TcpStream> {
    loop {
        match TcpStream::connect_timeout(&to, until.saturating_duration_since(Instant::now()).max(BETWEEN)) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused && Instant::now() < until => {
                std::thread::sleep(BETWEEN);
            }
            done => return Ok(done?),
        }
    }
}

fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

fn end(record: &Mutex<Record>, stop: &AtomicBool, why: String) {
    // An end that was asked for is none.
    if !stop.swap(true, Ordering::Relaxed) {
        lock(record).ended = Some(why);
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the reader; a connection that is over already needs no waking.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_reaches_to_the_ends_of_the_window() {
        let record = Record { back_us: vec![5, 110, 120, 190], ..Record::default() };
        assert_eq!(record.longest_gap(100, 200), (70, 120));
        assert_eq!(record.longest_gap(10, 200), (100, 10));
        assert_eq!(record.longest_gap(190, 400), (210, 190));
    }
}
