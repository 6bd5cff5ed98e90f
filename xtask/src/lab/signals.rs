//! Waiting in the lab: for a time or for something, and never past a Ctrl-C, SIGTERM or SIGHUP
//! that [`interrupt`] has caught, so that the lab is taken down in order.

use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::interrupt;

/// The run was interrupted by this signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interrupted(pub Signal);

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "interrupted by {}", self.0)
    }
}

impl std::error::Error for Interrupted {}

/// An error once a signal came.
///
/// # Errors
/// [`Interrupted`].
pub fn check() -> Result<()> {
    interrupt::caught().map_or(Ok(()), |signal| Err(Interrupted(signal).into()))
}

/// Sleeps, not longer than until a signal comes.
///
/// # Errors
/// [`Interrupted`].
pub fn sleep(duration: Duration) -> Result<()> {
    let deadline = Instant::now() + duration;
    loop {
        check()?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(20)));
    }
}

/// Waits until `condition` gives something; `Ok(None)` when `patience` is over.
///
/// # Errors
/// [`Interrupted`], or the condition's own error.
pub fn wait_for<T>(patience: Duration, mut condition: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let deadline = Instant::now() + patience;
    loop {
        check()?;
        if let Some(found) = condition()? {
            return Ok(Some(found));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        sleep(Duration::from_millis(20))?;
    }
}
