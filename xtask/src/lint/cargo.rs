//! The checks cargo makes: rustfmt, clippy, rustdoc, and the compiler's warnings about the XDP program.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Outcome, rules};
use crate::{
    bpf::{
        build,
        toolchain::{Pins, Toolchain},
    },
    process, user,
};

/// The sources are laid out as rustfmt does it.
pub fn fmt() -> Result<Outcome> {
    if !works(user::cargo().args(["fmt", "--version"])) {
        return Ok(Outcome::Skipped("no rustfmt: sudo scripts/setup lint, or rustup component add rustfmt".into()));
    }
    Ok(judge(user::cargo().args(["fmt", "--all", "--check"]), "cargo fmt --all cures it"))
}

/// Clippy has nothing to say; the warnings of a version the sources were never checked with do not count.
pub fn clippy() -> Result<Outcome> {
    let Ok(version) = process::capture(user::cargo().args(["clippy", "--version"])) else {
        return Ok(Outcome::Skipped("no clippy: sudo scripts/setup lint, or rustup component add clippy".into()));
    };
    // `clippy 0.1.95 (59807616e1 2026-04-14)`, Debian's without the parentheses
    let minor = version.split(['.', ' ', '\n']).nth(3).and_then(|minor| minor.parse().ok());
    let known = minor.is_some_and(|minor: u32| rules::CLIPPY.contains(&minor));
    let mut clippy = user::cargo();
    clippy.args([
        "clippy",
        "--quiet",
        "--locked",
        "--workspace",
        "--exclude",
        "wamig-ebpf",
        "--all-targets",
        "--keep-going",
    ]);
    if known {
        clippy.args(["--", "--deny", "warnings"]);
    } else {
        println!("notice: the sources were not checked with {}: its warnings do not count", version.trim());
    }
    Ok(judge(&mut clippy, "see its warnings above"))
}

/// The documentation builds without a broken link.
pub fn doc() -> Result<Outcome> {
    let mut doc = user::cargo();
    doc.args(["doc", "--quiet", "--locked", "--no-deps", "--workspace", "--exclude", "wamig-ebpf"]);
    doc.args(["--document-private-items"])
        .env("RUSTDOCFLAGS", "--deny warnings --allow rustdoc::private-intra-doc-links");
    Ok(judge(&mut doc, "see its warnings above"))
}

/// The compiler has nothing to say about the XDP program; cargo repeats what it said when the object was built.
pub fn ebpf() -> Result<Outcome> {
    let pins = Pins::read()?;
    let toolchain = match Toolchain::choose(&pins) {
        Ok(toolchain) => toolchain,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let mut cargo = build::command(&pins, &toolchain)?;
    cargo.args(["--quiet", "--message-format=json-diagnostic-rendered-ansi"]);
    let output = cargo.stdin(Stdio::null()).output().context("cannot start cargo")?;
    let mut warnings = 0;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        if message["reason"] == "compiler-message" {
            print!("{}", message["message"]["rendered"].as_str().unwrap_or_default());
            warnings += 1;
        }
    }
    Ok(match (output.status.success(), warnings) {
        (true, 0) => Outcome::Clean,
        (true, _) => Outcome::Broken(format!("{warnings} warnings, printed above")),
        (false, _) => {
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            Outcome::Broken("it does not build".into())
        }
    })
}

fn works(command: &mut Command) -> bool {
    process::capture(command).is_ok()
}

fn judge(command: &mut Command, cure: &str) -> Outcome {
    match process::run(command) {
        Ok(()) => Outcome::Clean,
        Err(error) => Outcome::Broken(format!("{error:#}: {cure}")),
    }
}
