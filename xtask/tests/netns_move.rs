//! `wamig move`: an operator moves a server with both of its addresses, and sees it arrive.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use xtask::lab::demo::built_wamig;
use xtask::lab::family::Families;
use xtask::lab::server::Boot;
use xtask::lab::topology::{SERVER, SERVER6, Site};
use xtask::lab::trial;

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");
const SOON: Duration = Duration::from_secs(40);

#[test]
fn both_addresses_of_a_server_move_by_one_order() -> Result<()> {
    let Some(mut lab) = trial::lab(XTASK, |options| options.families = Families::Dual)? else { return Ok(()) };
    lab.start_daemons()?;
    lab.boot(Site::Dc1, Boot::Talking)?;
    let socket = lab.gateway(Site::Dc1).socket();
    let order = |more: &[&str]| -> Result<Command> {
        let mut wamig = Command::new(built_wamig()?);
        wamig.args(["move", &SERVER.to_string(), &SERVER6.to_string(), "--reason", "the rack is taken down"]);
        wamig.args(["--socket", socket.to_str().context("no text")?]).args(more).stdin(Stdio::null());
        Ok(wamig)
    };

    let nowhere = order(&["--to", "dc9"])?.output()?;
    assert!(!nowhere.status.success(), "dc9 is no host of theirs");
    let said = String::from_utf8_lossy(&nowhere.stderr);
    assert!(said.contains("refused for 2 of 2 addresses"), "{said}");
    let home = lab.gateway(Site::Dc1).status()?;
    assert_eq!((home.state(SERVER), home.state(SERVER6)), ("HOME", "HOME"), "none of them is prepared");

    let moving = order(&["--to", "dc2"])?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let prepared = |status: &xtask::lab::status::Status| {
        [status.state(SERVER), status.state(SERVER6)].iter().all(|state| *state == "PREPARED")
    };
    lab.wait_state(Site::Dc2, SOON, "prepared for both", prepared)?;
    lab.halt(Site::Dc1)?;
    lab.boot(Site::Dc2, Boot::Talking)?;
    let moved = moving.wait_with_output()?;
    let said = String::from_utf8_lossy(&moved.stdout);
    assert!(moved.status.success(), "{said}{}", String::from_utf8_lossy(&moved.stderr));
    for address in [SERVER.to_string(), SERVER6.to_string()] {
        assert!(said.contains(&format!("{address}  PREPARED")) && said.contains(&format!("{address}  AWAY")), "{said}");
    }
    Ok(())
}
