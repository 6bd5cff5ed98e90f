//! Marks that are not the usual ones, and one of several switches.

use wamig_openflow::Field;

use super::faults::mark;
use super::*;

/// The same for one of several switches, with these marks.
async fn remote_under(marks: Marks) -> (Remote, std::net::SocketAddr) {
    let (mut remote, address) = remote().await;
    (remote.settings.marks, remote.settings.has_links) = (marks, true);
    (remote, address)
}

#[tokio::test]
async fn under_other_marks_the_controller_names_its_flows_as_ever() {
    let marks = Marks::new(0xa001, 0xa002, 0xa003, 20_000);
    let (mut remote, address) = remote_under(marks).await;
    let mut switch = Scripted::connect(address, 7).await;
    (switch.marks, switch.damages) = (marks, true);
    let theirs = flow(50_000, 11, 12);
    let old = FlowMod { cookie: marks.cookie_out(OURS), ..flow(7, 12, 11) };
    switch.flows = vec![theirs.clone(), old];
    let playing = play(switch, |s| !s.packet_outs.is_empty());
    assert!(matches!(remote.next_event().await, Some(Event::Up(_))));
    let [s, t] = [[192, 0, 2, 53], [198, 51, 100, 200]].map(std::net::Ipv4Addr::from);
    let write = Instructions::apply(vec![Action::set_ip(Field::Ipv4Dst, t)]);
    let matching = Match::any().ipv4().ip(Field::Ipv4Dst, s);
    let moved = FlowMod::add(TableId(0), 50_100, matching, write, OURS);
    remote.send(vec![flow(50_000, 1, 2), moved], Instant::now()).await.unwrap();
    let seen = remote.dump_flows(Instant::now()).await.unwrap();
    let mut named: Vec<_> = seen.iter().map(|f| (f.priority, f.cookie)).collect();
    named.sort_unstable();
    let detour = (50_101, fragment::COOKIE);
    assert_eq!(named, [(50_000, OURS), (50_100, OURS), detour, detour]);
    mark(&mut remote);
    let (mut switch, _) = playing.await.unwrap();
    let mut there: Vec<_> = switch.flows.iter().map(|f| (f.priority, f.cookie)).collect();
    there.sort_unstable();
    let [ours, detour] = [OURS, fragment::COOKIE].map(|c| Cookie(c.0 & !(0xffff << 48) | 0xa001 << 48));
    assert_eq!(there, [(21_000, ours), (21_100, ours), (21_101, detour), (21_101, detour), (50_000, theirs.cookie)]);
    for cookie in [OURS, ours] {
        let m = PacketIn {
            buffer_id: None,
            reason: PacketInReason::Action,
            table: TableId(0),
            cookie,
            in_port: PortNo(12),
            metadata: 0,
            tunnel_id: 0,
            total_len: 3,
            data: bytes::Bytes::from_static(b"arp"),
        };
        switch.say(Xid(0), Message::PacketIn(m)).await;
    }
    let Some(Event::PacketIn(m)) = remote.next_event().await else { panic!("no frame") };
    assert_eq!((m.cookie, m.in_port), (OURS, PortNo(2)), "that of the other controller's flow is not told");
    let gone = switch.flows.iter().find(|f| f.priority == 21_000).unwrap();
    let removed = FlowRemoved { reason: FlowRemovedReason::IdleTimeout, stats: described(gone) };
    switch.say(Xid(0), Message::FlowRemoved(removed)).await;
    let Some(Event::FlowRemoved(m)) = remote.next_event().await else { panic!("not told") };
    assert_eq!(
        (m.stats.cookie, m.stats.priority, m.stats.matching.to_string()),
        (OURS, 50_000, "in_port=1".to_owned())
    );
}

#[tokio::test]
async fn one_of_several_switches_tries_the_tags_of_its_links() {
    let (mut remote, address) = remote_under(Marks::default()).await;
    let mut switch = Scripted::connect(address, 7).await;
    (switch.bundles, switch.refuses) = (false, Some("push_vlan"));
    let playing = play(switch, |_| false);
    let Some(Event::Down(why)) = remote.next_event().await else { panic!("it is taken") };
    assert!(why.contains("push_vlan") && why.contains("no other profile is for several switches"), "{why}");
    assert!(!playing.await.unwrap().1);
}
