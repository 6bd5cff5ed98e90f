//! Puts the XDP object into `OUT_DIR`, for `src/object.rs` to embed.
//!
//! The object is `$WAMIG_BPF_OBJ`, else what `cargo xtask build-ebpf` left in `target/bpf`. Without it, or with the
//! feature `bpf` off, the embedded file is empty and the build goes on: everything but the fast path itself works
//! and is tested without a BPF toolchain.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=WAMIG_BPF_OBJ");
    println!("cargo:rerun-if-env-changed=CARGO_TARGET_DIR");
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let embedded = out_dir.join("wamig.bpf.o");
    let object = if env::var_os("CARGO_FEATURE_BPF").is_some() {
        read(&out_dir)
    } else {
        println!("cargo:warning=building without the XDP fast path: the feature `bpf` is off");
        Vec::new()
    };
    fs::write(&embedded, object).unwrap_or_else(|error| panic!("cannot write {}: {error}", embedded.display()));
}

/// The object's bytes; empty, with a warning that names the remedy, when there is none.
fn read(out_dir: &Path) -> Vec<u8> {
    let named = env::var_os("WAMIG_BPF_OBJ").filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = if let Some(path) = named {
        println!("cargo:rerun-if-changed={}", path.display());
        path
    } else {
        let dir = target(out_dir).join("bpf");
        // Watch the directory, since cargo rebuilds every time while a watched file is missing.
        if fs::create_dir_all(&dir).is_ok() {
            println!("cargo:rerun-if-changed={}", dir.display());
        }
        dir.join("wamig.bpf.o")
    };
    match fs::read(&path) {
        Ok(object) if object.starts_with(b"\x7fELF") => object,
        Ok(_) => {
            println!("cargo:warning={} is not an ELF object; building without the XDP fast path", path.display());
            Vec::new()
        }
        Err(error) => {
            println!(
                "cargo:warning=building without the XDP fast path: {}: {error}; `cargo xtask build-ebpf` makes it",
                path.display()
            );
            Vec::new()
        }
    }
}

/// The build directory, which cargo does not tell: `OUT_DIR` is `[triple/]profile/build/package/out` below it.
fn target(out_dir: &Path) -> PathBuf {
    if let Some(dir) = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute()) {
        return dir;
    }
    let marked = out_dir.ancestors().skip(4).find(|dir| dir.join("CACHEDIR.TAG").exists());
    marked.map_or_else(|| PathBuf::from("../target"), Path::to_path_buf)
}
