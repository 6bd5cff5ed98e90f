//! Runs other programs: every failure names the program, and what it said.

use std::{
    ffi::OsStr,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::bounded::{self, Output};

/// No build takes longer, on any machine that is of use.
const LONGEST: Duration = Duration::from_hours(1);

/// The command as a person would type it, environment left out.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(quote).collect::<Vec<_>>().join(" ")
}

/// Run to the end with our own output and no input; a non-zero exit is an error.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = line(command);
    let ended = bounded::run(command, LONGEST, Output::Shown)?;
    if !ended.success() {
        bail!("`{shown}` failed: {}", ended.describe());
    }
    Ok(())
}

/// Run to the end and return what it printed; a non-zero exit is an error that quotes its last words.
pub fn capture(command: &mut Command) -> Result<String> {
    let shown = line(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{shown}` failed: {}: {}", output.status, said.trim_end().lines().last().unwrap_or("it said nothing"));
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` printed something that is not UTF-8"))
}

fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.contains(|c: char| c.is_whitespace() || "'\"$\\".contains(c)) {
        format!("'{}'", word.replace('\'', r"'\''"))
    } else {
        word.into_owned()
    }
}
