//! Finds or builds `bpf-linker` for the chosen toolchain.
//!
//! rustc hands the linker LLVM bitcode, so both must speak the same LLVM. The linker is therefore built against the
//! very library the compiler loads: its build script takes `LLVM_PREFIX`, of which it needs only
//! `lib/libLLVM.so` to link and the same file under its own name to run. Two symbolic links give it both, and no
//! LLVM package has to be installed.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::{
    rustc::{clean, llvm_library, on_path},
    toolchain::{Pins, Toolchain},
};
use crate::{process, workspace};

/// `cargo xtask bpf-linker`: print where it is, after building it if need be.
pub fn run() -> Result<()> {
    let pins = Pins::read()?;
    let toolchain = Toolchain::choose(&pins)?;
    eprintln!("bpf toolchain: {toolchain}");
    println!("{}", ensure(&pins, &toolchain)?.display());
    Ok(())
}

/// The linker for this toolchain: one on the path that fits, else our own, built now if it is missing.
pub fn ensure(pins: &Pins, toolchain: &Toolchain) -> Result<PathBuf> {
    let wanted = toolchain.rustc.llvm_library()?;
    if let Some(found) = on_path("bpf-linker").find(|path| fits(path, &pins.bpf_linker, &wanted)) {
        return Ok(found);
    }
    let home = workspace::target().join("tools").join(toolchain.slug());
    let linker = home.join("bin/bpf-linker");
    if !fits(&linker, &pins.bpf_linker, &wanted) {
        build(pins, toolchain, &wanted, &home).context("cannot build bpf-linker")?;
        if !fits(&linker, &pins.bpf_linker, &wanted) {
            bail!(
                "{} was built but does not load {}; remove {} and try again",
                linker.display(),
                wanted.display(),
                home.display()
            );
        }
    }
    Ok(linker)
}

/// Whether the linker runs, has the pinned version, and loads the library file the compiler loads.
fn fits(linker: &Path, version: &str, wanted: &Path) -> bool {
    let says = process::capture(clean(Command::new(linker)).arg("--version"));
    let loads = llvm_library(linker).ok().flatten().and_then(|library| library.canonicalize().ok());
    says.is_ok_and(|says| says.split_whitespace().nth(1) == Some(version))
        && loads.is_some()
        && loads == wanted.canonicalize().ok()
}

fn build(pins: &Pins, toolchain: &Toolchain, llvm: &Path, home: &Path) -> Result<()> {
    let prefix = home.join("llvm");
    let lib = prefix.join("lib");
    fs::create_dir_all(&lib).with_context(|| format!("cannot create {}", lib.display()))?;
    let name = llvm.file_name().with_context(|| format!("{} has no file name", llvm.display()))?;
    for link in [lib.join("libLLVM.so"), lib.join(name)] {
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link).with_context(|| format!("cannot replace {}", link.display()))?;
        }
        symlink(llvm, &link).with_context(|| format!("cannot create {}", link.display()))?;
    }

    let version = &pins.bpf_linker;
    eprintln!("building bpf-linker {version} against {} (once, about a minute)", llvm.display());
    let mut cargo = clean(Command::new(toolchain.rustc.cargo()));
    cargo
        .args(["install", "--quiet", "bpf-linker", "--locked", "--force", "--no-default-features"])
        .args(["--version", version])
        .arg(format!("--features=llvm-{}", toolchain.rustc.llvm_major()?))
        .arg("--root")
        .arg(home)
        .arg("--target-dir")
        .arg(workspace::target().join("tools/build"))
        .env("RUSTC", &toolchain.rustc.path)
        .env("LLVM_PREFIX", &prefix)
        // Relative as well, so that a build directory that was moved still works.
        .env("RUSTFLAGS", "-Clink-arg=-Wl,-rpath,$ORIGIN/../llvm/lib");
    process::run(&mut cargo)
}
