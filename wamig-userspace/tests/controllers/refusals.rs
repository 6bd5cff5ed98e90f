//! Actions that the switch refuses, and under which numbers each version is told so.

use super::*;

fn does(actions: Vec<Action>, matching: Match) -> Message {
    Message::FlowMod(FlowMod::add(TableId(0), 7, matching, Instructions::apply(actions), Cookie(1)))
}

/// There are no queues: whoever names one is told which part is wrong (OpenFlow 1.3.5 §7.4.4.3,
/// 1.0 §5.4.4).
#[tokio::test]
async fn a_queue_that_is_not_there_is_refused_as_a_queue() {
    let rig = Rig::new("").await;
    let out = Action::output(PortNo(2));
    for (version, queue) in
        [(Version::V13, Action::SetQueue(1)), (Version::V10, Action::Enqueue { port: PortNo(2), queue: 1 })]
    {
        let mut c = Client::connect(rig.port, version).await;
        let flow = does(vec![queue.clone(), out.clone()], Match::any());
        assert_eq!(c.refused(2, &flow).await, ErrorKind::BadActionBadQueue);
        let data = Bytes::from_static(&[0; 60]);
        let once = PacketOut { buffer_id: None, in_port: PortNo::CONTROLLER, actions: vec![queue], data };
        assert_eq!(c.refused(3, &Message::PacketOut(once)).await, ErrorKind::BadActionBadQueue);
        assert_eq!(c.barrier(4).await, []);
        assert_eq!(dump(&mut c, 5).await, []);
    }
    rig.end().await;
}

#[tokio::test]
async fn no_action_of_the_old_version_needs_a_match() {
    let rig = Rig::new("").await;
    let mut c = Client::connect(rig.port, Version::V10).await;
    let network = [Field::Ipv4Src, Field::Ipv4Dst, Field::IpDscp].map(|field| Action::set(field, 1));
    for edit in [Action::PopVlan, Action::SetTpSrc(1), Action::SetTpDst(1)].into_iter().chain(network) {
        c.send(5, &does(vec![edit], Match::any())).await;
        assert_eq!(c.barrier(6).await, []);
    }
    rig.end().await;
}
