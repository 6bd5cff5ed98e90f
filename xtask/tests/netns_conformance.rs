//! os-ken's conformance tester as a test: wamig passes what it has to, with its barrier taken at its word, and what
//! the tester counts as failed is counted here.

use anyhow::Result;
use xtask::conformance::rig::Target;
use xtask::conformance::{ovs, test, venv};
use xtask::lab::demo::built_wamig;

/// Output to ports, matches by port, tag and addresses, a tag taken off: what every switch has to do.
const REQUIRED: [&str; 5] =
    ["action/00_OUTPUT", "action/18_POP_VLAN", "match/00_IN_PORT", "match/03_ETH_DST", "match/06_VLAN_VID"];

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
    let names = std::fs::read_dir("/run/netns")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| name.starts_with(prefix)).collect())
}

#[test]
fn wamig_passes_the_required_cases_without_time_to_settle() -> Result<()> {
    if !can_run() {
        return Ok(());
    }
    let only = REQUIRED.map(str::to_owned);
    let outcomes = test("testw", &Target::Wamig(built_wamig()?), 13, &only, 1, &venv::python()?)?;
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.ok).collect();
    assert!(outcomes.len() > 10 && failed.is_empty(), "{} cases, failed: {failed:#?}", outcomes.len());
    assert_eq!(left_behind("wamig-cf-testw")?, Vec::<String>::new());
    Ok(())
}
