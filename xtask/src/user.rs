//! Who builds: under `sudo` the user who called it, so that nothing in the build directory belongs to root.

use std::{
    env,
    ffi::OsStr,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Command,
};

use nix::unistd::{Uid, User};

use crate::workspace;

/// Whether this process may do everything.
pub fn is_root() -> bool {
    Uid::effective().is_root()
}

/// The user who called `sudo`, if root runs this through it.
fn caller() -> Option<User> {
    let uid = env::var("SUDO_UID").ok()?.parse().ok().map(Uid::from_raw)?;
    if !is_root() || uid.is_root() {
        return None;
    }
    User::from_uid(uid).ok()?
}

/// A command that runs as the user who builds.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let Some(user) = caller() else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={}", user.uid))
        .arg(format!("--regid={}", user.gid))
        // Changing the user forgets the parent-death signal that `bounded` asks for.
        .args(["--init-groups", "--pdeathsig=KILL", "--"])
        .arg(program)
        .env("HOME", &user.dir)
        .env("USER", &user.name)
        .env("LOGNAME", &user.name);
    for name in ["SUDO_USER", "SUDO_UID", "SUDO_GID", "SUDO_COMMAND"] {
        command.env_remove(name);
    }
    command
}

/// The cargo of the user who builds: `$CARGO` (set by cargo itself and by `scripts/test`), else the one on the path.
pub fn cargo() -> Command {
    let program = env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let mut cargo = command(&program);
    let mut path: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    if let Some(user) = caller() {
        path.insert(0, user.dir.join(".cargo/bin"));
    }
    // Its rustc is the one beside it, whatever else the path offers.
    if let Some(dir) = program.parent().filter(|dir| dir.is_absolute()) {
        path.insert(0, dir.to_path_buf());
    }
    if let Ok(path) = env::join_paths(path) {
        cargo.env("PATH", path);
    }
    forget_package(&mut cargo);
    cargo.current_dir(workspace::root());
    cargo
}

/// Take away what `cargo run` says about xtask itself: build scripts watch some of it, and what they built would be
/// built anew whenever xtask is started in another way.
pub fn forget_package(command: &mut Command) {
    let about_xtask = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix))
            || ["CARGO_BIN_NAME", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "LD_LIBRARY_PATH"].contains(&name)
    };
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(about_xtask) {
            command.env_remove(name);
        }
    }
}

/// Give a file or directory that root made to the user who builds; without root it is theirs already.
pub fn own(path: &Path) {
    if let Some(user) = caller() {
        // Not worth failing for: a later `cargo clean` then needs sudo.
        let _ = chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()));
    }
}
