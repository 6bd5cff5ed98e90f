//! Runs the kernel tests under Debian's 6.1 kernel, in a virtual machine without acceleration.
//!
//! 6.1 is the oldest kernel wamig supports, and its verifier refuses programs that newer ones take. The very
//! programs of the privileged suite run there, as children of a busybox `init`, from an archive in memory: the guest
//! has no disk, no network and leaves nothing behind. `scripts/setup vm` fetches what it needs.

pub mod archive;
pub mod console;
pub mod image;
pub mod machine;

use std::{fs, time::Instant};

use anyhow::{Context as _, Result};

use crate::{
    suite::{
        binary::{self, TestBinary},
        scratch::Scratch,
    },
    tally::Tally,
};

/// Boot, run `tests` in the guest, and count what they printed on its console.
pub fn test(tests: &[TestBinary], all: bool, scratch: &Scratch) -> Result<Tally> {
    if tests.is_empty() {
        return Ok(Tally::new());
    }
    let machine = match machine::Machine::find() {
        Ok(machine) => machine,
        Err(error) => return Ok(Tally::of_skipped("kernel tests under Linux 6.1", &format!("{error:#}"))),
    };
    let start = Instant::now();
    let initrd = scratch.path().join("initrd");
    let bytes = image::build(&machine, tests, all, scratch)?;
    fs::write(&initrd, bytes).with_context(|| format!("cannot write {}", initrd.display()))?;
    let log = binary::log_path("linux 6.1 console");
    let ended = machine.boot(&initrd, &log)?;
    let printed = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let console = console::Console::read(&String::from_utf8_lossy(&printed));
    println!("booted Linux {} in a virtual machine ({:.1} s)", console.release(), start.elapsed().as_secs_f32());

    let mut tally = Tally::new();
    for test in tests {
        let title = format!("linux {} {}", console.release(), test.name);
        match console.of(&test.name) {
            Some(run) => tally.add(binary::report(&title, &run.output, run.status == Some(0), &run.how(), run.took())),
            None => tally.fail(&title, &format!("never ran; the machine: {}; see {}", ended.describe(), log.display())),
        }
    }
    Ok(tally)
}
