//! What the service manager is told (systemd.service(5), Type=notify; sd_notify(3)): when the
//! site is ready, how it is, that it reads its configuration again, that it stops, that it is
//! alive. Where none has started the daemon, nothing is said.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};

use crate::admin::Query;

/// The daemon's end.
#[derive(Debug, Default)]
pub struct Supervisor {
    /// It knows that the site is ready.
    ready: bool,
    /// What it knows of how the site is.
    told: String,
}

impl Supervisor {
    /// The switch is up, and clients are answered; `how` is one line for people.
    pub fn ready(&mut self, how: String) {
        self.ready = true;
        say(&[NotifyState::Ready, NotifyState::Status(&how)]);
        self.told = how;
    }

    /// How the site is by now.
    pub fn status(&mut self, how: String) {
        if self.told != how {
            say(&[NotifyState::Status(&how)]);
            self.told = how;
        }
    }

    /// The configuration is being read again. [`Self::reloaded`] has to follow.
    pub fn reloading(&self) {
        if !self.ready {
            return;
        }
        match NotifyState::monotonic_usec_now() {
            Ok(now) => say(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!("the monotonic clock cannot be read: {error}"),
        }
    }

    /// That is done, whatever came of it.
    pub fn reloaded(&mut self, how: String) {
        if self.ready { self.ready(how) } else { self.status(how) }
    }

    /// The daemon ends.
    pub fn stopping(&mut self, why: &str) {
        say(&[NotifyState::Stopping, NotifyState::Status(why)]);
    }
}

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("the service manager is not told: {error}");
    }
}

/// How often the service manager wants to hear that the daemon is alive, if it does.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// Says that the daemon is alive, twice in every `span`, for as long as its loop answers. A loop
/// that waits for a disk or for a switch answers.
pub async fn watch(span: Duration, ask: mpsc::Sender<Query>) -> String {
    let mut turns = tokio::time::interval(span / 2);
    loop {
        turns.tick().await;
        let (answer, answered) = oneshot::channel();
        if ask.send(Query::Status(answer)).await.is_err() || answered.await.is_err() {
            return "the control loop does not answer".to_owned();
        }
        say(&[NotifyState::Watchdog]);
    }
}

/// Has the configuration read again for every SIGHUP. The loop logs what comes of it.
pub async fn hangups(mut signal: Signal, ask: mpsc::Sender<Query>) -> String {
    while signal.recv().await.is_some() {
        let (answer, answered) = oneshot::channel();
        if ask.send(Query::Reload(answer)).await.is_err() {
            break;
        }
        // One at a time; several that come meanwhile count as one.
        let _ = answered.await;
    }
    "SIGHUP is not heard any more".to_owned()
}
