//! Waiting for readers: a thread that asks the kernel to wait until every program that is
//! running now has ended, so that the writer need not wait itself.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use wamig_common::limits::PORT_SLOTS;

use super::port_set::GRACE_SET;
use super::syscall::{create_devmap, set_inner};

/// The waiting thread.
pub struct Grace {
    outer: OwnedFd,
    inner: OwnedFd,
    ask: Option<Sender<()>>,
    over: Receiver<io::Result<()>>,
    running: bool,
    thread: Option<JoinHandle<()>>,
}

impl Grace {
    /// `outer` is the map of maps of port sets: the kernel waits for its readers when an entry
    /// of it changes (`synchronize_rcu`, measured at about 15 ms).
    pub fn new(outer: OwnedFd) -> io::Result<Self> {
        let inner = create_devmap(PORT_SLOTS)?;
        let (theirs, place) = (outer.try_clone()?, inner.try_clone()?);
        let (ask, asked) = channel::<()>();
        let (done, over) = channel();
        let thread = std::thread::Builder::new().name("wamig-grace".into()).spawn(move || {
            while asked.recv().is_ok() {
                if done.send(set_inner(theirs.as_fd(), GRACE_SET, place.as_fd())).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { outer, inner, ask: Some(ask), over, running: false, thread: Some(thread) })
    }

    /// Waits here and now for every program that is running, whatever the thread waits for.
    pub fn wait(&self) -> io::Result<()> {
        set_inner(self.outer.as_fd(), GRACE_SET, self.inner.as_fd())
    }

    /// Starts to wait for every program that is running now.
    pub fn begin(&mut self) {
        self.running = self.ask.as_ref().is_some_and(|ask| ask.send(()).is_ok());
    }

    /// Whether they have ended; with `wait`, returns when they have.
    pub fn is_over(&mut self, wait: bool) -> bool {
        if !self.running {
            return true;
        }
        let result = if wait { self.over.recv().ok() } else { self.over.try_recv().ok() };
        match result {
            Some(Ok(())) => {
                self.running = false;
                true
            }
            Some(Err(e)) => {
                // Not known to be over: ask again. A caller that waits must not loop for ever
                // on an error that stays, and a second is longer than any program runs.
                tracing::warn!("the kernel refused to wait for readers: {e}");
                if wait {
                    std::thread::sleep(std::time::Duration::from_secs(1));
                    self.running = false;
                    return true;
                }
                self.begin();
                false
            }
            None if wait => true,
            None => false,
        }
    }
}

impl Drop for Grace {
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            // It ends with its channel; a panic in it has nothing to tell us here.
            let _ = thread.join();
        }
    }
}
