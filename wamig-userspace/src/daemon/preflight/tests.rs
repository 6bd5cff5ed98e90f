//! Machines that are made up, and the errors they call for.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use wamig_openflow::{MacAddr, PortNo};

use super::*;

const CONFIG: &str = r#"
site = "dc2"
[switch]
ports = ["up", "srv"]
[lan]
uplink = "up"
prefix = "198.51.100.0/24"
gateway = "198.51.100.1"
[hosting]
ports = ["srv"]
pool = ["198.51.100.200-198.51.100.209"]
"#;

fn config() -> Config {
    Config::parse(Path::new("dc2.toml"), CONFIG).unwrap()
}

fn link(index: u32, name: &str) -> Link {
    Link {
        index,
        name: name.to_owned(),
        mac: MacAddr([2, 0, 0, 0, 0, index as u8]),
        mtu: 1500,
        enabled: true,
        up: true,
        promiscuous: false,
        kind: String::new(),
        master: None,
        alias: String::new(),
    }
}

fn machine() -> Machine {
    Machine { links: vec![link(2, "up"), link(3, "srv"), link(4, "mgmt")], ..Machine::default() }
}

fn refused(machine: &Machine) -> String {
    ports(&config(), machine).unwrap_err().to_string()
}

#[test]
fn ports_are_found_in_the_order_of_the_configuration() {
    let found = ports(&config(), &machine()).unwrap();
    assert_eq!(found.iter().map(|p| (p.port, p.link.index)).collect::<Vec<_>>(), [(PortNo(1), 2), (PortNo(2), 3)]);
    assert!(found.iter().all(|p| p.warning.is_none()));
}

#[test]
fn a_missing_interface_is_named_with_those_that_are_there() {
    let mut machine = machine();
    machine.links.remove(1);
    assert_eq!(
        refused(&machine),
        "interface \"srv\" (switch.ports) does not exist; create it or correct switch.ports; there are: up, mgmt"
    );
}

#[test]
fn the_default_route_is_not_taken_by_accident() {
    let machine = Machine { default_routes: vec![2], ..machine() };
    assert_eq!(
        refused(&machine),
        "interface \"up\" (switch.ports) carries the default route, so that making it a port can cut this machine off; \
         manage the machine by another link, or set in_band = true in [switch] if you mean it"
    );
    let mut config = config();
    config.switch.in_band = true;
    assert!(ports(&config, &machine).is_ok());
}

#[test]
fn an_interface_without_ethernet_addresses_is_no_port() {
    let mut machine = machine();
    machine.links[0].mac = MacAddr::ZERO;
    assert!(refused(&machine).contains("\"up\" (switch.ports) cannot be a port: it is not an Ethernet interface"));
}

#[test]
fn own_addresses_are_not_in_the_pool() {
    let machine = Machine { addresses: vec![(4, IpAddr::V4(Ipv4Addr::new(198, 51, 100, 201)))], ..machine() };
    assert_eq!(
        refused(&machine),
        "the pool (hosting.pool) contains 198.51.100.201, which this machine has on mgmt; \
         take it out of the pool or off the interface"
    );
}

#[test]
fn kinds_with_known_traps_are_warned_about() {
    let mut machine = machine();
    machine.links[0].kind = "veth".to_owned();
    machine.links[1].kind = "tun".to_owned();
    machine.links[1].master = Some(4);
    let found = ports(&config(), &machine).unwrap();
    assert!(found[0].warning.as_ref().unwrap().contains("ethtool -K OTHER_END tx off gro on"));
    let srv = found[1].warning.as_ref().unwrap();
    assert!(srv.starts_with("it is a port of mgmt as well") && srv.contains("a tap may"), "{srv}");
}

#[test]
fn missing_capabilities_are_named() {
    let with = |bits: &[u32]| format!("CapEff:\t{:016x}\n", bits.iter().fold(0u64, |m, b| m | 1 << b));
    assert_eq!(missing_capabilities(&with(&[12, 13, 38, 39])), [] as [&str; 0]);
    assert_eq!(missing_capabilities(&with(&[12, 13, 21])), [] as [&str; 0], "CAP_SYS_ADMIN holds the BPF ones");
    assert_eq!(missing_capabilities(&with(&[13, 39])), ["CAP_NET_ADMIN", "CAP_PERFMON"]);
    assert_eq!(missing_capabilities("").len(), 4);
}

#[test]
fn local_is_the_switchs_end_or_an_interface_that_is_there() {
    let text = CONFIG.replace("[lan]", "local = \"mgmt\"\n[lan]");
    let config = Config::parse(Path::new("dc2.toml"), &text).unwrap();
    let mut machine = machine();
    assert_eq!(local(&self::config(), &machine).unwrap(), None, "not configured");
    let itself = local(&config, &machine).unwrap().unwrap();
    assert_eq!((itself.port, itself.link.name.as_str(), itself.host), (PortNo::LOCAL, "mgmt", None));
    machine.default_routes.push(4);
    let said = local(&config, &machine).unwrap_err().to_string();
    assert!(said.starts_with("interface \"mgmt\" (switch.local) carries the default route"), "{said}");
    // The host may well be reached through the switch.
    machine.links.push(link(5, "mgmt-sw"));
    let pair = local(&config, &machine).unwrap().unwrap();
    assert_eq!((pair.link.index, pair.host.map(|h| h.index), pair.warning), (5, Some(4), None));
    machine.links.retain(|l| !l.name.starts_with("mgmt"));
    assert!(local(&config, &machine).unwrap_err().to_string().contains("is gone"));
}
