//! Meters: how many frames pass in simulated time, what is marked, what is refused.

use wamig_openflow::message::{
    BandKind, MeterBand, MeterConfig, MeterFlags, MeterMod, MeterModCommand, MultipartReply, MultipartRequest,
};
use wamig_openflow::{ErrorKind, MeterId};

use super::*;
use crate::switch::fixtures::udp;

fn meter(pktps: bool, bands: Vec<MeterBand>) -> MeterMod {
    let flags = MeterFlags { kbps: !pktps, pktps, stats: true, ..MeterFlags::default() };
    MeterMod { command: MeterModCommand::Add, config: MeterConfig { flags, meter: MeterId(1), bands } }
}

fn band(kind: BandKind, rate: u32) -> MeterBand {
    MeterBand { kind, rate, burst: 0 }
}

fn metered() -> FlowMod {
    add(0, 1, Match::any(), Instructions { meter: Some(MeterId(1)), ..apply(&[out(2)]) })
}

/// Sends `per_second` frames a second for ten seconds; the DSCP of those that came through.
fn offer(rig: &mut Rig, per_second: u64, tos: u8) -> Vec<u8> {
    let mut frame = udp([10, 0, 0, 9], 64);
    frame[15] = tos;
    let mut through = Vec::new();
    for _ in 0..10 * per_second {
        rig.now += Duration::from_secs(1) / per_second as u32;
        through.extend(rig.frame(1, &frame).0.iter().map(|c| c.1[15] >> 2));
    }
    through
}

#[test]
fn a_drop_band_lets_its_rate_pass() {
    let mut rig = Rig::new();
    rig.switch.apply(vec![meter(true, vec![band(BandKind::Drop, 100)])], rig.now).unwrap();
    rig.apply(vec![metered()]);
    let through = offer(&mut rig, 200, 0).len();
    assert!((1000..=1020).contains(&through), "{through}");
    let now = rig.now;
    let Ok(MultipartReply::Meter(stats)) = rig.switch.multipart(MultipartRequest::Meter(MeterId::ALL), now) else {
        panic!()
    };
    assert_eq!((stats[0].flows, stats[0].packets, stats[0].bands[0].0), (1, 2000, 2000 - through as u64));
}

#[test]
fn kilobits_are_counted_by_length() {
    let mut rig = Rig::new();
    rig.switch.apply(vec![meter(false, vec![band(BandKind::Drop, 50)])], rig.now).unwrap();
    rig.apply(vec![metered()]);
    let through = offer(&mut rig, 200, 0).len() * udp([10, 0, 0, 9], 64).len() * 8;
    assert!((500_000..=512_000).contains(&through), "{through} bits of 50 kbit/s for 10 s");
}

#[test]
fn a_remark_band_raises_the_drop_precedence_and_a_faster_band_drops() {
    let mut rig = Rig::new();
    let bands = vec![band(BandKind::Drop, 150), band(BandKind::DscpRemark(1), 100)];
    rig.switch.apply(vec![meter(true, bands)], rig.now).unwrap();
    rig.apply(vec![metered()]);
    let through = offer(&mut rig, 200, 18 << 2);
    let marked = through.iter().map(|d| usize::from(*d == 20)).sum::<usize>();
    assert!((1500..=1530).contains(&through.len()), "{}", through.len());
    assert!((480..=530).contains(&marked), "{marked}");
    assert!(through.iter().all(|d| [18, 20].contains(d)));
}

#[test]
fn a_meter_reads_back_and_takes_its_flows_along() {
    let mut rig = Rig::new();
    let mut m = meter(true, vec![band(BandKind::DscpRemark(2), 7), MeterBand { burst: 5, ..band(BandKind::Drop, 9) }]);
    m.config.flags.burst = true;
    rig.switch.apply(vec![m.clone()], rig.now).unwrap();
    let now = rig.now;
    let config = rig.switch.multipart(MultipartRequest::MeterConfig(MeterId(1)), now).unwrap();
    assert_eq!(config, MultipartReply::MeterConfig(vec![m.config.clone()]));
    rig.apply(vec![metered()]);
    let delete = MeterMod { command: MeterModCommand::Delete, ..m };
    rig.switch.apply(vec![delete.clone()], rig.now).unwrap();
    assert!(rig.switch.tables().is_empty());
    rig.switch.apply(vec![delete], rig.now).expect("what is gone can be deleted again");
}

#[test]
fn what_cannot_be_is_refused_by_the_specifications_name() {
    let mut rig = Rig::new();
    let refused = |rig: &mut Rig, m: Modification| rig.switch.apply(vec![m], rig.now).unwrap_err().error.kind;
    assert_eq!(refused(&mut rig, metered().into()), ErrorKind::MeterModUnknownMeter);
    let good = meter(true, vec![band(BandKind::Drop, 1)]);
    let modify = MeterMod { command: MeterModCommand::Modify, ..good.clone() };
    assert_eq!(refused(&mut rig, modify.into()), ErrorKind::MeterModUnknownMeter);
    let rate = meter(true, vec![band(BandKind::Drop, 0)]);
    assert_eq!(refused(&mut rig, rate.into()), ErrorKind::MeterModBadRate);
    let many = meter(true, vec![band(BandKind::Drop, 1); 5]);
    assert_eq!(refused(&mut rig, many.into()), ErrorKind::MeterModOutOfBands);
    let mut both = good.clone();
    both.config.flags.kbps = true;
    assert_eq!(refused(&mut rig, both.into()), ErrorKind::MeterModBadFlags);
    let mut zero = good.clone();
    zero.config.meter = MeterId(0);
    assert_eq!(refused(&mut rig, zero.into()), ErrorKind::MeterModInvalidMeter);
    rig.switch.apply(vec![good.clone()], rig.now).unwrap();
    assert_eq!(refused(&mut rig, good.into()), ErrorKind::MeterModMeterExists);
}
