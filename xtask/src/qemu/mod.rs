//! Runs the kernel tests under Debian's 6.1 kernel, in a virtual machine without acceleration.
//!
//! 6.1 is the oldest kernel wamig supports, and its verifier refuses programs that newer ones take. The very
//! programs of the privileged suite run there, as children of a busybox `init`, from an archive in memory: the guest
//! has no disk, no network and leaves nothing behind. `scripts/setup vm` fetches what it needs.

pub mod archive;
pub mod console;
pub mod image;
pub mod machine;

use std::{fs, thread, time::Instant};

use anyhow::{Context as _, Result, anyhow};

use self::{console::Console, machine::Machine};
use crate::{
    suite::{
        binary::{self, TestBinary},
        scratch::Scratch,
    },
    tally::Tally,
};

/// Boot, run `tests` in so many guests side by side, and count what they printed on their consoles.
pub fn test(tests: &[TestBinary], all: bool, guests: usize, scratch: &Scratch) -> Result<Tally> {
    if tests.is_empty() {
        return Ok(Tally::new());
    }
    let machine = match Machine::find() {
        Ok(machine) => machine,
        Err(error) => return Ok(Tally::of_skipped("kernel tests under Linux 6.1", &format!("{error:#}"))),
    };
    let shares = (0..guests.min(tests.len())).map(|guest| tests.iter().skip(guest).step_by(guests).cloned().collect());
    let shares: Vec<Vec<TestBinary>> = shares.collect();
    let ran: Vec<Result<Tally>> = thread::scope(|scope| {
        let machine = &machine;
        let start = |(guest, share)| scope.spawn(move || boot(machine, guest, share, all, scratch));
        let running: Vec<_> = shares.iter().map(Vec::as_slice).enumerate().map(start).collect();
        running.into_iter().map(|guest| guest.join().map_err(|_| anyhow!("the runner of a guest panicked"))?).collect()
    });
    let mut tally = Tally::new();
    for guest in ran {
        tally.add(guest?);
    }
    Ok(tally)
}

/// One guest, from its boot to what it printed.
fn boot(machine: &Machine, guest: usize, tests: &[TestBinary], all: bool, scratch: &Scratch) -> Result<Tally> {
    let scratch = scratch.part()?;
    let start = Instant::now();
    let initrd = scratch.path().join("initrd");
    let bytes = image::build(machine, tests, all, &scratch)?;
    fs::write(&initrd, bytes).with_context(|| format!("cannot write {}", initrd.display()))?;
    let log = binary::log_path(&format!("linux 6.1 console {guest}"));
    let ended = machine.boot(&initrd, &log)?;
    let printed = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let console = Console::read(&String::from_utf8_lossy(&printed));
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
