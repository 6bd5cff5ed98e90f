//! Open vSwitch's `ovs-ofctl` against wamig's listeners: every command that a switch of OpenFlow 1.0 or 1.3 can answer,
//! and what it prints.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use xtask::interop::ofctl::{self, Ofctl};
use xtask::interop::rig::{self, Host, Rig};
use xtask::lab::capture::Capture;
use xtask::lab::raw::Sender;
use xtask::lab::{netns, signals};

const PREFIX: &str = "wamig-io-ofctl-";
const VERSIONS: [&str; 2] = ["OpenFlow13", "OpenFlow10"];
const SOON: Duration = Duration::from_secs(40);

fn up() -> Result<Option<Rig>> {
    if !ofctl::installed() {
        println!("SKIP: Open vSwitch is not installed (scripts/setup of installs it)");
        return Ok(None);
    }
    let hosts = [1, 2, 3].map(|n| Host::at([10, 9, 0, n]));
    Rig::up(PREFIX, &hosts, "")
}

/// All parts are in the text, in this order.
fn says(text: &str, parts: &[&str]) -> Result<()> {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part).with_context(|| format!("{part:?} is not where it should be in\n{text}"))?;
        rest = &rest[at + part.len()..];
    }
    Ok(())
}

/// A flow as `--names` shows it: ports and tables by their names.
fn named(flow: &str) -> String {
    let (cookie, flow) = flow.split_once(", ").filter(|(head, _)| head.starts_with("cookie=")).unwrap_or(("", flow));
    let flow = match flow.strip_prefix("table=") {
        Some(rest) => format!("table=table{rest}"),
        None => format!("table=table0, {flow}"),
    };
    let flow =
        flow.replace("output:", "output:p").replace("in_port=", "in_port=p").replace("goto_table:", "goto_table:table");
    if cookie.is_empty() { flow } else { format!("{cookie}, {flow}") }
}

fn expect_flows(ofctl: &Ofctl, filter: &[&str], expected: &[&str]) -> Result<()> {
    let names = ofctl.options.contains(&"--names");
    let mut expected: Vec<String> =
        expected.iter().map(|flow| if names { named(flow) } else { (*flow).to_owned() }).collect();
    expected.sort();
    assert_eq!(ofctl.flows(filter)?, expected, "{ofctl:?}");
    Ok(())
}

/// Flows as they are given, as 1.3 shows them, as 1.0 shows them.
const FLOWS: [[&str; 3]; 8] = [
    ["priority=100,in_port=1,actions=output:2", "priority=100,in_port=1 actions=output:2", ""],
    [
        "priority=90,ip,nw_dst=10.9.0.0/24,actions=mod_nw_src:10.9.0.77,output:3",
        "priority=90,ip,nw_dst=10.9.0.0/24 actions=set_field:10.9.0.77->ip_src,output:3",
        "priority=90,ip,nw_dst=10.9.0.0/24 actions=mod_nw_src:10.9.0.77,output:3",
    ],
    [
        "priority=80,dl_vlan=100,actions=strip_vlan,output:1",
        "priority=80,dl_vlan=100 actions=pop_vlan,output:1",
        "priority=80,dl_vlan=100 actions=strip_vlan,output:1",
    ],
    ["priority=70,arp,in_port=2,actions=output:1,output:3", "priority=70,arp,in_port=2 actions=output:1,output:3", ""],
    [
        "priority=60,tcp,tp_dst=80,actions=mod_dl_dst:02:00:00:00:00:09,output:3",
        "priority=60,tcp,tp_dst=80 actions=set_field:02:00:00:00:00:09->eth_dst,output:3",
        "priority=60,tcp,tp_dst=80 actions=mod_dl_dst:02:00:00:00:00:09,output:3",
    ],
    [
        "cookie=0x77,priority=50,udp,idle_timeout=60,hard_timeout=100,actions=FLOOD",
        "cookie=0x77, idle_timeout=60, hard_timeout=100, priority=50,udp actions=FLOOD",
        "",
    ],
    ["priority=40,icmp,icmp_type=8,actions=controller:128", "priority=40,icmp,icmp_type=8 actions=CONTROLLER:128", ""],
    ["priority=7,actions=drop", "priority=7 actions=drop", ""],
];

fn shown(version: &str) -> Vec<&'static str> {
    let of = |[_, new, old]: &[&'static str; 3]| if version == "OpenFlow10" && !old.is_empty() { *old } else { *new };
    FLOWS.iter().map(of).collect()
}

/// Adds, filters, changes and removes flows, loosely and strictly.
fn flows_by(ofctl: &Ofctl, dir: &std::path::Path) -> Result<()> {
    ofctl.quiet("del-flows", &[])?;
    expect_flows(ofctl, &[], &[])?;
    for [flow, ..] in &FLOWS[..4] {
        ofctl.quiet("add-flow", &[flow])?;
    }
    let file = dir.join("flows.txt");
    let file = file.to_str().context("the rig's directory is no text")?;
    fs::write(file, FLOWS[4..].iter().map(|[flow, ..]| *flow).collect::<Vec<_>>().join("\n"))?;
    ofctl.quiet("add-flows", &[file])?;
    let all = shown(ofctl.version());
    expect_flows(ofctl, &[], &all)?;
    says(
        &ofctl.tell("dump-flows", &["udp"])?,
        &["cookie=0x77, duration=", "n_packets=0, n_bytes=0", "idle_timeout=60"],
    )?;
    says(&ofctl.tell("dump-aggregate", &["ip"])?, &["packet_count=0 byte_count=0 flow_count=4"])?;

    expect_flows(ofctl, &["out_port=3"], &[all[1], all[3], all[4]])?;
    expect_flows(ofctl, &["ip"], &[all[1], all[4], all[5], all[6]])?;

    // Loosely: whatever is at least so special. Strictly: exactly this match and priority.
    ofctl.quiet("mod-flows", &["arp,actions=output:2"])?;
    ofctl.quiet("mod-flows", &["--strict", "priority=100,in_port=1,actions=output:3"])?;
    ofctl.quiet("mod-flows", &["--strict", "priority=7,actions=output:1"])?;
    let (arp, first, last) = (
        "priority=70,arp,in_port=2 actions=output:2",
        "priority=100,in_port=1 actions=output:3",
        "priority=7 actions=output:1",
    );
    expect_flows(ofctl, &[], &[first, all[1], all[2], arp, all[4], all[5], all[6], last])?;

    // What modifies nothing adds a flow in 1.0, and does nothing later.
    ofctl.quiet("mod-flows", &["--strict", "priority=98,in_port=1,actions=output:2"])?;
    let added = "priority=98,in_port=1 actions=output:2";
    let expected = if ofctl.version() == "OpenFlow10" { &[first, added][..] } else { &[first] };
    expect_flows(ofctl, &["in_port=1"], expected)?;
    ofctl.quiet("del-flows", &["--strict", "priority=98,in_port=1"])?;

    ofctl.quiet("del-flows", &["--strict", "priority=99,in_port=1"])?;
    ofctl.quiet("del-flows", &["--strict", "priority=50,udp"])?;
    ofctl.quiet("del-flows", &["icmp"])?;
    expect_flows(ofctl, &[], &[first, all[1], all[2], arp, all[4], last])?;
    ofctl.quiet("del-flows", &["out_port=3"])?;
    expect_flows(ofctl, &[], &[all[2], arp, last])?;

    let wanted = "priority=10,in_port=1,actions=output:2\npriority=10,in_port=2,actions=output:1\n\
                  priority=7,actions=output:1\n";
    fs::write(file, wanted)?;
    let apart = ofctl.run("diff-flows", &[file])?;
    ensure!(apart.code == 2, "diff-flows finds a difference: {apart:?}");
    for line in [format!("-{}", all[2]), format!("-{arp}"), "+priority=10,in_port=1 actions=output:2".to_owned()] {
        let line = if ofctl.options.contains(&"--names") {
            line.replace("output:", "output:p").replace("in_port=", "in_port=p")
        } else {
            line
        };
        ensure!(apart.out.lines().any(|said| said == line), "{line:?} is not in\n{}", apart.out);
    }
    ofctl.quiet("replace-flows", &[file])?;
    ofctl.quiet("diff-flows", &[file])?;
    let kept = ["priority=10,in_port=1 actions=output:2", "priority=10,in_port=2 actions=output:1", last];
    expect_flows(ofctl, &[], &kept)?;

    let error = ofctl.refused("add-flow", &["priority=1,in_port=1,actions=output:77"])?;
    says(&error, &["OFPBAC_BAD_OUT_PORT"])?;
    expect_flows(ofctl, &[], &kept)?;
    ofctl.quiet("del-flows", &[])?;
    expect_flows(ofctl, &[], &[])
}

#[test]
fn flows_read_back_by_every_way_of_asking() -> Result<()> {
    let Some(rig) = up()? else { return Ok(()) };
    for version in VERSIONS {
        for way in [rig.ofctl(version)?, rig.ofctl_unix(version)?] {
            for names in ["--names", "--no-names"] {
                let ofctl = way.clone().with(&[names]);
                flows_by(&ofctl, rig.dir()?)?;
                let bundled = ofctl.with(&["--bundle"]);
                if version == "OpenFlow13" {
                    flows_by(&bundled, rig.dir()?)?;
                } else {
                    // Bundles are of later versions, so ovs-ofctl does not even offer 1.0.
                    says(&bundled.refused("add-flow", &["actions=drop"])?, &["version negotiation failed"])?;
                }
            }
        }
    }
    Ok(())
}

#[test]
fn later_versions_have_tables_and_instructions() -> Result<()> {
    let Some(rig) = up()? else { return Ok(()) };
    for options in [&["--names"][..], &["--no-names"], &["--no-names", "--bundle"]] {
        let ofctl = rig.ofctl("OpenFlow13")?.with(options);
        let flows = [
            "table=0,priority=5,vlan_tci=0x1000/0x1000,actions=pop_vlan,goto_table:1",
            "table=1,priority=5,udp6,tp_src=53,actions=write_actions(output:2),write_metadata:0x5/0xff",
            "table=2,priority=5,metadata=0x5/0xff,actions=push_vlan:0x8100,set_field:4196->vlan_vid,output:1,clear_actions",
            "table=15,priority=5,sctp,tp_dst=9,actions=dec_ttl,output:3",
        ];
        for flow in flows {
            ofctl.quiet("add-flow", &[flow])?;
        }
        let read = [
            "priority=5,vlan_tci=0x1000/0x1000 actions=pop_vlan,goto_table:1",
            "table=1, priority=5,udp6,tp_src=53 actions=write_actions(output:2),write_metadata:0x5/0xff",
            "table=2, priority=5,metadata=0x5/0xff \
             actions=push_vlan:0x8100,set_field:4196->vlan_vid,output:1,clear_actions",
            "table=15, priority=5,sctp,tp_dst=9 actions=dec_ttl,output:3",
        ];
        expect_flows(&ofctl, &[], &read)?;
        expect_flows(&ofctl, &["table=15"], &[read[3]])?;
        expect_flows(&ofctl, &["table=1"], &[read[1]])?;
        ofctl.quiet("del-flows", &["table=1"])?;
        expect_flows(&ofctl, &[], &[read[0], read[2], read[3]])?;
        says(&ofctl.refused("add-flow", &["table=16,actions=drop"])?, &["OFPFMFC_BAD_TABLE_ID"])?;
        ofctl.quiet("del-flows", &[])?;
        expect_flows(&ofctl, &[], &[])?;
    }
    Ok(())
}

#[test]
fn a_bundle_that_fails_changes_nothing() -> Result<()> {
    let Some(rig) = up()? else { return Ok(()) };
    let ofctl = rig.ofctl_unix("OpenFlow13")?;
    let file = rig.dir()?.join("bundle.txt");
    let name = file.to_str().context("the rig's directory is no text")?;
    fs::write(
        &file,
        "group add group_id=5,type=all,bucket=actions=output:1\nflow add priority=9,udp,actions=group:5\n",
    )?;
    ofctl.quiet("bundle", &[name])?;
    expect_flows(&ofctl, &[], &["priority=9,udp actions=group:5"])?;
    says(&ofctl.tell("dump-groups", &[])?, &["group_id=5,type=all,bucket=actions=output:1"])?;

    // The first two could be done, the last cannot: it names a table that there is not.
    fs::write(&file, "flow add priority=1,actions=drop\ngroup delete group_id=5\nflow add table=99,actions=drop\n")?;
    says(&ofctl.refused("bundle", &[name])?, &["OFPFMFC_BAD_TABLE_ID", "OFPBFC_MSG_FAILED"])?;
    expect_flows(&ofctl, &[], &["priority=9,udp actions=group:5"])?;
    says(&ofctl.tell("dump-groups", &[])?, &["group_id=5,type=all"])
}

#[test]
fn groups_and_meters_read_back() -> Result<()> {
    let Some(rig) = up()? else { return Ok(()) };
    for (ofctl, prefix) in [
        (rig.ofctl("OpenFlow13")?.with(&["--no-names"]), ""),
        (rig.ofctl_unix("OpenFlow13")?.with(&["--names", "--bundle"]), "p"),
    ] {
        groups(&ofctl, prefix)?;
        meters(&ofctl)?;
    }
    // 1.0 has neither; Open vSwitch would take them as extensions of its own.
    let old = rig.ofctl("OpenFlow10")?;
    says(&old.tell("dump-groups", &[])?, &["OFPT_ERROR", "OFPBRC_BAD_VENDOR"])
}

fn groups(ofctl: &Ofctl, port: &str) -> Result<()> {
    for group in [
        "group_id=1,type=select,bucket=weight:30,actions=output:2,bucket=weight:70,actions=output:3",
        "group_id=2,type=all,bucket=actions=set_field:02:00:00:00:00:09->eth_dst,output:1,bucket=actions=group:1",
        "group_id=3,type=ff,bucket=watch_port:1,actions=output:1,bucket=watch_port:2,actions=output:2",
        "group_id=4,type=indirect,bucket=actions=output:3",
    ] {
        ofctl.quiet("add-group", &[group])?;
    }
    ofctl.quiet("add-flow", &["priority=5,udp,actions=group:1"])?;
    ofctl.quiet("add-flow", &["priority=6,tcp,actions=group:1"])?;
    let expected = [
        format!(
            "group_id=1,type=select,bucket=weight:30,actions=output:{port}2,bucket=weight:70,actions=output:{port}3"
        ),
        format!(
            "group_id=2,type=all,bucket=actions=set_field:02:00:00:00:00:09->eth_dst,output:{port}1,bucket=actions=group:1"
        ),
        format!(
            "group_id=3,type=ff,bucket=watch_port:{port}1,actions=output:{port}1,bucket=watch_port:{port}2,actions=output:{port}2"
        ),
        format!("group_id=4,type=indirect,bucket=actions=output:{port}3"),
    ];
    let said = ofctl.tell("dump-groups", &[])?;
    for line in &expected {
        ensure!(said.lines().any(|said| said.trim() == line), "{line} is not in\n{said}");
    }
    let stats = ofctl.tell("dump-group-stats", &["group_id=1"])?;
    says(&stats, &["group_id=1,duration=", "ref_count=3,packet_count=0,byte_count=0,bucket0:packet_count=0"])?;
    says(&ofctl.tell("dump-group-features", &[])?, &["Types:  0xf", "select group:", "max_groups="])?;

    says(&ofctl.refused("add-group", &["group_id=1,type=all,bucket=actions=output:1"])?, &["OFPGMFC_GROUP_EXISTS"])?;
    says(&ofctl.refused("mod-group", &["group_id=9,type=all,bucket=actions=output:1"])?, &["OFPGMFC_UNKNOWN_GROUP"])?;
    ofctl.quiet("mod-group", &["group_id=4,type=all,bucket=actions=output:1,bucket=actions=output:2"])?;
    let said = ofctl.tell("dump-groups", &[])?;
    says(&said, &[&format!("group_id=4,type=all,bucket=actions=output:{port}1,bucket=actions=output:{port}2")])?;

    // A group in a chain stays; a group that goes takes the flows that use it with it.
    ofctl.quiet("del-flows", &["tcp"])?;
    says(&ofctl.refused("del-groups", &["group_id=1"])?, &["OFPGMFC_CHAINED_GROUP"])?;
    expect_flows(ofctl, &[], &["priority=5,udp actions=group:1"])?;
    ofctl.quiet("del-groups", &["group_id=2"])?;
    ofctl.quiet("del-groups", &["group_id=1"])?;
    ensure!(!ofctl.tell("dump-groups", &[])?.contains("group_id=1,"), "a deleted group is shown");
    expect_flows(ofctl, &[], &[])?;
    ofctl.quiet("del-groups", &[])?;
    ensure!(!ofctl.tell("dump-groups", &[])?.contains("group_id="), "deleted groups are shown");
    Ok(())
}

fn meters(ofctl: &Ofctl) -> Result<()> {
    ofctl.quiet("add-meter", &["meter=1,kbps,burst,stats,bands=type=drop,rate=1000,burst_size=100"])?;
    ofctl.quiet("add-meter", &["meter=2,pktps,bands=type=drop,rate=70"])?;
    ofctl.quiet("add-flow", &["priority=5,udp,actions=meter:1,output:2"])?;
    expect_flows(ofctl, &[], &["priority=5,udp actions=meter:1,output:2"])?;
    let first = ["meter=1 kbps burst stats bands=", "type=drop rate=1000 burst_size=100"];
    let both = [&first[..], &["meter=2 pktps bands=", "type=drop rate=70"]].concat();
    says(&ofctl.tell("dump-meters", &[])?, &both)?;
    let one = ofctl.tell("dump-meters", &["meter=1"])?;
    says(&one, &first)?;
    ensure!(!one.contains("meter=2"), "{one}");
    says(&ofctl.tell("meter-stats", &["meter=1"])?, &["meter:1 flow_count:1 packet_in_count:0", "0: packet_count:0"])?;
    says(
        &ofctl.tell("meter-features", &[])?,
        &["max_meter:", "max_bands:4", "band_types: drop", "kbps pktps burst stats"],
    )?;

    says(&ofctl.refused("add-meter", &["meter=1,kbps,bands=type=drop,rate=1"])?, &["OFPMMFC_METER_EXISTS"])?;
    says(&ofctl.refused("mod-meter", &["meter=9,kbps,bands=type=drop,rate=1"])?, &["OFPMMFC_UNKNOWN_METER"])?;
    ofctl.quiet("mod-meter", &["meter=2,kbps,bands=type=drop,rate=4000"])?;
    says(&ofctl.tell("dump-meters", &["meter=2"])?, &["meter=2 kbps bands=", "type=drop rate=4000"])?;
    // A meter takes the flows that use it with it.
    ofctl.quiet("del-meter", &["meter=1"])?;
    expect_flows(ofctl, &[], &[])?;
    ofctl.quiet("del-meters", &[])?;
    ensure!(!ofctl.tell("dump-meters", &[])?.contains("meter="), "deleted meters are shown");
    Ok(())
}

#[test]
fn the_switch_tells_what_it_is() -> Result<()> {
    let Some(rig) = up()? else { return Ok(()) };
    let (new, old) = (rig.ofctl("OpenFlow13")?, rig.ofctl_unix("OpenFlow10")?);
    let ports = [" 1(p1): addr:", " 2(p2): addr:", " 3(p3): addr:"];
    for ofctl in [&new, &old] {
        let table =
            if ofctl.version() == "OpenFlow13" { "n_tables:16, n_buffers:0" } else { "n_tables:1, n_buffers:0" };
        let show = ofctl.tell("show", &[])?;
        says(&show, &["dpid:0000000000000001", table, "FLOW_STATS TABLE_STATS PORT_STATS"])?;
        says(&show, &ports)?;
        says(&show, &["frags=normal miss_send_len=128"])?;
        says(&ofctl.tell("dump-desc", &[])?, &["Manufacturer: wamig", "Software: wamig ", "DP Description: interop"])?;
        says(&ofctl.tell("dump-ports", &[])?, &["3 ports", "port  1: rx pkts=", "tx pkts=", "port  3: rx pkts="])?;
        let one = ofctl.tell("dump-ports", &["p2"])?;
        says(&one, &["1 ports", "port  2: rx pkts="])?;
        says(&ofctl.tell("queue-stats", &[])?, &["0 queues"])?;
        says(&ofctl.tell("queue-get-config", &["1"])?, &["OFPT_QUEUE_GET_CONFIG_REPLY"])?;
        ofctl.quiet("probe", &[])?;
        let ping = ofctl.tell("ping", &["1000"])?;
        ensure!(ping.lines().filter(|line| line.starts_with("1000 bytes from ")).count() == 10, "{ping}");
        says(&ofctl.tell("benchmark", &["1000", "200"])?, &["Sending 200 packets * 1008 bytes", "Finished in "])?;
    }
    let tables = new.tell("dump-tables", &[])?;
    says(&tables, &["table 0:", "active=0, lookup=", "ditto"])?;
    says(
        &old.tell("dump-tables", &[])?,
        &["table 0 (\"table0\"):", "lookup=", "max_entries=131072", "in_port eth_{src,dst,type}"],
    )?;
    says(&new.tell("dump-ports-desc", &[])?, &ports)?;
    // A message of later versions, which Open vSwitch lets 1.0 use.
    says(&old.tell("dump-ports-desc", &[])?, &["OFPT_ERROR", "OFPBRC_BAD_STAT"])?;
    let features = new.tell("dump-table-features", &[])?;
    let of_first = [
        "table 0 (\"table0\"):",
        "max_entries=131072",
        "next tables: 1-15",
        "instructions: meter apply_actions",
        "actions: output group",
    ];
    says(&features, &of_first)?;
    says(&features, &["table 15 (\"table15\"):", "instructions: meter apply_actions"])?;
    // Once asked for, it goes with every flow that is read back by name.
    let counted = new.clone().with(&["--names"]);
    counted.quiet("add-flow", &["table=table3,priority=2,in_port=p3,actions=output:p1"])?;
    expect_flows(&counted, &[], &["table=3, priority=2,in_port=3 actions=output:1"])
}

#[test]
fn ports_and_fragments_are_set() -> Result<()> {
    let Some(rig) = up()? else { return Ok(()) };
    for version in VERSIONS {
        let ofctl = rig.ofctl(version)?;
        let config = || -> Result<String> {
            let show = ofctl.tell("show", &[])?;
            let after = show.lines().skip_while(|line| !line.starts_with(" 2(p2):")).nth(1);
            Ok(after.context("port 2 is not shown")?.trim().to_owned())
        };
        assert_eq!(config()?, "config:     0");
        let mut switches = vec![("receive", "NO_RECV"), ("forward", "NO_FWD"), ("packet-in", "NO_PACKET_IN")];
        if version == "OpenFlow10" {
            switches.push(("flood", "NO_FLOOD"));
        }
        for (switch, shown) in switches {
            ofctl.quiet("mod-port", &["p2", &format!("no-{switch}")])?;
            assert_eq!(config()?, format!("config:     {shown}"));
            ofctl.quiet("mod-port", &["2", switch])?;
            assert_eq!(config()?, "config:     0");
        }
        ofctl.quiet("mod-port", &["p2", "down"])?;
        assert_eq!(config()?, "config:     PORT_DOWN");
        ofctl.quiet("mod-port", &["p2", "up"])?;
        assert_eq!(config()?, "config:     0");
        assert_eq!(ofctl.tell("get-frags", &[])?, "normal\n");
        ofctl.quiet("set-frags", &["drop"])?;
        assert_eq!(ofctl.tell("get-frags", &[])?, "drop\n");
        ofctl.quiet("set-frags", &["normal"])?;
        assert_eq!(ofctl.tell("get-frags", &[])?, "normal\n");
        // 1.0 has no error of its own for this.
        let error = if version == "OpenFlow13" { "OFPSCFC_BAD_FLAGS" } else { "OFPBRC_EPERM" };
        says(&ofctl.refused("set-frags", &["reassemble"])?, &[error])?;
    }
    Ok(())
}

/// A frame of an experimental EtherType (IEEE Std 802, 9.2.3) from the host at port 1, with `mark` in it.
fn frame(mark: &[u8]) -> Vec<u8> {
    let mut frame = [&rig::mac(2)[..], &rig::mac(1), &[0x88, 0xb5], mark].concat();
    frame.resize(60, 0);
    frame
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn arrives(capture: &Capture, wanted: &[u8]) -> Result<bool> {
    let there = || Ok(capture.records().iter().any(|r| !r.sent && r.bytes == wanted).then_some(()));
    Ok(signals::wait_for(SOON, there)?.is_some())
}

#[test]
fn frames_go_out_and_come_in() -> Result<()> {
    let Some(rig) = up()? else { return Ok(()) };
    for version in VERSIONS {
        let ofctl = rig.ofctl(version)?;
        let (second, third) =
            (Capture::start("h2", &rig.host(2), "eth0")?, Capture::start("h3", &rig.host(3), "eth0")?);
        let out = |what: &str, bytes: &[u8]| ofctl.quiet("packet-out", &[&what.replace("FRAME", &hexadecimal(bytes))]);
        let direct = frame(&[b"direct ", version.as_bytes()].concat());
        out("in_port=controller,packet=FRAME,actions=output:p2", &direct)?;
        assert!(arrives(&second, &direct)?, "{version}: a packet-out to a port");
        ofctl.quiet("add-flow", &["priority=5,in_port=1,actions=output:3"])?;
        let tables = frame(&[b"tables ", version.as_bytes()].concat());
        out("in_port=1,packet=FRAME,actions=TABLE", &tables)?;
        assert!(arrives(&third, &tables)?, "{version}: a packet-out through the tables");
        assert!(!third.records().iter().any(|r| r.bytes == direct), "{version}: port 3 has what was for port 2");
        let sender = Sender::open(&rig.host(1), "eth0")?;
        let own = frame(&[b"own ", version.as_bytes()].concat());
        assert!(sender.send(&own) && arrives(&third, &own)?, "{version}: a host's frame");
        // the controller's frame and the host's
        says(&ofctl.tell("dump-flows", &["in_port=1"])?, &["n_packets=2, n_bytes=120"])?;

        // What a controller hears: a frame, a port, the end of a flow.
        let words = ofctl.clone();
        let label = format!("monitor-{version}");
        let rundir = format!("OVS_RUNDIR={}", rig.dir()?.display());
        let args = [&[rundir.as_str(), "ovs-ofctl"][..], &words.words("monitor", &["65535"])].concat();
        let mut monitor = rig.start(&label, std::path::Path::new("/usr/bin/env"), &args)?;
        let log = rig.log(&label)?;
        let hears = |parts: &[&str]| {
            let told = || Ok(fs::read_to_string(&log).is_ok_and(|text| says(&text, parts).is_ok()).then_some(()));
            let heard = signals::wait_for(SOON, told)?;
            ensure!(heard.is_some(), "{version}: {parts:?} is not in\n{}", fs::read_to_string(&log)?);
            Ok(())
        };
        ofctl.quiet("add-flow", &["priority=6,in_port=1,actions=controller,output:2"])?;
        ofctl.quiet("add-flow", &["cookie=0x9,priority=7,udp,hard_timeout=1,send_flow_rem,actions=drop"])?;
        let up = frame(&[b"up ", version.as_bytes()].concat());
        let sent = || {
            sender.send(&up);
            let text = fs::read_to_string(&log).unwrap_or_default();
            Ok(text.contains("OFPT_PACKET_IN").then_some(()))
        };
        // The first may be sent before the monitor is connected.
        signals::wait_for(SOON, sent)?;
        hears(&["OFPT_PACKET_IN", "total_len=60 in_port=1 (via action) data_len=60 (unbuffered)", "dl_type=0x88b5"])?;
        assert!(arrives(&second, &up)?, "{version}: the frame itself");
        netns::ip(&rig.host(3), "link set eth0 down")?;
        hears(&["OFPT_PORT_STATUS", "MOD: 3(p3)", "LINK_DOWN"])?;
        netns::ip(&rig.host(3), "link set eth0 up")?;
        hears(&["OFPT_PORT_STATUS", "LINK_DOWN", "OFPT_PORT_STATUS", "MOD: 3(p3)"])?;
        hears(&["OFPT_FLOW_REMOVED", "priority=7,udp reason=hard", "cookie:0x9 duration1"])?;
        monitor.kill()?;
        ofctl.quiet("del-flows", &[])?;
    }
    Ok(())
}
