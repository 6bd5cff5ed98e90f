//! Programs that fit the tables: a thread loads, for every port, the program that offers what
//! the tables need and no more, and swaps it in on the live link. When a batch needs more than
//! a running program offers, its writer first swaps the general program back in, which stays
//! loaded for that, and waits until nobody runs the smaller one. That takes a moment; what is
//! foreseen to be needed without notice is offered from the start.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aya::Ebpf;

use super::attach::{Attachments, Loader, program_of};
use super::syscall;
use crate::fastpath::FastPort;
use crate::fastpath::needs::Constants;

/// How long needs must stay as they are before programs are fitted to them.
const QUIET: Duration = Duration::from_secs(1);
/// And at most, where they change to and fro.
const MOST_QUIET: Duration = Duration::from_secs(64);
/// A program that fitted for less time than this was not worth its loading.
const WORTH: Duration = Duration::from_secs(30);

/// A program that was cut down, and what it offers.
pub struct Fitted {
    constants: Constants,
    object: Ebpf,
}

/// What fitting knows besides the ports.
pub struct Fit {
    needs: Constants,
    /// What programs offer in any case, because it may be needed at once.
    foreseen: Constants,
    quiet: Duration,
    last: Option<Instant>,
    /// What the kernel refused to load.
    refused: Option<Constants>,
}

impl Fit {
    /// Programs will offer `foreseen`, whatever the tables need.
    pub fn new(foreseen: Constants) -> Self {
        Self { needs: Constants::NOTHING, foreseen, quiet: QUIET, last: None, refused: None }
    }
}

impl Attachments {
    /// Every program that runs from now on offers `needs`. `true`: one that does not may still
    /// be running.
    ///
    /// # Errors
    /// The kernel's, naming the port; programs that offer less may then be attached.
    pub fn will_need(&mut self, needs: &Constants) -> io::Result<bool> {
        self.fit.needs = *needs;
        let mut swapped = false;
        for port in &mut self.ports {
            if port.fitted.as_ref().is_none_or(|fitted| fitted.constants.covers(needs)) {
                continue;
            }
            if let Some(link) = &port.link
                && let Err(e) = syscall::update_link(link.as_fd(), program_of(&port.port, &port.general)?)
                && syscall::link_ifindex(link.as_fd()).is_ok_and(|ifindex| ifindex != 0)
            {
                return Err(io::Error::other(format!("port {} ({}): {e}", port.port.port, port.port.name)));
            }
            port.fitted = None;
            swapped = true;
        }
        if swapped {
            let short = self.fit.last.is_some_and(|last| last.elapsed() < WORTH);
            self.fit.quiet = if short { (self.fit.quiet * 2).min(MOST_QUIET) } else { QUIET };
            self.show();
        }
        Ok(swapped)
    }

    /// Readers need no more than `needs` from now on; `true` = other programs would fit better.
    pub fn need(&mut self, needs: &Constants) -> bool {
        self.fit.needs = *needs;
        self.wanted().is_some()
    }

    /// The program that fits, and the ports that should have it.
    fn wanted(&self) -> Option<(Constants, Vec<FastPort>)> {
        let fitting = self.fit.needs.and(&self.fit.foreseen).rounded();
        if fitting == Constants::default() || self.fit.refused == Some(fitting) {
            return None;
        }
        let other = self.ports.iter().filter(|p| p.link.is_some() && p.offers() != fitting);
        let other: Vec<FastPort> = other.map(|p| p.port.clone()).collect();
        (!other.is_empty()).then_some((fitting, other))
    }

    /// Swaps a program in, if it still does what is needed.
    fn swap_in(&mut self, port: &FastPort, fitted: Fitted) -> io::Result<()> {
        let needs = self.fit.needs;
        let Some(place) = self.ports.iter_mut().find(|p| p.port == *port) else { return Ok(()) };
        let Some(link) = &place.link else { return Ok(()) };
        if !fitted.constants.covers(&needs) {
            return Ok(());
        }
        syscall::update_link(link.as_fd(), program_of(port, &fitted.object)?)?;
        let c = fitted.constants;
        tracing::info!("port {} runs a program for {} tables of at most {} masks", port.port, c.tables, c.masks);
        place.fitted = Some(fitted);
        self.fit.last = Some(Instant::now());
        self.show();
        Ok(())
    }
}

impl super::attach::Attached {
    /// What the program of the port offers.
    pub fn offers(&self) -> Constants {
        self.fitted.as_ref().map_or_else(Constants::default, |fitted| fitted.constants)
    }
}

/// The attachments, shared between the writer and the thread.
pub type Shared = Arc<Mutex<Attachments>>;

/// The thread. It ends when this is dropped.
pub struct Fitter {
    wake: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Fitter {
    /// Started.
    pub fn start(attachments: Shared) -> io::Result<Self> {
        let (wake, woken) = channel();
        let fit = move || {
            while woken.recv().is_ok() {
                settle(&attachments, &woken);
            }
        };
        let thread = std::thread::Builder::new().name("wamig-fit".into()).spawn(fit)?;
        Ok(Self { wake: Some(wake), thread: Some(thread) })
    }

    /// Other programs would fit better.
    pub fn wake(&self) {
        if let Some(wake) = &self.wake {
            // The thread ends with this only.
            let _ = wake.send(());
        }
    }
}

/// Waits until needs have been quiet for long enough, then fits the programs.
fn settle(attachments: &Shared, woken: &Receiver<()>) {
    let lock = || attachments.lock().unwrap_or_else(PoisonError::into_inner);
    let quiet = lock().fit.quiet;
    let mut wanted = lock().wanted();
    let mut since = Instant::now();
    while since.elapsed() < quiet {
        match woken.recv_timeout(quiet.saturating_sub(since.elapsed())) {
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) => {
                let now = lock().wanted();
                if now != wanted {
                    (wanted, since) = (now, Instant::now());
                }
            }
        }
    }
    let Some((constants, ports)) = lock().wanted() else { return };
    let load: Loader = Arc::clone(&lock().load);
    for port in ports {
        let swapped = load(&port, constants).and_then(|object| lock().swap_in(&port, Fitted { constants, object }));
        if let Err(e) = swapped {
            tracing::warn!("port {} keeps the program it has, because one that fits was refused: {e}", port.port);
            lock().fit.refused = Some(constants);
            return;
        }
    }
}

impl Drop for Fitter {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // It ends with its channel; a panic in it has nothing to tell us here.
            let _ = thread.join();
        }
    }
}
