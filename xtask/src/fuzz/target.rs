//! The fuzz targets, as `wamig-userspace/fuzz/Cargo.toml` lists them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::workspace;

/// What a target is run with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The name of its program.
    #[serde(skip)]
    pub name: String,
    /// Bytes of the longest input.
    pub max_len: usize,
    /// Files its first inputs are made of, from the workspace's root; `*` in the last part stands for anything.
    pub seeds: Vec<String>,
    /// A file of words of its language, for libFuzzer's mutations.
    pub words: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Manifest {
    package: Package,
    bin: Vec<Bin>,
}

#[derive(Deserialize)]
struct Package {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    targets: BTreeMap<String, Target>,
}

#[derive(Deserialize)]
struct Bin {
    name: String,
}

/// The directory of the targets.
pub fn dir() -> PathBuf {
    workspace::root().join("wamig-userspace/fuzz")
}

/// Every target, in the order of their names.
pub fn all() -> Result<Vec<Target>> {
    let path = dir().join("Cargo.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    read(&text).with_context(|| format!("{} is no list of fuzz targets", path.display()))
}

fn read(text: &str) -> Result<Vec<Target>> {
    let Manifest { package, bin } = toml::from_str(text)?;
    let mut targets = package.metadata.targets;
    for bin in &bin {
        if !targets.contains_key(&bin.name) {
            bail!("package.metadata.targets lacks {}", bin.name);
        }
    }
    targets.retain(|name, target| {
        target.name.clone_from(name);
        bin.iter().any(|bin| bin.name == *name)
    });
    Ok(targets.into_values().collect())
}

/// The files that match a pattern.
pub fn files(pattern: &str) -> Result<Vec<PathBuf>> {
    let path = workspace::root().join(pattern);
    let (dir, name) = (path.parent().unwrap_or(Path::new("/")), path.file_name().unwrap_or_default());
    let name = name.to_string_lossy();
    let Some((before, after)) = name.split_once('*') else { return Ok(vec![path.clone()]) };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let entry = entry.with_context(|| format!("cannot list {}", dir.display()))?;
        let file = entry.file_name();
        let file = file.to_string_lossy();
        if file.starts_with(before) && file.ends_with(after) && file.len() >= before.len() + after.len() {
            found.push(entry.path());
        }
    }
    found.sort();
    if found.is_empty() {
        bail!("no file is called {pattern}");
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_inputs() {
        let targets = all().unwrap();
        assert!(targets.len() >= 10, "{targets:?}");
        for target in targets {
            for seeds in &target.seeds {
                assert!(files(seeds).unwrap().iter().all(|file| file.exists()), "{seeds} of {}", target.name);
            }
            assert!(target.words.is_none_or(|words| workspace::root().join(words).exists()), "{}", target.name);
        }
    }

    #[test]
    fn a_program_without_settings_is_refused() {
        let text = "[package.metadata.targets]\n[[bin]]\nname = \"text\"\n";
        assert!(read(text).unwrap_err().to_string().contains("text"));
    }
}
