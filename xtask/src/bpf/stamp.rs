//! Tells whether the object is up to date: one number over its sources and its tools.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::workspace;

/// What goes into the object, beside the tools: directories are taken whole.
const SOURCES: &[&str] = &[
    "wamig-ebpf",
    "wamig-common/src",
    "wamig-common/Cargo.toml",
    "Cargo.toml",
    "Cargo.lock",
    "xtask/bpf-toolchain.toml",
    "xtask/src/bpf/build.rs",
];

/// The number for the sources as they are now, built by `tools` (any text that names them).
pub fn compute(tools: &str) -> Result<String> {
    let mut files = Vec::new();
    for source in SOURCES {
        collect(&workspace::root().join(source), &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    tools.hash(&mut hasher);
    for file in files {
        file.strip_prefix(workspace::root()).unwrap_or(&file).hash(&mut hasher);
        fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?.hash(&mut hasher);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    let entries = fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))?;
    for entry in entries {
        collect(&entry.with_context(|| format!("cannot list {}", path.display()))?.path(), files)?;
    }
    Ok(())
}
