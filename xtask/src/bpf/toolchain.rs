//! Picks the toolchain that builds the XDP object, and says why.
//!
//! The first of these that is complete wins; `WAMIG_BPF_TOOLCHAIN` (`debian`, the name of a rustup toolchain, or the
//! path of a `rustc`) overrides them all:
//!
//! 1. the nightly pinned in `xtask/bpf-toolchain.toml`, with `rust-src`;
//! 2. a `rustc` that brings `core` for BPF: the first one on the path, then `/usr/bin/rustc` (Debian's `rustc-web`
//!    with `libstd-rust-web-dev-bpf`, even where rustup comes first);
//! 3. any `rustc` with `rust-src`, stable included.

use std::{env, fmt, fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::rustc::{Rustc, TARGET, on_path};
use crate::workspace;

/// The oldest compiler the workspace builds with; `rust-version` in `Cargo.toml`.
const OLDEST: (u32, u32) = (1, 95);
/// The LLVM releases the pinned bpf-linker can be built against.
const LLVM: std::ops::RangeInclusive<u32> = 21..=23;
/// Debian's compiler, which a rustup that comes first on the path would hide.
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
/// What makes Debian able to build the object.
const DEBIAN_PACKAGES: &str = "rustc-web cargo-web libstd-rust-web-dev libstd-rust-web-dev-bpf g++";

/// What `xtask/bpf-toolchain.toml` pins.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pins {
    /// The rustup toolchain tried first.
    pub nightly: String,
    /// The version of bpf-linker, from crates.io.
    pub bpf_linker: String,
}

impl Pins {
    /// Read the file; it is part of the sources.
    pub fn read() -> Result<Self> {
        let path = workspace::root().join("xtask/bpf-toolchain.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not what xtask expects", path.display()))
    }
}

/// Where `core` for BPF comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// Installed ready-made.
    Prebuilt,
    /// Built from `rust-src` by `-Zbuild-std=core`.
    Source,
}

/// The toolchain that was picked.
#[derive(Debug)]
pub struct Toolchain {
    /// The compiler.
    pub rustc: Rustc,
    /// What it needs for `core`.
    pub core: Core,
    /// Why this one: the rule that took it.
    pub why: String,
}

impl Toolchain {
    /// Apply the rules of the module head.
    pub fn choose(pins: &Pins) -> Result<Self> {
        match env::var("WAMIG_BPF_TOOLCHAIN") {
            Ok(name) if !name.is_empty() => Self::named(&name),
            _ => Self::search(pins),
        }
    }

    /// A name for directories: differs whenever the compiler or its LLVM does.
    pub fn slug(&self) -> String {
        let base = self.rustc.sysroot.file_name().map_or_else(|| "root".into(), |name| name.to_string_lossy());
        let base = if base == "usr" { "system".into() } else { base };
        format!("{base}-{}-llvm{}", self.rustc.release, self.rustc.llvm)
    }

    fn named(name: &str) -> Result<Self> {
        let why = format!("WAMIG_BPF_TOOLCHAIN={name}");
        let path = if name == "debian" {
            PathBuf::from(SYSTEM_RUSTC)
        } else if name.contains('/') {
            PathBuf::from(name)
        } else {
            let Some(home) = rustup(name) else {
                bail!(
                    "{why}, but rustup has no such toolchain: rustup toolchain install {name} --profile minimal -c rust-src --no-self-update"
                );
            };
            home.join("bin/rustc")
        };
        let rustc = Rustc::probe(&path).with_context(|| why.clone())?;
        let core = match usable(&rustc) {
            Ok(core) => core,
            Err(Unusable(reason)) => bail!("{why}, but {} {reason}", rustc.describe()),
        };
        Ok(Self { rustc, core, why })
    }

    fn search(pins: &Pins) -> Result<Self> {
        let mut refused = Vec::new();
        if let Some(home) = rustup(&pins.nightly) {
            let rustc = Rustc::probe(&home.join("bin/rustc"))?;
            match usable(&rustc) {
                Ok(core) => return Ok(Self { rustc, core, why: format!("the pinned {} is installed", pins.nightly) }),
                Err(Unusable(reason)) => refused.push(format!("{} {reason}", rustc.describe())),
            }
        } else {
            refused.push(format!("the pinned {} is not installed", pins.nightly));
        }

        let mut found: Vec<Rustc> = Vec::new();
        let paths = on_path("rustc").take(1).chain([PathBuf::from(SYSTEM_RUSTC)]).chain(all_rustup());
        for path in paths.filter(|path| path.exists()) {
            match Rustc::probe(&path) {
                Ok(rustc) if found.iter().any(|known| known.path == rustc.path) => {}
                Ok(rustc) => found.push(rustc),
                Err(error) => refused.push(format!("{error:#}")),
            }
        }
        let mut source = None;
        for rustc in found {
            match usable(&rustc) {
                Ok(Core::Prebuilt) => {
                    return Ok(Self { rustc, core: Core::Prebuilt, why: format!("it brings `core` for {TARGET}") });
                }
                Ok(Core::Source) => source = source.or(Some(rustc)),
                Err(Unusable(reason)) => refused.push(format!("{} {reason}", rustc.describe())),
            }
        }
        match source {
            Some(rustc) => Ok(Self { rustc, core: Core::Source, why: "it has rust-src to build `core` from".into() }),
            None => bail!(
                "no Rust toolchain here can build for BPF ({}). Install one: {}",
                refused.join("; "),
                remedy(&pins.nightly)
            ),
        }
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rustc.describe(), self.why)
    }
}

/// Why a compiler cannot build the object; the compiler is the subject of the sentence.
struct Unusable(String);

fn usable(rustc: &Rustc) -> Result<Core, Unusable> {
    let mut numbers = rustc.release.split('.').map_while(|part| part.parse::<u32>().ok());
    if (numbers.next(), numbers.next()) < (Some(OLDEST.0), Some(OLDEST.1)) {
        return Err(Unusable(format!("is older than {}.{}", OLDEST.0, OLDEST.1)));
    }
    match rustc.llvm_major() {
        Ok(major) if LLVM.contains(&major) => {}
        _ => return Err(Unusable(format!("has no LLVM from {} to {}", LLVM.start(), LLVM.end()))),
    }
    if !rustc.has_cargo() {
        return Err(Unusable("has no cargo beside it".into()));
    }
    if rustc.has_bpf_core() {
        Ok(Core::Prebuilt)
    } else if rustc.has_source() {
        Ok(Core::Source)
    } else {
        Err(Unusable("has neither `core` for BPF nor rust-src".into()))
    }
}

/// The one command that makes [`Toolchain::choose`] succeed on this kind of machine.
fn remedy(nightly: &str) -> String {
    let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if os.lines().any(|line| line == "ID=debian") {
        format!("sudo apt-get install {DEBIAN_PACKAGES}")
    } else {
        format!("rustup toolchain install {nightly} --profile minimal -c rust-src --no-self-update")
    }
}

/// The directory of the rustup toolchain `name`, with or without the host triple in the name.
fn rustup(name: &str) -> Option<PathBuf> {
    let toolchains = rustup_home()?;
    let full = toolchains.join(format!("{name}-{}-unknown-linux-gnu", env::consts::ARCH));
    [full, toolchains.join(name)].into_iter().find(|dir| dir.join("bin/rustc").exists())
}

fn all_rustup() -> Vec<PathBuf> {
    let entries = rustup_home().and_then(|home| fs::read_dir(home).ok()).into_iter().flatten().flatten();
    let mut rustcs: Vec<_> = entries.map(|entry| entry.path().join("bin/rustc")).collect();
    rustcs.sort();
    rustcs
}

fn rustup_home() -> Option<PathBuf> {
    let home = env::var_os("RUSTUP_HOME").map(PathBuf::from);
    Some(home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".rustup")))?.join("toolchains"))
}

#[cfg(test)]
mod tests {
    use std::{fs::create_dir_all, path::Path};

    use super::*;

    /// A compiler as far as `usable` looks: its release, its LLVM, and what is in its sysroot.
    fn compiler(sysroot: &Path, release: &str, llvm: &str) -> Rustc {
        create_dir_all(sysroot.join("bin")).unwrap();
        fs::write(sysroot.join("bin/cargo"), "").unwrap();
        Rustc { path: sysroot.join("bin/rustc"), sysroot: sysroot.into(), release: release.into(), llvm: llvm.into() }
    }

    fn refusal(rustc: &Rustc) -> String {
        usable(rustc).unwrap_err().0
    }

    #[test]
    fn the_pins_can_be_read() {
        let pins = Pins::read().unwrap();

        assert!(pins.nightly.starts_with("nightly-"));
        assert_eq!(pins.bpf_linker.split('.').count(), 3);
    }

    #[test]
    fn a_ready_made_core_is_preferred_to_its_source() {
        let dir = tempfile::tempdir().unwrap();
        let rustc = compiler(dir.path(), "1.96.0", "22.1.8");
        assert_eq!(refusal(&rustc), "has neither `core` for BPF nor rust-src");

        create_dir_all(dir.path().join("lib/rustlib/src/rust/library")).unwrap();
        fs::write(dir.path().join("lib/rustlib/src/rust/library/Cargo.lock"), "").unwrap();
        assert!(matches!(usable(&rustc), Ok(Core::Source)));

        create_dir_all(dir.path().join("lib/rustlib").join(TARGET).join("lib")).unwrap();
        assert!(matches!(usable(&rustc), Ok(Core::Prebuilt)));
    }

    #[test]
    fn too_old_a_compiler_or_an_unknown_llvm_is_refused() {
        let dir = tempfile::tempdir().unwrap();

        assert_eq!(refusal(&compiler(dir.path(), "1.94.1", "22.1.0")), "is older than 1.95");
        assert_eq!(refusal(&compiler(dir.path(), "1.63.0", "14.0.6")), "is older than 1.95");
        assert_eq!(refusal(&compiler(dir.path(), "1.99.0-nightly", "24.1.0")), "has no LLVM from 21 to 23");
    }

    #[test]
    fn a_directory_is_named_after_the_compiler_and_its_llvm() {
        let rustc = compiler(&tempfile::tempdir().unwrap().path().join("usr"), "1.96.0", "22.1.8");

        let toolchain = Toolchain { rustc, core: Core::Prebuilt, why: String::new() };

        assert_eq!(toolchain.slug(), "system-1.96.0-llvm22.1.8");
    }
}
