//! Network namespaces: made and deleted without `ip netns`, which would leave a mount of its
//! own behind at `/run/netns`; `ip netns list` and `ip netns exec` see them all the same.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

use super::journal::{Entry, Journal};

const DIRECTORY: &str = "/run/netns";

fn path(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

/// Makes a namespace: loopback up, no IPv6, forwarding off, loose about source addresses.
///
/// # Errors
/// No privilege, or the name is taken.
pub fn create(journal: &Journal, name: &str) -> Result<()> {
    if !Path::new(DIRECTORY).exists() {
        journal.note(&Entry::Directory(DIRECTORY.into()))?;
        fs::create_dir_all(DIRECTORY)?;
    }
    journal.note(&Entry::Namespace(name.to_owned()))?;
    let target = path(name);
    File::create_new(&target).with_context(|| format!("cannot make the network namespace {name}"))?;
    on_a_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace")?;
        mount(Some("/proc/thread-self/ns/net"), &target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .with_context(|| format!("cannot name the network namespace {name}"))
    })??;
    // The paper's path is spoof-shaped at both sites: the routers must not filter by source.
    let settings = ["all", "default"].into_iter().flat_map(|scope| {
        [
            (format!("ipv6/conf/{scope}/disable_ipv6"), "1"),
            (format!("ipv4/conf/{scope}/rp_filter"), "0"),
            (format!("ipv4/conf/{scope}/send_redirects"), "0"),
            (format!("ipv4/conf/{scope}/accept_redirects"), "0"),
        ]
    });
    for (key, value) in settings {
        sysctl(name, &key, value)?;
    }
    ip(name, "link set lo up")
}

/// Deletes a namespace; whether there was one.
///
/// # Errors
/// It cannot be unmounted or its name cannot be removed.
pub fn delete(name: &str) -> Result<bool> {
    let target = path(name);
    match umount2(&target, MntFlags::MNT_DETACH) {
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
        Err(error) => return Err(error).with_context(|| format!("cannot unmount {}", target.display())),
    }
    match fs::remove_file(&target) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot remove {}", target.display())),
    }
}

/// Opens a namespace for [`setns`].
///
/// # Errors
/// There is none of this name.
pub fn open(name: &str) -> Result<File> {
    File::open(path(name)).with_context(|| format!("there is no network namespace {name}"))
}

/// Runs `work` inside a namespace, on a thread of its own: sockets and sysctls are those of
/// the namespace, and what is opened there stays there.
///
/// # Errors
/// There is no such namespace; `work`'s own errors come back as they are.
pub fn enter<T: Send>(name: &str, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let namespace = open(name)?;
    on_a_thread(|| {
        setns(&namespace, CloneFlags::CLONE_NEWNET).with_context(|| format!("cannot enter {name}"))?;
        work()
    })?
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    std::thread::scope(|scope| scope.spawn(work).join()).map_err(|_| anyhow!("a thread of the lab panicked"))
}

/// Sets `/proc/sys/net/KEY` in a namespace; a kernel without the setting has nothing to switch.
///
/// # Errors
/// The kernel refuses the value.
pub fn sysctl(name: &str, key: &str, value: &str) -> Result<()> {
    let file = Path::new("/proc/sys/net").join(key);
    enter(name, || match fs::write(&file, value) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done.with_context(|| format!("cannot set {key}={value} in {name}")),
    })
}

/// How far a kernel is with an IPv6 address of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressState {
    /// It may be used.
    Usable,
    /// It is not known yet whether somebody else has it.
    Tentative,
    /// Somebody else has it.
    Duplicate,
}

/// How far the kernel of a namespace is with this IPv6 address; `None` if it does not have it.
///
/// # Errors
/// There is no such namespace.
pub fn address_state(name: &str, address: IpAddr) -> Result<Option<AddressState>> {
    let table = enter(name, || Ok(fs::read_to_string("/proc/thread-self/net/if_inet6")?))?;
    Ok(table.lines().find_map(|line| state_of(line, address)))
}

/// Reads a line of `/proc/net/if_inet6`: address, interface, prefix, scope, flags, name.
fn state_of(line: &str, address: IpAddr) -> Option<AddressState> {
    const DUPLICATE: u32 = 0x08;
    const TENTATIVE: u32 = 0x40;
    let mut words = line.split_ascii_whitespace();
    let listed = u128::from_str_radix(words.next()?, 16).ok()?;
    let flags = u32::from_str_radix(words.nth(3)?, 16).ok()?;
    if address != IpAddr::V6(Ipv6Addr::from(listed)) {
        return None;
    }
    Some(match flags {
        flags if flags & DUPLICATE != 0 => AddressState::Duplicate,
        flags if flags & TENTATIVE != 0 => AddressState::Tentative,
        _ => AddressState::Usable,
    })
}

/// Has the kernel hold every frame that leaves by an interface for so long.
///
/// # Errors
/// `tc` is missing, or the kernel has no netem.
pub fn delay(name: &str, interface: &str, by: std::time::Duration) -> Result<()> {
    let micros = format!("{}us", by.as_micros());
    let words = ["-n", name, "qdisc", "add", "dev", interface, "root", "netem", "limit", "10000", "delay", &micros];
    crate::process::run(Command::new("tc").args(words)).context("netem (CONFIG_NET_SCH_NETEM) cannot be set up")
}

/// Runs `ip` commands, one a line, in a namespace.
///
/// # Errors
/// `ip` is missing or refuses one; its words are in the error.
pub fn ip(name: &str, commands: &str) -> Result<()> {
    let mut child = Command::new("ip")
        .args(["-n", name, "-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run `ip` (Debian package iproute2)")?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(commands.as_bytes())?;
        input.write_all(b"\n")?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("in {name}: ip: {}\n{commands}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_how_far_the_kernel_is_with_an_address() {
        let address = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x53));
        let line = |flags: &str| format!("20010db8000100000000000000000053 03 40 00 {flags}     eth0");
        assert_eq!(state_of(&line("80"), address), Some(AddressState::Usable));
        assert_eq!(state_of(&line("c0"), address), Some(AddressState::Tentative));
        assert_eq!(state_of(&line("c8"), address), Some(AddressState::Duplicate));
        assert_eq!(state_of(&line("80"), Ipv6Addr::LOCALHOST.into()), None);
        assert_eq!(state_of("20010db8", address), None);
    }
}
