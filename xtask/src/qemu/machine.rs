//! The virtual machine: QEMU, a kernel and a userland, from the system or from where `scripts/setup vm` unpacked them.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    bounded::{self, Ended, Output},
    bpf::rustc::on_path,
    user, workspace,
};

/// When a boot with all its tests counts as hung. Emulated it takes two to four minutes, and twice that where others work.
const LIMIT: Duration = Duration::from_mins(25);
/// What is typed where something is missing.
const REMEDY: &str = "scripts/setup vm";

/// Everything a boot needs, found.
#[derive(Debug)]
pub struct Machine {
    /// The emulator; may have to be run with libraries of its own, see [`Machine::qemu`].
    emulator: PathBuf,
    /// Where the emulator was unpacked, if it is not the system's.
    unpacked: Option<PathBuf>,
    /// The kernel image.
    pub kernel: PathBuf,
    /// `lib/modules/RELEASE` of that kernel.
    pub modules: PathBuf,
    /// A statically linked busybox.
    pub busybox: PathBuf,
}

impl Machine {
    /// Look for all of it; the error names what is missing and the remedy.
    pub fn find() -> Result<Self> {
        let vm = workspace::target().join("vm");
        let (emulator, unpacked) = match on_path("qemu-system-x86_64").next() {
            Some(system) => (system, None),
            None => (vm.join("qemu/usr/bin/qemu-system-x86_64"), Some(vm.join("qemu"))),
        };
        if !emulator.exists() {
            bail!("no qemu-system-x86_64: {REMEDY}");
        }
        let release = only_entry(&vm.join("kernel/lib/modules")).with_context(|| format!("no kernel: {REMEDY}"))?;
        let busybox = vm.join("busybox/bin/busybox");
        if !busybox.exists() {
            bail!("no {}: {REMEDY}", busybox.display());
        }
        Ok(Self {
            emulator,
            unpacked,
            kernel: vm.join("kernel/boot").join(format!("vmlinuz-{release}")),
            modules: vm.join("kernel/lib/modules").join(&release),
            busybox,
        })
    }

    /// The emulator as a command of the user who builds, without arguments.
    pub fn qemu(&self) -> Command {
        self.qemu_as(user::command(&self.emulator))
    }

    fn qemu_as(&self, mut qemu: Command) -> Command {
        if let Some(root) = &self.unpacked {
            let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map(|dir| root.join(dir));
            if let Ok(path) = std::env::join_paths(libraries) {
                qemu.env("LD_LIBRARY_PATH", path);
            }
            // Firmware that its package finds by absolute links.
            for share in ["qemu", "seabios"] {
                qemu.arg("-L").arg(root.join("usr/share").join(share));
            }
        }
        qemu
    }

    /// The emulator as a program and its first arguments, to be run as whoever starts it: a tap needs root.
    ///
    /// # Errors
    /// A path is no text.
    pub fn words(&self) -> Result<Vec<String>> {
        let qemu = self.qemu_as(Command::new(&self.emulator));
        let text = |word: &OsStr| word.to_str().map(str::to_owned).context("the path of QEMU is no text");
        let mut words = Vec::new();
        if self.unpacked.is_some() {
            words.push("/usr/bin/env".to_owned());
            for (name, value) in qemu.get_envs() {
                words.push(format!("{}={}", text(name)?, text(value.unwrap_or_default())?));
            }
        }
        words.push(text(qemu.get_program())?);
        for argument in qemu.get_args() {
            words.push(text(argument)?);
        }
        Ok(words)
    }

    /// Boot with `initrd` until the guest powers off; what it prints goes to `log`.
    pub fn boot(&self, initrd: &Path, log: &Path) -> Result<Ended> {
        let mut qemu = self.qemu();
        // Emulated: nested virtualisation is missing or broken in too many places to lean on it.
        qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-machine", "q35", "-smp", "2", "-m", "1536"]);
        qemu.args(["-display", "none", "-monitor", "none", "-serial", "stdio", "-nic", "none", "-no-reboot"]);
        qemu.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(initrd);
        qemu.args(["-append", "console=ttyS0 panic=-1 quiet"]);
        bounded::run(&mut qemu, LIMIT, Output::Kept(log))
    }
}

fn only_entry(dir: &Path) -> Result<String> {
    let mut entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    let entry = entries.next().with_context(|| format!("{} is empty", dir.display()))??;
    Ok(entry.file_name().to_string_lossy().into_owned())
}
