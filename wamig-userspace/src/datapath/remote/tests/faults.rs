//! A switch that does wrong: half a batch, refusals that come late, fragments that are damaged.

use wamig_openflow::Field;

use super::*;

/// A switch in whose flows there may be half a batch, and what the controller holds for wanted
/// when it is connected again.
async fn connected_again(remote: &mut Remote, address: std::net::SocketAddr, left: Vec<FlowMod>) {
    let Some(Event::Down(_)) = remote.next_event().await else { panic!("not told") };
    assert!(remote.status().last_error.is_some() && remote.status().remote.is_none());
    let mut again = Scripted::connect(address, 7).await;
    again.flows = left;
    let playing = play(again, |s| !s.packet_outs.is_empty());
    assert!(matches!(remote.next_event().await, Some(Event::Up(_))));
    assert_eq!(remote.status().last_error, None);
    remote.send(vec![flow(45, 1, 1), flow(46, 1, 2)], Instant::now()).await.unwrap();
    mark(remote);
    let (switch, _) = playing.await.unwrap();
    let mut left: Vec<_> = switch.flows.iter().map(|f| f.priority).collect();
    left.sort_unstable();
    assert_eq!(left, [45, 46], "all of the new batch, and nothing of the half that was there");
}

#[tokio::test]
async fn half_a_batch_is_never_taken_for_the_whole() {
    for fault in [
        Fault::ForgetsBarriers("priority=45"),
        Fault::Cuts("priority=45"),
        Fault::RefusesForGood("priority=45"),
        // After the batch's second barrier it is over for the controller.
        Fault::RefusesLate("priority=45", 2),
    ] {
        let (mut remote, address) = remote().await;
        let mut switch = Scripted::connect(address, 7).await;
        (switch.bundles, switch.fault) = (false, fault);
        let playing = play(switch, |_| false);
        assert!(matches!(remote.next_event().await, Some(Event::Up(_))));
        remote.patience = Duration::from_secs(2);
        let answer = remote.send(vec![flow(44, 1, 2), flow(45, 1, 2)], Instant::now()).await;
        match fault {
            Fault::RefusesLate(..) => assert_eq!(answer, Ok(()), "{fault:?}: nobody can know yet"),
            _ => assert!(matches!(answer, Err(DatapathError::Down(_))), "{fault:?}: {answer:?}"),
        }
        let waiting = async {
            while remote.status().remote.is_some() {
                let event = tokio::time::timeout(Duration::from_millis(50), remote.channel.recv()).await;
                if let Ok(Some(event)) = event {
                    remote.on_channel(event);
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("the session ends");
        let (switch, _) = playing.await.unwrap();
        assert!(switch.flows.iter().any(|f| f.priority == 44), "{fault:?}: half of it is there");
        connected_again(&mut remote, address, switch.flows).await;
    }
}

#[tokio::test]
async fn a_refusal_between_the_barriers_is_taken_back() {
    let (mut remote, address) = remote().await;
    let mut switch = Scripted::connect(address, 7).await;
    (switch.bundles, switch.fault) = (false, Fault::RefusesLate("priority=45", 1));
    let playing = play(switch, |s| !s.packet_outs.is_empty());
    assert!(matches!(remote.next_event().await, Some(Event::Up(_))));
    let refused = remote.send(vec![flow(44, 1, 2), flow(45, 1, 2)], Instant::now()).await.unwrap_err();
    assert!(matches!(&refused, DatapathError::Refused(e) if e.kind == ErrorKind::FlowModTableFull), "{refused}");
    let told = remote.status().refused.expect("status tells of it");
    assert!(told.times == 1 && told.why.contains("priority=45"), "{told:?}");
    mark(&mut remote);
    assert_eq!(playing.await.unwrap().0.listed(), [] as [String; 0]);
}

#[tokio::test]
async fn a_slow_switch_is_waited_for() {
    for bundles in [true, false] {
        let (mut remote, address) = remote().await;
        let mut switch = Scripted::connect(address, 7).await;
        (switch.bundles, switch.fault) = (bundles, Fault::Slow(Duration::from_millis(200)));
        let playing = play(switch, |s| !s.packet_outs.is_empty());
        assert!(matches!(remote.next_event().await, Some(Event::Up(_))));
        remote.send(vec![flow(44, 1, 2), flow(45, 1, 2)], Instant::now()).await.unwrap();
        mark(&mut remote);
        assert_eq!(playing.await.unwrap().0.flows.len(), 2);
    }
}

/// What the switch has been told before is done once it sends this.
pub(super) fn mark(remote: &mut Remote) {
    let (data, actions) = (bytes::Bytes::from_static(&[0; 60]), vec![Action::output(PortNo(2))]);
    remote.emit(PacketOut { buffer_id: None, in_port: PortNo::CONTROLLER, actions, data }).unwrap();
}

#[tokio::test]
async fn later_fragments_go_round_a_switch_that_damages_them() {
    let (mut remote, address) = remote().await;
    let mut switch = Scripted::connect(address, 7).await;
    switch.damages = true;
    let playing = play(switch, |s| !s.packet_outs.is_empty());
    assert!(matches!(remote.next_event().await, Some(Event::Up(_))));
    assert_eq!(remote.status().fragments, Some(Verdict::Damages));
    let [s, t] = [[192, 0, 2, 255], [198, 51, 100, 200]].map(std::net::Ipv4Addr::from);
    let write = Instructions::apply(vec![Action::set_ip(Field::Ipv4Dst, t), Action::output(PortNo(2))]);
    let matching = Match::any().ipv4().ip(Field::Ipv4Dst, s);
    let moved = FlowMod::add(TableId(0), 50000, matching, write, OURS);
    remote.send(vec![moved], Instant::now()).await.unwrap();
    mark(&mut remote);
    let (mut switch, _) = playing.await.unwrap();
    assert_eq!(switch.flows.len(), 3, "{:?}", switch.listed());
    let [trial, _] = fragment::Trial::messages();
    let m = PacketIn {
        buffer_id: None,
        reason: PacketInReason::Action,
        table: TableId(0),
        cookie: fragment::COOKIE,
        in_port: PortNo(11),
        metadata: 0,
        tunnel_id: 0,
        total_len: trial.data.len() as u16,
        data: trial.data.clone(),
    };
    switch.say(Xid(0), Message::PacketIn(m)).await;
    let playing = play(switch, |s| s.packet_outs.len() == 2);
    let nothing = tokio::time::timeout(Duration::from_secs(2), remote.next_event()).await;
    assert!(nothing.is_err(), "the migration never hears of it: {nothing:?}");
    let out = playing.await.unwrap().0.packet_outs.remove(1);
    assert_eq!((out.in_port, out.actions), (PortNo(11), vec![Action::output(PortNo(12))]));
    assert_eq!(out.data[30..34], t.octets());
    assert_eq!(out.data[34..], trial.data[34..], "its payload is what it was");
    assert_eq!(remote.status().fragments_detoured, 1);
}
