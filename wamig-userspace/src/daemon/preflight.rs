//! What must be so before the data path is touched, each with an error that names its remedy.
//! Kernel and BPF file system are looked at by whoever opens the data path.

use wamig_openflow::PortNo;

use super::links::{Link, Machine};
use super::start_error::StartError;
use crate::config::{Config, switch_end};

/// Linux capabilities by bit (capability.h); the data path needs all of them.
const CAPABILITIES: [(u32, &str); 4] =
    [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW"), (38, "CAP_PERFMON"), (39, "CAP_BPF")];
/// Stands for CAP_BPF and CAP_PERFMON.
const CAP_SYS_ADMIN: u32 = 21;

/// A port with its interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// OpenFlow number.
    pub port: wamig_openflow::PortNo,
    /// The interface.
    pub link: Link,
    /// What an operator should know about it.
    pub warning: Option<String>,
    /// The interface's other end, by which the host knows port LOCAL.
    pub host: Option<Link>,
}

/// Finds the interface of every port.
///
/// # Errors
/// [`StartError`]: an interface that is missing, unfit, or carries the default route, or an
/// address of this machine inside the pool.
pub fn ports(config: &Config, machine: &Machine) -> Result<Vec<Port>, StartError> {
    let mut ports = Vec::new();
    for (port, name) in config.switch.numbered() {
        let Some(link) = machine.link(name) else {
            let names: Vec<_> = machine.links.iter().map(|l| l.name.as_str()).collect();
            return Err(StartError::NoInterface { name: name.to_owned(), there_are: names.join(", ") });
        };
        fits(config, machine, link, "switch.ports")?;
        ports.push(Port { port, link: link.clone(), warning: warning(link, machine), host: None });
    }
    for (index, address) in &machine.addresses {
        if config.hosting.pool.iter().any(|range| range.contains(*address)) {
            let interface = machine.links.iter().find(|l| l.index == *index).map_or("?", |l| l.name.as_str());
            return Err(StartError::PoolOverlap { address: *address, interface: interface.to_owned() });
        }
    }
    Ok(ports)
}

/// Whether an interface can be a port, which `key` of the configuration wants it to be.
fn fits(config: &Config, machine: &Machine, link: &Link, key: &'static str) -> Result<(), StartError> {
    let name = link.name.clone();
    if link.mac == wamig_openflow::MacAddr::ZERO {
        return Err(StartError::UnfitInterface { name, key, what: "not an Ethernet interface" });
    }
    if machine.default_routes.contains(&link.index) && !config.switch.in_band {
        return Err(StartError::DefaultRoute { name, key });
    }
    Ok(())
}

/// Finds the interface of port LOCAL, if one is configured: the switch's end of the pair, or
/// the interface itself.
///
/// # Errors
/// [`StartError`]: there is none, or it is unfit or carries the default route.
pub fn local(config: &Config, machine: &Machine) -> Result<Option<Port>, StartError> {
    let Some(name) = &config.switch.local else { return Ok(None) };
    let (end, host) = (machine.link(&switch_end(name)), machine.link(name));
    let port = PortNo::LOCAL;
    if let Some(end) = end {
        return Ok(Some(Port { port, link: end.clone(), warning: None, host: host.cloned() }));
    }
    let Some(link) = host else { return Err(StartError::LocalGone { name: name.clone() }) };
    fits(config, machine, link, "switch.local")?;
    Ok(Some(Port { port, link: link.clone(), warning: warning(link, machine), host: None }))
}

/// What is known to go wrong with an interface of this kind.
fn warning(link: &Link, machine: &Machine) -> Option<String> {
    let mut said = Vec::new();
    if let Some(master) = link.master {
        let name = machine.links.iter().find(|l| l.index == master).map_or("another interface", |l| l.name.as_str());
        said.push(format!("it is a port of {name} as well, which no longer sees its frames"));
    }
    match link.kind.as_str() {
        "veth" => said.push(
            "a veth loses unfinished checksums, and takes native XDP only if its other end does GRO: \
             `ethtool -K OTHER_END tx off gro on`"
                .to_owned(),
        ),
        "tun" => said.push(
            "a tap may deliver unfinished checksums, which get lost: \
             switch checksum offload off in the guest, or csum=off in its virtio device"
                .to_owned(),
        ),
        _ => {}
    }
    (!said.is_empty()).then(|| said.join("; "))
}

/// Checks the process's capabilities.
///
/// # Errors
/// [`StartError::Privilege`], naming those that are missing.
pub fn privilege() -> Result<(), StartError> {
    let status = std::fs::read_to_string("/proc/self/status")
        .map_err(|source| StartError::System { what: "/proc is not readable", source })?;
    let missing = missing_capabilities(&status);
    if missing.is_empty() { Ok(()) } else { Err(StartError::Privilege { missing: missing.join(", ") }) }
}

fn missing_capabilities(status: &str) -> Vec<&'static str> {
    let line = status.lines().find_map(|l| l.strip_prefix("CapEff:"));
    let effective = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    let has = |bit: u32| effective & 1 << bit != 0;
    let enough = |bit| has(bit) || bit >= 38 && has(CAP_SYS_ADMIN);
    CAPABILITIES.iter().filter(|(bit, _)| !enough(*bit)).map(|(_, name)| *name).collect()
}

#[cfg(test)]
mod tests;
