//! One installed Rust compiler, and what it can do for BPF.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{process, user};

/// The target triple of the XDP object.
pub const TARGET: &str = "bpfel-unknown-none";

/// A compiler that was run once and answered.
#[derive(Clone, Debug)]
pub struct Rustc {
    /// The compiler itself, never a rustup proxy: a proxy would obey `RUSTUP_TOOLCHAIN`.
    pub path: PathBuf,
    /// Where its libraries are.
    pub sysroot: PathBuf,
    /// `1.96.0`, as printed.
    pub release: String,
    /// `22.1.8`, as printed.
    pub llvm: String,
}

impl Rustc {
    /// Ask the compiler at `path` who it is.
    pub fn probe(path: &Path) -> Result<Self> {
        let version = process::capture(clean(Command::new(path)).arg("-vV"))?;
        let field = |name: &str| {
            version
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .map(str::to_owned)
                .with_context(|| format!("`{} -vV` prints no `{name}` line", path.display()))
        };
        let sysroot = process::capture(clean(Command::new(path)).args(["--print", "sysroot"]))?;
        let sysroot = PathBuf::from(sysroot.trim_end());
        let own = sysroot.join("bin/rustc");
        let path = if own.exists() { own } else { path.to_path_buf() };
        Ok(Self { path, release: field("release")?, llvm: field("LLVM version")?, sysroot })
    }

    /// The cargo that belongs to this compiler.
    pub fn cargo(&self) -> PathBuf {
        self.path.with_file_name("cargo")
    }

    /// Whether cargo is there too; a compiler alone cannot build the workspace.
    pub fn has_cargo(&self) -> bool {
        self.cargo().exists()
    }

    /// Whether a ready-made `core` for BPF is installed.
    pub fn has_bpf_core(&self) -> bool {
        self.sysroot.join("lib/rustlib").join(TARGET).join("lib").exists()
    }

    /// Whether the library sources are installed, so that `core` can be built.
    pub fn has_source(&self) -> bool {
        self.sysroot.join("lib/rustlib/src/rust/library/Cargo.lock").exists()
    }

    /// `22` of LLVM `22.1.8`.
    pub fn llvm_major(&self) -> Result<u32> {
        let major = self.llvm.split('.').next().and_then(|major| major.parse().ok());
        major.with_context(|| format!("{} names its LLVM `{}`", self.path.display(), self.llvm))
    }

    /// The LLVM library this compiler is linked to, as the dynamic linker finds it.
    pub fn llvm_library(&self) -> Result<PathBuf> {
        match llvm_library(&self.path)? {
            Some(library) => Ok(library),
            None => bail!(
                "{} is not linked to a shared libLLVM, so no bpf-linker can be built against it; name another \
                 toolchain with WAMIG_BPF_TOOLCHAIN",
                self.path.display()
            ),
        }
    }

    /// `rustc 1.96.0 (LLVM 22.1.8) at /usr/bin/rustc`.
    pub fn describe(&self) -> String {
        format!("rustc {} (LLVM {}) at {}", self.release, self.llvm, self.path.display())
    }
}

/// The shared libLLVM that the program or library at `path` would load, if it loads one.
pub fn llvm_library(path: &Path) -> Result<Option<PathBuf>> {
    let printed = process::capture(clean(Command::new("ldd")).arg(path))?;
    let found = printed.lines().find_map(|line| {
        let (name, place) = line.trim().split_once(" => ")?;
        name.starts_with("libLLVM").then(|| PathBuf::from(place.split(" (").next().unwrap_or(place)))
    });
    Ok(found)
}

/// Every program called `name` on the search path, first come first.
pub fn on_path(name: &str) -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<PathBuf> = env::split_paths(&path).collect();
    let name = name.to_owned();
    dirs.into_iter().map(move |dir| dir.join(&name)).filter(|program| program.is_file())
}

/// Take away what an outer cargo or rustup says about the toolchain: this child gets its own.
pub fn clean(mut command: Command) -> Command {
    user::forget_package(&mut command);
    for name in [
        "CARGO",
        "CARGO_BUILD_RUSTC",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "RUSTC",
        "RUSTC_BOOTSTRAP",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTDOC",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
    ] {
        command.env_remove(name);
    }
    command
}
