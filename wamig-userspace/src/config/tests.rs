//! Every mistake, with the exact message and place.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

const FINGERPRINT: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A file that is right, its certificates beside it.
pub(super) struct Site {
    dir: tempfile::TempDir,
    pub(super) text: String,
}

impl Site {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["dc2.pem", "dc2.key"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let text = GOOD.replace("FINGERPRINT", FINGERPRINT);
        Self { dir, text }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().join("dc2.toml")
    }

    /// The file with one text replaced; the mistakes, without the directory.
    fn with(&self, from: &str, to: &str) -> String {
        assert_eq!(self.text.matches(from).count(), 1, "{from:?} must be in the sample once");
        match Config::parse(&self.path(), &self.text.replace(from, to)) {
            Ok(_) => "no mistake".to_owned(),
            Err(e) => e.to_string().replace(&format!("{}/", self.dir.path().display()), ""),
        }
    }
}

const GOOD: &str = r#"site = "dc2"

[switch]
datapath_id = "0000000000000002"
ports = ["up", "lan1", "srv"]
xdp_mode = "auto"

[lan]
uplink = "up"
prefix = "198.51.100.0/24"
gateway = "198.51.100.1"
mac = "02:57:4d:00:00:02"

[peering]
listen = "10.255.2.2:7946"
certificate = "dc2.pem"
private_key = "dc2.key"

[[peer]]
name = "dc1"
endpoint = "10.255.1.2:7946"
fingerprint = "FINGERPRINT"

[[server]]
address = "198.51.100.53"
mac = "02:00:00:00:00:54"
hosts = ["dc1"]

[hosting]
ports = ["srv"]
pool = ["198.51.100.200-198.51.100.209"]
quarantine_s = 301
[[hosting.guest]]
peer = "dc1"
prefixes = ["192.0.2.0/24"]
max = 17

[damping]
moves = 4

[timers]
lease_s = 31
"#;

#[test]
fn a_good_file_is_read_whole() {
    let site = Site::new();
    let c = Config::parse(&site.path(), &site.text).unwrap();
    assert_eq!(c.site, "dc2");
    assert_eq!(c.state_dir, Path::new(DEFAULT_STATE_DIR));
    assert_eq!(c.switch.datapath_id, Some(DatapathId(2)));
    assert_eq!(c.switch.port("srv"), Some(PortNo(3)));
    assert_eq!(c.lan.as_ref().unwrap().uplink, PortNo(1));
    assert_eq!((&c.hosting.ports[..], c.hosting.pool[0].iter().count()), (&[PortNo(3)][..], 10));
    assert_eq!((c.hosting.guests[0].max, c.hosting.ready), (17, 8));
    assert_eq!(c.timers.lease, Duration::from_secs(31));
    assert_eq!((c.damping.moves, c.damping.window), (4, Duration::from_mins(3)));
    assert_eq!(c.peering.as_ref().unwrap().certificate, site.dir.path().join("dc2.pem"), "relative to the file");
    assert_eq!(c.peers[0].fingerprint.to_string(), FINGERPRINT);
    assert_eq!(c.site(DatapathId(2)).unwrap().lan.ports, [PortNo(2)], "neither the uplink nor a hosting port");
}

#[test]
fn a_lan_may_have_both_families_or_one() {
    let site = Site::new();
    let both = site
        .text
        .replace("mac = \"02:57:4d:00:00:02\"", "prefix6 = \"2001:db8:2::/64\"\ngateway6 = \"fe80::1\"")
        .replace("209\"]", "209\", \"2001:db8:2::c8-2001:db8:2::d1\"]")
        .replace("prefixes = [", "prefixes = [\"2001:db8:1::/64\", ")
        .replace("198.51.100.53", "2001:db8:2::53");
    let c = Config::parse(&site.path(), &both).unwrap();
    let lan = c.site(DatapathId(2)).unwrap().lan;
    assert_eq!(
        lan.subnets.iter().map(|s| s.prefix.to_string()).collect::<Vec<_>>(),
        ["198.51.100.0/24", "2001:db8:2::/64"]
    );
    assert_eq!((c.hosting.pool.len(), c.hosting.ready, c.hosting.guests[0].prefixes.len()), (2, 8, 2));
    let v6 = both
        .replace("prefix = \"198.51.100.0/24\"\ngateway = \"198.51.100.1\"\n", "")
        .replace("\"198.51.100.200-198.51.100.209\", ", "");
    let c = Config::parse(&site.path(), &v6).unwrap();
    assert_eq!(c.site(DatapathId(2)).unwrap().lan.subnets.len(), 1);
}

/// (text in the sample, what it becomes, the message).
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "gateway = \"198.51.100.1\"\n",
        "",
        "dc2.toml:10:10: there is prefix but no gateway; needed: both, or neither where the LAN has no IPv4",
    ),
    (
        "prefix = \"198.51.100.0/24\"\ngateway = \"198.51.100.1\"\n",
        "prefix6 = \"2001:db8:2::/64\"\n",
        "dc2.toml:10:11: there is prefix6 but no gateway6; needed: both, or neither where the LAN has no IPv6",
    ),
    (
        "mac = \"02:57:4d:00:00:02\"",
        "prefix6 = \"192.0.2.0/24\"\ngateway6 = \"fe80::1\"",
        "dc2.toml:12:11: 192.0.2.0/24 is not IPv6; allowed: IPv4 in prefix, IPv6 in prefix6",
    ),
    (
        "mac = \"02:57:4d:00:00:02\"",
        "prefix6 = \"2001:db8:2::/12\"\ngateway6 = \"fe80::1\"",
        "dc2.toml:12:11: \"2001:db8:2::/12\" has host bits set; allowed: the network, here \"2000::/12\"",
    ),
    (
        "mac = \"02:57:4d:00:00:02\"",
        "prefix6 = \"2001:db8:2::/64\"\ngateway6 = \"2001:db8:3::1\"",
        "dc2.toml:13:12: the gateway 2001:db8:3::1 is not a host's address in 2001:db8:2::/64; allowed: an address inside 2001:db8:2::/64, not 2001:db8:2::, or its link-local one",
    ),
    (
        "pool = [\"198.51.100.200-198.51.100.209\"]",
        "pool = [\"2001:db8:2::c8-2001:db8:2::d1\"]",
        "dc2.toml:31:9: 2001:db8:2::c8-2001:db8:2::d1 is not inside the LAN 198.51.100.0/24; allowed: addresses of the LAN, not 198.51.100.0 or 198.51.100.255",
    ),
    (
        "moves = 4",
        "moves = 1001",
        "dc2.toml:39:9: 1001 is out of range; allowed: 0 to 1000 moves (0 = any number), default 5",
    ),
    // TOML itself
    ("site = \"dc2\"", "site = dc2", "dc2.toml:1:8: string values must be quoted; allowed: literal string"),
    ("site = \"dc2\"", "", "dc2.toml:1:1: missing key `site`"),
    ("[lan]\nuplink = \"up\"", "[lan]", "dc2.toml:8:1: missing key `uplink`"),
    ("site = \"dc2\"", "site = 2", "dc2.toml:1:8: invalid type: integer `2`; allowed: a string"),
    (
        "xdp_mode",
        "xdp",
        "dc2.toml:6:1: unknown key `xdp`; allowed: datapath_id, ports, local, pin_path, xdp_mode, in_band, limits, control, remote, member, link",
    ),
    ("max = 17", "max = \"x\"", "dc2.toml:36:7: invalid type: string \"x\"; allowed: a whole number"),
    // values
    (
        "xdp_mode = \"auto\"",
        "limits = { flows = 7 }",
        "dc2.toml:6:20: 7 is out of range; allowed: 1024 to 1048576 flows, default 131072",
    ),
    (
        "xdp_mode = \"auto\"",
        "limits = { slow = 7 }",
        "dc2.toml:6:12: unknown key `slow`; allowed: flows, arp_rate, packet_in_rate, slow_rate",
    ),
    (
        "site = \"dc2\"",
        "site = \"DC 2\"",
        "dc2.toml:1:8: \"DC 2\" is not a site's name; allowed: 1 to 63 letters, digits, '-', '_' or '.', not beginning with '.'",
    ),
    (
        "\"0000000000000002\"",
        "\"2\"",
        "dc2.toml:4:15: \"2\" is not a datapath id; allowed: 16 hexadecimal digits, not all zeros, as in \"0000000000000001\"",
    ),
    (
        "\"lan1\", \"srv\"]",
        "\"up\", \"srv\"]",
        "dc2.toml:5:16: port \"up\" is named twice; allowed: each interface once",
    ),
    (
        "\"lan1\", \"srv\"]",
        "\"an-interface-too-long\", \"srv\"]",
        "dc2.toml:5:16: \"an-interface-too-long\" cannot be an interface's name; allowed: 1 to 15 bytes without '/', ':' and blanks",
    ),
    ("\"auto\"", "\"skb\"", "dc2.toml:6:12: \"skb\" is not an XDP mode; allowed: \"auto\", \"native\", \"generic\""),
    (
        "uplink = \"up\"",
        "uplink = \"eth9\"",
        "dc2.toml:9:10: \"eth9\" is not a port of this switch; allowed (switch.ports): up, lan1, srv",
    ),
    (
        "prefix = \"198.51.100.0/24\"",
        "prefix = \"198.51.100.7/24\"",
        "dc2.toml:10:10: \"198.51.100.7/24\" has host bits set; allowed: the network, here \"198.51.100.0/24\"",
    ),
    (
        "prefix = \"198.51.100.0/24\"",
        "prefix = \"198.51.100.0\"",
        "dc2.toml:10:10: \"198.51.100.0\" is not an IP prefix; allowed: network/length, as in \"192.0.2.0/24\" or \"2001:db8:1::/64\"",
    ),
    (
        "gateway = \"198.51.100.1\"",
        "gateway = \"198.51.100\"",
        "dc2.toml:11:11: \"198.51.100\" is not an IPv4 address; allowed: the router's address on this LAN",
    ),
    (
        "gateway = \"198.51.100.1\"",
        "gateway = \"198.51.101.1\"",
        "dc2.toml:11:11: the gateway 198.51.101.1 is not a host's address in 198.51.100.0/24; allowed: an address inside 198.51.100.0/24, not 198.51.100.0 or 198.51.100.255",
    ),
    (
        "\"02:57:4d:00:00:02\"",
        "\"02:57:4d:00:02\"",
        "dc2.toml:12:7: \"02:57:4d:00:02\" is not a MAC address; allowed: six hexadecimal octets separated by colons, as in \"02:00:00:00:00:01\"",
    ),
    (
        "\"02:57:4d:00:00:02\"",
        "\"03:57:4d:00:00:02\"",
        "dc2.toml:12:7: 03:57:4d:00:00:02 cannot be a host's MAC address; allowed: a unicast address, i.e. its first octet is even, and not all zeros",
    ),
    (
        "\"10.255.2.2:7946\"",
        "\"10.255.2.2\"",
        "dc2.toml:15:10: \"10.255.2.2\" is not an address with a TCP port; allowed: address:port, as in \"192.0.2.1:7946\" or \"[2001:db8::1]:7946\"",
    ),
    (
        "\"10.255.2.2:7946\"",
        "\"198.51.100.201:7946\"",
        "dc2.toml:15:10: wamig's own address 198.51.100.201 is inside the pool of transfer addresses 198.51.100.200-198.51.100.209; needed: a pool of addresses that no host uses",
    ),
    (
        "\"dc2.pem\"",
        "\"none.pem\"",
        "dc2.toml:16:15: none.pem cannot be read: No such file or directory (os error 2); needed: a PEM file; `wamig keygen` makes certificate and key",
    ),
    (
        "name = \"dc1\"",
        "name = \"dc2\"",
        "dc2.toml:20:8: this is the site itself; allowed: names of other sites\ndc2.toml:27:10: \"dc1\" is not a configured peer; allowed ([[peer]]): dc2\ndc2.toml:34:8: \"dc1\" is not a configured peer; allowed ([[peer]]): dc2",
    ),
    (
        "aabbccddeeff00112233445566778899aabbccddeeff",
        "aabbccddeeff",
        "dc2.toml:22:15: \"sha256:00112233445566778899aabbccddeeff\" is not a certificate's fingerprint; allowed: \"sha256:\" and 64 hexadecimal digits, as `wamig keygen` prints them at the peer's site",
    ),
    (
        "\"198.51.100.53\"",
        "\"192.0.2.53\"",
        "dc2.toml:25:11: server 192.0.2.53 is not a host's address in 198.51.100.0/24; allowed: servers whose home is this LAN; a server that comes from elsewhere is its home's to list",
    ),
    (
        "\"198.51.100.53\"",
        "\"198.51.100.203\"",
        "dc2.toml:25:11: server 198.51.100.203 is inside the pool of transfer addresses 198.51.100.200-198.51.100.209; needed: a pool of addresses that no host uses",
    ),
    ("\"198.51.100.53\"", "\"198.51.100.1\"", "dc2.toml:25:11: this is the gateway's address; allowed: a server's own"),
    (
        "hosts = [\"dc1\"]",
        "hosts = [\"dc3\"]",
        "dc2.toml:27:10: \"dc3\" is not a configured peer; allowed ([[peer]]): dc1",
    ),
    (
        "hosts = [\"dc1\"]",
        "hosts = []",
        "dc2.toml:27:9: the list is empty; needed: the peers that may host this server",
    ),
    (
        "ports = [\"srv\"]",
        "ports = [\"srv\", \"vnet0\"]",
        "dc2.toml:30:17: \"vnet0\" is not a port of this switch; allowed (switch.ports): up, lan1, srv",
    ),
    (
        "ports = [\"srv\"]",
        "ports = [\"up\"]",
        "dc2.toml:30:10: \"up\" is the uplink; allowed: ports that lead to guests and to nothing else",
    ),
    (
        "[\"198.51.100.200-198.51.100.209\"]",
        "[\"198.51.100.209-198.51.100.200\"]",
        "dc2.toml:31:9: \"198.51.100.209-198.51.100.200\" ends before it begins; allowed: first-last or one address, as in \"192.0.2.200-192.0.2.209\"",
    ),
    (
        "[\"198.51.100.200-198.51.100.209\"]",
        "[\"198.51.101.200\"]",
        "dc2.toml:31:9: 198.51.101.200 is not inside the LAN 198.51.100.0/24; allowed: addresses of the LAN, not 198.51.100.0 or 198.51.100.255",
    ),
    (
        "[\"198.51.100.200-198.51.100.209\"]",
        "[\"198.51.100.200\", \"198.51.100.1-198.51.100.9\"]",
        "dc2.toml:31:27: 198.51.100.1-198.51.100.9 contains the gateway 198.51.100.1; allowed: addresses that no host uses",
    ),
    (
        "[\"198.51.100.200-198.51.100.209\"]",
        "[\"198.51.100.200-198.51.100.209\", \"198.51.100.209\"]",
        "dc2.toml:31:42: 198.51.100.209 overlaps 198.51.100.200-198.51.100.209; allowed: each address once",
    ),
    (
        "quarantine_s = 301",
        "quarantine_s = -1",
        "dc2.toml:32:16: -1 is out of range; allowed: 0 to 86400 seconds, default 300",
    ),
    ("peer = \"dc1\"", "peer = \"dc9\"", "dc2.toml:34:8: \"dc9\" is not a configured peer; allowed ([[peer]]): dc1"),
    (
        "[\"192.0.2.0/24\"]",
        "[\"198.51.100.128/25\"]",
        "dc2.toml:35:13: 198.51.100.128/25 overlaps this LAN, 198.51.100.0/24; allowed: prefixes of the peer's own LAN",
    ),
    ("max = 17", "max = 0", "dc2.toml:36:7: 0 is out of range; allowed: 1 to 4096 servers, default 16"),
    ("lease_s = 31", "lease_s = 0", "dc2.toml:42:11: 0 is out of range; allowed: 1 to 86400 seconds, default 30"),
    (
        "lease_s = 31",
        "lease_s = 10",
        "dc2.toml:42:11: renew_s is 10000 ms and lease_s is 10000 ms; allowed: renew_s less than lease_s",
    ),
    (
        "[peering]\nlisten = \"10.255.2.2:7946\"\ncertificate = \"dc2.pem\"\nprivate_key = \"dc2.key\"\n",
        "",
        "dc2.toml:15:1: there is a peer but no [peering]; needed: [peering] with listen, certificate and private_key",
    ),
];

#[test]
fn every_mistake_names_its_place_and_what_is_allowed() {
    let site = Site::new();
    let mut wrong = String::new();
    for (from, to, expected) in MISTAKES {
        let got = site.with(from, to);
        if got != *expected {
            writeln!(wrong, "{from} -> {to}\n  expected {expected}\n  got      {got}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn several_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let site = Site::new();
    let text =
        site.text.replace("\"auto\"", "\"fast\"").replace("lease_s = 31", "lease_s = 0").replace("\"up\"\n", "\"x\"\n");
    let said = Config::parse(Path::new("a.toml"), &text).unwrap_err().to_string();
    let places: Vec<_> = said.lines().map(|l| l.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(places, ["a.toml:6:12", "a.toml:9:10", "a.toml:16:15", "a.toml:17:15", "a.toml:42:11"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let said = Config::load(Path::new("/nowhere/x.toml")).unwrap_err().to_string();
    assert_eq!(
        said,
        "/nowhere/x.toml: cannot be read: No such file or directory (os error 2); give the path of a configuration file with --config"
    );
}

#[test]
fn a_client_finds_the_socket_without_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.toml");
    std::fs::write(&path, GOOD).unwrap();
    assert_eq!(Config::control_socket_of(&path).unwrap(), Path::new(DEFAULT_SOCKET));
    std::fs::write(&path, "control_socket = \"ctl.sock\"\n").unwrap();
    assert_eq!(Config::control_socket_of(&path).unwrap(), dir.path().join("ctl.sock"));
    std::fs::write(&path, "control_socket = 1\n").unwrap();
    assert!(Config::control_socket_of(&path).unwrap_err().to_string().contains("a.toml:1:18: invalid type"));
}

#[test]
fn the_local_port_has_an_interface_of_its_own() {
    let site = Site::new();
    let local = |name: &str| site.with("[lan]", &format!("local = \"{name}\"\n[lan]"));
    assert_eq!(local("br0"), "no mistake");
    assert_eq!(local("twelve-bytes"), "no mistake");
    for (name, wrong) in [
        (
            "thirteen-byte",
            "\"thirteen-byte\" cannot be the name of the host's interface at port LOCAL; allowed: 1 to 12",
        ),
        ("a b", "\"a b\" cannot be the name"),
        ("", "\"\" cannot be the name"),
        ("up", "\"up\" belongs to port LOCAL, as local is \"up\"; allowed: each interface once"),
    ] {
        let said = local(name);
        assert!(said.contains(wrong), "{said}");
    }
    let local = site.with("[lan]", "local = \"br0\"\n[switch.remote]\nconnect = [\"tcp:a\"]\nprofile = \"ovs\"\n[lan]");
    assert!(local.contains("local is for the switch in this process"), "{local}");
}

#[test]
fn metrics_are_for_this_machine_only() {
    let site = Site::new();
    let metrics = |listen: &str| site.with("[switch]", &format!("[metrics]\nlisten = \"{listen}\"\n\n[switch]"));
    assert_eq!(metrics("127.0.0.1:9446"), "no mistake");
    assert_eq!(metrics("[::1]:9446"), "no mistake");
    let said = metrics("192.0.2.1:9446");
    assert!(said.contains("192.0.2.1 is not a loopback address") && said.contains("127.0.0.1 or [::1]"), "{said}");
    assert!(metrics("127.0.0.1:0").contains("port 0"), "{}", metrics("127.0.0.1:0"));
}

/// `[openflow]` of a switch that controllers own: line 7 is the test's.
fn controlled(keys: &str) -> Result<Config, String> {
    let text = format!(
        "site = \"e\"\n[switch]\nports = [\"a\", \"b\"]\ncontrol = \"openflow\"\n[openflow]\nlisten = [\"ptcp:\"]\n{keys}\n"
    );
    Config::parse(Path::new("o.toml"), &text).map_err(|e| e.to_string())
}

#[test]
fn mistakes_about_controllers_name_their_place_and_what_is_allowed() {
    let pin = format!("fingerprints = [\"sha256:{}\"]\nca = \"x\"", "0".repeat(64));
    for (keys, place, wrong, allowed) in [
        ("fail_mode = \"open\"", "7:13", "\"open\" is not a fail mode", "\"standalone\""),
        ("controllers = [\"ptcp:\"]", "7:16", "\"ptcp:\" is no endpoint to dial", "tcp:HOST[:PORT]"),
        ("protocols = [\"OpenFlow14\"]", "7:14", "\"OpenFlow14\" is not spoken here", "\"OpenFlow10\""),
        ("inactivity_probe_s = -1", "7:22", "-1 is out of range", "0 to 3600 seconds"),
        ("max_connections = 0", "7:19", "0 is out of range", "1 to 1024 connections"),
        ("controllers = [\"tls:192.0.2.1\"]", "7:16", "tls:192.0.2.1 needs certificates", "private_key"),
        ("certificate = \"c.pem\"", "7:15", "the keys for TLS are not complete", "private_key"),
        (pin.as_str(), "8:6", "both ca and fingerprints are given", "one of them"),
    ] {
        let said = controlled(keys).expect_err(keys);
        let begins = format!("o.toml:{place}: {wrong}");
        assert!(said.starts_with(&begins) && said.contains(allowed), "{keys}:\n  {said}\n  {begins} … {allowed}");
    }
}

/// A fingerprint of the digit.
fn fingerprint(digit: &str) -> String {
    format!("sha256:{}", digit.repeat(64))
}

#[test]
fn endpoints_are_bound_to_certificates() {
    let site = Site::new();
    let [one, two, three] = ["1", "2", "3"].map(fingerprint);
    let keys = |trust: &str, pins: &[(&str, &str)]| {
        let pins = pins.iter().map(|(e, c)| format!("[[openflow.pin]]\nendpoint = {e:?}\ncertificate = {c:?}\n"));
        let text = format!(
            "site = \"e\"\n[switch]\nports = [\"a\"]\ncontrol = \"openflow\"\n[openflow]\ncontrollers = [\"tls:192.0.2.1\"]\n\
             listen = [\"ptls:\", \"ptcp:6634:127.0.0.1\"]\ncertificate = \"dc2.pem\"\nprivate_key = \"dc2.key\"\n{trust}\n{}",
            pins.collect::<String>()
        );
        Config::parse(&site.path(), &text).map(|c| c.openflow.pins).map_err(|e| e.to_string())
    };
    let ca = "ca = \"dc2.pem\"";
    let pins = keys(ca, &[("tls:192.0.2.1:6653", &one), ("ssl:192.0.2.1", &two), ("ptls:6653", &three)]).unwrap();
    let taken = |endpoint| [&one, &two, &three].map(|c| pins.check(endpoint, Some(c.parse().unwrap())).is_ok());
    assert_eq!([0, 1, 2].map(taken), [[true, true, false], [false, false, true], [true; 3]]);
    assert!(pins.check(0, Some(three.parse().unwrap())).unwrap_err().contains("[[openflow.pin]]"));

    let listed = format!("fingerprints = [\"{one}\"]");
    assert!(keys(&listed, &[("tls:192.0.2.1", &one)]).is_ok());
    for (trust, pin, place, wrong, allowed) in [
        (
            ca,
            ("tls:192.0.2.9", &*one),
            ":12:12: ",
            "\"tls:192.0.2.9\" is no endpoint of [openflow]",
            "tls:192.0.2.1:6653, ptls:",
        ),
        (ca, ("ptcp:6634:127.0.0.1", &*one), ":12:12: ", "nobody shows a certificate on ptcp:6634", "tls: or ptls:"),
        (ca, ("ptls:", "sha256:1"), ":13:15: ", "\"sha256:1\"", "64 hexadecimal digits"),
        (&listed, ("ptls:", &*two), ":13:15: ", "nobody could ever connect", "add it to fingerprints"),
    ] {
        let said = keys(trust, &[pin]).unwrap_err();
        assert!([place, wrong, allowed].iter().all(|part| said.contains(part)), "{said}\n  {place}{wrong} … {allowed}");
    }
}

#[test]
fn only_a_switch_that_controllers_own_can_stand_alone() {
    let mode = |keys| controlled(keys).map(|c| c.openflow.fail_mode);
    assert_eq!(mode(""), Ok(FailMode::Secure));
    assert_eq!(mode("fail_mode = \"standalone\""), Ok(FailMode::Standalone));
    let text = format!("{}\n[openflow]\nfail_mode = \"standalone\"\n", Site::new().text);
    let said = Config::parse(Path::new("a.toml"), &text).unwrap_err().to_string();
    assert!(said.contains("is for a switch that controllers own"), "{said}");
}

#[test]
fn a_switch_elsewhere_is_named_and_used_by_a_profile() {
    let site = Site::new();
    let remote = |keys: &str| format!("[switch.remote]\n{keys}\n[lan]");
    let whole = |text: &str| {
        Config::parse(&site.path(), &site.text.replace("xdp_mode = \"auto\"\n", "").replace("[lan]", text))
    };
    let config = whole(&remote("listen = [\"ptcp:6653:127.0.0.1\"]\nprofile = \"ovs\"")).unwrap();
    let switch = config.switch.remote.unwrap();
    assert_eq!((switch.endpoints[0].to_string().as_str(), switch.profile), ("ptcp:6653:127.0.0.1", Profile::Ovs));
    let bound = |there: &str, trust: &str| {
        let tls = format!("certificate = \"dc2.pem\"\nprivate_key = \"dc2.key\"\n{trust}");
        let keys = format!("{there}\nprofile = \"ovs\"\n{tls}\nswitch_certificate = \"{}\"", fingerprint("1"));
        whole(&remote(&keys)).map(|c| c.switch.remote.unwrap()).map_err(|e| e.to_string())
    };
    let both = "listen = [\"ptls:6653\"]\nconnect = [\"tls:a\"]";
    let pins = bound(both, "ca = \"dc2.pem\"").unwrap().pins();
    for endpoint in 0..2 {
        assert_eq!(pins.check(endpoint, fingerprint("1").parse().ok()), Ok(()));
        let said = pins.check(endpoint, fingerprint("2").parse().ok()).unwrap_err();
        assert!(said.contains("switch_certificate in [switch.remote]"), "{said}");
    }
    let said = bound("connect = [\"tls:a\", \"tcp:a\"]", "ca = \"dc2.pem\"").unwrap_err();
    assert!(said.contains("nobody shows a certificate on tcp:a"), "{said}");
    let said = bound(both, &format!("fingerprints = [\"{}\"]", fingerprint("2"))).unwrap_err();
    assert!(said.contains("fingerprints in [switch.remote] does not have it"), "{said}");
    for (keys, expected) in [
        ("profile = \"ovs\"", "says neither where the switch is nor where it connects to"),
        ("connect = [\"tcp:a\"]\nprofile = \"nx\"", "\"nx\" is not a profile; allowed: \"ovs\""),
        ("connect = [\"tls:a\"]\nprofile = \"ovs\"", "needed in [switch.remote]: certificate"),
        ("connect = [\"tcp:a\"]\nprofile = \"ovs\"\nrole = \"slave\"", "\"slave\" is not a role"),
        ("connect = [\"tcp:a\"]\nprofile = \"ovs\"\npriority = 63001", "allowed: 1000 to 63000 (the lowest of 2000"),
        ("connect = [\"tcp:a\"]\nprofile = \"ovs\"\ncookies = { links = 0 }", "allowed: 1 to 65534 (the upper 16 bits"),
        ("connect = [\"tcp:a\"]\nprofile = \"ovs\"\ncookies = { links = 0x574d }", "links = 0x574d: two are the same"),
        ("connect = [\"tcp:a\"]\nprofile = \"ovs\"\ncookies = { link = 1 }", "allowed: migration, learning, links"),
        ("connect = [\"tcp:a\"]\nprofile = \"of10\"\nversion = \"1.3\"", "\"1.3\" is not the version of profile of10"),
    ] {
        let wrong = whole(&remote(keys)).unwrap_err().to_string();
        assert!(wrong.contains(expected), "{keys}: {wrong}");
    }
    let marked = "connect = [\"tcp:a\"]\nprofile = \"ovs\"\npriority = 20000\ncookies = { migration = 0xa001 }";
    let marks = whole(&remote(marked)).unwrap().switch.remote.unwrap().marks;
    assert_eq!((marks.cookies(), marks.priority()), ([0xa001, 0x4c53, 0x4642], 20_000));
    for (profile, version) in [("of10", wamig_openflow::Version::V10), ("of13-arp-punt", wamig_openflow::Version::V13)]
    {
        let config = whole(&remote(&format!("listen = [\"ptcp:6653:127.0.0.1\"]\nprofile = \"{profile}\""))).unwrap();
        assert_eq!(config.switch.remote.unwrap().version, version);
    }
    let local = site.with("[lan]", &remote("connect = [\"tcp:a\"]\nprofile = \"ovs\""));
    assert!(local.contains("xdp_mode is for the switch in this process"), "{local}");
}
