//! Random flows and frames: wamig outside the kernel against Open vSwitch. `docs/differential.md`
//! tells what is compared.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "shared by test programs that need different parts of it")]
mod compare;
mod frames;
#[allow(dead_code, reason = "shared by test programs that need different parts of it")]
#[path = "oracle/mod.rs"]
mod oracle;
mod ovs;
#[allow(dead_code, reason = "shared by test programs that need different parts of it")]
mod paths;
#[allow(dead_code, reason = "shared by test programs that need different parts of it")]
mod random;

use random::scaled;

#[test]
fn wamig_and_open_vswitch_agree() {
    if ovs::process::may_run() {
        compare::run::run(scaled(10_000), &mut ());
    }
}

#[test]
#[ignore = "takes minutes"]
fn wamig_and_open_vswitch_agree_on_a_million_frames() {
    if ovs::process::may_run() {
        compare::run::run(scaled(1_000_000), &mut ());
    }
}
