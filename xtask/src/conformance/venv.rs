//! The Python environment that the tester runs in: made below the build directory, of one pinned version.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{process, user, workspace};

/// What is installed into it.
const OS_KEN: &str = "os-ken==4.2.2";

/// Makes the environment unless it is there; its Python.
///
/// # Errors
/// Debian's python3-venv is missing, or the package cannot be fetched.
pub fn python() -> Result<PathBuf> {
    let dir = workspace::target().join("conformance").join("venv");
    let python = dir.join("bin").join("python");
    // Written last: an environment whose making was interrupted is made again.
    let complete = dir.join(OS_KEN);
    if complete.exists() {
        return Ok(python);
    }
    println!("installing {OS_KEN} into {} (about 30 s)", dir.display());
    process::run(user::command("python3").args(["-m", "venv", "--clear"]).arg(&dir))
        .context("the tester needs python3 with its venv module: sudo scripts/setup of")?;
    process::run(user::command(&python).args(["-m", "pip", "install", "--quiet", "--no-input", OS_KEN]))?;
    std::fs::write(&complete, "")?;
    user::own(&complete);
    Ok(python)
}

/// Where the tester's own files lie.
///
/// # Errors
/// The environment is broken: delete it.
pub fn cases(python: &PathBuf) -> Result<PathBuf> {
    let script = "import os, os_ken; print(os.path.join(os.path.dirname(os_ken.__file__), 'tests', 'switch'))";
    let printed = process::capture(user::command(python).args(["-c", script]))?;
    Ok(printed.trim().into())
}
