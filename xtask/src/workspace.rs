//! Where things are: the sources, the build directory and what is put into it.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The directory that holds the workspace's `Cargo.toml`.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The build directory: `$CARGO_TARGET_DIR`, else `target` beside the workspace's `Cargo.toml`.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR").map(PathBuf::from) {
        Some(dir) if dir.is_absolute() => dir,
        Some(dir) if !dir.as_os_str().is_empty() => env::current_dir().unwrap_or_else(|_| root().into()).join(dir),
        _ => root().join("target"),
    }
}

/// The directory `wamig-userspace/build.rs` watches; it holds nothing but the object.
pub fn bpf_dir() -> PathBuf {
    target().join("bpf")
}

/// Where the object is compiled.
pub fn bpf_build_dir() -> PathBuf {
    target().join("bpf-build")
}

/// The XDP object that `cargo xtask build-ebpf` makes and `wamig-userspace` embeds.
pub fn bpf_object() -> PathBuf {
    bpf_dir().join("wamig.bpf.o")
}

/// The object of the programs that wamig is measured against.
pub fn bench_object() -> PathBuf {
    bpf_build_dir().join("bench").join("wamig-bench.bpf.o")
}
