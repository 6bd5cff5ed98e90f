//! What the switch answers about itself.

use wamig_openflow::message::{
    AggregateStats, FeatureField, FlowStatsRequest, MultipartReply, MultipartRequest, PortStats, TableProperty,
};
use wamig_openflow::{ErrorKind, Field, GroupId};

use super::*;
use crate::fastpath::InterfaceCounters;
use crate::switch::fixtures::{arp_request, udp};
use crate::switch::table_features;

impl Rig {
    fn ask(&mut self, request: MultipartRequest) -> std::result::Result<MultipartReply, OfpError> {
        self.switch.multipart(request, self.now)
    }

    fn flows(&mut self, request: FlowStatsRequest) -> Vec<u64> {
        match self.ask(MultipartRequest::Flow(request)) {
            Ok(MultipartReply::Flow(flows)) => flows.iter().map(|f| f.cookie.0).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn aggregate(&mut self, request: FlowStatsRequest) -> AggregateStats {
        match self.ask(MultipartRequest::Aggregate(request)) {
            Ok(MultipartReply::Aggregate(sum)) => sum,
            other => panic!("{other:?}"),
        }
    }
}

/// Flows with cookies 1 to 4; the frames of the first two were seen.
fn rig() -> Rig {
    let mut rig = Rig::new();
    let ip = |n: u8| Match::any().ipv4().ip(Field::Ipv4Dst, [10, 0, 0, n]);
    rig.add(0, 1, Match::any(), Instructions::goto(TableId(1)));
    rig.add(0, 4, ip(9), apply(&[out(2)]).then_goto(TableId(1)));
    rig.add(1, 2, ip(9), apply(&[out(3)]));
    rig.add(1, 3, ip(8), apply(&[out(2)]));
    rig.frame(1, &udp([10, 0, 0, 9], 64));
    rig.frame(1, &udp([10, 0, 0, 9], 64));
    rig.frame(1, &arp_request([10, 0, 0, 9]));
    rig
}

#[test]
fn every_filter_of_a_flow_request_narrows_it() {
    let mut rig = rig();
    let all = FlowStatsRequest::all;
    assert_eq!(rig.flows(all()), [4, 1, 3, 2]);
    assert_eq!(rig.flows(FlowStatsRequest { table: TableId(1), ..all() }), [3, 2]);
    assert_eq!(rig.flows(FlowStatsRequest { out_port: PortNo(2), ..all() }), [4, 3]);
    assert_eq!(rig.flows(FlowStatsRequest { out_group: GroupId(1), ..all() }), [0u64; 0]);
    assert_eq!(rig.flows(FlowStatsRequest { cookie: Cookie(1), cookie_mask: 1, ..all() }), [1, 3]);
    assert_eq!(rig.flows(FlowStatsRequest { matching: Match::any().ipv4(), ..all() }), [4, 3, 2]);
    let refused = rig.ask(MultipartRequest::Flow(FlowStatsRequest { table: TableId(16), ..all() }));
    assert_eq!(refused.unwrap_err().kind, ErrorKind::BadRequestBadTableId);
}

#[test]
fn an_aggregate_is_the_sum_over_its_flows() {
    let mut rig = rig();
    let len = udp([10, 0, 0, 9], 64).len() as u64;
    let out = FlowStatsRequest { out_port: PortNo(2), ..FlowStatsRequest::all() };
    assert_eq!(rig.aggregate(out), AggregateStats { packets: 2, bytes: 2 * len, flows: 2 });
    let arp = arp_request([10, 0, 0, 9]).len() as u64;
    let all = AggregateStats { packets: 2 + 1 + 2, bytes: 4 * len + arp, flows: 4 };
    assert_eq!(rig.aggregate(FlowStatsRequest::all()), all);
}

#[test]
fn a_lookup_either_matches_or_misses() {
    let mut rig = rig();
    let Ok(MultipartReply::Table(tables)) = rig.ask(MultipartRequest::Table) else { panic!() };
    let of = |t: usize| (tables[t].active, tables[t].lookups, tables[t].matched);
    assert_eq!((of(0), of(1), of(2)), ((2, 3, 3), (2, 3, 2), (0, 0, 0)));
    assert_eq!((tables.len(), tables[1].name.as_str()), (16, "table1"));
}

#[test]
fn ports_tell_what_came_and_how_old_they_are() {
    let mut rig = rig();
    let Ok(MultipartReply::PortStats(stats)) = rig.ask(MultipartRequest::PortStats(PortNo::ANY)) else { panic!() };
    let counted: Vec<_> = stats.iter().map(|s| (s.port.0, s.rx_packets, s.rx_dropped)).collect();
    assert_eq!(counted, [(1, 3, 1), (2, 0, 0), (3, 0, 0), (PortNo::LOCAL.0, 0, 0)]);
    assert_eq!((stats[0].rx_errors, stats[0].collisions), (u64::MAX, u64::MAX), "nobody counts them");
    let Ok(MultipartReply::PortStats(one)) = rig.ask(MultipartRequest::PortStats(PortNo(1))) else { panic!() };
    assert_eq!(one, stats[..1]);
    let unknown = rig.ask(MultipartRequest::PortStats(PortNo(9)));
    assert_eq!(unknown.unwrap_err().kind, ErrorKind::BadRequestBadPort);
    rig.switch.port_changed(PortChange::Present(port(9)), rig.now);
    rig.pass(7);
    let Ok(MultipartReply::PortStats(one)) = rig.ask(MultipartRequest::PortStats(PortNo(9))) else { panic!() };
    assert_eq!(one[0].duration, Duration::from_secs(7));
}

/// The interface counts every frame, also those of floods, and what is wrong with them.
#[test]
fn a_port_with_an_interface_tells_what_that_has_counted() {
    let mut rig = rig();
    let counters = InterfaceCounters {
        rx_packets: 1,
        tx_packets: 2,
        rx_bytes: 3,
        tx_bytes: 4,
        rx_dropped: 5,
        tx_dropped: 6,
        rx_errors: 7,
        tx_errors: 8,
        rx_frame_errors: 9,
        rx_over_errors: 10,
        rx_crc_errors: 11,
        collisions: 12,
    };
    rig.switch.fast_path().maps_mut().interfaces.insert(LOCAL_INDEX, counters);
    let Ok(MultipartReply::PortStats(one)) = rig.ask(MultipartRequest::PortStats(PortNo::LOCAL)) else { panic!() };
    let expected = PortStats {
        port: PortNo::LOCAL,
        rx_packets: 1,
        tx_packets: 2,
        rx_bytes: 3,
        tx_bytes: 4,
        rx_dropped: 5,
        tx_dropped: 6,
        rx_errors: 7,
        tx_errors: 8,
        rx_frame_err: 9,
        rx_over_err: 10,
        rx_crc_err: 11,
        collisions: 12,
        duration: one[0].duration,
    };
    assert_eq!(one, [expected]);
}

#[test]
fn every_field_that_a_table_lists_can_be_matched() {
    let mut rig = Rig::new();
    let Ok(MultipartReply::TableFeatures(tables)) = rig.ask(MultipartRequest::TableFeatures(vec![])) else { panic!() };
    assert_eq!(tables.len(), 16);
    let fields = |p: &TableProperty| match p {
        TableProperty::Match(fields) => fields.clone(),
        _ => vec![],
    };
    let listed: Vec<_> = tables[0].properties.iter().flat_map(fields).collect();
    for field in Field::ALL {
        let asked = FlowMod::add(TableId(0), 1, Match::any().with(*field, 1), Instructions::drop(), Cookie(0));
        let unknown =
            matches!(rig.switch.apply(vec![asked], rig.now), Err(e) if e.error.kind == ErrorKind::BadMatchBadField);
        let is_listed = listed.contains(&FeatureField::Known { field: *field, masked: field.maskable() });
        // A match without its prerequisites is refused for those.
        assert!(!(is_listed && unknown), "{field:?}");
    }
    assert_eq!(rig.ask(MultipartRequest::TableFeatures(tables.clone())), Ok(MultipartReply::TableFeatures(tables)));
}

#[test]
fn a_table_cannot_be_given_more_than_it_has() {
    let mut rig = Rig::new();
    let pipeline = table_features::Pipeline { tables: 16, max_entries: u32::MAX, meters: false };
    let wanted = vec![table_features::describe(TableId(0), pipeline)];
    let refused = rig.ask(MultipartRequest::TableFeatures(wanted));
    assert_eq!(refused.unwrap_err().kind, ErrorKind::TableFeaturesBadArgument);
}

#[test]
fn the_switch_says_who_it_is() {
    let mut rig = Rig::new();
    let named =
        wamig_openflow::message::SwitchDesc { serial: "7".to_owned(), ..crate::switch::multipart::description() };
    rig.switch.set_description(named.clone());
    assert_eq!(rig.ask(MultipartRequest::Desc), Ok(MultipartReply::Desc(named)));
    let alien = MultipartRequest::Experimenter { experimenter: 1, exp_type: Some(2), data: Bytes::new() };
    assert_eq!(rig.ask(alien).unwrap_err().kind, ErrorKind::BadRequestBadExperimenter);
}
