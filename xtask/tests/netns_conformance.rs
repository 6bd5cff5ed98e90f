//! os-ken's conformance tester as a test: wamig passes what it has to, with its barrier taken at its word, and what
//! the tester counts as failed is counted here.

use anyhow::Result;
use xtask::conformance::rig::Target;
use xtask::conformance::{ovs, test, venv};
use xtask::lab::demo::built_wamig;

/// Output to ports, matches by port, tag and addresses, a tag taken off: what every switch has to do.
const REQUIRED: [&str; 5] =
    ["action/00_OUTPUT", "action/18_POP_VLAN", "match/00_IN_PORT", "match/03_ETH_DST", "match/06_VLAN_VID"];

/// The same of 1.0: misses that go up and are counted, ports of IPv6, tags and ports written.
const REQUIRED_V10: [&str; 4] =
    ["action/01_SET_VLAN_VID", "action/09_SET_TP_SRC_IPv6_UDP", "match/03_DL_VLAN.", "match/10_TP_SRC_IPv6_TCP"];

fn can_run() -> bool {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIP: network namespaces need root");
        return false;
    }
    if !ovs::installed() {
        println!("SKIP: Open vSwitch is not installed (scripts/setup of installs it)");
        return false;
    }
    true
}

fn left_behind(prefix: &str) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir("/run/netns") {
        Ok(entries) => entries,
        // No namespace was ever named on this machine, or the last one is gone.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| name.starts_with(prefix)).collect())
}

/// Runs the files of one version, all of whose cases must pass.
fn pass(name: &str, version: u8, files: &[&str], at_least: usize) -> Result<()> {
    let only: Vec<String> = files.iter().map(|&file| file.to_owned()).collect();
    let outcomes = test(name, &Target::Wamig(built_wamig()?), version, &only, 1, &venv::python()?)?;
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.ok).collect();
    assert!(outcomes.len() > at_least && failed.is_empty(), "{} cases, failed: {failed:#?}", outcomes.len());
    assert_eq!(left_behind(&format!("wamig-cf-{name}"))?, Vec::<String>::new());
    Ok(())
}

#[test]
fn wamig_passes_the_required_cases_without_time_to_settle() -> Result<()> {
    if can_run() { pass("testw", 13, &REQUIRED, 10) } else { Ok(()) }
}

#[test]
fn wamig_passes_what_is_the_old_versions_own() -> Result<()> {
    if can_run() { pass("testv", 10, &REQUIRED_V10, 10) } else { Ok(()) }
}
