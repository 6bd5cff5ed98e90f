//! A man in the middle, between Open vSwitch and wamig: he reads every OpenFlow message of
//! either side and lets it pass, or does what the test's law says.

#![allow(dead_code, reason = "every test uses a part of it")]

pub mod hardware;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use xtask::lab::Lab;
use xtask::lab::topology::Site;

/// What becomes of a message.
pub enum Fate {
    /// It goes on.
    Passes,
    /// It goes on as this.
    Becomes(Vec<u8>),
    /// It goes on after so long, and what follows it with it.
    Waits(Duration),
    /// It is lost.
    Lost,
    /// It is lost, and its sender hears this.
    Answered(Vec<u8>),
    /// Both connections end at once.
    Cut,
}

/// The side that says something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum From {
    Switch,
    Controller,
}

/// What becomes of every message.
pub type Law = Box<dyn FnMut(From, &[u8]) -> Fate + Send>;

/// The man in the middle of one site.
pub struct Middle {
    law: Arc<Mutex<Law>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Middle {
    /// Stands where the switch of `site` connects to; its daemon has to be one of
    /// `Settings::in_the_middle`.
    pub fn start(lab: &Lab, site: Site, law: impl FnMut(From, &[u8]) -> Fate + Send + 'static) -> Result<Self> {
        let gateway = lab.gateway(site);
        let (here, daemon) = (gateway.switch_socket(), gateway.daemon_socket());
        let listener = UnixListener::bind(&here).with_context(|| format!("cannot listen at {}", here.display()))?;
        listener.set_nonblocking(true)?;
        let law: Arc<Mutex<Law>> = Arc::new(Mutex::new(Box::new(law)));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (law, stop) = (law.clone(), stop.clone());
            move || accept(&listener, &daemon, &law, &stop)
        });
        Ok(Self { law, stop, thread: Some(thread) })
    }

    /// From now on this is the law.
    pub fn obey(&self, law: impl FnMut(From, &[u8]) -> Fate + Send + 'static) {
        *self.law.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(law);
    }
}

impl Drop for Middle {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &UnixListener, daemon: &PathBuf, law: &Arc<Mutex<Law>>, stop: &Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let Ok((switch, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        // Nobody there yet: the switch finds its connection closed and tries again.
        let Ok(controller) = UnixStream::connect(daemon) else { continue };
        if switch.set_nonblocking(false).is_err() {
            continue;
        }
        for (from, side) in [(From::Switch, [&switch, &controller]), (From::Controller, [&controller, &switch])] {
            let Ok(ends) = side.map(UnixStream::try_clone).into_iter().collect::<std::io::Result<Vec<_>>>() else {
                continue;
            };
            let (law, stop) = (law.clone(), stop.clone());
            std::thread::spawn(move || {
                // However it ends, it ends for both.
                let _ = carry(from, &ends[0], &ends[1], &law, &stop);
                for end in &ends {
                    let _ = end.shutdown(Shutdown::Both);
                }
            });
        }
    }
}

/// Carries one side's messages until it ends.
fn carry(
    from: From,
    mut here: &UnixStream,
    mut there: &UnixStream,
    law: &Mutex<Law>,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    here.set_read_timeout(Some(Duration::from_millis(100)))?;
    let (mut held, mut bytes) = (Vec::new(), [0; 16_384]);
    while !stop.load(Ordering::Relaxed) {
        match here.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(n) => held.extend_from_slice(&bytes[..n]),
            Err(e) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&e.kind()) => continue,
            Err(e) => return Err(e),
        }
        while held.len() >= 8 {
            let length = usize::from(u16::from_be_bytes([held[2], held[3]])).max(8);
            if held.len() < length {
                break;
            }
            let message: Vec<u8> = held.drain(..length).collect();
            let fate = law.lock().unwrap_or_else(PoisonError::into_inner)(from, &message);
            match fate {
                Fate::Passes => there.write_all(&message)?,
                Fate::Becomes(other) => there.write_all(&other)?,
                Fate::Waits(by) => {
                    std::thread::sleep(by);
                    there.write_all(&message)?;
                }
                Fate::Lost => {}
                Fate::Answered(answer) => here.write_all(&answer)?,
                Fate::Cut => return Ok(()),
            }
        }
    }
    Ok(())
}

/// The law of a wire.
pub fn wire(_: From, _: &[u8]) -> Fate {
    Fate::Passes
}

/// `OFPT_BARRIER_REPLY`.
pub fn is_barrier_reply(message: &[u8]) -> bool {
    message[1] == 21
}

/// The flow-mod in a message of OpenFlow 1.3, also in one that adds it to a bundle (EXT-230).
pub fn flow_mod(message: &[u8]) -> Option<&[u8]> {
    match message[1] {
        14 => Some(message),
        4 if message.get(8..16) == Some(&[0x4f, 0x4e, 0x46, 0x00, 0, 0, 0x08, 0xfd]) => {
            message.get(24..).filter(|m| m.len() >= 56 && m[1] == 14)
        }
        _ => None,
    }
}

/// Whether it adds a flow for a server that moves: the roles of migration cookies that are not
/// of the watch, and not of what is tried when a switch connects.
pub fn adds_for_a_move(message: &[u8]) -> bool {
    let moves = |m: &[u8]| m[8..10] == [0x57, 0x4d] && (1..=3).contains(&(m[10] >> 4)) && m[25] == 0;
    flow_mod(message).is_some_and(moves)
}

/// An `OFPT_ERROR` in answer to a message.
pub fn error(message: &[u8], kind: u16, code: u16) -> Vec<u8> {
    let data = &message[..message.len().min(64)];
    let length = (12 + data.len()) as u16;
    let mut answer = vec![message[0], 1];
    answer.extend(length.to_be_bytes());
    answer.extend(&message[4..8]);
    answer.extend([kind.to_be_bytes(), code.to_be_bytes()].concat());
    answer.extend(data);
    answer
}

/// `OFPFMFC_TABLE_FULL`.
pub fn table_full(message: &[u8]) -> Vec<u8> {
    error(message, 5, 1)
}
