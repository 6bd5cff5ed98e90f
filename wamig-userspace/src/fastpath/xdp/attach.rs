//! Programs on ports: attached in native mode where the driver can, links pinned so that they
//! outlive the daemon, links of an earlier daemon taken over without a frame lost.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aya::Ebpf;
use aya::programs::Xdp;
use wamig_openflow::PortNo;

use super::fit::{Fit, Fitted};
use super::syscall;
use crate::fastpath::FastPort;
use crate::fastpath::needs::Constants;

/// `XDP_FLAGS_SKB_MODE`
const SKB_MODE: u32 = 1 << 1;
/// `XDP_FLAGS_DRV_MODE`
const DRIVER_MODE: u32 = 1 << 2;

/// How the program is wanted on the ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum XdpMode {
    /// Native where the driver can, else generic with a warning.
    #[default]
    Auto,
    /// Native or not at all.
    Native,
    /// Generic (after the kernel has made a socket buffer; about 2.4 times the cost).
    Generic,
}

/// A port as it is attached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttachedPort {
    /// OpenFlow number.
    pub port: PortNo,
    /// Interface.
    pub name: String,
    /// `native`, `generic`, or `detached` before forwarding begins.
    pub mode: &'static str,
    /// What the program that it runs can do.
    pub program: Constants,
    /// What the operator should know, with the remedy.
    pub warning: Option<String>,
}

/// The ports' state, shared with whoever shows it.
pub type SharedPorts = Arc<Mutex<Vec<AttachedPort>>>;

/// Makes a program of one port: the object with the port's constants, over the shared maps.
pub type Loader = Arc<dyn Fn(&FastPort, Constants) -> io::Result<Ebpf> + Send + Sync>;

/// A port, its programs and its link.
pub struct Attached {
    /// The port.
    pub port: FastPort,
    /// The program that can do everything.
    pub general: Ebpf,
    /// The one that runs instead, if any.
    pub fitted: Option<Fitted>,
    /// The link, once there is one.
    pub link: Option<OwnedFd>,
}

/// The programs and links of all ports.
pub struct Attachments {
    pin_path: PathBuf,
    maps_dir: PathBuf,
    mode: XdpMode,
    pub(super) load: Loader,
    pub(super) ports: Vec<Attached>,
    pub(super) fit: Fit,
    shown: SharedPorts,
    active: bool,
}

impl Attachments {
    /// Nothing loaded yet; programs that fit will offer `foreseen` at least.
    pub fn new(pin_path: PathBuf, maps_dir: PathBuf, mode: XdpMode, load: Loader, foreseen: Constants) -> Self {
        Self {
            pin_path,
            maps_dir,
            mode,
            load,
            ports: Vec::new(),
            fit: Fit::new(foreseen),
            shown: SharedPorts::default(),
            active: false,
        }
    }

    /// The ports' state, as it will be.
    pub fn shown(&self) -> SharedPorts {
        Arc::clone(&self.shown)
    }

    /// Loads programs for new ports, forgets those that are gone; a new port is attached at
    /// once when forwarding has begun.
    pub fn set_ports(&mut self, ports: &[FastPort]) -> io::Result<()> {
        let same = |a: &FastPort, b: &FastPort| a.port == b.port && a.ifindex == b.ifindex;
        self.ports.retain(|p| ports.iter().any(|q| same(&p.port, q)));
        for port in ports {
            if !self.ports.iter().any(|p| same(&p.port, port)) {
                let general = (self.load)(port, Constants::default())?;
                self.ports.push(Attached { port: port.clone(), general, fitted: None, link: None });
            }
        }
        self.show();
        if self.active { self.activate() } else { Ok(()) }
    }

    /// Attaches every port that is not, taking over the link of an earlier daemon.
    pub fn activate(&mut self) -> io::Result<()> {
        self.active = true;
        let links = self.pin_path.join("links");
        fs::create_dir_all(&links)?;
        for i in 0..self.ports.len() {
            let Attached { port, general, link, .. } = &mut self.ports[i];
            if link.is_some() {
                continue;
            }
            let (fd, mode) = attach(port, general, self.mode, &links)?;
            *link = Some(fd);
            let (number, warning) = (port.port, warning(port, mode, self.mode));
            self.show();
            let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(p) = shown.iter_mut().find(|p| p.port == number) {
                (p.mode, p.warning) = (mode, warning);
            }
        }
        remove_older(&self.pin_path, &self.maps_dir);
        Ok(())
    }

    pub(super) fn show(&self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *shown);
        *shown = self
            .ports
            .iter()
            .map(|attached| {
                let (FastPort { port, name, .. }, program) = (&attached.port, attached.offers());
                let known = before.iter().find(|b| b.port == *port && b.name == *name);
                let (mode, warning) = known.map_or(("detached", None), |known| (known.mode, known.warning.clone()));
                AttachedPort { port: *port, name: name.clone(), mode, program, warning }
            })
            .collect();
    }
}

/// Name of a link's pin. bpffs takes no dots, which names of VLAN interfaces have.
fn pin_name(interface: &str, mode: &str) -> String {
    format!("{}-{mode}", interface.replace('%', "%25").replace('.', "%2e"))
}

/// The interface of a link's pin.
pub fn interface_of_pin(name: &str) -> String {
    let interface = name.rsplit_once('-').map_or(name, |(interface, _)| interface);
    interface.replace("%2e", ".").replace("%25", "%")
}

fn at_port(port: &FastPort, what: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("port {} ({}): {what}", port.port, port.name))
}

/// The pipeline of an object that was loaded for a port.
pub fn program_of<'a>(port: &FastPort, object: &'a Ebpf) -> io::Result<BorrowedFd<'a>> {
    let program: &Xdp = object
        .program("wamig")
        .ok_or_else(|| at_port(port, "the XDP object has no program wamig"))?
        .try_into()
        .map_err(|e| at_port(port, e))?;
    Ok(program.fd().map_err(|e| at_port(port, e))?.as_fd())
}

fn attach(port: &FastPort, object: &Ebpf, mode: XdpMode, links: &Path) -> io::Result<(OwnedFd, &'static str)> {
    let program = program_of(port, object)?;
    let modes: &[(u32, &str)] = match mode {
        XdpMode::Auto => &[(DRIVER_MODE, "native"), (SKB_MODE, "generic")],
        XdpMode::Native => &[(DRIVER_MODE, "native")],
        XdpMode::Generic => &[(SKB_MODE, "generic")],
    };
    // The kernel does not tell a link's mode, so the pin's name does.
    for name in ["native", "generic"] {
        let pin = links.join(pin_name(&port.name, name));
        let Ok(link) = syscall::open_pin(&pin) else { continue };
        // The link of an interface that has gone is dead, and so is that of another interface
        // which had this name.
        let same = syscall::link_ifindex(link.as_fd()).is_ok_and(|i| i == port.ifindex);
        if same && modes.iter().any(|(_, m)| *m == name) && syscall::update_link(link.as_fd(), program).is_ok() {
            return Ok((link, name));
        }
        fs::remove_file(&pin).map_err(|e| at_port(port, format!("{}: {e}", pin.display())))?;
    }
    let mut refused = Vec::new();
    for (flags, name) in modes {
        match syscall::create_xdp_link(program, port.ifindex, *flags) {
            Ok(link) => {
                let pin = links.join(pin_name(&port.name, name));
                syscall::pin(link.as_fd(), &pin).map_err(|e| at_port(port, format!("{}: {e}", pin.display())))?;
                return Ok((link, name));
            }
            Err(e) if matches!(e.raw_os_error(), Some(libc::EBUSY | libc::EEXIST)) => {
                let remedy = format!("remove it with: ip link set dev {} xdp off", port.name);
                return Err(at_port(port, format!("another XDP program is attached; {remedy}")));
            }
            Err(e) => refused.push(format!("{name}: {e}")),
        }
    }
    let remedy = "native mode needs a driver with XDP and an MTU of at most about 3500; \
                  generic mode is chosen by xdp_mode = \"generic\" under [switch]";
    Err(at_port(port, format!("XDP cannot be attached ({}); {remedy}", refused.join("; "))))
}

fn warning(port: &FastPort, mode: &str, wanted: XdpMode) -> Option<String> {
    if mode == "generic" && wanted != XdpMode::Generic {
        return Some(format!(
            "{} runs XDP in generic mode (its driver refused native mode): frames cost about 2.4 times as much",
            port.name
        ));
    }
    None
}

/// Removes the pins of maps that no link uses any more. What cannot be removed is only clutter.
fn remove_older(pin_path: &Path, keep: &Path) {
    for entry in fs::read_dir(pin_path).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path != keep && name.to_string_lossy().starts_with("maps-") {
            let _ = fs::remove_dir_all(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_tells_its_interface() {
        for name in ["eth0", "eth0.5", "a-b", "50%.x"] {
            let pin = pin_name(name, "native");
            assert!(!pin.contains('.'), "{pin}");
            assert_eq!(interface_of_pin(&pin), name);
        }
    }
}
