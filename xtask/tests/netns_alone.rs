//! Privileged test programs side by side: each has names in `/run` and pins of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use xtask::suite::alone::isolate;

/// Makes a name and a pin's directory, and shows what `/run` holds.
fn within(dir: &Path, name: &Path, pins: &Path) -> Result<Vec<PathBuf>> {
    let mut command = Command::new("sh");
    command.args(["-ec", r#"mkdir "$1" "$2"; ls -A /run"#, "sh"]).arg(name).arg(pins);
    isolate(&mut command, dir)?;
    let output = command.output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?.lines().map(|line| Path::new("/run").join(line)).collect())
}

#[test]
fn what_a_program_makes_is_seen_by_no_other() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: needs root");
        return Ok(());
    }
    let scratch = tempfile::tempdir()?;
    let name = PathBuf::from(format!("/run/wamig-test-alone-{}", std::process::id()));
    let pins = Path::new("/sys/fs/bpf").join(name.file_name().unwrap_or_default());
    for part in ["a", "b"] {
        let dir = scratch.path().join(part);
        let seen = within(&dir, &name, &pins)?;
        assert!(seen.contains(&name));
        assert!(seen.iter().any(|path| *path != name && path.exists()), "what was there is seen as well: {seen:?}");
        assert_eq!(std::fs::read_dir(&dir)?.count(), 0, "and nothing is left");
    }
    assert_eq!([name.exists(), pins.exists()], [false, false]);
    Ok(())
}
