//! `cargo xtask build-ebpf`: compiles `wamig-ebpf` and puts the object where `wamig-userspace` looks for it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::{
    linker,
    rustc::{TARGET, clean},
    stamp,
    toolchain::{Core, Pins, Toolchain},
};
use crate::{process, user, workspace};

/// The crates that need an unstable feature on a stable compiler. `RUSTC_BOOTSTRAP` names them, and only them.
const UNSTABLE_CRATES: &str = "aya_ebpf,aya_ebpf_bindings,aya_log_ebpf,wamig,wamig_bench,wamig_ebpf";
/// `[profile.bpf]` in the workspace's `Cargo.toml`.
const PROFILE: &str = "bpf";

/// What `cargo xtask build-ebpf` takes.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Options {
    /// Build even if the object is up to date
    #[arg(long)]
    pub force: bool,
}

/// Build the object unless it is up to date, and say which toolchain does it and why.
pub fn run(options: &Options) -> Result<()> {
    let object = workspace::bpf_object();
    if let Some(ready) = given() {
        println!("WAMIG_BPF_OBJ names a finished object, {}: nothing to build", ready.display());
        return Ok(());
    }
    let pins = Pins::read()?;
    let toolchain = Toolchain::choose(&pins)?;
    let stamp = stamp::compute(&format!("{} {} {:?}", toolchain.slug(), pins.bpf_linker, toolchain.core))?;
    let stamp_file = workspace::bpf_build_dir().join("stamp");
    if !options.force
        && object.exists()
        && workspace::bench_object().exists()
        && fs::read_to_string(&stamp_file).is_ok_and(|old| old == stamp)
    {
        println!("{} is up to date ({})", object.display(), toolchain.rustc.describe());
        return Ok(());
    }
    println!("bpf toolchain: {toolchain}");
    process::run(&mut command(&pins, &toolchain)?).context("the XDP program does not build")?;
    let built = workspace::bpf_build_dir().join(TARGET).join(PROFILE);
    install(&built.join("wamig"), &object)?;
    install(&built.join("wamig-bench"), &workspace::bench_object())?;
    fs::write(&stamp_file, stamp).with_context(|| format!("cannot write {}", stamp_file.display()))?;
    println!("built {}", object.display());
    Ok(())
}

/// The finished object that `WAMIG_BPF_OBJ` names, which makes a BPF toolchain unnecessary.
pub fn given() -> Option<PathBuf> {
    env::var_os("WAMIG_BPF_OBJ").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The cargo that compiles the program, for whoever runs it to add to.
///
/// The target directory is its own: the compiler is another one, and userspace may be building at the same time.
pub fn command(pins: &Pins, toolchain: &Toolchain) -> Result<Command> {
    let linker = linker::ensure(pins, toolchain)?;
    let flags = [
        format!("-Clinker={}", linker.display()),
        "-Clink-arg=--btf".into(),
        "-Cdebuginfo=2".into(),
        format!("--cfg=bpf_target_arch=\"{}\"", env::consts::ARCH),
        "--check-cfg=cfg(bpf_target_arch,values(\"x86_64\",\"aarch64\"))".into(),
    ];
    let mut cargo = clean(user::command(toolchain.rustc.cargo()));
    cargo
        .current_dir(workspace::root())
        .args(["build", "--locked", "--package", "wamig-ebpf", "--features", "bpf"])
        .args(["--profile", PROFILE, "--target", TARGET])
        .arg("--target-dir")
        .arg(workspace::bpf_build_dir())
        .env("RUSTC", &toolchain.rustc.path)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    match toolchain.core {
        Core::Prebuilt => cargo.env("RUSTC_BOOTSTRAP", UNSTABLE_CRATES),
        // `-Z` is refused to a stable cargo unless it is told that it is none.
        Core::Source => cargo.env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=core"),
    };
    Ok(cargo)
}

/// Copy the object into place; one with the same bytes is left alone, so that nothing that embeds it is rebuilt.
fn install(built: &Path, object: &Path) -> Result<()> {
    let bytes = fs::read(built).with_context(|| format!("cargo built no {}", built.display()))?;
    if !bytes.starts_with(b"\x7fELF") {
        bail!("{} is not an ELF object: did bpf-linker link it?", built.display());
    }
    if fs::read(object).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let dir = object.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let new = dir.join(".new");
    fs::write(&new, bytes)
        .and_then(|()| fs::rename(&new, object))
        .with_context(|| format!("cannot write {}", object.display()))
}
