//! The control socket with a daemon that is made up: server and client over a real socket.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use wamig_openflow::{PortDesc, PortNo};
use wamig_userspace::admin::client::{self, ClientError};
use wamig_userspace::admin::explain::Explanation;
use wamig_userspace::admin::flow::FlowLine;
use wamig_userspace::admin::order::{OrderAnswer, OrderRequest, OrderResult, Parsed};
use wamig_userspace::admin::reload::ReloadAnswer;
use wamig_userspace::admin::status::{
    Address, Configuration, ControllerLine, Datapath, Event, Peer, Pool, Port, Status,
};
use wamig_userspace::admin::{Query, metrics, server, socket};
use wamig_userspace::fastpath::memory::{Memory, MemoryMaps};
use wamig_userspace::switch::port::Ports;
use wamig_userspace::switch::trace::Trace;
use wamig_userspace::switch::{Limits, Switch};

fn status() -> Status {
    Status {
        site: "dc1".to_owned(),
        version: "0.1.0".to_owned(),
        uptime_s: 3,
        configuration: Configuration { file: "wamig.toml".to_owned(), since_unix_ms: 7, refused: None },
        datapath: Datapath {
            dpid: "0000000000000001".to_owned(),
            kind: "xdp".to_owned(),
            program: "general".to_owned(),
            standalone_since_unix_ms: None,
            session: None,
            switches: vec![],
            links: vec![],
            ports: vec![Port {
                port: 1,
                name: "up".to_owned(),
                mode: "native".to_owned(),
                link_up: true,
                warning: None,
                rx_packets: 0,
                rx_bytes: 0,
                tx_packets: 0,
                tx_bytes: 0,
                rx_dropped: 0,
            }],
        },
        peers: vec![Peer {
            name: "dc2".to_owned(),
            state: "up".to_owned(),
            since_unix_ms: 0,
            reason: None,
            remedy: None,
        }],
        controllers: vec![
            ControllerLine {
                endpoint: "ptcp:6653:127.0.0.1".to_owned(),
                remote: Some("127.0.0.1:4711".to_owned()),
                state: "connected".to_owned(),
                queued_bytes: 8,
                dropped_packet_ins: 5,
                ..ControllerLine::default()
            },
            ControllerLine {
                endpoint: "tcp:192.0.2.10:6653".to_owned(),
                state: "connecting".to_owned(),
                ..ControllerLine::default()
            },
        ],
        addresses: vec![Address {
            address: "192.0.2.53".to_owned(),
            mac: Some("02:00:00:00:00:53".to_owned()),
            role: "home".to_owned(),
            state: "AWAY".to_owned(),
            since_unix_ms: 0,
            peer: Some("dc2".to_owned()),
            transfer: Some("198.51.100.200".to_owned()),
            epoch: Some("1.3".to_owned()),
            reason: None,
            remedy: None,
        }],
        pool: Pool { size: 10, ready: 3, in_use: 1, quarantined: 0 },
        timeline: vec![Event {
            at_unix_us: 0,
            address: Some("192.0.2.53".to_owned()),
            event: "claim-received".to_owned(),
            detail: "…".to_owned(),
            alert: false,
        }],
        drops: BTreeMap::from([("table-miss".to_owned(), 0)]),
        anomalies: BTreeMap::new(),
        punts: BTreeMap::from([("action".to_owned(), 0)]),
        refused: BTreeMap::from([("unknown-certificate".to_owned(), 0)]),
    }
}

fn flow() -> FlowLine {
    FlowLine {
        link: false,
        switch: None,
        table: 0,
        priority: 50100,
        cookie: "0x574d000000000000".to_owned(),
        matching: "ip".to_owned(),
        actions: "drop".to_owned(),
        packets: 0,
        bytes: 0,
        duration_s: 1.2,
        idle_s: 0.1,
        slow: None,
        text: "line".to_owned(),
    }
}

/// A daemon that answers until the test ends.
async fn daemon(dir: &Path) -> PathBuf {
    let path = dir.join("ctl.sock");
    let listener = socket::bind(&path).await.unwrap();
    let (queries, mut asked) = mpsc::channel(4);
    tokio::spawn(server::serve(listener, queries));
    tokio::spawn(async move {
        while let Some(query) = asked.recv().await {
            match query {
                Query::Status(answer) => answer.send(status()).unwrap(),
                Query::Flows(filter, answer) => {
                    let flows = if filter.table.is_some_and(|t| t.0 == 9) {
                        Err("the switch is not reachable: gone".to_owned())
                    } else {
                        Ok(vec![flow(); if filter.address.is_some() { 1 } else { 2 }])
                    };
                    answer.send(flows).unwrap();
                }
                Query::Explain(address, answer) => {
                    let now = status().addresses.into_iter().find(|a| a.address == address.to_string());
                    let explanation = Explanation { site: "dc1".to_owned(), now, waits_for: None, history: Vec::new() };
                    answer.send(Ok(explanation)).unwrap();
                }
                Query::Order(request, answer) => {
                    let order = request.order();
                    let results = order.iter().map(|o| match o {
                        Parsed::Server(o) => OrderResult {
                            address: o.address.to_string(),
                            site: None,
                            steps: vec![format!("{} because {}", o.verb.as_str(), o.reason)],
                            refused: None,
                            remedy: None,
                        },
                        Parsed::Site(other) => panic!("not asked for: {other:?}"),
                    });
                    let told =
                        OrderAnswer { site: "dc1".to_owned(), dry_run: request.dry_run, results: results.collect() };
                    answer.send(order.map(|_| told).map_err(|e| e.to_string())).unwrap();
                }
                Query::Reload(answer) => {
                    let changed = vec!["peer dc3: added".to_owned()];
                    let (site, file) = ("dc1".to_owned(), "wamig.toml".to_owned());
                    answer.send(ReloadAnswer { site, file, changed, refused: None }).unwrap();
                }
                Query::Trace(request, answer) => {
                    let ports = Ports::new([PortDesc { port: PortNo(1), ..PortDesc::default() }]);
                    let switch = Switch::new(Memory::new(MemoryMaps::default()), ports, Limits::default());
                    let trace = switch.trace(request.in_port, &request.frame);
                    answer.send(trace.map_err(|e| e.to_string())).unwrap();
                }
            }
        }
    });
    path
}

async fn get(path: &Path, resource: &'static str) -> Result<String, ClientError> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || client::get(&path, resource)).await.unwrap()
}

#[tokio::test]
async fn status_arrives_with_the_keys_of_the_interface() {
    let dir = tempfile::tempdir().unwrap();
    let path = daemon(dir.path()).await;
    let json = get(&path, "/v1/status").await.unwrap();
    assert_eq!(
        json,
        concat!(
            r#"{"site":"dc1","version":"0.1.0","uptime_s":3,"configuration":{"file":"wamig.toml","since_unix_ms":7,"refused":null},"#,
            r#""datapath":{"dpid":"0000000000000001","kind":"xdp","program":"general","standalone_since_unix_ms":null,"session":null,"switches":[],"links":[],"ports":[{"port":1,"name":"up","mode":"native","link_up":true,"warning":null,"rx_packets":0,"rx_bytes":0,"tx_packets":0,"tx_bytes":0,"rx_dropped":0}]},"#,
            r#""peers":[{"name":"dc2","state":"up","since_unix_ms":0,"reason":null,"remedy":null}],"controllers":["#,
            r#"{"endpoint":"ptcp:6653:127.0.0.1","remote":"127.0.0.1:4711","state":"connected","version":null,"role":null,"since_unix_ms":null,"last_error":null,"queued_bytes":8,"dropped_packet_ins":5,"dropped_notices":0},"#,
            r#"{"endpoint":"tcp:192.0.2.10:6653","remote":null,"state":"connecting","version":null,"role":null,"since_unix_ms":null,"last_error":null,"queued_bytes":0,"dropped_packet_ins":0,"dropped_notices":0}],"#,
            r#""addresses":[{"address":"192.0.2.53","mac":"02:00:00:00:00:53","role":"home","state":"AWAY","since_unix_ms":0,"peer":"dc2","transfer":"198.51.100.200","epoch":"1.3","reason":null,"remedy":null}],"#,
            r#""pool":{"size":10,"ready":3,"in_use":1,"quarantined":0},"#,
            r#""timeline":[{"at_unix_us":0,"address":"192.0.2.53","event":"claim-received","detail":"…","alert":false}],"#,
            r#""drops":{"table-miss":0},"anomalies":{},"punts":{"action":0},"refused":{"unknown-certificate":0}}"#
        )
    );
    let back: Status = serde_json::from_str(&json).unwrap();
    assert_eq!(back, status());
}

#[tokio::test]
async fn an_order_is_taken_and_a_wrong_one_is_told_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = daemon(dir.path()).await;
    let give = |verb: &str| {
        let (path, verb) = (path.clone(), verb.to_owned());
        let order = OrderRequest {
            verb,
            address: Some("192.0.2.53".to_owned()),
            to: None,
            site: None,
            reason: "a \"quoted\" reason".to_owned(),
            dry_run: true,
        };
        tokio::task::spawn_blocking(move || client::post_json(&path, "/v1/order", &order))
    };
    assert_eq!(
        give("freeze").await.unwrap().unwrap(),
        r#"{"site":"dc1","dry_run":true,"results":[{"address":"192.0.2.53","steps":["freeze because a \"quoted\" reason"],"refused":null,"remedy":null}]}"#
    );
    let refused = give("fly").await.unwrap().unwrap_err();
    assert!(matches!(refused, ClientError::Refused { code: 400, .. }), "{refused}");
    // Looking cannot order anything.
    assert!(matches!(get(&path, "/v1/order").await.unwrap_err(), ClientError::Refused { code: 405, .. }));
}

#[tokio::test]
async fn a_reload_is_asked_for_by_a_post_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = daemon(dir.path()).await;
    assert!(matches!(get(&path, "/v1/reload").await.unwrap_err(), ClientError::Refused { code: 405, .. }));
    let told = tokio::task::spawn_blocking(move || client::post_json(&path, "/v1/reload", &())).await.unwrap().unwrap();
    assert_eq!(told, r#"{"site":"dc1","file":"wamig.toml","changed":["peer dc3: added"],"refused":null}"#);
}

#[tokio::test]
async fn an_address_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let path = daemon(dir.path()).await;
    let told: Explanation = serde_json::from_str(&get(&path, "/v1/explain?address=192.0.2.53").await.unwrap()).unwrap();
    assert_eq!(told.now, Some(status().addresses[0].clone()));
    let refused = get(&path, "/v1/explain?address=dc1").await.unwrap_err().to_string();
    assert!(refused.contains("needed: address=IP address"), "{refused}");
}

#[tokio::test]
async fn prometheus_reads_the_status() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (queries, mut asked) = mpsc::channel(4);
    tokio::spawn(metrics::serve(listener, queries));
    tokio::spawn(async move {
        while let Some(Query::Status(answer)) = asked.recv().await {
            answer.send(status()).unwrap();
        }
    });
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("text/plain; version=0.0.4"), "{answer}");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    for line in [
        "wamig_build_info{version=\"0.1.0\",site=\"dc1\"} 1",
        "# TYPE wamig_dropped_frames_total counter",
        "wamig_peer_up{peer=\"dc2\"} 1",
        "wamig_address_state{address=\"192.0.2.53\",role=\"home\",state=\"AWAY\",peer=\"dc2\"} 1",
        "wamig_transfer_addresses{state=\"ready\"} 3",
        "wamig_refused_total{reason=\"unknown-certificate\"} 0",
        "wamig_controller_queued_bytes{endpoint=\"ptcp:6653:127.0.0.1\",remote=\"127.0.0.1:4711\"} 8",
        "wamig_controller_lost_messages_total{endpoint=\"ptcp:6653:127.0.0.1\",remote=\"127.0.0.1:4711\",kind=\"packet-in\"} 5",
        "wamig_port_link_up{port=\"1\",name=\"up\"} 1",
    ] {
        assert!(body.lines().any(|l| l == line), "{line} is missing in\n{body}");
    }
    assert!(!body.contains("192.0.2.10"), "no session, no queue");
    // Every sample belongs to the family that was begun last.
    let mut family = "";
    for line in body.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(typed) => family = typed.split(' ').next().unwrap(),
            None if line.starts_with('#') => {}
            None => assert_eq!(line.split(['{', ' ']).next(), Some(family), "{line}"),
        }
    }
}

#[tokio::test]
async fn flows_are_filtered_by_the_query() {
    let dir = tempfile::tempdir().unwrap();
    let path = daemon(dir.path()).await;
    let count = |json: String| serde_json::from_str::<Vec<FlowLine>>(&json).unwrap().len();
    assert_eq!(count(get(&path, "/v1/flows").await.unwrap()), 2);
    assert_eq!(count(get(&path, "/v1/flows?address=192.0.2.53").await.unwrap()), 1);
}

#[tokio::test]
async fn a_frame_is_traced_from_the_port_that_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = daemon(dir.path()).await;
    let json = get(&path, "/v1/trace?in_port=1&frame=02000000000202000000000188b5").await.unwrap();
    let trace: Trace = serde_json::from_str(&json).unwrap();
    assert_eq!((trace.in_port, trace.dropped.as_deref()), (1, Some("table-miss")));
    let said = get(&path, "/v1/trace?in_port=2&frame=00").await.unwrap_err().to_string();
    assert_eq!(said, "the daemon refused (400): OFPBRC_BAD_PORT: in_port 2: there are 1");
    let said = get(&path, "/v1/trace?in_port=1&frame=0x").await.unwrap_err().to_string();
    assert!(said.contains("character 2: 'x' is no hexadecimal digit"), "{said}");
}

#[tokio::test]
async fn a_refusal_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = daemon(dir.path()).await;
    let said = |e: Result<String, ClientError>| e.unwrap_err().to_string();
    assert_eq!(
        said(get(&path, "/v1/flows?table=x").await),
        "the daemon refused (400): \"table=x\" is not a filter; allowed: table=0..254, address=IP address, flow=as of ovs-ofctl dump-flows"
    );
    assert_eq!(
        said(get(&path, "/v1/flows?table=9").await),
        "the daemon refused (503): the switch is not reachable: gone"
    );
    assert!(matches!(get(&path, "/v2/status").await, Err(ClientError::Refused { code: 404, .. })));
}
