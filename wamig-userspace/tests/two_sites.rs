//! The paper's experiment in one process: two daemons over data paths in memory, joined by
//! real TLS sessions on loopback. The server stops at dc1, boots at dc2, and returns.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wamig_userspace::admin::client::{self, ClientError};
use wamig_userspace::admin::explain::Explanation;
use wamig_userspace::admin::flow::FlowLine;
use wamig_userspace::admin::order::{OrderAnswer, OrderRequest};
use wamig_userspace::admin::reload::ReloadAnswer;
use wamig_userspace::admin::status::{Address, Status};
use wamig_userspace::config::Config;
use wamig_userspace::daemon::{self, Held};
use wamig_userspace::peer::identity::keygen;

use world::wire::data_path;
use world::{GATEWAY_MACS, S, S_MAC, SRV, UP, World};

const TIMERS: &str = "[timers]\narp_probe_min_ms = 10\narp_probe_max_ms = 20\nannounce_wait_ms = 20\n\
                      home_probe_ms = 20\ndrain_ms = 100\n";

fn write_config(dir: &Path, site: usize, ports: [u16; 2], fingerprint: &str) -> PathBuf {
    let other = 1 - site;
    let (lan, part) = match site {
        0 => (
            "prefix = \"192.0.2.0/24\"\ngateway = \"192.0.2.1\"",
            "[[server]]\naddress = \"192.0.2.53\"\nmac = \"02:00:00:00:00:53\"\nhosts = [\"dc2\"]\n",
        ),
        _ => (
            "prefix = \"198.51.100.0/24\"\ngateway = \"198.51.100.1\"",
            "[hosting]\nports = [\"srv\"]\npool = [\"198.51.100.200-198.51.100.201\"]\n\
             [[hosting.guest]]\npeer = \"dc1\"\nprefixes = [\"192.0.2.0/24\"]\n",
        ),
    };
    let (name, other_name) = (format!("dc{}", site + 1), format!("dc{}", other + 1));
    let text = format!(
        "site = \"{name}\"\nstate_dir = \"{name}\"\ncontrol_socket = \"{name}.sock\"\n\
         [switch]\ndatapath_id = \"000000000000000{n}\"\nports = [\"up\", \"lan1\", \"srv\"]\n\
         [lan]\nuplink = \"up\"\n{lan}\n\
         [peering]\nlisten = \"127.0.0.1:{listen}\"\ncertificate = \"{name}.pem\"\nprivate_key = \"{name}.key\"\n\
         [[peer]]\nname = \"{other_name}\"\nendpoint = \"127.0.0.1:{endpoint}\"\nfingerprint = \"{fingerprint}\"\n\
         {part}{TIMERS}",
        n = site + 1,
        listen = ports[site],
        endpoint = ports[other],
    );
    let path = dir.join(format!("{name}.toml"));
    std::fs::write(&path, text).unwrap();
    path
}

/// Two TCP ports that nobody listens on.
fn free_ports() -> [u16; 2] {
    let held = [0, 1].map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    held.map(|l| l.local_addr().unwrap().port())
}

async fn status(config: &Config) -> Status {
    let socket = config.control_socket.clone();
    tokio::task::spawn_blocking(move || client::get_json(&socket, "/v1/status").unwrap()).await.unwrap()
}

async fn address(config: &Config) -> Option<Address> {
    status(config).await.addresses.into_iter().find(|a| a.address == S.to_string())
}

/// Waits until the address is in a state, 10 s at most, while frames flow.
async fn state(world: &mut World, config: &Config, wanted: &str) {
    for _ in 0..500 {
        if address(config).await.is_some_and(|a| a.state == wanted) {
            return;
        }
        world.idle(Duration::from_millis(20)).await;
    }
    panic!("{} does not become {wanted}: {:#?}", config.site, status(config).await);
}

/// An order about the server.
fn order(verb: &str) -> OrderRequest {
    let (verb, reason) = (verb.to_owned(), "the paper's experiment".to_owned());
    OrderRequest { verb, address: Some(S.to_string()), to: None, site: None, reason, dry_run: false }
}

async fn give(config: &Config, order: OrderRequest) -> Result<OrderAnswer, ClientError> {
    let socket = config.control_socket.clone();
    let given = move || client::post_json(&socket, "/v1/order", &order).and_then(|told| client::json(&told));
    tokio::task::spawn_blocking(given).await.unwrap()
}

async fn reload(config: &Config) -> ReloadAnswer {
    let socket = config.control_socket.clone();
    let asked = move || client::post_json(&socket, "/v1/reload", &()).and_then(|told| client::json(&told));
    tokio::task::spawn_blocking(asked).await.unwrap().unwrap()
}

async fn events(config: &Config) -> Vec<String> {
    status(config).await.timeline.into_iter().map(|e| e.event).filter(|e| e != "state").collect()
}

/// That `wanted` happened in this order, whatever else did.
fn in_order(happened: &[String], wanted: &[&str]) {
    let mut rest = happened.iter();
    for event in wanted {
        assert!(rest.any(|e| e == event), "{event} is missing, or too early, in {happened:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_moves_by_being_booted_elsewhere_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let fingerprints = ["dc1", "dc2"].map(|site| keygen(site, dir.path()).unwrap().to_string());
    let ports = free_ports();
    let (out, sent) = mpsc::unbounded_channel();
    let (mut configs, mut into, mut stops, mut daemons) = (Vec::new(), Vec::new(), Vec::new(), JoinSet::new());
    for site in 0..2 {
        let config = Config::load(&write_config(dir.path(), site, ports, &fingerprints[1 - site]))
            .unwrap_or_else(|e| panic!("{e}"));
        let (path, entry) = data_path(&config, site, out.clone());
        let held = Held::take(&config).await.unwrap();
        let (stop, stopped) = mpsc::channel(1);
        let own = config.clone();
        daemons.spawn(async move { daemon::serve(&own, path, held, JoinSet::new(), stopped).await });
        configs.push(config);
        into.push(entry);
        stops.push(stop);
    }
    let [dc1, dc2] = <[Config; 2]>::try_from(configs).unwrap();
    let mut world = World::new(into.try_into().unwrap(), sent);

    // Normal operation: both switches learn, the server is at home.
    for _ in 0..500 {
        let ready = status(&dc2).await;
        if ready.pool.ready == 2 && ready.peers[0].state == "up" && status(&dc1).await.peers[0].state == "up" {
            break;
        }
        world.idle(Duration::from_millis(20)).await;
    }
    assert_eq!(status(&dc2).await.pool.ready, 2, "transfer addresses are probed ahead of time");
    world.boot(0).await;
    world.until("the gateway's ARP reply", |w| w.server_gateway.is_some()).await;
    world.query().await;
    world.until("an answer", |w| w.answers.len() == 1).await;
    assert_eq!(world.answers, ["dc1"]);

    // It stops here, and its copy boots there. Nobody gives a command.
    world.stop();
    world.boot(1).await;
    world.until("the held ARP's answer", |w| w.server_gateway.is_some()).await;
    assert_eq!(world.server_gateway, Some(GATEWAY_MACS[0]), "its gateway looks as at home");
    state(&mut world, &dc1, "AWAY").await;
    state(&mut world, &dc2, "HOSTING").await;
    let transfer: Ipv4Addr = address(&dc1).await.unwrap().transfer.unwrap().parse().unwrap();
    world.query().await;
    world.until("an answer from dc2", |w| w.answers.len() == 2).await;
    assert_eq!(world.answers[1], "dc2");
    assert_eq!(world.sent_to(0, UP, transfer), 1, "dc1 sent the query on to the transfer address");
    assert_eq!(world.sent_to(1, SRV, transfer), 0, "which the server never sees");
    world.neighbour_arp().await;
    world.until("the proxy's ARP reply", |w| w.neighbour_sees.is_some()).await;
    assert_eq!(world.neighbour_sees, Some(S_MAC), "no cache in the LAN changes");
    world.neighbour_query().await;
    world.idle(Duration::from_millis(200)).await;
    assert_eq!(world.sent_to(0, UP, transfer), 2, "the neighbour reaches it too");
    in_order(
        &events(&dc2).await,
        &["arp-seen", "claim-sent", "claim-ack-received", "flows-in", "ready-sent", "active-received", "arp-answered"],
    );
    in_order(&events(&dc1).await, &["claim-received", "claim-ack-sent", "ready-received", "flows-in", "active-sent"]);

    // The configurations are read again: what is in use cannot go, and nothing of it is touched.
    let steering = |config: &Config| {
        let socket = config.control_socket.clone();
        tokio::task::spawn_blocking(move || {
            let flows: Vec<FlowLine> = client::get_json(&socket, "/v1/flows").unwrap();
            let of_placement = |f: &FlowLine| ["0x574d1", "0x574d2"].iter().any(|c| f.cookie.starts_with(c));
            flows.into_iter().filter(of_placement).map(|f| (f.text, f.packets)).collect::<Vec<_>>()
        })
    };
    let written = [&dc1, &dc2].map(|c| std::fs::read_to_string(&c.path).unwrap());
    let before = [steering(&dc1).await.unwrap(), steering(&dc2).await.unwrap()];
    let unaged = |flows: &[(String, u64)]| {
        let age = |text: &str| {
            text.split(' ').filter(|w| !w.contains("duration=") && !w.contains("idle_age=")).collect::<String>()
        };
        flows.iter().map(|(text, packets)| (age(text), *packets)).collect::<Vec<_>>()
    };
    for (config, text, from, to, said) in [
        (&dc1, &written[0], "192.0.2.53", "192.0.2.54", "192.0.2.53 is AWAY (at dc2) and cannot go out"),
        (&dc1, &written[0], ":00:53", ":00:54", "192.0.2.53 is AWAY (at dc2) and cannot get another MAC"),
        (&dc2, &written[1], "198.51.100.200-", "198.51.100.201-", "198.51.100.200 is in use for 192.0.2.53"),
        (&dc2, &written[1], "192.0.2.0/24", "203.0.113.0/24", "192.0.2.53 of dc1 is HOSTING here"),
        (&dc1, &written[0], "home_probe_ms = 20", "home_probe_ms = 2", "2 is out of range"),
    ] {
        std::fs::write(&config.path, text.replace(from, to)).unwrap();
        let refused = reload(config).await.refused.unwrap();
        assert!(refused.contains(said) && refused.contains(".toml:"), "{refused}");
    }
    let another = "[[server]]\naddress = \"192.0.2.60\"\nmac = \"02:00:00:00:00:60\"\nhosts = [\"dc2\"]\n[timers]";
    std::fs::write(&dc1.path, written[0].replace("[timers]", another)).unwrap();
    std::fs::write(&dc2.path, written[1].replace(".201\"", ".202\"")).unwrap();
    assert_eq!(reload(&dc1).await.changed, ["server 192.0.2.60: added"]);
    let changed = reload(&dc2).await.changed;
    assert!(changed.contains(&"hosting.pool 198.51.100.200-198.51.100.202: added".to_owned()), "{changed:?}");
    assert_eq!((status(&dc1).await.addresses.len(), status(&dc2).await.pool.size), (2, 3));
    let after = [steering(&dc1).await.unwrap(), steering(&dc2).await.unwrap()];
    assert!(before.iter().all(|f| f.len() >= 7), "{before:?}");
    assert_eq!(before.map(|f| unaged(&f)), after.map(|f| unaged(&f)));
    assert!(status(&dc1).await.peers[0].state == "up" && status(&dc2).await.peers[0].state == "up");
    world.query().await;
    world.until("an answer from dc2", |w| w.answers.len() == 3).await;
    assert_eq!(world.answers[2], "dc2");

    // An operator freezes it: first asked, then done; and lets it go again.
    let ask = OrderRequest { dry_run: true, ..order("freeze") };
    let [asked, done] = [give(&dc1, ask).await.unwrap(), give(&dc1, order("freeze")).await.unwrap()];
    assert_eq!((asked.dry_run, &asked.results), (true, &done.results));
    assert_eq!(done.results[0].refused, None);
    let frozen = address(&dc1).await.unwrap();
    assert_eq!((frozen.state.as_str(), frozen.reason.as_deref()), ("FROZEN", Some("frozen by the operator")));
    assert!(frozen.remedy.unwrap().contains("the paper's experiment"));
    let refused = give(&dc2, order("freeze")).await.unwrap();
    assert_eq!(refused.results[0].refused.as_deref(), Some("its home is dc1"));
    assert!(give(&dc1, order("fly")).await.unwrap_err().to_string().contains("\"fly\" is no order"));
    assert_eq!(give(&dc1, order("unfreeze")).await.unwrap().results[0].refused, None);

    // It boots at home again, and everything reverts.
    world.stop();
    world.boot(0).await;
    state(&mut world, &dc1, "HOME").await;
    world.until("the gateway's ARP reply", |w| w.server_gateway.is_some()).await;
    world.query().await;
    world.until("an answer from dc1", |w| w.answers.len() == 4).await;
    assert_eq!(world.answers[3], "dc1");
    for _ in 0..500 {
        if status(&dc2).await.pool.quarantined == 1 {
            break;
        }
        world.idle(Duration::from_millis(20)).await;
    }
    let after = status(&dc2).await;
    assert_eq!((after.pool.in_use, after.pool.quarantined), (0, 1), "the transfer address rests");
    in_order(&events(&dc1).await, &["active-sent", "seen-at-home", "revoke-sent"]);
    in_order(&events(&dc2).await, &["revoke-received", "transfer-released"]);

    // An operator plans the next move: both sites are prepared, and nothing has moved.
    let plan = || OrderRequest { to: Some("dc2".to_owned()), ..order("prepare") };
    assert_eq!(give(&dc1, plan()).await.unwrap().results[0].refused, None);
    state(&mut world, &dc2, "PREPARED").await;
    for _ in 0..500 {
        if address(&dc1).await.unwrap().transfer.is_some() {
            break;
        }
        world.idle(Duration::from_millis(20)).await;
    }
    let prepared = address(&dc1).await.unwrap();
    assert_eq!((prepared.state.as_str(), prepared.reason.as_deref()), ("PREPARED", Some("prepared for its move")));
    assert!(give(&dc1, plan()).await.unwrap().results[0].refused.is_some(), "once");
    world.stop();
    world.boot(1).await;
    state(&mut world, &dc2, "HOSTING").await;
    state(&mut world, &dc1, "AWAY").await;
    assert_eq!(address(&dc1).await.unwrap().transfer, prepared.transfer);
    world.query().await;
    world.until("an answer from dc2", |w| w.answers.len() == 5).await;
    assert_eq!(world.answers[4], "dc2");

    // The audit log tells the same story, and so does whoever reads it for people.
    let changes = |config: &Config| {
        let socket = config.control_socket.clone();
        tokio::task::spawn_blocking(move || {
            let told: Explanation = client::get_json(&socket, &format!("/v1/explain?address={S}")).unwrap();
            told.history.iter().map(|e| format!("{} {} {}", e.verb, e.from, e.to)).collect::<Vec<_>>()
        })
    };
    let at_home = [
        "automatic HOME CLAIMED",
        "automatic CLAIMED AWAY",
        "freeze AWAY FROZEN",
        "unfreeze FROZEN AWAY",
        "automatic AWAY RETURNING",
        "automatic RETURNING HOME",
        "prepare HOME PREPARED",
        "automatic PREPARED CLAIMED",
        "automatic CLAIMED AWAY",
    ];
    assert_eq!(changes(&dc1).await.unwrap(), at_home);
    in_order(
        &changes(&dc2).await.unwrap(),
        &[
            "automatic CLAIMING READY",
            "automatic READY HOSTING",
            "automatic HOSTING DRAINING",
            "automatic DRAINING NONE",
            "automatic PREPARED READY",
            "automatic READY HOSTING",
        ],
    );
    let log = std::fs::read_to_string(dc1.state_dir.join("audit.jsonl")).unwrap();
    let moves = log.lines().filter(|l| !l.contains("\"verb\":\"reload\""));
    assert_eq!(moves.count(), 9, "one line for each change: {log}");
    assert!(log.contains("as planned (the paper's experiment), evidence arp-"), "{log}");
    let log = std::fs::read_to_string(dc2.state_dir.join("audit.jsonl")).unwrap();
    assert!(log.lines().any(|l| l.contains("as announced, epoch ") && l.contains(", evidence arp-")), "{log}");

    // An operator calls dc2 dead, wrongly, and takes the server home: its copy is cut off.
    let dead = || OrderRequest { address: None, site: Some("dc2".to_owned()), ..order("assume-dead") };
    let told = give(&dc1, dead()).await.unwrap().results;
    assert_eq!((told.len(), told[0].site.as_deref(), &told[0].refused), (2, Some("dc2"), &None));
    assert!(told[1].steps[0].contains("dc2 is not asked"), "{told:?}");
    assert_eq!(address(&dc1).await.unwrap().reason.as_deref(), Some("its host is assumed dead"));
    let peer = status(&dc1).await.peers.remove(0);
    assert_eq!(peer.reason.as_deref(), Some("assumed dead by the operator: the paper's experiment"));
    assert!(give(&dc1, dead()).await.unwrap().results[0].refused.is_some(), "once");
    assert_eq!(give(&dc1, order("return")).await.unwrap().results[0].refused, None);
    state(&mut world, &dc1, "HOME").await;
    state(&mut world, &dc2, "FENCED").await;
    assert_eq!(give(&dc1, order("return")).await.unwrap().results[0].refused.as_deref(), Some("it is at home"));
    let log = std::fs::read_to_string(dc1.state_dir.join("audit.jsonl")).unwrap();
    assert!(log.contains(r#""reason":"dc2: the paper's experiment""#) && log.contains(r#""verb":"return""#), "{log}");

    drop(stops);
    while let Some(ended) = daemons.join_next().await {
        ended.unwrap().unwrap();
    }
    assert!(!dc1.control_socket.exists(), "a daemon that stops takes its socket along");
}
