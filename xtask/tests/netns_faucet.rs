//! Faucet owns wamig's tables: two VLANs with a router between them, a third VLAN for itself, an access list. Hosts reach
//! what they should and nothing else, and Faucet has nothing to complain about, whether it takes wamig for an Open vSwitch
//! or for a switch whose tables it shapes by table-features messages.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use xtask::interop::rig::{self, CONTROLLER, Host, Rig};
use xtask::interop::{apps, ofctl};
use xtask::lab::capture::{Capture, Record};
use xtask::lab::trial;

const PREFIX: &str = "wamig-io-faucet-";
/// Until the first pair reaches each other: Faucet starts, takes the switch, learns.
const START: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(40);
/// How long is tried what should not be.
const NEVER: Duration = Duration::from_secs(3);

const LEFT: [[u8; 4]; 2] = [[10, 1, 0, 1], [10, 1, 0, 2]];
const RIGHT: [[u8; 4]; 2] = [[10, 2, 0, 3], [10, 2, 0, 4]];
/// In a VLAN of its own, with an address as if it were on the left.
const ALONE: [u8; 4] = [10, 1, 0, 5];
const LEFT_GATEWAY: [u8; 4] = [10, 1, 0, 254];
const RIGHT_GATEWAY: [u8; 4] = [10, 2, 0, 254];
/// The MAC address of the gateway on the right.
const RIGHT_MAC: [u8; 6] = [0x0e, 0, 0, 0, 0x20, 1];
/// The UDP port that the host at port 4 must not send to.
const DENIED: u16 = 9;
const ALLOWED: u16 = 10;

fn configuration(hardware: &str) -> String {
    format!(
        "vlans:
  left: {{vid: 100, faucet_vips: ['10.1.0.254/24'], faucet_mac: '0e:00:00:00:10:01'}}
  right: {{vid: 200, faucet_vips: ['10.2.0.254/24'], faucet_mac: '0e:00:00:00:20:01'}}
  alone: {{vid: 300}}
routers:
  between: {{vlans: [left, right]}}
acls:
  no-discard:
    - rule: {{dl_type: 0x800, nw_proto: 17, udp_dst: {DENIED}, actions: {{allow: 0}}}}
    - rule: {{actions: {{allow: 1}}}}
dps:
  wamig:
    dp_id: 1
    hardware: '{hardware}'
    interfaces:
      1: {{native_vlan: left}}
      2: {{native_vlan: left}}
      3: {{native_vlan: right}}
      4: {{native_vlan: right, acls_in: [no-discard]}}
      5: {{native_vlan: alone}}
"
    )
}

/// Whether the host at `port` reaches a UDP port of `to`.
fn reaches(rig: &Rig, port: usize, to: [u8; 4], udp: u16, patience: Duration) -> Result<bool> {
    trial::refuses(&rig.host(port), SocketAddrV4::new(to.into(), udp), b"?", patience)
}

fn everybody_reaches_what_they_should(rig: &Rig) -> Result<()> {
    let pairs = [
        (1, LEFT[1], DENIED),
        (2, LEFT[0], DENIED),
        (3, RIGHT[1], DENIED),
        (4, RIGHT[0], ALLOWED),
        (1, RIGHT[0], DENIED),
        (1, RIGHT[1], DENIED),
        (2, RIGHT[1], ALLOWED),
        (3, LEFT[0], DENIED),
        (3, LEFT[1], ALLOWED),
        (4, LEFT[0], ALLOWED),
        (4, LEFT[1], ALLOWED),
    ];
    for (port, to, udp) in pairs {
        let to_text = Ipv4Addr::from(to);
        ensure!(reaches(rig, port, to, udp, SOON)?, "the host at port {port} does not reach {to_text}, port {udp}");
    }
    Ok(())
}

/// All at once: each takes its time.
fn nobody_reaches_what_they_should_not(rig: &Rig) -> Result<()> {
    let pairs = [
        (4, RIGHT[0], DENIED),
        (4, LEFT[0], DENIED),
        (5, LEFT[0], ALLOWED),
        (5, LEFT_GATEWAY, ALLOWED),
        (1, ALONE, ALLOWED),
        (3, ALONE, ALLOWED),
    ];
    thread::scope(|scope| {
        let tries: Vec<_> =
            pairs.iter().map(|&(port, to, udp)| scope.spawn(move || reaches(rig, port, to, udp, NEVER))).collect();
        for (done, (port, to, udp)) in tries.into_iter().zip(pairs) {
            let reached = done.join().map_err(|_| anyhow!("a try panicked"))??;
            ensure!(!reached, "the host at port {port} reaches {}, port {udp}", Ipv4Addr::from(to));
        }
        Ok(())
    })
}

fn sent_by(record: &Record, host: usize) -> bool {
    !record.sent && record.bytes[6..12] == rig::mac(host)
}

/// Whether this is a datagram from the first host on the left as the router sends it on.
fn routed(record: &Record) -> bool {
    let bytes = &record.bytes;
    !record.sent
        && bytes.len() >= 34
        && bytes[..6] == rig::mac(3)
        && bytes[6..12] == RIGHT_MAC
        && bytes[12..14] == [8, 0]
        && bytes[26..30] == LEFT[0]
        // One less than what it was sent with.
        && bytes[22] == 63
}

fn play(hardware: &str) -> Result<()> {
    if !ofctl::installed() {
        println!("SKIP: Open vSwitch is not installed (scripts/setup of installs it)");
        return Ok(());
    }
    let programs = match apps::faucet() {
        Ok(programs) => programs,
        Err(error) => {
            println!("SKIP: {error:#}");
            return Ok(());
        }
    };
    let left = LEFT.map(|address| Host::behind(address, LEFT_GATEWAY));
    let right = RIGHT.map(|address| Host::behind(address, RIGHT_GATEWAY));
    let hosts = [left[0], left[1], right[0], right[1], Host::at(ALONE)];
    let Some(rig) = Rig::up(PREFIX, &hosts, &format!("controllers = [\"tcp:127.0.0.1:{CONTROLLER}\"]"))? else {
        return Ok(());
    };
    let mut faucet = apps::start_faucet(&rig, &programs, &configuration(hardware))?;
    let up = reaches(&rig, 1, LEFT[1], DENIED, START)?;
    ensure!(up, "with Faucet nothing is switched:\n{}\n{}", faucet.last_words(10), log(&rig, "faucet")?);

    let alone = Capture::start("h5", &rig.host(5), "eth0")?;
    let third = Capture::start("h3", &rig.host(3), "eth0")?;
    everybody_reaches_what_they_should(&rig)?;
    nobody_reaches_what_they_should_not(&rig)?;
    assert!(third.records().iter().any(routed), "no datagram of host 1 came to host 3 by the router");
    for host in 1..=4 {
        assert!(!alone.records().iter().any(|r| sent_by(r, host)), "a frame of host {host} left its VLAN");
        let crossed = host < 3 && third.records().iter().any(|r| sent_by(r, host));
        assert!(!crossed, "a frame of host {host} came to the other VLAN past the router");
    }

    let ofctl = rig.ofctl_unix("OpenFlow13")?;
    let denied = ofctl.tell("dump-flows", &[&format!("table=0,udp,in_port=4,tp_dst={DENIED}")])?;
    assert!(denied.contains("actions=drop") && !denied.contains("n_packets=0,"), "the access list:\n{denied}");
    assert!(faucet.running(), "Faucet has ended:\n{}", faucet.last_words(20));
    assert_eq!(log(&rig, "exceptions")?, "", "Faucet's exceptions");
    let text = log(&rig, "faucet")?;
    // Faucet itself says "DP not up" of what it would send before a switch is configured, once for a connection.
    let wrong = |line: &&str| ["ERROR", "WARNING", "CRITICAL"].iter().any(|level| line.contains(level));
    let (own, others): (Vec<&str>, Vec<&str>) =
        text.lines().filter(wrong).partition(|line| line.ends_with("DP not up"));
    assert!(own.len() <= 1 && others.is_empty(), "Faucet complains:\n{text}");
    Ok(())
}

fn log(rig: &Rig, name: &str) -> Result<String> {
    let file = rig.log(name)?;
    fs::read_to_string(&file).with_context(|| format!("Faucet has written no {}", file.display()))
}

#[test]
fn an_open_vswitch_for_faucet() -> Result<()> {
    play("Open vSwitch")
}

#[test]
fn a_switch_whose_tables_faucet_shapes() -> Result<()> {
    play("GenericTFM")
}
