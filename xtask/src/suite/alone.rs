//! What a privileged test program sees of the machine: `/run` and the BPF file system as if it were the only one.
//!
//! Test networks, their directories and their pins have fixed names. In a mount namespace of its own a program has
//! `/run` through an overlay that keeps what it writes in memory, and an empty `/sys/fs/bpf`. So several of them run
//! side by side, and what one leaves behind is gone with its last process.

use std::{
    ffi::{CStr, CString},
    fs,
    os::unix::{ffi::OsStrExt as _, process::CommandExt as _},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::stat::Mode,
    unistd::mkdir,
};

/// The places of the overlay, as the child uses them: after `fork` nothing may be allocated.
#[derive(Debug)]
struct Places {
    memory: CString,
    upper: CString,
    work: CString,
    options: CString,
}

/// Let `command` run in a mount namespace of its own. `dir`, which is made and stays empty, is where the child mounts
/// the memory that its `/run` is written to.
///
/// # Errors
/// `dir` cannot be made. What the kernel refuses (root is needed, and overlayfs) comes from starting the command.
pub fn isolate(command: &mut Command, dir: &Path) -> Result<()> {
    fs::create_dir(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let path = |name: &str| CString::new(dir.join(name).as_os_str().as_bytes());
    let (upper, work) = (path("upper")?, path("work")?);
    let mut options = b"lowerdir=/run,upperdir=".to_vec();
    options.extend_from_slice(upper.as_bytes());
    options.extend_from_slice(b",workdir=");
    options.extend_from_slice(work.as_bytes());
    let places = Places { memory: path("")?, upper, work, options: CString::new(options)? };
    // SAFETY: between fork and exec the closure makes system calls only and allocates nothing.
    unsafe {
        command.pre_exec(move || enter(&places).map_err(Into::into));
    }
    Ok(())
}

fn enter(places: &Places) -> nix::Result<()> {
    const NOTHING: Option<&CStr> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NOTHING, c"/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)?;
    mount(Some(c"tmpfs"), places.memory.as_c_str(), Some(c"tmpfs"), MsFlags::empty(), NOTHING)?;
    for dir in [&places.upper, &places.work] {
        mkdir(dir.as_c_str(), Mode::S_IRWXU | Mode::S_IRGRP | Mode::S_IXGRP | Mode::S_IROTH | Mode::S_IXOTH)?;
    }
    let options = Some(places.options.as_c_str());
    mount(Some(c"overlay"), c"/run", Some(c"overlay"), MsFlags::empty(), options)?;
    mount(Some(c"bpf"), c"/sys/fs/bpf", Some(c"bpf"), MsFlags::empty(), NOTHING)
}
