//! The guest's file system: busybox, the modules of a virtio network card, and an init of a dozen lines.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::super::topology::{GATEWAY1, SERVER};
use super::talk::PORT;
use crate::qemu::archive::Archive;
use crate::qemu::machine::Machine;

/// Modules of Debian's cloud kernel that the card needs, each after those it depends on.
const MODULES: &[&str] = &[
    "drivers/virtio/virtio_ring.ko",
    "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_pci_modern_dev.ko",
    "drivers/virtio/virtio_pci_legacy_dev.ko",
    "drivers/virtio/virtio_pci.ko",
    "net/core/failover.ko",
    "drivers/net/net_failover.ko",
    "drivers/net/virtio_net.ko",
];

/// Writes the archive that the kernel unpacks at boot to `path`.
///
/// # Errors
/// The kernel or busybox was not unpacked (`scripts/setup vm`), or the file cannot be written.
pub fn write(machine: &Machine, path: &Path) -> Result<()> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let mut archive = Archive::new();
    let init = include_str!("init.sh")
        .replace("@ADDRESS@", &SERVER.to_string())
        .replace("@GATEWAY@", &GATEWAY1.to_string())
        .replace("@PORT@", &PORT.to_string());
    archive.file("/init", init.as_bytes());
    archive.file("/bin/busybox", &read(&machine.busybox)?);
    for (number, module) in MODULES.iter().enumerate() {
        archive.file(&format!("/modules/{number}.ko"), &read(&machine.modules.join("kernel").join(module))?);
    }
    fs::write(path, archive.finish()).with_context(|| format!("cannot write {}", path.display()))
}
