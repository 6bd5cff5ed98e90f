//! os-ken's conformance tester as a test: wamig passes what it has to, with its barrier taken at its word, and what
//! the tester counts as failed is counted here.

use anyhow::Result;
use xtask::conformance::rig::Target;
use xtask::conformance::{ovs, test, venv};
use xtask::lab::demo::built_wamig;

/// Output to ports, and matches by addresses: what every switch has to do.
const REQUIRED: [&str; 3] = ["action/00_OUTPUT", "match/03_ETH_DST", "match/12_IPV4_DST"];

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

#[test]
fn a_case_that_open_vswitch_fails_is_told_with_the_reason() -> Result<()> {
    if !can_run() {
        return Ok(());
    }
    // Open vSwitch passes none of the meters' cases.
    let only = ["meter/01_DROP_01_PKTPS_00".to_owned()];
    let outcomes = test("testo", &Target::OpenVswitch, 13, &only, 1, &venv::python()?)?;
    assert!(outcomes.iter().any(|outcome| !outcome.ok && !outcome.why.is_empty()), "{outcomes:#?}");
    assert_eq!(left_behind("wamig-cf-testo")?, Vec::<String>::new());
    Ok(())
}
