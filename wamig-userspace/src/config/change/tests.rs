//! Which keys take what, and where a file is told that it asks too much.

use super::*;
use crate::config::tests::Site;

/// The sample with texts replaced, compared with the sample.
fn changed(site: &Site, replaced: &[(&str, &str)]) -> (Config, Candidate) {
    let before = Config::parse(&site.path(), &site.text).unwrap();
    let mut text = site.text.clone();
    for (from, to) in replaced {
        assert_eq!(text.matches(from).count(), 1, "{from:?} must be in the sample once");
        text = text.replace(from, to);
    }
    std::fs::write(site.path(), text).unwrap();
    let candidate = Candidate::load(&site.path()).unwrap_or_else(|e| panic!("{e}"));
    (before, candidate)
}

#[test]
fn a_reload_says_what_it_changes() {
    let site = Site::new();
    let other = "sha256:ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let peer =
        format!("[[peer]]\nname = \"dc3\"\nendpoint = \"10.255.3.2:7946\"\nfingerprint = \"{other}\"\n[[server]]");
    let (before, after) = changed(
        &site,
        &[
            ("10.255.1.2:7946", "10.255.1.3:7946"),
            ("[[server]]", &peer),
            ("address = \"198.51.100.53\"", "address = \"198.51.100.54\""),
            ("198.51.100.200-198.51.100.209\"", "198.51.100.200-198.51.100.209\", \"198.51.100.220\""),
            ("quarantine_s = 301", "quarantine_s = 302"),
            ("max = 17", "max = 18"),
            ("moves = 4", "moves = 3"),
            ("lease_s = 31", "peer_down_s = 9"),
        ],
    );
    assert_eq!(after.fixed(&before), []);
    assert_eq!(
        changes(&before, &after.config),
        [
            "peer dc1: changed",
            "peer dc3: added",
            "server 198.51.100.53: removed",
            "server 198.51.100.54: added",
            "hosting.pool 198.51.100.220: added",
            "hosting.quarantine_s: changed",
            "hosting.guest dc1: changed",
            "damping: changed",
            "timers: changed",
        ]
    );
    assert_eq!(changes(&before, &before), Vec::<String>::new());
}

/// (text in the sample, what it becomes, the place and the key).
const FIXED: &[(&str, &str, &str)] = &[
    ("site = \"dc2\"", "site = \"dc9\"", "1:8: site"),
    ("site = \"dc2\"", "site = \"dc2\"\nstate_dir = \"elsewhere\"", "2:13: state_dir"),
    ("site = \"dc2\"", "site = \"dc2\"\ncontrol_socket = \"ctl.sock\"", "2:18: control_socket"),
    ("[damping]", "[metrics]\nlisten = \"127.0.0.1:9446\"\n[damping]", "38:1: metrics"),
    ("0000000000000002", "0000000000000003", "4:15: switch.datapath_id"),
    ("datapath_id = \"0000000000000002\"", "", "3:1: switch.datapath_id"),
    ("\"lan1\", \"srv\"", "\"lan2\", \"srv\"", "5:9: switch.ports"),
    ("xdp_mode = \"auto\"", "local = \"br0\"", "6:9: switch.local"),
    ("xdp_mode = \"auto\"", "pin_path = \"/sys/fs/bpf/other\"", "6:12: switch.pin_path"),
    ("xdp_mode = \"auto\"", "xdp_mode = \"generic\"", "6:12: switch.xdp_mode"),
    ("xdp_mode = \"auto\"", "in_band = true", "6:11: switch.in_band"),
    ("gateway = \"198.51.100.1\"", "gateway = \"198.51.100.2\"", "8:1: lan"),
    ("[damping]", "[openflow]\nlisten = [\"ptcp:6653\"]\n[damping]", "38:1: openflow"),
    ("10.255.2.2:7946", "10.255.2.3:7946", "15:10: peering.listen"),
    ("certificate = \"dc2.pem\"", "certificate = \"dc2.key\"", "16:15: peering.certificate"),
    ("private_key = \"dc2.key\"", "private_key = \"dc2.pem\"", "17:15: peering.private_key"),
    ("ports = [\"srv\"]", "ports = [\"lan1\"]", "30:9: hosting.ports"),
    ("[damping]", "[learning]\nidle_s = 299\n[damping]", "38:1: learning"),
];

#[test]
fn what_takes_a_restart_is_named_with_its_place_and_the_remedy() {
    let site = Site::new();
    for (from, to, expected) in FIXED {
        let (before, after) = changed(&site, &[(from, to)]);
        let said = after
            .refused(after.fixed(&before))
            .to_string()
            .replace(&format!("{}/", site.path().parent().unwrap().display()), "");
        let expected = format!("dc2.toml:{expected} cannot change while wamig runs; restart wamig, or put it back");
        assert_eq!(said, expected);
    }
    // All of them at once, in the order of the file.
    let (before, after) = changed(&site, &[FIXED[13], FIXED[0]].map(|(from, to, _)| (from, to)));
    let said = after.refused(after.fixed(&before)).to_string();
    let order: Vec<_> = said.lines().map(|l| l.split(": ").nth(1).unwrap()).collect();
    assert_eq!(
        order,
        [
            "site cannot change while wamig runs; restart wamig, or put it back",
            "peering.listen cannot change while wamig runs; restart wamig, or put it back"
        ]
    );
}

#[test]
fn a_switch_that_moves_elsewhere_takes_a_restart() {
    let site = Site::new();
    let remote = "[switch.remote]\nlisten = [\"ptcp:6653\"]\nprofile = \"ovs\"\n[lan]";
    let (before, after) = changed(&site, &[("xdp_mode = \"auto\"\n", ""), ("[lan]", remote)]);
    let keys: Vec<_> = after.fixed(&before).into_iter().map(|o| o.key).collect();
    assert_eq!(keys, ["switch.remote"]);
}

#[test]
fn an_entry_of_a_list_is_found() {
    let site = Site::new();
    let (_, after) = changed(&site, &[]);
    let line = |key, entry: Option<&str>| {
        let objection = Objection { key, entry: entry.map(str::to_owned), what: "no".into(), remedy: String::new() };
        after.refused(vec![objection]).to_string().rsplit_once("dc2.toml:").unwrap().1.to_owned()
    };
    assert_eq!(line("server", Some("198.51.100.53")), "24:1: no");
    assert_eq!(line("peer", Some("dc1")), "19:1: no");
    assert_eq!(line("hosting.guest", None), "33:1: no");
    assert_eq!(line("nothing.of.the.kind", None), "1:1: no");
}

#[test]
fn the_readme_has_the_same_table() {
    let readme = include_str!("../../../../README.md");
    let site = Site::new();
    let config = Config::parse(&site.path(), &site.text).unwrap();
    let row = |takes: &str| {
        let found = readme.lines().find(|l| l.starts_with(&format!("| {takes} |")));
        found.unwrap_or_else(|| panic!("README.md has no row for {takes}"))
    };
    for key in keys(&config, &config) {
        let (row, other) = match key.takes {
            Takes::Reload => (row("`wamig reload`"), row("a restart")),
            Takes::Restart => (row("a restart"), row("`wamig reload`")),
        };
        let name = format!("`{}`", key.name);
        assert!(row.contains(&name) && !other.contains(&name), "README.md has {name} elsewhere or not at all");
    }
}
