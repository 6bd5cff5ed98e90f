//! What the daemon takes hold of before it touches the data path, and what it says when it
//! cannot have it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use wamig_userspace::config::Config;
use wamig_userspace::daemon::Held;
use wamig_userspace::peer::identity::keygen;
use wamig_userspace::store::Store;

fn config(dir: &Path, listen: SocketAddr) -> Config {
    let text = format!(
        "site = \"dc1\"\nstate_dir = \"state\"\ncontrol_socket = \"ctl.sock\"\n[switch]\nports = [\"up\"]\n\
         [lan]\nuplink = \"up\"\nprefix = \"192.0.2.0/24\"\ngateway = \"192.0.2.1\"\n\
         [peering]\nlisten = \"{listen}\"\ncertificate = \"dc1.pem\"\nprivate_key = \"dc1.key\"\n"
    );
    Config::parse(&dir.join("dc1.toml"), &text).unwrap_or_else(|e| panic!("{e}"))
}

async fn refused(config: &Config) -> String {
    let said = Held::take(config).await.err().unwrap().to_string();
    assert!(!config.control_socket.exists(), "nothing is left behind");
    said
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    keygen("dc1", dir.path()).unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    assert_eq!(
        refused(&config(dir.path(), address)).await,
        format!(
            "{address} (peering.listen) is taken; stop who listens there (`ss -ltnp`), \
             or set another port here and at the peers"
        )
    );
    drop(other);
    Held::take(&config(dir.path(), address)).await.map_err(|e| e.to_string()).unwrap();
}

#[tokio::test]
async fn an_address_of_another_machine_cannot_be_listened_on() {
    let dir = tempfile::tempdir().unwrap();
    keygen("dc1", dir.path()).unwrap();
    let said = refused(&config(dir.path(), "203.0.113.1:7946".parse().unwrap())).await;
    assert_eq!(
        said,
        "203.0.113.1:7946 (peering.listen) is no address of this machine; \
         add it to an interface, or correct peering.listen"
    );
}

#[tokio::test]
async fn a_second_daemon_is_told_that_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    keygen("dc1", dir.path()).unwrap();
    let config = config(dir.path(), "127.0.0.1:0".parse::<SocketAddr>().map(free).unwrap());
    let first = Held::take(&config).await.map_err(|e| e.to_string()).unwrap();
    let said = Held::take(&config).await.err().unwrap().to_string();
    assert!(said.starts_with("another wamig is running: it answers at"), "{said}");
    assert!(config.control_socket.exists(), "the first one's socket stays");
    drop(first);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    keygen("dc1", dir.path()).unwrap();
    let config = config(dir.path(), free("127.0.0.1:0".parse().unwrap()));
    Store::open(&config.state_dir).unwrap().put("address", "01c0000235", b"\xff").unwrap();
    let said = refused(&config).await;
    assert!(said.contains("wamig.redb: record 01c0000235: a stored record cannot be read"), "{said}");
    assert!(said.ends_with("run that version, or move the file away to begin anew"), "{said}");
}

#[tokio::test]
async fn a_key_that_is_none_is_named() {
    let dir = tempfile::tempdir().unwrap();
    keygen("dc1", dir.path()).unwrap();
    std::fs::write(dir.path().join("dc1.pem"), "").unwrap();
    let said = refused(&config(dir.path(), free("127.0.0.1:0".parse().unwrap()))).await;
    assert!(said.contains("dc1.pem holds no certificate in PEM form"), "{said}");
}

/// An address that nobody listens on.
fn free(any: SocketAddr) -> SocketAddr {
    TcpListener::bind(any).unwrap().local_addr().unwrap()
}
