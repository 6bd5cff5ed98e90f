//! The conformance tester against Open vSwitch, which is known to pass these cases: what `cargo xtask conformance`
//! counts is what the tester found, and nothing is left behind.

use anyhow::Result;
use xtask::conformance::rig::Target;
use xtask::conformance::{ovs, test, venv};

#[test]
fn the_tester_passes_open_vswitch_where_it_is_known_to_pass() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIP: network namespaces need root");
        return Ok(());
    }
    if !ovs::installed() {
        println!("SKIP: Open vSwitch is not installed (scripts/setup of installs it)");
        return Ok(());
    }
    let python = venv::python()?;
    let only = ["action/00_OUTPUT".to_owned(), "group/00_ALL".to_owned(), "meter/01_DROP_00_KBPS_00".to_owned()];
    let outcomes = test("test", &Target::OpenVswitch, 13, &only[..2], 1, &python)?;
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.ok).collect();
    assert!(outcomes.len() >= 4 && failed.is_empty(), "{} cases, failed: {failed:#?}", outcomes.len());

    // Of the meters it passes none.
    let metered = test("test", &Target::OpenVswitch, 13, &only[2..], 1, &python)?;
    assert!(metered.iter().any(|outcome| !outcome.ok && !outcome.why.is_empty()), "a failure is told: {metered:#?}");
    let left: Vec<_> = std::fs::read_dir("/run/netns")?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("wamig-cf-test"))
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}
