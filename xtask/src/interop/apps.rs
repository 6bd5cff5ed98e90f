//! Controllers from their Python packages, run as they are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::rig::{CONTROLLER, Rig};
use crate::lab::process::Process;
use crate::{conformance, python, workspace};

/// The last os-ken that came with its applications; they run under the present one.
const WITH_APPLICATIONS: &str = "os-ken==1.4.1";
/// Faucet and what it needs, each with its version.
const FAUCET: &str = include_str!("faucet.txt");

/// An application of os-ken.
#[derive(Clone, Debug)]
pub struct Application {
    python: PathBuf,
    file: PathBuf,
}

/// The application `name`, as in `simple_switch_13`, fetched if it is not there.
///
/// # Errors
/// It cannot be fetched.
pub fn os_ken(name: &str) -> Result<Application> {
    let python = conformance::venv::python()?;
    let packages = python::unpacked(&python, "python/os-ken-applications", &[WITH_APPLICATIONS])?;
    let file = packages.join("os_ken").join("app").join(format!("{name}.py"));
    ensure!(file.exists(), "{WITH_APPLICATIONS} has no {}", file.display());
    Ok(Application { python, file })
}

impl Application {
    /// Starts it beside the switch; it listens at [`CONTROLLER`] and its log is `application.log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&self, rig: &Rig) -> Result<Process> {
        let driver = workspace::root().join("xtask/src/interop/application.py").display().to_string();
        let args = [&driver, &CONTROLLER.to_string(), &self.file.display().to_string()];
        rig.start("application", &self.python, &args.map(String::as_str))
    }
}

/// Faucet's programs, fetched if they are not there.
///
/// # Errors
/// They cannot be fetched.
pub fn faucet() -> Result<PathBuf> {
    let packages: Vec<&str> = FAUCET.lines().filter(|line| !line.starts_with('#')).collect();
    let python = python::environment("python/faucet", &packages)?;
    Ok(python.parent().context("a Python is in a directory")?.to_owned())
}

/// Starts Faucet beside the switch with this configuration. It listens at [`CONTROLLER`]; it writes `faucet.log` and
/// `exceptions.log`, and what its framework says is `framework.log`.
///
/// # Errors
/// It cannot be started.
pub fn start_faucet(rig: &Rig, programs: &Path, configuration: &str) -> Result<Process> {
    let file = |name: &str| Ok::<_, anyhow::Error>(rig.dir()?.join(name).display().to_string());
    std::fs::write(file("faucet.yaml")?, configuration)?;
    let programs = programs.display();
    let words = [
        // It starts os-ken's manager by name.
        format!("PATH={programs}:/usr/bin:/bin"),
        format!("FAUCET_CONFIG={}", file("faucet.yaml")?),
        format!("FAUCET_LOG={}", file("faucet.log")?),
        format!("FAUCET_EXCEPTION_LOG={}", file("exceptions.log")?),
        "FAUCET_PROMETHEUS_ADDR=127.0.0.1".to_owned(),
        format!("{programs}/faucet"),
        "--ryu-ofp-listen-host=127.0.0.1".to_owned(),
        format!("--ryu-ofp-tcp-listen-port={CONTROLLER}"),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    rig.start("framework", Path::new("/usr/bin/env"), &words)
}
