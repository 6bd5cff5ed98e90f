//! Several switches: what they make, and every mistake about them with its place.

use std::path::Path;

use super::*;

/// Three switches in a row, the server's slot on one, the uplink on another.
const GOOD: &str = r#"site = "dc2"
[switch]
ports = ["leaf1:up", "leaf1:lan1", "leaf2:srv"]
[[switch.member]]
name = "leaf1"
datapath_id = "0000000000000021"
remote = { listen = ["ptcp:6653:127.0.0.1"], profile = "ovs" }
[[switch.member]]
name = "spine"
datapath_id = "0000000000000022"
remote = { listen = ["ptcp:6654:127.0.0.1"], profile = "ovs" }
[[switch.member]]
name = "leaf2"
datapath_id = "0000000000000023"
remote = { connect = ["tcp:192.0.2.9"], profile = "ovs" }
[[switch.link]]
ends = ["leaf1:t1", "spine:1"]
[[switch.link]]
ends = ["spine:2", "leaf2:t1"]
[lan]
uplink = "leaf1:up"
prefix = "198.51.100.0/24"
gateway = "198.51.100.1"
[hosting]
ports = ["leaf2:srv"]
pool = ["198.51.100.200-198.51.100.209"]
"#;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("f.toml"), text).map_err(|e| e.to_string())
}

/// The file with one text replaced once; its mistakes.
fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from:?}");
    parse(&GOOD.replacen(from, to, 1)).map_or_else(|said| said, |_| "no mistake".to_owned())
}

#[test]
fn several_switches_have_ports_of_one_numbering() {
    let config = parse(GOOD).unwrap();
    let fabric = config.switch.fabric.as_ref().unwrap();
    assert_eq!(config.switch.port("leaf2:srv"), Some(PortNo(3)));
    assert_eq!((config.lan.as_ref().unwrap().uplink, &config.hosting.ports), (PortNo(1), &vec![PortNo(3)]));
    assert_eq!(fabric.topology.place(PortNo(3)), Some((2, PortNo(1))));
    assert_eq!(fabric.topology.places()[1].ports, ["1", "2"]);
    assert_eq!(fabric.members[2].datapath_id, DatapathId(0x23));
    assert!(config.switch.is_elsewhere() && config.switch.remote.is_none());
}

#[test]
fn mistakes_about_several_switches_name_their_place_and_the_remedy() {
    let bad = "allowed: SWITCH:PORT";
    let second = "ends = [\"spine:2\", \"leaf2:t1\"]";
    for (from, to, place, wrong, remedy) in [
        ("\"leaf1:lan1\"", "\"leaf9:lan1\"", "3:22", "\"leaf9:lan1\" is a port of a switch that there is not", "leaf1"),
        ("\"leaf1:lan1\"", "\"lan1\"", "3:22", "\"lan1\" is not a port of one of several switches", bad),
        ("\"leaf1:lan1\"", "\"leaf1:up\"", "3:22", "port \"leaf1:up\" is named twice", "each port once"),
        ("\"leaf1:up\", \"leaf1:lan1\", \"leaf2:srv\"", "", "3:9", "the list is empty", "the ports that frames come"),
        ("name = \"spine\"", "name = \"leaf1\"", "9:8", "switch \"leaf1\" is named twice", "each switch once"),
        ("name = \"spine\"", "name = \"a:b\"", "9:8", "\"a:b\" is not a switch's name", "letters, digits"),
        (
            "0000000000000022",
            "0000000000000021",
            "10:15",
            "switch \"leaf1\" has the same datapath id",
            "each switch's own",
        ),
        (
            "ptcp:6654",
            "ptcp:6653",
            "11:10",
            "ptcp:6653:127.0.0.1 is where switch \"leaf1\" is waited for",
            "of its own",
        ),
        ("profile = \"ovs\"", "profile = \"of10\"", "7:56", "profile of10 is for one switch alone", "\"ovs\""),
        ("listen = [\"ptcp:6653:127.0.0.1\"], ", "", "7:10", "[switch.member.remote] says neither", "needed: connect"),
        (second, "ends = [\"spine:2\"]", "19:8", "a link has two ends, not 1", "[\"SWITCH:PORT\", \"SWITCH:PORT\"]"),
        (
            second,
            "ends = [\"spine:2\", \"x:t1\"]",
            "19:20",
            "\"x:t1\" is a port of a switch that there is not",
            "leaf2",
        ),
        (
            second,
            "ends = [\"spine:2\", \"leaf2:srv\"]",
            "19:20",
            "\"leaf2:srv\" is a port of [switch] and the",
            "take it out",
        ),
        (second, "ends = [\"spine:1\", \"leaf2:t1\"]", "19:9", "\"spine:1\" is the end of another link", "a bond"),
        (
            second,
            "ends = [\"spine:2\", \"spine:3\"]",
            "19:9",
            "this link connects \"spine\" with itself",
            "two switches",
        ),
        (
            second,
            "ends = [\"spine:2\", \"leaf1:t2\"]",
            "19:8",
            "this link closes a loop: spine and leaf1 are",
            "a tree",
        ),
        (
            "[[switch.link]]\nends = [\"spine:2\", \"leaf2:t1\"]\n",
            "",
            "13:8",
            "no link leads from switch \"leaf2\" to \"leaf1\"",
            "needed: [[switch.link]]",
        ),
        (
            "[switch]\n",
            "[switch]\ndatapath_id = \"0000000000000001\"\n",
            "3:15",
            "datapath_id in [switch] is one",
            "take it out",
        ),
        (
            "[switch]\n",
            "[switch]\nlocal = \"br0\"\n",
            "3:9",
            "local is for the switch in this process",
            "[[switch.member]]",
        ),
        (
            "[lan]",
            "[switch.remote]\nlisten = [\"ptcp:\"]\nprofile = \"ovs\"\n[lan]",
            "20:1",
            "there are both [switch.remote] and [[switch.member]]",
            "for several",
        ),
        (
            "uplink = \"leaf1:up\"",
            "uplink = \"up\"",
            "21:10",
            "\"up\" is not a port of this switch",
            "leaf1:up, leaf1:lan1",
        ),
    ] {
        let said = with(from, to);
        let whole = format!("f.toml:{place}: {wrong}");
        assert!(said.contains(&whole) && said.contains(remedy), "{to}:\n  {said}\n  {whole} … {remedy}");
    }
}

#[test]
fn one_switch_needs_neither_members_nor_links() {
    let head = "site = \"e\"\n[switch]\nports = [\"a\"]\n";
    let lan = "[lan]\nuplink = \"a\"\nprefix = \"198.51.100.0/24\"\ngateway = \"198.51.100.1\"\n";
    let said = parse(&format!("{head}[[switch.link]]\nends = [\"a:b\", \"c:d\"]\n{lan}")).unwrap_err();
    assert!(said.starts_with("f.toml:4:1: [[switch.link]] connects several switches"), "{said}");
    let one = "[[switch.member]]\nname = \"s\"\ndatapath_id = \"0000000000000021\"\n\
               remote = { listen = [\"ptcp:\"], profile = \"ovs\" }\n";
    let said = parse(&format!("{head}{one}{lan}")).unwrap_err();
    assert!(said.contains("f.toml:4:1: there is only one [[switch.member]]"), "{said}");
    assert!(said.contains("[switch.remote] in its place"), "{said}");
    assert!(parse(&format!("{head}{lan}")).unwrap().switch.fabric.is_none());
}
