//! A narrow switch that is played by the test.

use bytes::Bytes;
use wamig_openflow::{Cookie, Field, Instructions, MacAddr, Match, Message, PacketInReason, TableId, Xid};

use super::*;
use crate::datapath::remote::tests::{Scripted, play, remote_by};
use crate::migration::cookie;

const OURS: Cookie = Cookie(cookie::SPACE | 1);
const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

fn flow(table: u8, priority: u16, matching: Match, instructions: Instructions) -> FlowMod {
    FlowMod::add(TableId(table), priority, matching, instructions, OURS)
}

/// A frame from A to B.
fn frame() -> Bytes {
    [&B.0[..], &A.0[..], &[8, 0], &[0; 46]].concat().into()
}

fn to(port: u32) -> Instructions {
    Instructions::apply(vec![Action::output(PortNo(port))])
}

/// A frame that comes from the switch's port 11.
async fn comes(switch: &mut Scripted) {
    let m = PacketIn {
        buffer_id: None,
        reason: PacketInReason::Action,
        table: TableId(0),
        cookie: OURS,
        in_port: PortNo(11),
        metadata: 0,
        tunnel_id: 0,
        total_len: 60,
        data: frame(),
    };
    switch.say(Xid(0), Message::PacketIn(m)).await;
}

/// Serves the switch until it has been told to send another frame.
fn until_a_frame(switch: Scripted) -> tokio::task::JoinHandle<(Scripted, bool)> {
    let sent = switch.packet_outs.len();
    play(switch, move |s| s.packet_outs.len() > sent)
}

/// What the switch has been told before is done once it sends this.
async fn mark(narrow: &mut Narrow) {
    let actions = vec![Action::output(PortNo(2))];
    let out = PacketOut { buffer_id: None, in_port: PortNo::CONTROLLER, actions, data: Bytes::from_static(&[0; 60]) };
    narrow.packet_out(out, Instant::now()).await.unwrap();
}

fn shortcuts(switch: &Scripted) -> Vec<String> {
    switch.flows.iter().filter(|f| f.cookie == shortcut::COOKIE).map(|f| f.matching.to_string()).collect()
}

#[tokio::test]
async fn a_frame_is_sent_and_the_next_are_the_switchs_until_a_batch_is_refused() {
    let (remote, address) = remote_by(Profile::Of13).await;
    let mut narrow = Narrow::new(remote, Profile::Of13);
    let mut switch = Scripted::connect(address, 7).await;
    switch.refuses = Some("priority=5,");
    let playing = until_a_frame(switch);
    assert!(matches!(narrow.next_event().await, Some(Event::Up(_))));
    let known = Match::any().mac(Field::EthDst, B);
    let batch = vec![flow(0, 0, Match::any(), Instructions::goto(TableId(1))), flow(1, 10, known.clone(), to(2))];
    narrow.send(batch, Instant::now()).await.unwrap();
    mark(&mut narrow).await;
    let (mut switch, _) = playing.await.unwrap();
    assert_eq!(switch.flows.len(), 1, "{:?}", switch.flows);

    // The frame comes up, is sent by the image, and its like are the switch's from then on.
    comes(&mut switch).await;
    let playing = until_a_frame(switch);
    let (switch, _) = tokio::select! {
        told = narrow.next_event() => panic!("{told:?}"),
        played = playing => played.unwrap(),
    };
    let out = switch.packet_outs.last().unwrap();
    assert_eq!((&out.data, &out.actions[..]), (&frame(), &[Action::output(PortNo(12))][..]));
    let playing = until_a_frame(switch);
    mark(&mut narrow).await;
    let (switch, _) = playing.await.unwrap();
    assert_eq!(shortcuts(&switch), ["in_port=11,eth_dst=02:00:00:00:00:02,eth_src=02:00:00:00:00:01"]);

    // A batch that takes away what the shortcut does is refused for something else: the frames
    // come up again, and nothing that is forgotten stays on the switch.
    let playing = until_a_frame(switch);
    let gone = FlowMod::delete_strict(TableId(1), 10, known.clone());
    let refused = narrow.send(vec![gone.clone(), flow(0, 5, Match::any().in_port(PortNo(1)), to(2))], Instant::now());
    assert!(matches!(refused.await, Err(DatapathError::Refused(_))));
    assert_eq!(narrow.dump_flows(Instant::now()).await.unwrap().len(), 2, "the flows are as before");
    mark(&mut narrow).await;
    let (mut switch, _) = playing.await.unwrap();
    assert_eq!(shortcuts(&switch), [] as [String; 0]);

    // And a shortcut that is made anew ends with the flow that it stands for.
    comes(&mut switch).await;
    let playing = until_a_frame(switch);
    let (switch, _) = tokio::select! {
        told = narrow.next_event() => panic!("{told:?}"),
        played = playing => played.unwrap(),
    };
    let playing = until_a_frame(switch);
    mark(&mut narrow).await;
    let (switch, _) = playing.await.unwrap();
    assert_eq!(shortcuts(&switch).len(), 1);
    let playing = until_a_frame(switch);
    narrow.send(vec![gone], Instant::now()).await.unwrap();
    mark(&mut narrow).await;
    let (switch, _) = playing.await.unwrap();
    assert_eq!(shortcuts(&switch), [] as [String; 0]);
}
