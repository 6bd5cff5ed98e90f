//! Controllers that do not read, and such as say nothing: what they cost is bounded, and nobody
//! else pays for it.

use wamig_userspace::channel::outbox::{PACKET_INS, REPLIES};

use super::*;

/// Long enough for any machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A flow that sends every frame up as a whole.
fn everything_up() -> Message {
    let up = Action::Output { port: PortNo::CONTROLLER, max_len: 0xffff };
    Message::FlowMod(FlowMod::add(TableId(0), 0, Match::any(), Instructions::apply(vec![up]), Cookie(77)))
}

/// A frame that tells the `n`th from the others.
fn frame(n: u32, len: usize) -> Vec<u8> {
    let mut frame = vec![0; len];
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
    frame[14..18].copy_from_slice(&n.to_be_bytes());
    frame
}

fn number(message: &Message) -> u32 {
    let Message::PacketIn(m) = message else { panic!("{message:?}") };
    u32::from_be_bytes(m.data[14..18].try_into().unwrap())
}

/// The line of the session that this end of a connection has.
async fn line(rig: &Rig, client: &Client) -> Option<ControllerLine> {
    let name = client.local().to_string();
    rig.controllers().await.into_iter().find(|c| c.remote.as_deref() == Some(&*name))
}

/// Waits until status says so of the endpoint.
async fn told(rig: &Rig, what: &str) {
    let said = async {
        while !rig.controllers().await.iter().any(|c| c.last_error.as_ref().is_some_and(|e| e.contains(what))) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, said).await.unwrap_or_else(|_| panic!("status never says {what:?}"));
}

#[tokio::test]
async fn who_does_not_read_loses_packet_ins_but_no_reply_and_harms_nobody() {
    const LEN: usize = 60_000;
    let rig = Rig::new("inactivity_probe_s = 0\n").await;
    let mut deaf = Client::connect(rig.port, Version::V13).await;
    let mut other = Client::connect(rig.port, Version::V13).await;
    other.send(2, &everything_up()).await;
    assert_eq!(other.barrier(3).await, []);
    deaf.send(4, &Message::FlowMod(flow(0))).await;

    // Whatever the kernel takes for the deaf one, it is full at last; the other gets every
    // frame, and its flow-mods are in before the next.
    let mut sent = 0;
    let lost = loop {
        sent += 1;
        assert!(sent < 5000, "nothing is ever dropped");
        rig.into.send(arriving(3, &frame(sent, LEN))).await.unwrap();
        let (_, up) = other.next().await.expect("a packet-in");
        assert_eq!(number(&up), sent);
        other.send(5, &Message::FlowMod(flow(sent))).await;
        assert_eq!(other.barrier(6).await, []);
        let line = line(&rig, &deaf).await.expect("it is connected");
        assert!(line.queued_bytes as usize <= PACKET_INS + LEN + 200, "{line:?}");
        if line.dropped_packet_ins >= 10 {
            break line.dropped_packet_ins;
        }
    };
    assert_eq!(line(&rig, &other).await.unwrap().dropped_packet_ins, 0);

    // It asks, and when it reads at last, the answer is there, behind what was not dropped.
    deaf.send(7, &Message::BarrierRequest).await;
    let queued = line(&rig, &deaf).await.unwrap().queued_bytes as usize;
    assert!(queued >= PACKET_INS, "{queued}");
    let heard: Vec<u32> = deaf.barrier(8).await.iter().filter(|(xid, _)| *xid != 7).map(|(_, m)| number(m)).collect();
    let first = heard.len() as u32;
    assert_eq!(heard, (1..=first).collect::<Vec<_>>(), "the oldest, in their order");
    assert_eq!(u64::from(first) + lost, u64::from(sent));
    rig.into.send(arriving(3, &frame(0, LEN))).await.unwrap();
    for c in [&mut deaf, &mut other] {
        assert_eq!(number(&c.next().await.unwrap().1), 0, "as any other again");
    }
    assert_eq!(dump(&mut deaf, 9).await.len() as u32, sent + 2);
    rig.end().await;
}

#[tokio::test]
async fn who_asks_without_reading_is_answered_in_bounds_and_in_full() {
    const FLOWS: u32 = 3000;
    const REQUESTS: u32 = 100;
    let rig = Rig::new("inactivity_probe_s = 0\n").await;
    let mut other = Client::connect(rig.port, Version::V13).await;
    for n in 0..FLOWS {
        other.send(2, &Message::FlowMod(flow(n))).await;
    }
    assert_eq!(other.barrier(3).await, []);
    let mut deaf = Client::connect(rig.port, Version::V13).await;
    let body = MultipartRequest::Flow(FlowStatsRequest::all());
    let request = Message::MultipartRequest { more: false, body };
    let mut all = Vec::new();
    for xid in 0..REQUESTS {
        all.extend_from_slice(&deaf.encoded(xid, &request));
    }
    deaf.raw(&all).await;
    // Served until its queue is full, and no further.
    let full = async {
        loop {
            assert_eq!(other.barrier(4).await, []);
            let queued = line(&rig, &deaf).await.expect("it is connected").queued_bytes as usize;
            // A flow takes less than 200 bytes.
            assert!(queued < REPLIES + FLOWS as usize * 200, "{queued}");
            if queued >= REPLIES {
                break;
            }
        }
    };
    timeout(PATIENCE, full).await.expect("100 times 3000 flows fill its queue");
    for n in 0..100 {
        other.send(5, &Message::FlowMod(flow(FLOWS + n))).await;
        assert_eq!(other.barrier(6).await, [], "the other does not wait for it");
    }
    let mut flows = [0; REQUESTS as usize];
    for xid in 0..REQUESTS {
        loop {
            let Some((got, Message::MultipartReply { more, body: MultipartReply::Flow(page) })) = deaf.next().await
            else {
                panic!("no answer to {xid}")
            };
            assert_eq!(got, xid, "in their order");
            flows[xid as usize] += page.len() as u32;
            if !more {
                break;
            }
        }
    }
    assert!(flows.iter().all(|n| (FLOWS..=FLOWS + 100).contains(n)), "{flows:?}");
    assert_eq!(flows[REQUESTS as usize - 1], FLOWS + 100, "asked long ago, answered as things are now");
    rig.end().await;
}

#[tokio::test]
async fn who_goes_on_asking_without_reading_is_given_up() {
    let rig = Rig::new("inactivity_probe_s = 1\n").await;
    let mut deaf = Client::connect(rig.port, Version::V13).await;
    let echo = deaf.encoded(9, &Message::EchoRequest(Bytes::from(vec![7; 60_000])));
    // Until the connection is over.
    let asking = tokio::spawn(async move { while deaf.try_raw(&echo).await.is_ok() {} });
    let mut other = Client::connect(rig.port, Version::V13).await;
    let asked = async {
        while !asking.is_finished() {
            assert!(other.barrier(2).await.iter().all(|(_, m)| matches!(m, Message::EchoRequest(_))));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, asked).await.expect("it is given up");
    told(&rig, "does not read").await;
    other.barrier(3).await;
    rig.end().await;
}

#[tokio::test]
async fn who_says_nothing_has_a_place_until_the_hello_is_due() {
    let rig = Rig::new("inactivity_probe_s = 0\nmax_connections = 1\n").await;
    let mut silent = Client::silent(rig.port, Version::V13).await;
    assert!(matches!(silent.next().await, Some((_, Message::Hello(_)))));
    // As long as it has it, nobody else comes in.
    let mut refused = Client::silent(rig.port, Version::V13).await;
    assert_eq!(refused.next().await, None);
    told(&rig, "1 (max_connections) are open").await;
    assert_eq!(silent.next().await, None, "no hello in time");
    told(&rig, "no hello in time").await;
    let mut c = loop {
        let mut c = Client::silent(rig.port, Version::V13).await;
        if c.next().await.is_some() {
            break c;
        }
    };
    c.send(1, &Message::Hello(Hello::ours())).await;
    assert_eq!(c.barrier(2).await, []);
    rig.end().await;
}
