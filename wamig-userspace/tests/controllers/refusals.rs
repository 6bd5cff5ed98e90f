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

/// 1.0 has no number for a match that does not fit the action; `OFPBAC_BAD_ARGUMENT` is next.
#[tokio::test]
async fn network_actions_of_the_old_version_need_their_type_in_the_match() {
    let rig = Rig::new("").await;
    let mut c = Client::connect(rig.port, Version::V10).await;
    let ipv4 = || Match::any().with(Field::EthType, 0x0800);
    for field in [Field::Ipv4Src, Field::Ipv4Dst, Field::IpDscp] {
        let edit = Action::set(field, 1);
        assert_eq!(c.refused(2, &does(vec![edit.clone()], Match::any())).await, ErrorKind::BadActionBadArgument);
        c.send(3, &does(vec![edit], ipv4())).await;
        assert_eq!(c.barrier(4).await, []);
    }
    // These need nothing in the match.
    for edit in [Action::PopVlan, Action::SetTpSrc(1), Action::SetTpDst(1)] {
        c.send(5, &does(vec![edit], Match::any())).await;
        assert_eq!(c.barrier(6).await, []);
    }
    rig.end().await;
}
