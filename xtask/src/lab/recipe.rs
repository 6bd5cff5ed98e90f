//! A recipe in the documentation, to be carried out as it is written: fenced blocks of shell, each for one machine.
//!
//! A block begins with ` ```sh MACHINE `; blocks without a machine (or in another language) are for the reader only.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::netns;

/// When a block counts as hung, on an emulated machine.
const LIMIT: Duration = Duration::from_mins(4);

/// What is typed on one machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// The machine's name.
    pub machine: String,
    /// Lines of shell.
    pub script: String,
    /// The line of the document where it begins, from 1.
    pub line: usize,
}

/// The blocks of a document in their order.
///
/// # Errors
/// A block is not closed.
pub fn blocks(document: &str) -> Result<Vec<Block>> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    let mut fenced = false;
    for (number, line) in document.lines().enumerate() {
        let Some(info) = line.strip_prefix("```") else {
            if let Some(block) = &mut open {
                block.script.push_str(line);
                block.script.push('\n');
            }
            continue;
        };
        if fenced {
            found.extend(open.take());
        } else if let Some(machine) = info.strip_prefix("sh ") {
            open = Some(Block { machine: machine.trim().to_owned(), script: String::new(), line: number + 2 });
        }
        fenced = !fenced;
    }
    ensure!(!fenced, "the last block of the document is not closed");
    Ok(found)
}

impl Block {
    /// Types it in a network namespace, in the directory `dir`, where programs are looked for in `bin` first. `dir/run`
    /// is the machine's `/run`, where the xdp-tools allow one of each to run. The shell ends at the first command that
    /// fails; what it leaves running goes on.
    ///
    /// # Errors
    /// A command fails or does not end; the error has the block's place and what was printed.
    pub fn run(&self, namespace: &str, dir: &Path, bin: &Path) -> Result<()> {
        let name = format!("{}.log", self.line);
        let log = File::create(dir.join(&name))?;
        let errors = log.try_clone()?;
        let search = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let limit = LIMIT.as_secs().to_string();
        let run = dir.join("run");
        fs::create_dir_all(&run)?;
        let ended = netns::enter(namespace, || {
            const NOTHING: Option<&str> = None;
            unshare(CloneFlags::CLONE_NEWNS)?;
            mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)?;
            mount(Some(&run), "/run", NOTHING, MsFlags::MS_BIND, NOTHING)?;
            let mut shell = Command::new("timeout");
            shell.args([&limit, "sh", "-euc", &self.script]).current_dir(dir).env("PATH", search);
            Ok(shell.stdin(Stdio::null()).stdout(log).stderr(errors).status()?)
        })?;
        let printed = wrote(dir, &name)?;
        println!("{}, line {}:\n{printed}", self.machine, self.line);
        ensure!(ended.success(), "line {}, {}: {ended}\n{}\n{printed}", self.line, self.machine, self.script);
        Ok(())
    }
}

/// Types what is for a machine that has only to be there, in the directory `dir`.
///
/// # Errors
/// A command fails; its words are in the error.
pub fn prepare(document: &str, machine: &str, dir: &Path) -> Result<()> {
    for block in blocks(document)?.iter().filter(|block| block.machine == machine) {
        let mut shell = Command::new("sh");
        crate::process::run(shell.args(["-euc", &block.script]).current_dir(dir))
            .with_context(|| format!("line {}, {machine}", block.line))?;
    }
    Ok(())
}

/// What a block has written to a file of its directory.
///
/// # Errors
/// There is no such file.
pub fn wrote(dir: &Path, name: &str) -> Result<String> {
    let path = dir.join(name);
    let text = fs::read(&path).with_context(|| format!("there is no {}", path.display()))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_for_machines_are_found_in_order_and_others_are_not() -> Result<()> {
        let document =
            "text\n```text\nsh gateway\n```\n```sh gateway\na\nb\n```\nmore\n```sh\nreader\n```\n```sh sink\nc\n```\n";

        let found = blocks(document)?;

        let block = |machine: &str, script: &str, line| Block { machine: machine.into(), script: script.into(), line };
        assert_eq!(found, [block("gateway", "a\nb\n", 6), block("sink", "c\n", 14)]);
        Ok(())
    }

    #[test]
    fn a_block_that_is_not_closed_is_an_error() {
        assert!(blocks("```sh gateway\na\n").is_err());
    }
}
