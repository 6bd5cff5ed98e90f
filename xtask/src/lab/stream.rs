//! A steady stream of questions from the client to the server, one at a fixed beat whatever
//! happens, each with its own id: what is lost and for how long is the client's own measure
//! of a migration.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::capture::now_us;
use super::dns::{self, Data, Kind};
use super::family::any_beside;
use super::netns;

/// One question of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// Its id on the wire, unique in the stream.
    pub id: u16,
    /// When it was sent, in microseconds of the Unix epoch.
    pub sent_us: u64,
    /// When its answer came.
    pub answered_us: Option<u64>,
    /// The marker in the answer: which copy of the server gave it.
    pub marker: Option<String>,
}

/// A summary of the questions sent in a window of time.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Questions sent.
    pub sent: usize,
    /// Questions answered.
    pub answered: usize,
    /// Longest time between two answers that follow each other, in microseconds.
    pub longest_gap_us: u64,
}

impl Tally {
    /// Questions that were never answered.
    pub fn lost(&self) -> usize {
        self.sent - self.answered
    }
}

/// The running stream; dropping it ends it.
pub struct Stream {
    port: u16,
    queries: Arc<Mutex<Vec<Query>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Stream {
    /// Starts to ask `server` for the TXT record `name`, every `beat`, from `namespace`.
    ///
    /// # Errors
    /// There is no such namespace, or no thread.
    pub fn start(namespace: &str, server: impl Into<IpAddr>, name: &str, beat: Duration) -> Result<Self> {
        let server = SocketAddr::new(server.into(), 53);
        let socket = netns::enter(namespace, || Ok(UdpSocket::bind(any_beside(server.ip()))?))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let port = socket.local_addr()?.port();
        let socket = Arc::new(socket);
        let queries = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let sender = std::thread::Builder::new().name("questions".into()).spawn({
            let (socket, queries, stop, name) = (socket.clone(), queries.clone(), stop.clone(), name.to_owned());
            move || send(&socket, server, &name, beat, &queries, &stop)
        })?;
        let receiver = std::thread::Builder::new().name("answers".into()).spawn({
            let (queries, stop) = (queries.clone(), stop.clone());
            move || receive(&socket, server, &queries, &stop)
        })?;
        Ok(Self { port, queries, stop, threads: vec![sender, receiver] })
    }

    /// The client's UDP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All questions so far, in the order they were sent.
    pub fn queries(&self) -> Vec<Query> {
        self.queries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first answer with this marker to a question sent at `from_us` or later.
    pub fn first_answer(&self, from_us: u64, marker: &str) -> Option<Query> {
        self.queries()
            .into_iter()
            .filter(|query| query.sent_us >= from_us && query.marker.as_deref() == Some(marker))
            .min_by_key(|query| query.answered_us)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Counts the questions sent in `[from_us, until_us)`.
pub fn tally(queries: &[Query], from_us: u64, until_us: u64) -> Tally {
    let inside = queries.iter().filter(|query| (from_us..until_us).contains(&query.sent_us));
    let mut answers: Vec<u64> = inside.clone().filter_map(|query| query.answered_us).collect();
    answers.sort_unstable();
    Tally {
        sent: inside.count(),
        answered: answers.len(),
        longest_gap_us: answers.windows(2).map(|two| two[1] - two[0]).max().unwrap_or(0),
    }
}

fn send(
    socket: &UdpSocket,
    server: SocketAddr,
    name: &str,
    beat: Duration,
    queries: &Mutex<Vec<Query>>,
    stop: &AtomicBool,
) {
    let mut next = Instant::now();
    for id in 1..=u16::MAX {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let message = dns::question(id, name, Kind::Txt);
        let query = Query { id, sent_us: now_us(), answered_us: None, marker: None };
        queries.lock().unwrap_or_else(PoisonError::into_inner).push(query);
        // What the kernel refuses to send is a question without an answer.
        let _ = socket.send_to(&message, server);
        next += beat;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn receive(socket: &UdpSocket, server: SocketAddr, queries: &Mutex<Vec<Query>>, stop: &AtomicBool) {
    let mut buffer = [0; 1500];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let at = now_us();
        let message = &buffer[..length];
        let Some((id, true)) = dns::header(message) else { continue };
        let mut queries = queries.lock().unwrap_or_else(PoisonError::into_inner);
        // Ids begin at 1 and are given in order.
        let Some(query) = usize::from(id).checked_sub(1).and_then(|index| queries.get_mut(index)) else { continue };
        // Only what comes from the server's own address is an answer.
        if from == server && query.answered_us.is_none() {
            query.answered_us = Some(at);
            query.marker = match dns::answer(message) {
                Some(Data::Text(text)) => Some(text),
                _ => None,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_counts_its_window_only() {
        let query = |id, sent_us, answered_us| Query { id, sent_us, answered_us, marker: None };
        let all = [query(1, 10, Some(30)), query(2, 20, None), query(3, 30, Some(90)), query(4, 99, Some(100))];
        let expected = Tally { sent: 3, answered: 2, longest_gap_us: 60 };
        assert_eq!(tally(&all, 10, 99), expected);
        assert_eq!(expected.lost(), 1);
    }
}
