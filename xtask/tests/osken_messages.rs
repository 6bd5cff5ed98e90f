//! The codec's golden messages by os-ken, which reads them or makes them from values of its own.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use xtask::conformance::venv;
use xtask::{process, user, workspace};

/// A line for each golden file of a directory: its name and its bytes in hex.
fn lines(version: &str) -> Result<Vec<String>> {
    let dir = workspace::root().join("wamig-userspace/openflow/tests/golden").join(version);
    let mut lines = Vec::new();
    for entry in fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))? {
        lines.push(line(version, &entry?.path())?);
    }
    lines.sort();
    Ok(lines)
}

fn line(version: &str, path: &Path) -> Result<String> {
    let text = fs::read_to_string(path)?;
    let (hex, _) = text.split_once("--\n").with_context(|| format!("{} has no line --", path.display()))?;
    let bytes = hex.lines().map(|line| line.split('#').next().unwrap_or_default().replace(' ', ""));
    let name = path.file_stem().and_then(|name| name.to_str()).context("a golden file has a name")?;
    Ok(format!("{version}/{name} {}", bytes.collect::<String>()))
}

#[test]
fn os_ken_agrees_with_each_golden_message() -> Result<()> {
    let python = match venv::python() {
        Ok(python) => python,
        Err(error) => {
            println!("SKIP: os-ken is not there: {error:#}");
            return Ok(());
        }
    };
    let messages = [lines("v10")?, lines("v13")?].concat();
    let dir = tempfile::tempdir()?;
    let input = dir.path().join("messages");
    fs::write(&input, messages.join("\n") + "\n")?;
    let script = workspace::root().join("xtask/src/interop/messages.py");
    let said = process::capture(user::command(&python).arg(script).arg(&input))?;
    let wrong: Vec<&str> = said.lines().filter(|line| !line.ends_with(" ok")).collect();
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    ensure!(said.lines().count() == messages.len(), "{} messages, {} answers", messages.len(), said.lines().count());
    Ok(())
}
