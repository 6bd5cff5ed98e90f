//! The guest's file system: busybox, the test programs, and the shared libraries they load.
//!
//! A test that plays in the lab finds there what the lab starts, at the places where this machine has it.
//!
//! The programs are those of the privileged suite, not a static build of them: what they load is copied from this
//! machine to the same places, which costs a few megabytes and no second build of everything.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{archive::Archive, machine::Machine};
use crate::{
    lab::recipe,
    process,
    suite::{binary::TestBinary, scratch::Scratch},
    user,
};

/// Kernel modules the tests may need, each after those it depends on.
const MODULES: &[&str] = &[
    "kernel/drivers/net/veth.ko",
    // The lab's links.
    "kernel/drivers/net/tun.ko",
    "kernel/net/sched/sch_netem.ko",
    "kernel/net/llc/llc.ko",
    "kernel/net/802/stp.ko",
    "kernel/net/802/garp.ko",
    "kernel/net/802/mrp.ko",
    "kernel/net/8021q/8021q.ko",
    // Open vSwitch's datapath.
    "kernel/lib/libcrc32c.ko",
    "kernel/net/ipv4/netfilter/nf_defrag_ipv4.ko",
    "kernel/net/ipv6/netfilter/nf_defrag_ipv6.ko",
    "kernel/net/netfilter/nf_conntrack.ko",
    "kernel/net/netfilter/nf_nat.ko",
    "kernel/net/netfilter/nf_conncount.ko",
    "kernel/net/nsh/nsh.ko",
    "kernel/net/openvswitch/openvswitch.ko",
];

/// Programs that the lab starts.
const PROGRAMS: &[&str] = &[
    "/usr/bin/env",
    "/usr/bin/ovs-ofctl",
    "/usr/bin/ovs-vsctl",
    "/usr/bin/ovsdb-tool",
    "/usr/sbin/ip",
    "/usr/sbin/knotd",
    "/usr/sbin/ovs-vswitchd",
    "/usr/sbin/ovsdb-server",
    "/usr/sbin/tc",
    "/usr/sbin/xdp-bench",
    "/usr/sbin/xdp-trafficgen",
    "/usr/sbin/xdpdump",
];
/// Files that these read.
const FILES: &[&str] = &[
    "/etc/group",
    "/etc/passwd",
    "/etc/protocols",
    "/etc/services",
    "/usr/lib/tc/normal.dist",
    "/usr/lib/x86_64-linux-gnu/bpf/xdp-dispatcher.o",
    "/usr/lib/x86_64-linux-gnu/bpf/xdpdump_bpf.o",
    "/usr/lib/x86_64-linux-gnu/bpf/xdpdump_xdp.o",
    "/usr/share/openvswitch/vswitch.ovsschema",
];

/// The recipe that one of the tests follows; what it says to make on another machine is brought along.
const NIC: &str = include_str!("../../../docs/nic.md");

/// Pack everything; the archive's bytes.
pub fn build(machine: &Machine, tests: &[TestBinary], all: bool, scratch: &Scratch) -> Result<Vec<u8>> {
    let mut archive = Archive::new();
    archive.file("/init", include_bytes!("init.sh"));
    archive.file("/bin/busybox", &read(&machine.busybox)?);
    archive.file("/arguments", if all { b"--include-ignored\n" } else { b"\n" });
    archive.directory("/modules");
    for (number, module) in MODULES.iter().enumerate() {
        let path = machine.modules.join(module);
        archive.file(&format!("/modules/{number:02}.ko"), &read(&path)?);
    }
    let mut libraries = BTreeSet::new();
    for test in tests {
        libraries.extend(loads(&test.path)?);
        archive.file(&format!("/tests/{}", test.name), &stripped(&test.path, scratch)?);
    }
    if tests.iter().any(TestBinary::is_of_guest) {
        libraries.extend(lab(&mut archive, scratch)?);
    }
    for library in libraries {
        archive.file(&library.to_string_lossy(), &read(&library)?);
    }
    Ok(archive.finish())
}

/// What the lab needs, as far as this machine has it; the libraries that it loads. Where something is missing, the
/// tests say so.
fn lab(archive: &mut Archive, scratch: &Scratch) -> Result<BTreeSet<PathBuf>> {
    let own = std::env::current_exe().context("cannot tell which program this is")?;
    // Building the tests may have put a new one in its place.
    let own = own.with_file_name(
        own.file_name().and_then(|name| name.to_str()).map_or("xtask", |name| name.trim_end_matches(" (deleted)")),
    );
    let mut libraries = BTreeSet::new();
    for program in [own.with_file_name("wamig"), own.clone()] {
        libraries.extend(loads(&program)?);
        archive.file(&program.to_string_lossy(), &stripped(&program, scratch)?);
    }
    for program in PROGRAMS.iter().map(Path::new).filter(|path| path.exists()) {
        libraries.extend(loads(program)?);
        archive.file(&program.to_string_lossy(), &read(program)?);
    }
    for file in FILES.iter().map(Path::new).filter(|path| path.exists()) {
        archive.file(&file.to_string_lossy(), &read(file)?);
    }
    let brought = scratch.part()?;
    recipe::prepare(NIC, "workstation", brought.path())?;
    for entry in fs::read_dir(brought.path()).context("the recipe's directory is gone")? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        archive.file(&format!("/workstation/{name}"), &read(&path)?);
    }
    archive.file("/etc/wamig-bin", own.with_file_name("wamig").to_string_lossy().as_bytes());
    Ok(libraries)
}

/// The program without its debug information, most of its size; as it is where there is no `strip`.
fn stripped(program: &Path, scratch: &Scratch) -> Result<Vec<u8>> {
    let small = scratch.path().join(program.file_name().unwrap_or_default());
    let done = process::capture(user::command("strip").arg("-o").arg(&small).arg(program));
    let bytes = read(if done.is_ok() { &small } else { program })?;
    let _ = fs::remove_file(&small);
    Ok(bytes)
}

/// The files the dynamic linker would load for the program, itself included.
fn loads(program: &Path) -> Result<Vec<PathBuf>> {
    let printed = process::capture(Command::new("ldd").arg(program))?;
    Ok(printed.lines().filter_map(library).collect())
}

/// `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`, `/lib64/ld-linux-x86-64.so.2 (0x…)`.
fn library(line: &str) -> Option<PathBuf> {
    let file = line.split(" => ").last()?.trim().split(" (").next()?;
    file.starts_with('/').then(|| PathBuf::from(file))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_taken_from_where_they_are_loaded() {
        let libc = library("\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)");

        assert_eq!(libc, Some(PathBuf::from("/lib/x86_64-linux-gnu/libc.so.6")));
        assert_eq!(
            library("\t/lib64/ld-linux-x86-64.so.2 (0x00007f)"),
            Some(PathBuf::from("/lib64/ld-linux-x86-64.so.2"))
        );
        assert_eq!(library("\tlinux-vdso.so.1 (0x00007ffc)"), None);
    }
}
