//! A lab for a test: there or skipped with a reason, one at a time, gone at the end.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::demo::built_wamig;
use super::journal::Journal;
use super::status::{Address, Status};
use super::topology::{SERVER, Site};
use super::{Lab, Options, TEST_PREFIX, netns};

/// How long a test waits for another one to be done with its lab.
const QUEUE: Duration = Duration::from_mins(5);

/// A lab whose daemons do not run yet; `None` where there can be none, and then it has said
/// `SKIP: reason`. `helper` is the `xtask` program.
///
/// # Errors
/// The lab cannot be built although everything for it is there.
pub fn lab(helper: &str, change: impl FnOnce(&mut Options)) -> Result<Option<Lab>> {
    let lacking = |what: &str| println!("SKIP: {what}");
    if !nix::unistd::geteuid().is_root() {
        lacking("network namespaces need root");
        return Ok(None);
    }
    if !["/usr/sbin/knotd", "/usr/local/sbin/knotd"].iter().any(|path| Path::new(path).exists()) {
        lacking("knotd is not installed (scripts/setup lab installs it)");
        return Ok(None);
    }
    let wamig = match built_wamig() {
        Ok(path) => path,
        Err(error) => {
            lacking(&format!("{error:#}"));
            return Ok(None);
        }
    };
    let mut options = Options::new(TEST_PREFIX, Path::new(helper), &wamig);
    options.delay = Duration::from_millis(5);
    change(&mut options);
    wait_for_turn(&options.prefix)?;
    Ok(Some(Lab::up(&options)?.0))
}

/// Waits until no other test has a lab of this prefix.
///
/// # Errors
/// One has it for five minutes.
pub fn wait_for_turn(prefix: &str) -> Result<()> {
    let deadline = Instant::now() + QUEUE;
    while let Err(error) = Journal::clean(prefix) {
        ensure!(Instant::now() < deadline, "{error:#}");
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Whether a host answers: a datagram to a port where nobody listens comes back as a refusal.
///
/// # Errors
/// There is no such namespace.
pub fn reaches(namespace: &str, address: Ipv4Addr, patience: Duration) -> Result<bool> {
    refuses(namespace, SocketAddrV4::new(address, 9), b"?", patience)
}

/// Whether a host refuses a datagram with this payload to one of its ports, where nobody listens.
///
/// # Errors
/// There is no such namespace.
pub fn refuses(namespace: &str, port: SocketAddrV4, payload: &[u8], patience: Duration) -> Result<bool> {
    netns::enter(namespace, || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(port)?;
        let deadline = Instant::now() + patience;
        while let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            socket.set_read_timeout(Some(left.min(Duration::from_millis(300))))?;
            // A refusal to an earlier datagram may come with the next one sent.
            let sent = socket.send(payload).map(|_| 0).and_then(|_| socket.recv(&mut [0; 16]));
            if sent.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
                return Ok(true);
            }
        }
        Ok(false)
    })
}

/// Waits until a site's state of the server's address is `state`, and holds what it says of it
/// to the interface: since a moment not before `since_us`, and with `reason`, if one is
/// expected, the reason and a remedy.
///
/// # Errors
/// The state does not come, or something is missing.
pub fn expect_state(
    lab: &Lab,
    site: Site,
    state: &str,
    reason: Option<&str>,
    since_us: u64,
    patience: Duration,
) -> Result<Address> {
    let wanted = |status: &Status| {
        status.address(SERVER).is_some_and(|entry| {
            let given = entry.reason.as_deref().unwrap_or_default();
            entry.state == state && reason.is_none_or(|reason| given.contains(reason))
        })
    };
    let what = format!("{state} ({})", reason.unwrap_or("-"));
    let status = lab.wait_state(site, patience, &what, wanted)?;
    let Some(entry) = status.address(SERVER) else { bail!("{SERVER} is gone from the status again") };
    let now_ms = super::capture::now_us() / 1000;
    ensure!(
        (since_us / 1000..=now_ms).contains(&entry.since_unix_ms),
        "{state} since {} ms, which is not between {} and {now_ms}",
        entry.since_unix_ms,
        since_us / 1000
    );
    if reason.is_some() {
        ensure!(entry.reason.as_deref().is_some_and(|reason| !reason.is_empty()), "{state} has no reason");
        let remedy = entry.remedy.as_deref().unwrap_or_default();
        ensure!(remedy.contains(' '), "{state} has no remedy that is a sentence: {remedy:?}");
    }
    Ok(entry.clone())
}
