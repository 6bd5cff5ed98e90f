//! Who is let in, who is not, and what each side is told.

use std::fs;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::*;

#[tokio::test]
async fn unknown_certificate_is_refused_and_both_sides_know() {
    let (dc1, dc3) = (Site::new("dc1"), Site::new("dc3"));
    let dc2 = Site::new("dc2");
    let mut one = dc1.start(vec![nowhere(dc2.as_peer())]).await;
    // dc3 knows dc1, dc1 does not know dc3.
    let mut three = dc3.start(vec![dc1.as_peer()]).await;
    let detail = three.until_down(DownReason::RefusedCertificate).await;
    assert!(detail.contains(&dc3.identity.fingerprint().to_string()), "{detail}");
    let detail = one.until_refused(Refusal::UnknownCertificate).await;
    assert!(detail.contains(&dc3.identity.fingerprint().to_string()), "{detail}");
    assert!(detail.starts_with("127.") && detail.contains("[[peer]]"), "{detail}");
    // It goes on trying, and every attempt is counted.
    one.until_counted(Refusal::UnknownCertificate, 3).await;
    assert_eq!(one.refused().len(), 1);
}

#[tokio::test]
async fn wrong_certificate_is_refused_and_both_sides_know() {
    let (dc1, dc2, impostor) = (Site::new("dc1"), Site::new("dc2"), Site::new("dc2"));
    let mut expected = impostor.as_peer();
    expected.fingerprint = dc2.identity.fingerprint();
    let mut one = dc1.start(vec![expected]).await;
    let mut two = impostor.start(vec![nowhere(dc1.as_peer())]).await;
    let detail = one.until_down(DownReason::WrongCertificate).await;
    assert!(detail.contains(&dc2.identity.fingerprint().to_string()), "{detail}");
    assert!(detail.contains(&impostor.identity.fingerprint().to_string()), "{detail}");
    let detail = two.until_refused(Refusal::OurCertificate).await;
    assert!(detail.contains("does not accept this site's certificate"), "{detail}");
}

#[tokio::test]
async fn fingerprint_missing_on_one_side_never_flaps() {
    let (dc1, dc2, other) = (Site::new("dc1"), Site::new("dc2"), Site::new("dc2"));
    // dc1 has an old fingerprint of dc2; dc2 has the right one of dc1, and both dial.
    let mut outdated = dc2.as_peer();
    outdated.fingerprint = other.identity.fingerprint();
    let mut one = dc1.start(vec![outdated]).await;
    let mut two = dc2.start(vec![dc1.as_peer()]).await;
    two.until_down(DownReason::RefusedCertificate).await;
    one.until_down(DownReason::WrongCertificate).await;
    one.until_counted(Refusal::UnknownCertificate, 4).await;
    for site in [&mut one, &mut two] {
        while let Ok(event) = site.events.try_recv() {
            assert!(matches!(event, PeerEvent::Refused { .. } | PeerEvent::Down { .. }), "{event:?}");
        }
    }
}

#[tokio::test]
async fn wrong_site_name_is_refused_and_nobody_is_up() {
    let (dc1, mut dc2) = (Site::new("dc1"), Site::new("dc2"));
    let expected = dc2.as_peer();
    dc2.name = "dc-two";
    let mut one = dc1.start(vec![expected]).await;
    let mut two = dc2.start(vec![dc1.as_peer()]).await;
    let detail = one.until_down(DownReason::WrongSite).await;
    assert!(detail.contains("calls itself dc-two, its certificate is configured for dc2"), "{detail}");
    one.until_counted(Refusal::WrongSite, 2).await;
    two.until_counted(Refusal::Handshake, 1).await;
    let detail = two.until_down(DownReason::Closed).await;
    assert!(detail.contains("it may not know this site as dc-two"), "{detail}");
    for site in [&mut one, &mut two] {
        while let Ok(event) = site.events.try_recv() {
            assert!(!matches!(event, PeerEvent::Up { .. } | PeerEvent::Message { .. }), "{event:?}");
        }
    }
}

#[tokio::test]
async fn other_major_version_is_refused_at_both_sides() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let newer = Peers::bind_as(dc2.config(vec![dc1.as_peer()]), 0x0200).await.expect("binds");
    let mut two = Running::start(newer);
    let mut one = dc1.start(vec![nowhere(dc2.as_peer())]).await;
    let detail = two.until_down(DownReason::WrongVersion).await;
    assert!(detail.contains("speaks version 1.2, this site 2.0"), "{detail}");
    let detail = one.until_down(DownReason::WrongVersion).await;
    assert!(detail.contains("speaks version 2.0, this site 1.2"), "{detail}");
    assert!(one.refusals.get(Refusal::WrongVersion) >= 1);
}

#[tokio::test]
async fn certificate_without_its_key_is_worth_nothing() {
    let (dc1, dc2, thief) = (Site::new("dc1"), Site::new("dc2"), Site::new("dc2"));
    let mut one = dc1.start(vec![nowhere(dc2.as_peer())]).await;
    // Certificates are public: the thief shows dc2's, and signs with a key of its own.
    let mut script = thief.script(&dc1).await;
    let stolen = CertifiedKey::new(dc2.identity.key.cert.clone(), Arc::clone(&thief.identity.key.key));
    let mut tls = (*script.tls).clone();
    tls.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(stolen));
    script.tls = Arc::new(tls);
    let tcp = TcpStream::connect(script.address).await.expect("connects");
    let name = "wamig".try_into().expect("a name");
    let connected = TlsConnector::from(Arc::clone(&script.tls)).connect(name, tcp).await;
    let greeted = match connected {
        Ok(stream) => greet(&script.context, "dc1", true, stream.into()).await.is_ok(),
        Err(_) => false,
    };
    assert!(!greeted);
    one.until_refused(Refusal::Handshake).await;
    assert_eq!(one.refused(), [("tls-handshake", 1)]);
}

#[tokio::test]
async fn no_certificate_and_other_protocols_are_refused() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let mut one = dc1.start(vec![nowhere(dc2.as_peer())]).await;
    let mut script = dc2.script(&dc1).await;
    let honest = Arc::clone(&script.tls);

    let mut tls = (*honest).clone();
    tls.client_auth_cert_resolver = Arc::new(Nothing);
    script.tls = Arc::new(tls);
    hang_up(&script).await;
    let detail = one.until_refused(Refusal::NoCertificate).await;
    assert!(detail.contains("presented no certificate"), "{detail}");

    for protocols in [vec![], vec![b"h2".to_vec()]] {
        let mut tls = (*honest).clone();
        tls.alpn_protocols = protocols;
        script.tls = Arc::new(tls);
        hang_up(&script).await;
    }
    one.until_counted(Refusal::NotTls, 2).await;
    assert_eq!(one.refused(), [("no-certificate", 1), ("not-tls", 2)]);

    script.tls = honest;
    let _session = script.dial().await;
    one.until_up("dc2").await;
}

/// A client without a certificate.
#[derive(Debug)]
struct Nothing;

impl tokio_rustls::rustls::client::ResolvesClientCert for Nothing {
    fn resolve(&self, _: &[&[u8]], _: &[tokio_rustls::rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// Connects and reads to the end.
async fn hang_up(script: &Script) {
    let tcp = TcpStream::connect(script.address).await.expect("connects");
    let name = "wamig".try_into().expect("a name");
    if let Ok(mut stream) = TlsConnector::from(Arc::clone(&script.tls)).connect(name, tcp).await {
        let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.expect("the end comes");
    }
}

#[tokio::test]
async fn expired_certificate_is_as_good_as_its_pin() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["some-other-name".to_owned()]).expect("a name");
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(2001, 2, 1);
    let certificate = params.self_signed(&key).expect("a certificate");
    let (pem, private) = (dir.path().join("dc2.pem"), dir.path().join("dc2.key"));
    fs::write(&pem, certificate.pem()).expect("writes");
    fs::write(&private, key.serialize_pem()).expect("writes");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&private, mode).expect("chmod");
    let (dc1, mut dc2) = (Site::new("dc1"), Site::new("dc2"));
    dc2.identity = load("dc2", dir.path());
    let mut one = dc1.start(vec![dc2.as_peer()]).await;
    let mut two = dc2.start(vec![dc1.as_peer()]).await;
    one.until_up("dc2").await;
    two.until_up("dc1").await;
}

#[tokio::test]
async fn why_dialling_fails_is_told() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let mut nameless = dc2.as_peer();
    nameless.endpoint = "no-port-here".to_owned();
    let mut one = dc1.start(vec![nameless]).await;
    one.until_down(DownReason::Unresolvable).await;
    one.stop().await;

    // Something listens, and it speaks another protocol.
    let listener = TcpListener::bind(dc2.address).await.expect("binds");
    let mut one = dc1.start(vec![dc2.as_peer()]).await;
    let (mut tcp, _) = listener.accept().await.expect("accepts");
    tcp.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n").await.expect("writes");
    one.until_down(DownReason::NotWamig).await;
    one.stop().await;

    // Something takes the connection and never says a word.
    let mut config = dc1.config(vec![dc2.as_peer()]);
    config.timers.handshake = Duration::from_millis(300);
    let mut one = Running::start(Peers::bind(config).await.expect("binds"));
    let detail = one.until_down(DownReason::Unreachable).await;
    assert!(detail.contains("did not answer in time"), "{detail}");
}

#[tokio::test]
async fn sites_that_cannot_be_told_apart_are_no_configuration() {
    let (dc1, dc2, dc3) = (Site::new("dc1"), Site::new("dc2"), Site::new("dc3"));
    let said = async |peers: Vec<PeerConfig>| Peers::bind(dc1.config(peers)).await.expect_err("refused").to_string();
    let own_name = PeerConfig { name: "dc1".to_owned(), ..dc2.as_peer() };
    assert!(said(vec![own_name]).await.contains("[[peer]] dc1: this is the site's own name"));
    let own_certificate = PeerConfig { fingerprint: dc1.identity.fingerprint(), ..dc2.as_peer() };
    assert!(said(vec![own_certificate]).await.contains("this site's own certificate"));
    let same_name = PeerConfig { name: "dc2".to_owned(), ..dc3.as_peer() };
    assert!(said(vec![dc2.as_peer(), same_name]).await.contains("the name is there twice"));
    let same_certificate = PeerConfig { fingerprint: dc2.identity.fingerprint(), ..dc3.as_peer() };
    assert!(said(vec![dc2.as_peer(), same_certificate]).await.contains("also that of dc2"));
    let no_name = PeerConfig { name: "a/b".to_owned(), ..dc3.as_peer() };
    assert!(said(vec![no_name]).await.contains("a site name has"));

    let _first = Peers::bind(dc1.config(vec![])).await.expect("binds");
    let text = said(vec![]).await;
    assert!(text.contains("cannot listen on 127.") && text.contains("[peering] listen"), "{text}");
}

#[test]
fn the_provider_has_what_certificates_need() {
    // keygen's keys are ECDSA P-256; other tools make Ed25519 or RSA.
    let schemes = default_provider().signature_verification_algorithms.supported_schemes();
    for scheme in ["ECDSA_NISTP256_SHA256", "ED25519", "RSA_PSS_SHA256"] {
        assert!(schemes.iter().any(|known| format!("{known:?}") == scheme), "{scheme}");
    }
}
