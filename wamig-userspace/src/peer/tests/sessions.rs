//! Sessions between sites that mean well.

use super::*;

/// More messages than all queues hold.
const MANY: u32 = 2000;

#[tokio::test]
async fn messages_go_both_ways_in_order() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let mut one = dc1.start(vec![dc2.as_peer()]).await;
    let mut two = dc2.start(vec![dc1.as_peer()]).await;
    one.until_up("dc2").await;
    two.until_up("dc1").await;
    for number in 0..50 {
        one.send("dc2", numbered(number)).await;
        two.send("dc1", numbered(1000 + number)).await;
        assert_eq!(two.message().await, numbered(number));
        assert_eq!(one.message().await, numbered(1000 + number));
    }
    assert_eq!(one.refused(), []);
    assert_eq!(two.refused(), []);
}

#[tokio::test]
async fn one_direction_is_enough() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    // dc1 cannot reach dc2, as behind NAT; dc2 dials.
    let mut one = dc1.start(vec![nowhere(dc2.as_peer())]).await;
    one.until_down(DownReason::ConnectionRefused).await;
    let mut two = dc2.start(vec![dc1.as_peer()]).await;
    one.until_up("dc2").await;
    two.until_up("dc1").await;
    one.send("dc2", numbered(1)).await;
    assert_eq!(two.message().await, numbered(1));
}

#[tokio::test]
async fn both_dial_at_once_and_nothing_flaps() {
    for _ in 0..8 {
        let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
        let at_once = |site: &Site, peer: &Site| {
            let mut config = site.config(vec![peer.as_peer()]);
            config.timers.backoff_min = Duration::from_millis(1);
            Peers::bind(config)
        };
        // Both listen before either dials.
        let (one, two) = (at_once(&dc1, &dc2).await.expect("binds"), at_once(&dc2, &dc1).await.expect("binds"));
        let (mut one, mut two) = (Running::start(one), Running::start(two));
        assert_eq!(one.until_up("dc2").await.len(), 1);
        assert_eq!(two.until_up("dc1").await.len(), 1);
        for number in 0..20 {
            one.send("dc2", numbered(number)).await;
            two.send("dc1", numbered(number)).await;
            assert_eq!(two.message().await, numbered(number));
            assert_eq!(one.message().await, numbered(number));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        one.is_quiet(TIMERS.keepalive).await;
        two.is_quiet(TIMERS.keepalive).await;
    }
}

#[tokio::test]
async fn higher_site_moves_to_the_session_of_the_lower() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let script = dc1.script(&dc2).await;
    let mut two = dc2.start(vec![dc1.as_peer()]).await;
    let mut older = script.accept().await;
    two.until_up("dc1").await;
    let mut newer = script.dial().await;
    newer.say(&numbered(1)).await;
    assert_eq!(two.message().await, numbered(1));
    // The new session is known by now, and what was on the way in the old one still arrives.
    older.say(&numbered(2)).await;
    assert_eq!(two.message().await, numbered(2));
    two.send("dc1", numbered(3)).await;
    assert_eq!(newer.hear_message().await, Some(numbered(3)));
    assert_eq!(older.hear_message().await, None, "the old session ends");
    newer.say(&numbered(4)).await;
    assert_eq!(two.message().await, numbered(4));
}

#[tokio::test]
async fn lower_site_keeps_the_session_it_dialled() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let script = dc2.script(&dc1).await;
    let mut one = dc1.start(vec![dc2.as_peer()]).await;
    let mut older = script.accept().await;
    one.until_up("dc2").await;
    let mut newer = script.dial().await;
    newer.say(&numbered(1)).await;
    assert_eq!(one.message().await, numbered(1));
    one.send("dc2", numbered(2)).await;
    assert_eq!(older.hear_message().await, Some(numbered(2)));
    assert_eq!(newer.hear_message().await, None, "the new session ends");
    older.say(&numbered(3)).await;
    assert_eq!(one.message().await, numbered(3));
}

#[tokio::test]
async fn restarted_peer_is_up_again() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let mut one = dc1.start(vec![dc2.as_peer()]).await;
    for round in 0..3 {
        let mut two = dc2.start(vec![dc1.as_peer()]).await;
        one.until_up("dc2").await;
        two.until_up("dc1").await;
        one.send("dc2", numbered(round)).await;
        assert_eq!(two.message().await, numbered(round));
        two.stop().await;
        let down = one.event().await;
        assert!(matches!(down, PeerEvent::Down { reason: DownReason::Closed, .. }), "{down:?}");
        one.until_down(DownReason::ConnectionRefused).await;
        // Lost without a word: the sender repeats what matters.
        one.send("dc2", numbered(99)).await;
    }
}

#[tokio::test]
async fn peer_that_lost_its_session_unnoticed_replaces_it() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let mut one = dc1.start(vec![nowhere(dc2.as_peer())]).await;
    let script = dc2.script(&dc1).await;
    let _stale = script.dial().await;
    one.until_up("dc2").await;
    drop(script);
    let reborn = dc2.script(&dc1).await;
    let mut session = reborn.dial().await;
    let down = one.event().await;
    assert!(matches!(down, PeerEvent::Down { reason: DownReason::Replaced, .. }), "{down:?}");
    one.until_up("dc2").await;
    session.say(&numbered(1)).await;
    assert_eq!(one.message().await, numbered(1));
}

#[tokio::test]
async fn silent_peer_is_down_and_keepalives_are_sent() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let mut config = dc1.config(vec![nowhere(dc2.as_peer())]);
    config.timers.peer_down = Duration::from_millis(600);
    let mut one = Running::start(Peers::bind(config).await.expect("binds"));
    let script = dc2.script(&dc1).await;
    let mut session = script.dial().await;
    one.until_up("dc2").await;
    // As long as it is heard, it is up, though it says nothing else.
    for _ in 0..10 {
        session.write(&[0; 4]).await;
        assert_eq!(session.hear().await, Some(Frame::Keepalive));
    }
    let detail = one.until_down(DownReason::Silent).await;
    assert_eq!(detail, "nothing heard for 600 ms");
    while let Some(frame) = session.hear().await {
        assert_eq!(frame, Frame::Keepalive);
    }
    assert_eq!(one.refused(), []);
}

#[tokio::test]
async fn peer_that_does_not_read_is_cut_off() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let mut one = dc1.start(vec![nowhere(dc2.as_peer())]).await;
    let script = dc2.script(&dc1).await;
    let _session = script.dial().await;
    one.until_up("dc2").await;
    let large = Message::RenewAck(vec![(IpAddr::V4(Ipv4Addr::LOCALHOST), Epoch { incarnation: 1, counter: 1 }); 2500]);
    let flood = async {
        loop {
            one.outbound.send(("dc2".to_owned(), large.clone())).await.expect("always taken");
        }
    };
    let down = async {
        loop {
            match timeout(PATIENCE, one.events.recv()).await.expect("in time").expect("running") {
                PeerEvent::Down { reason, .. } => break reason,
                other => assert!(matches!(other, PeerEvent::Refused { .. }), "{other:?}"),
            }
        }
    };
    let reason = tokio::select! { reason = down => reason, () = flood => unreachable!() };
    assert_eq!(reason, DownReason::Slow);
    assert!(one.refusals.get(Refusal::SlowPeer) >= 1);
}

#[tokio::test]
async fn daemon_that_is_behind_does_not_lock_up() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let mut one = dc1.start(vec![nowhere(dc2.as_peer())]).await;
    let script = dc2.script(&dc1).await;
    let mut session = script.dial().await;
    one.until_up("dc2").await;
    // Nobody takes events meanwhile, but messages must go out.
    let (mut reader, mut writer) = tokio::io::split(session.stream);
    let talk = async {
        for number in 0..MANY {
            let mut octets = BytesMut::new();
            PeerCodec.encode(&numbered(number), &mut octets).expect("encodes");
            writer.write_all(&octets).await.expect("writes");
        }
        writer.flush().await.expect("flushes");
    };
    let hear = async {
        let mut heard = 0;
        while heard < MANY {
            match PeerCodec.decode(&mut session.buffer).expect("well-formed") {
                Some(Frame::Message(message)) => {
                    assert_eq!(message, numbered(heard));
                    heard += 1;
                }
                Some(Frame::Keepalive) => {}
                None => assert_ne!(reader.read_buf(&mut session.buffer).await.expect("reads"), 0),
            }
        }
    };
    let work = async {
        for number in 0..MANY {
            one.send("dc2", numbered(number)).await;
            tokio::task::yield_now().await;
        }
        for number in 0..MANY {
            assert_eq!(one.message().await, numbered(number));
        }
    };
    timeout(PATIENCE, async { tokio::join!(talk, hear, work) }).await.expect("nobody waits for ever");
}

#[tokio::test]
async fn minor_versions_get_along_and_news_are_skipped() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let mut one = dc1.start(vec![nowhere(dc2.as_peer())]).await;
    let mut script = dc2.script(&dc1).await;
    Arc::get_mut(&mut script.context).expect("not shared").version = 0x0107;
    let mut session = script.dial().await;
    one.until_up("dc2").await;
    session.write(&[0, 0, 0, 4, 0xa1, 0x00, 0x18, 99]).await;
    session.say(&numbered(1)).await;
    assert!(one.until_refused(Refusal::UnknownMessage).await.contains("unknown message kind 99"));
    assert_eq!(one.message().await, numbered(1));
    assert_eq!(one.refused(), [("unknown-message", 1)]);
}

#[tokio::test]
async fn run_ends_with_the_daemon() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let mut one = dc1.start(vec![dc2.as_peer()]).await;
    one.until_down(DownReason::ConnectionRefused).await;
    let (gone, _) = mpsc::channel(1);
    one.outbound = gone;
    let ended = timeout(PATIENCE, &mut one.task).await.expect("ends").expect("no panic");
    assert!(ended.is_ok());
}
