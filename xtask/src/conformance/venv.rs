//! The Python environment that the tester runs in.

use std::path::PathBuf;

use anyhow::Result;

use crate::{process, python, user};

/// What is installed into it.
const OS_KEN: &str = "os-ken==4.2.2";

/// Makes the environment unless it is there; its Python.
///
/// # Errors
/// Debian's python3-venv is missing, or the package cannot be fetched.
pub fn python() -> Result<PathBuf> {
    python::environment("conformance/venv", &[OS_KEN])
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
