//! Who may speak over TLS, who may not, and what is said about it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use wamig_userspace::channel::endpoint::Endpoint;
use wamig_userspace::channel::pin::Pins;
use wamig_userspace::channel::tls::{Tls, Trust};
use wamig_userspace::channel::{ChannelEvent, Channels, Settings, hello};
use wamig_userspace::peer::Identity;

use super::*;

/// Two authorities, and who has a certificate of theirs.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    /// `switch`, `good`, `second` and `expired` of `ours`, `alien` of `theirs`.
    fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        for (ca, owners) in [("ours", &["switch", "good", "second", "expired"][..]), ("theirs", &["alien"])] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            std::fs::write(world.path(ca, "pem"), params.self_signed(&key).unwrap().pem()).unwrap();
            let issuer = Issuer::new(params, key);
            for name in owners {
                let key = KeyPair::generate().unwrap();
                let mut params = CertificateParams::new(Vec::new()).unwrap();
                if *name == "expired" {
                    params.not_after = date_time_ymd(2001, 1, 1);
                    params.not_before = date_time_ymd(2000, 1, 1);
                }
                std::fs::write(world.path(name, "pem"), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
                std::fs::write(world.path(name, "key"), key.serialize_pem()).unwrap();
                std::fs::set_permissions(world.path(name, "key"), std::fs::Permissions::from_mode(0o600)).unwrap();
            }
        }
        world
    }

    fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.{kind}"))
    }

    fn identity(&self, name: &str) -> Identity {
        Identity::load(&self.path(name, "pem"), &self.path(name, "key")).unwrap()
    }

    fn ca(&self, name: &str) -> Trust {
        Trust::Ca(self.path(name, "pem"))
    }

    fn pinned(&self, name: &str) -> Trust {
        Trust::Pinned([self.identity(name).fingerprint()].into())
    }

    async fn end(&self, endpoint: &str, name: &str, trust: &Trust) -> End {
        self.bound(endpoint, name, trust, None).await
    }

    /// An end that speaks with the owner of one certificate only.
    async fn bound(&self, endpoint: &str, name: &str, trust: &Trust, other: Option<&str>) -> End {
        let tls = Tls::new(&self.identity(name), trust).unwrap();
        let pins = other.map(|other| (0, [self.identity(other).fingerprint()].into())).into_iter().collect();
        let pins = Pins::new("[[openflow.pin]]", pins);
        let settings = Settings { tls: Some(tls), pins, ..Settings::new(hello::offer(&[Version::V13])) };
        let endpoint: Endpoint = endpoint.parse().unwrap();
        let channels = Channels::bind(settings, vec![endpoint]).await.unwrap();
        let port = channels.local(0).map_or(0, |address| address.port());
        let (tell, events) = mpsc::channel(64);
        End { port, events, task: tokio::spawn(channels.run(tell)) }
    }
}

/// One end of connections.
struct End {
    port: u16,
    events: mpsc::Receiver<ChannelEvent>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl End {
    /// `Ok` when a connection is open, else why one did not come about.
    async fn outcome(&mut self) -> Result<(), String> {
        match timeout(Duration::from_secs(20), self.events.recv()).await.expect("something happens") {
            Some(ChannelEvent::Opened(_)) => Ok(()),
            Some(ChannelEvent::Failed { why, .. }) => Err(why),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn only_who_is_trusted_speaks_and_the_others_harm_nobody() {
    let world = World::new();
    for (trust, refused) in
        [(world.ca("ours"), &["alien", "expired"][..]), (world.pinned("good"), &["alien", "expired", "switch"])]
    {
        let mut switch = world.end("ptls:0:127.0.0.1", "switch", &trust).await;
        let dialled = format!("tls:127.0.0.1:{}", switch.port);
        let mut good = world.end(&dialled, "good", &world.ca("ours")).await;
        assert_eq!((good.outcome().await, switch.outcome().await), (Ok(()), Ok(())));
        for name in refused {
            let mut other = world.end(&dialled, name, &world.ca("ours")).await;
            let why = switch.outcome().await.expect_err(name);
            assert!(
                why.starts_with("127.0.0.1:") && why.contains("TLS: ") && why.contains("ertificate"),
                "{name}: {why}"
            );
            other.outcome().await.expect_err(name);
            drop(other);
            // It may have tried again.
            while timeout(Duration::from_millis(300), switch.events.recv()).await.is_ok() {}
        }
        // A controller without TLS.
        let mut plain = world.end(&format!("tcp:127.0.0.1:{}", switch.port), "good", &trust).await;
        let why = switch.outcome().await.unwrap_err();
        assert!(why.starts_with("127.0.0.1:") && why.contains("TLS: "), "{why}");
        plain.outcome().await.unwrap_err();
        drop(plain);
        assert!(good.events.try_recv().is_err(), "the good one is still connected");
    }
}

#[tokio::test]
async fn a_controller_of_another_authority_is_not_trusted() {
    let world = World::new();
    for (trust, name) in [(world.ca("ours"), "alien"), (world.ca("ours"), "expired"), (world.pinned("good"), "alien")] {
        let mut controller = world.end("ptls:0:127.0.0.1", name, &world.ca("ours")).await;
        let mut switch = world.end(&format!("tls:127.0.0.1:{}", controller.port), "switch", &trust).await;
        let why = switch.outcome().await.expect_err(name);
        assert!(why.starts_with("tls:127.0.0.1:") && why.contains("TLS: ") && why.contains("ertificate"), "{why}");
        controller.outcome().await.expect_err(name);
    }
}

#[tokio::test]
async fn tls_on_a_plain_port_is_told_at_both_ends() {
    let world = World::new();
    let mut plain = world.end("ptcp:0:127.0.0.1", "switch", &world.ca("ours")).await;
    let mut other = world.end(&format!("tcp:127.0.0.1:{}", plain.port), "good", &world.ca("ours")).await;
    assert_eq!((plain.outcome().await, other.outcome().await), (Ok(()), Ok(())));
    let mut tls = world.end(&format!("tls:127.0.0.1:{}", plain.port), "good", &world.ca("ours")).await;
    let why = tls.outcome().await.unwrap_err();
    assert!(why.starts_with("tls:127.0.0.1:") && why.contains("TLS: "), "{why}");
    let why = plain.outcome().await.unwrap_err();
    assert!(why.starts_with("127.0.0.1:"), "{why}");
    assert!(other.events.try_recv().is_err(), "the other is still connected");
}

/// Whoever the CA has signed is trusted, but only one of them is meant.
#[tokio::test]
async fn of_those_who_are_trusted_one_is_bound_to_the_endpoint() {
    let world = World::new();
    let ours = world.ca("ours");
    let refused = |why: &str, shown: &str| {
        let parts = [world.identity(shown), world.identity("good")].map(|i| i.fingerprint().to_string());
        assert!(parts.iter().all(|p| why.contains(p)) && why.contains("[[openflow.pin]]"), "{why}");
    };

    let mut switch = world.bound("ptls:0:127.0.0.1", "switch", &ours, Some("good")).await;
    let dialled = format!("tls:127.0.0.1:{}", switch.port);
    let mut second = world.end(&dialled, "second", &ours).await;
    refused(&switch.outcome().await.unwrap_err(), "second");
    second.outcome().await.unwrap_err();
    drop(second);
    while timeout(Duration::from_millis(300), switch.events.recv()).await.is_ok() {}
    let mut good = world.end(&dialled, "good", &ours).await;
    assert_eq!((good.outcome().await, switch.outcome().await), (Ok(()), Ok(())));

    let mut controller = world.end("ptls:0:127.0.0.1", "second", &ours).await;
    let there = format!("tls:127.0.0.1:{}", controller.port);
    let mut switch = world.bound(&there, "switch", &ours, Some("good")).await;
    let why = switch.outcome().await.unwrap_err();
    assert!(why.starts_with(&there), "{why}");
    refused(&why, "second");
    drop(switch);
    while timeout(Duration::from_millis(300), controller.events.recv()).await.is_ok() {}
    let mut switch = world.bound(&there, "switch", &ours, Some("second")).await;
    assert_eq!((switch.outcome().await, controller.outcome().await), (Ok(()), Ok(())));
}
