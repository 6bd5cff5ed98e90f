//! What strangers and broken peers send: it ends their own connection, and nothing else.

use super::*;

#[tokio::test]
async fn plaintext_garbage_is_counted_and_harms_nobody() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let mut one = dc1.start(vec![dc2.as_peer()]).await;
    let mut two = dc2.start(vec![dc1.as_peer()]).await;
    one.until_up("dc2").await;
    two.until_up("dc1").await;
    for garbage in [&b"GET / HTTP/1.1\r\nHost: dc1\r\n\r\n"[..], &[0; 300], &[0xff; 300], b"\x16\x03\x01\x00\x05hello"]
    {
        let mut tcp = TcpStream::connect(dc1.address).await.expect("connects");
        tcp.write_all(garbage).await.expect("writes");
        tcp.shutdown().await.expect("shuts down");
        let _ = timeout(PATIENCE, tcp.read_to_end(&mut Vec::new())).await.expect("the end comes");
    }
    let detail = one.until_refused(Refusal::NotTls).await;
    assert!(detail.starts_with("127."), "{detail}");
    let counted = || one.refusals.get(Refusal::NotTls) + one.refusals.get(Refusal::Handshake);
    while counted() < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A port scan: connect and leave.
    drop(TcpStream::connect(dc1.address).await.expect("connects"));
    two.send("dc1", numbered(1)).await;
    let seen = one.until(|event| matches!(event, PeerEvent::Message { .. })).await;
    assert!(seen.iter().all(|event| !matches!(event, PeerEvent::Down { .. })), "{seen:?}");
}

#[tokio::test]
async fn flood_of_half_open_handshakes_keeps_nobody_out() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let mut one = dc1.start(vec![nowhere(dc2.as_peer())]).await;
    let mut flood = Vec::new();
    for number in 0..3 * MAX_HANDSHAKES {
        let mut tcp = TcpStream::connect(dc1.address).await.expect("connects");
        if number % 2 == 0 {
            // The beginning of a TLS record that never comes.
            tcp.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.expect("writes");
        }
        flood.push(tcp);
    }
    let mut two = dc2.start(vec![dc1.as_peer()]).await;
    two.until_up("dc1").await;
    one.until_up("dc2").await;
    let evicted = 2 * MAX_HANDSHAKES as u64;
    one.until_counted(Refusal::TooManyHandshakes, evicted).await;
    // Those that were left run out of time, and their places are free again.
    one.until_counted(Refusal::HandshakeTimeout, MAX_HANDSHAKES as u64 - 1).await;
    for mut tcp in flood {
        let _ = timeout(PATIENCE, tcp.read_to_end(&mut Vec::new())).await.expect("every one is closed");
    }
    two.send("dc1", numbered(1)).await;
    one.until(|event| matches!(event, PeerEvent::Message { .. })).await;
}

#[tokio::test]
async fn certificate_holder_that_never_greets_runs_out_of_time() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let mut config = dc1.config(vec![nowhere(dc2.as_peer())]);
    config.timers.handshake = Duration::from_millis(500);
    let mut one = Running::start(Peers::bind(config).await.expect("binds"));
    let script = dc2.script(&dc1).await;
    let tcp = TcpStream::connect(dc1.address).await.expect("connects");
    let name = "wamig".try_into().expect("a name");
    let mut stream = TlsConnector::from(Arc::clone(&script.tls)).connect(name, tcp).await.expect("TLS");
    one.until_refused(Refusal::HandshakeTimeout).await;
    let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.expect("the end comes");
    assert_eq!(one.refused(), [("handshake-timeout", 1)]);
}

#[tokio::test]
async fn malformed_frames_reset_the_session_and_are_counted() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let mut one = dc1.start(vec![nowhere(dc2.as_peer())]).await;
    let script = dc2.script(&dc1).await;
    let bad: [(&[u8], &str); 5] = [
        (&[0xff; 4], "frame of 4294967295 octets"),
        (&[0x00, 0x01, 0x00, 0x01], "frame of 65537 octets"),
        (&[0, 0, 0, 1, 0xff], "not a well-formed message"),
        (&[0, 0, 0, 3, 0xa1, 0x00, 0x05], "key 1 (address) is missing"),
        (&[0, 0, 0, 9, 0xa4, 0, 1, 12, 1, 13, 0x61, b'a', 14], "not a well-formed message"),
    ];
    for (count, (octets, expected)) in (1..).zip(bad) {
        let mut session = script.dial().await;
        one.until_up("dc2").await;
        session.write(octets).await;
        let detail = one.until_down(DownReason::Protocol).await;
        assert!(detail.contains(expected), "{detail}");
        assert_eq!(session.hear_message().await, None, "the session ends");
        assert_eq!(one.refused(), [("malformed-message", count)]);
    }
    let mut session = script.dial().await;
    one.until_up("dc2").await;
    session.say(&script.context.hello()).await;
    assert_eq!(one.until_down(DownReason::Protocol).await, "a second hello");

    let mut session = script.dial().await;
    one.until_up("dc2").await;
    session.say(&numbered(1)).await;
    assert_eq!(one.message().await, numbered(1));
}

#[tokio::test]
async fn greeting_with_something_else_is_refused() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let mut one = dc1.start(vec![nowhere(dc2.as_peer())]).await;
    let script = dc2.script(&dc1).await;
    let oversized: &[u8] = &[0, 2, 0, 0];
    let no_hello: &[u8] = &[0, 0, 0, 0];
    for octets in [oversized, no_hello] {
        let tcp = TcpStream::connect(dc1.address).await.expect("connects");
        let name = "wamig".try_into().expect("a name");
        let mut stream = TlsConnector::from(Arc::clone(&script.tls)).connect(name, tcp).await.expect("TLS");
        stream.write_all(octets).await.expect("writes");
        let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.expect("the end comes");
    }
    one.until_down(DownReason::Protocol).await;
    one.until_counted(Refusal::Malformed, 2).await;
    assert_eq!(one.refused(), [("malformed-message", 2)]);
}
