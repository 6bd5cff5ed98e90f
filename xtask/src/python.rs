//! Python environments of pinned packages, made below the build directory.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use nix::fcntl::{Flock, FlockArg};

use crate::{process, user, workspace};

/// Makes the environment `dir` (below the build directory) unless it is there; its Python. `packages` are
/// requirements as pip takes them, each with its version.
///
/// # Errors
/// Debian's python3-venv is missing, or a package cannot be fetched.
pub fn environment(dir: &str, packages: &[&str]) -> Result<PathBuf> {
    let dir = workspace::target().join(dir);
    let python = dir.join("bin").join("python");
    if complete(&dir, packages) {
        return Ok(python);
    }
    let _making = lock(&dir)?;
    if complete(&dir, packages) {
        return Ok(python);
    }
    println!("installing {} into {} (about 30 s)", packages[0], dir.display());
    process::run(user::command("python3").args(["-m", "venv", "--clear"]).arg(&dir))
        .context("Python with its venv module is needed: sudo scripts/setup of")?;
    process::run(user::command(&python).args(["-m", "pip", "install", "--quiet", "--no-input"]).args(packages))?;
    finish(&dir, packages)?;
    Ok(python)
}

/// Unpacks packages, without what they depend on, into `dir` (below the build directory), where no program will look
/// for them; the directory.
///
/// # Errors
/// As [`environment`].
pub fn unpacked(python: &Path, dir: &str, packages: &[&str]) -> Result<PathBuf> {
    let dir = workspace::target().join(dir);
    if complete(&dir, packages) {
        return Ok(dir);
    }
    let _making = lock(&dir)?;
    if complete(&dir, packages) {
        return Ok(dir);
    }
    let install =
        ["-m", "pip", "install", "--quiet", "--no-input", "--no-deps", "--no-compile", "--upgrade", "--target"];
    process::run(user::command(python).args(install).arg(&dir).args(packages))?;
    finish(&dir, packages)?;
    Ok(dir)
}

/// Only one process at a time makes a directory; tests run side by side.
fn lock(dir: &Path) -> Result<Flock<File>> {
    let path = dir.with_extension("lock");
    let parent = path.parent().context("an environment is below the build directory")?;
    std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    for made in [parent, &path] {
        user::own(made);
    }
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| anyhow!("cannot lock {}: {error}", path.display()))
}

/// Written last: what was interrupted is made again, and so is what holds other packages.
fn marker(dir: &Path) -> PathBuf {
    dir.join("complete")
}

fn complete(dir: &Path, packages: &[&str]) -> bool {
    std::fs::read_to_string(marker(dir)).is_ok_and(|text| text == packages.join("\n"))
}

fn finish(dir: &Path, packages: &[&str]) -> Result<()> {
    let marker = marker(dir);
    std::fs::write(&marker, packages.join("\n"))?;
    user::own(&marker);
    Ok(())
}
