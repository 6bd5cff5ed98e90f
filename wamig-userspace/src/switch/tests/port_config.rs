//! Port-mods, fragments and what they do to frames on both paths.

use wamig_openflow::message::{Fragments, PortConfig, PortMod, SwitchConfig, TableMod};
use wamig_openflow::{ErrorKind, PacketInReason};

use super::*;
use crate::switch::fixtures::udp;

impl Rig {
    fn port_mod(&mut self, n: u32, config: PortConfig, mask: PortConfig) -> std::result::Result<Vec<Event>, OfpError> {
        self.switch.port_mod(&PortMod { port: PortNo(n), mac: port(n).mac, config, mask, advertise: 0 })
    }

    /// Sets the flags and clears all others.
    fn set(&mut self, n: u32, config: PortConfig) {
        self.port_mod(n, config, PortConfig::from_bits(u32::MAX)).unwrap();
    }

    /// Ports that the fast path floods to, as a set.
    fn sets(&self) -> [Vec<u32>; 2] {
        let maps = self.switch.fast.maps();
        [crate::fastpath::writer::SET_ALL, SET_FLOOD].map(|set| maps.port_sets[&set].clone())
    }

    fn drops(&mut self, name: &str) -> u64 {
        let drops = self.switch.fast.reasons().drops;
        drops.iter().find(|(n, _)| *n == name).map_or(0, |(_, n)| *n)
    }
}

const NONE: PortConfig = PortConfig {
    down: false,
    no_stp: false,
    no_recv: false,
    no_recv_stp: false,
    no_flood: false,
    no_fwd: false,
    no_packet_in: false,
};

#[test]
fn a_port_mod_changes_the_flags_of_its_mask_and_is_told() {
    let mut rig = Rig::new();
    let (recv, fwd) = (PortConfig { no_recv: true, ..NONE }, PortConfig { no_fwd: true, ..NONE });
    let told = rig.port_mod(1, recv, recv).unwrap();
    assert!(matches!(&told[..], [Event::PortStatus(s)] if s.desc.config == recv), "{told:?}");
    let told = rig.port_mod(1, fwd, PortConfig { no_flood: true, ..fwd }).unwrap();
    assert!(matches!(&told[..], [Event::PortStatus(s)] if s.desc.config == PortConfig { no_recv: true, ..fwd }));
    assert_eq!(rig.port_mod(1, fwd, fwd), Ok(vec![]), "nothing new");
}

#[test]
fn a_port_mod_names_an_existing_port_by_its_address() {
    let mut rig = Rig::new();
    assert_eq!(rig.port_mod(9, NONE, NONE).unwrap_err().kind, ErrorKind::PortModBadPort);
    let mut m = PortMod { port: PortNo(1), mac: port(2).mac, config: NONE, mask: NONE, advertise: 0 };
    assert_eq!(rig.switch.port_mod(&m).unwrap_err().kind, ErrorKind::PortModBadHwAddr);
    (m.mac, m.advertise) = (port(1).mac, 0x20);
    assert_eq!(rig.switch.port_mod(&m).unwrap_err().kind, ErrorKind::PortModBadAdvertise);
}

#[test]
fn a_port_that_receives_nothing_drops_what_comes() {
    let mut rig = Rig::new();
    rig.add(0, 1, Match::any(), apply(&[out(2)]));
    let frame = udp([10, 0, 0, 9], 64);
    assert_eq!(ports(&rig.frame(1, &frame)), [2]);
    rig.set(1, PortConfig { no_recv: true, ..NONE });
    assert_eq!(ports(&rig.frame(1, &frame)), [0u32; 0]);
    assert_eq!(rig.drops("port-no-receive"), 1);
    assert_eq!(ports(&rig.frame(3, &frame)), [2]);
    rig.set(1, NONE);
    assert_eq!(ports(&rig.frame(1, &frame)), [2]);
}

#[test]
fn spanning_tree_frames_have_a_flag_of_their_own() {
    let mut rig = Rig::new();
    rig.add(0, 1, Match::any(), apply(&[out(2)]));
    rig.set(1, PortConfig { no_recv_stp: true, ..NONE });
    let mut frame = udp([10, 0, 0, 9], 64);
    assert_eq!(ports(&rig.frame(1, &frame)), [2]);
    frame[..6].copy_from_slice(&[1, 0x80, 0xc2, 0, 0, 0]);
    assert_eq!(ports(&rig.frame(1, &frame)), [0u32; 0]);
}

#[test]
fn floods_leave_out_what_does_not_forward_and_what_is_not_flooded() {
    let mut rig = Rig::new();
    let fast = |n: u32| crate::fastpath::FastPort { port: PortNo(n), name: format!("p{n}"), ifindex: n };
    rig.switch.fast.set_ports(&[fast(1), fast(2), fast(3)]).unwrap();
    rig.set(2, PortConfig { no_flood: true, ..NONE });
    assert_eq!(rig.sets(), [vec![1, 2, 3], vec![1, 3]]);
    rig.set(3, PortConfig { no_fwd: true, ..NONE });
    let mut to = |port| {
        let out = PacketOut {
            buffer_id: None,
            in_port: PortNo(1),
            actions: vec![Action::output(port)],
            data: udp([10, 0, 0, 9], 64).into(),
        };
        ports(&split(rig.switch.packet_out(&out, rig.now).unwrap()))
    };
    assert_eq!(to(PortNo::FLOOD), [PortNo::LOCAL.0]);
    assert_eq!(to(PortNo::ALL), [2, PortNo::LOCAL.0]);
    assert_eq!(to(PortNo(3)), [0u32; 0]);
    rig.set(1, PortConfig { no_fwd: true, ..NONE });
    let hairpin = PacketOut {
        buffer_id: None,
        in_port: PortNo(1),
        actions: vec![Action::output(PortNo::IN_PORT)],
        data: udp([10, 0, 0, 9], 64).into(),
    };
    assert_eq!(rig.switch.packet_out(&hairpin, rig.now), Ok(vec![]));
}

#[test]
fn a_port_down_takes_its_interface_down_and_up_again() {
    let mut rig = Rig::new();
    let down = PortConfig { down: true, ..NONE };
    rig.port_mod(2, down, down).unwrap();
    rig.port_mod(2, NONE, down).unwrap();
    assert_eq!(rig.switch.fast.maps().links, [(2, false), (2, true)]);
}

#[test]
fn a_port_can_be_kept_from_telling_of_misses_only() {
    let mut rig = Rig::new();
    rig.add(0, 0, Match::any(), apply(&[out(2), Action::controller(), out(2)]));
    rig.add(0, 5, Match::any().arp(), apply(&[out(2), Action::controller(), out(2)]));
    rig.set(1, PortConfig { no_packet_in: true, ..NONE });
    let (_, told) = rig.frame(1, &udp([10, 0, 0, 9], 64));
    assert_eq!((told.len(), rig.switch.slow_counters().silent), (0, 1));
    let (_, told) = rig.frame(1, &crate::switch::fixtures::arp_request([10, 0, 0, 9]));
    assert_eq!(told.iter().map(|p| p.reason).collect::<Vec<_>>(), [PacketInReason::Action]);
    let (_, told) = rig.frame(3, &udp([10, 0, 0, 9], 64));
    assert_eq!(told[0].reason, PacketInReason::NoMatch);
}

#[test]
fn fragments_pass_until_the_switch_is_told_to_drop_them() {
    let mut rig = Rig::new();
    rig.add(0, 1, Match::any(), apply(&[out(2)]));
    let mut fragment = udp([10, 0, 0, 9], 64);
    fragment[20] = 0x20;
    assert_eq!(ports(&rig.frame(1, &fragment)), [2]);
    let config = |fragments| SwitchConfig { fragments, miss_send_len: 64 };
    rig.switch.set_config(config(Fragments::Drop)).unwrap();
    assert_eq!(ports(&rig.frame(1, &fragment)), [0u32; 0]);
    assert_eq!(ports(&rig.slow(PortNo(1), &fragment)), [0u32; 0]);
    assert_eq!(ports(&rig.frame(1, &udp([10, 0, 0, 9], 64))), [2]);
    assert_eq!(rig.drops("fragment"), 1);
    let refused = rig.switch.set_config(config(Fragments::Reassemble));
    assert_eq!(refused.unwrap_err().kind, ErrorKind::SwitchConfigBadFlags);
    assert_eq!(rig.switch.config(), config(Fragments::Drop));
    rig.switch.set_config(config(Fragments::Normal)).unwrap();
    assert_eq!(ports(&rig.frame(1, &fragment)), [2]);
}

#[test]
fn a_frame_that_nobody_asked_for_comes_as_long_as_the_switch_is_told() {
    let mut rig = Rig::new();
    rig.add(0, 1, Match::any().ipv4(), apply(&[Action::DecNwTtl, out(2)]));
    let frame = udp([10, 0, 0, 9], 1);
    rig.switch.set_config(SwitchConfig { miss_send_len: 20, ..rig.switch.config() }).unwrap();
    let (_, told) = rig.frame(1, &frame);
    assert_eq!((told[0].data.len(), told[0].total_len as usize), (20, frame.len()));
    rig.switch.set_config(SwitchConfig { miss_send_len: 0xffff, ..rig.switch.config() }).unwrap();
    let (_, told) = rig.frame(1, &frame);
    assert_eq!(told[0].data, frame);
}

#[test]
fn a_table_mod_changes_nothing_and_is_checked() {
    let rig = Rig::new();
    let kind = |table, config| rig.switch.table_mod(TableMod { table: TableId(table), config }).map_err(|e| e.kind);
    assert_eq!(kind(0xff, 3), Ok(()));
    assert_eq!(kind(16, 0), Err(ErrorKind::TableModBadTable));
    assert_eq!(kind(0, 4), Err(ErrorKind::TableModBadConfig));
}

#[test]
fn a_batch_configures_ports_with_its_flows_or_not_at_all() {
    let mut rig = Rig::new();
    let down = PortConfig { down: true, ..NONE };
    let set = |n, config| PortMod { port: PortNo(n), mac: port(n).mac, config, mask: down, advertise: 0 };
    let flow = || Modification::Flow(add(0, 1, Match::any(), apply(&[out(2)])));
    let table = |config| Modification::Table(TableMod { table: TableId(0), config });
    let refused = rig.switch.apply(vec![set(1, down).into(), flow(), table(8)], rig.now).unwrap_err();
    assert_eq!((refused.index, refused.error.kind), (2, ErrorKind::TableModBadConfig));
    let refused = rig.switch.apply(vec![flow(), set(1, down).into(), set(7, down).into()], rig.now).unwrap_err();
    assert_eq!((refused.index, refused.error.kind), (2, ErrorKind::PortModBadPort));
    assert!(rig.switch.fast.maps().links.is_empty() && rig.switch.tables().is_empty());

    let events = rig.switch.apply(vec![flow(), set(1, down).into(), table(3)], rig.now).unwrap();
    assert!(matches!(&events[..], [Event::PortStatus(s)] if s.desc.config == down), "{events:?}");
    assert_eq!((rig.switch.fast.maps().links.as_slice(), rig.switch.tables().len()), (&[(1, false)][..], 1));

    let each = vec![set(7, down).into(), set(1, NONE).into(), table(8)];
    let applied = rig.switch.apply_each(each, rig.now);
    assert_eq!(applied.verdicts.iter().map(std::result::Result::is_ok).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!((applied.events.len(), rig.switch.fast.maps().links.len()), (1, 2));
}

#[test]
fn what_a_refused_batch_did_to_ports_is_undone() {
    let maps = MemoryMaps::with_capacity(Capacity { flows: 2, lists: 64, subtables: 64, port_sets: 64 });
    let mut rig = Rig::with(maps, Limits::default());
    let down = PortConfig { down: true, ..NONE };
    let port_mod = PortMod { port: PortNo(1), mac: port(1).mac, config: down, mask: down, advertise: 0 };
    let flow = |n: u32| Modification::Flow(add(0, 1, Match::any().in_port(PortNo(n)), apply(&[out(2)])));
    let refused = rig.switch.apply(vec![port_mod.into(), flow(1), flow(2), flow(3)], rig.now).unwrap_err();
    assert_eq!(refused.error.kind, ErrorKind::FlowModTableFull);
    assert_eq!(rig.switch.fast.maps().links, [(1, false), (1, true)]);
    assert!(rig.switch.ports().forwards(PortNo(1)) && rig.switch.tables().is_empty());
}
