//! Remembers that somebody asked us to stop, so that what was started is taken down first.

use std::sync::atomic::{AtomicI32, Ordering};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

static CAUGHT: AtomicI32 = AtomicI32::new(0);

extern "C" fn remember(signal: i32) {
    CAUGHT.store(signal, Ordering::Relaxed);
}

/// From here on INT, TERM and HUP are remembered, and no longer end the process.
pub fn watch() -> Result<()> {
    let action = SigAction::new(SigHandler::Handler(remember), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler only stores into an atomic, which is async-signal-safe.
        unsafe { sigaction(signal, &action) }.with_context(|| format!("cannot watch for {signal}"))?;
    }
    Ok(())
}

/// The signal that was caught, if any.
pub fn caught() -> Option<Signal> {
    Signal::try_from(CAUGHT.load(Ordering::Relaxed)).ok()
}

/// An error once a signal was caught: the way out of a longer piece of work.
pub fn check() -> Result<()> {
    match caught() {
        Some(signal) => bail!("stopped by {signal}"),
        None => Ok(()),
    }
}
