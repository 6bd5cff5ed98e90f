//! One at a time: test networks have fixed names, so a machine holds one of them.

use std::{
    fs::{File, OpenOptions},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use crate::interrupt;

/// Only root makes test networks, so this is root's.
const PATH: &str = "/run/wamig-test.lock";
/// How often a taken lock is tried again.
const TICK: Duration = Duration::from_millis(200);

/// The right to make test networks, given up when dropped or when the process ends.
#[derive(Debug)]
pub struct Exclusive(#[expect(dead_code, reason = "held, never read")] Flock<File>);

impl Exclusive {
    /// Wait for it, however long whoever has it takes.
    pub fn wait() -> Result<Self> {
        let open = || OpenOptions::new().create(true).truncate(false).write(true).open(PATH);
        let mut file = open().with_context(|| format!("cannot open {PATH}"))?;
        let mut told = false;
        loop {
            file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(Self(lock)),
                Err((file, Errno::EWOULDBLOCK)) => file,
                Err((_, error)) => bail!("cannot lock {PATH}: {error}"),
            };
            if !told {
                println!("waiting for another run on this machine, which holds {PATH}");
                told = true;
            }
            interrupt::check()?;
            thread::sleep(TICK);
        }
    }
}
