//! The guest's file system: busybox, the test programs, and the shared libraries they load.
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
    process,
    suite::{binary::TestBinary, scratch::Scratch},
    user,
};

/// Kernel modules the tests may need, each after those it depends on.
const MODULES: &[&str] = &["kernel/drivers/net/veth.ko"];

/// Pack everything; the archive's bytes.
pub fn build(machine: &Machine, tests: &[TestBinary], all: bool, scratch: &Scratch) -> Result<Vec<u8>> {
    let mut archive = Archive::new();
    archive.file("/init", include_bytes!("init.sh"));
    archive.file("/bin/busybox", &read(&machine.busybox)?);
    archive.file("/arguments", if all { b"--include-ignored\n" } else { b"\n" });
    archive.directory("/modules");
    for (number, module) in MODULES.iter().enumerate() {
        let path = machine.modules.join(module);
        archive.file(&format!("/modules/{number}.ko"), &read(&path)?);
    }
    let mut libraries = BTreeSet::new();
    for test in tests {
        libraries.extend(loads(&test.path)?);
        archive.file(&format!("/tests/{}", test.name), &stripped(test, scratch)?);
    }
    for library in libraries {
        archive.file(&library.to_string_lossy(), &read(&library)?);
    }
    Ok(archive.finish())
}

/// The program without its debug information, most of its size; as it is where there is no `strip`.
fn stripped(test: &TestBinary, scratch: &Scratch) -> Result<Vec<u8>> {
    let small = scratch.path().join(&test.name);
    let done = process::capture(user::command("strip").arg("-o").arg(&small).arg(&test.path));
    let bytes = read(if done.is_ok() { &small } else { &test.path })?;
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
