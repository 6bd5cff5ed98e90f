//! Extraction against frames made by an independent packet builder.

use etherparse::PacketBuilder;

use super::*;
use crate::key::*;

const SRC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const DST: [u8; 6] = [2, 0, 0, 0, 0, 2];

fn read(frame: &[u8]) -> (FlowKey, Layout) {
    let (mut key, mut layout) = (FlowKey::default(), Layout::default());
    extract(frame, 7, &mut key, &mut layout).expect("readable");
    (key, layout)
}

fn udp4(vlan: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let eth = PacketBuilder::ethernet2(SRC, DST);
    let payload = [0u8; 20];
    if vlan {
        let b = eth.single_vlan(5.try_into().unwrap()).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(53, 5353);
        b.write(&mut out, &payload).unwrap();
    } else {
        eth.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(53, 5353).write(&mut out, &payload).unwrap();
    }
    out
}

#[test]
fn udp_over_ipv4_tagged_and_not() {
    for vlan in [false, true] {
        let (k, l) = read(&udp4(vlan));
        assert_eq!(k.get(IN_PORT), 7);
        assert_eq!(k.get(ETH_TYPE), 0x0800);
        assert_eq!(k.get(VLAN_TCI), if vlan { 0x1005 } else { 0 });
        assert_eq!((k.get(ETH_SRC), k.get(ETH_DST)), (0x0200_0000_0001, 0x0200_0000_0002));
        assert_eq!((k.get(IPV4_SRC), k.get(IPV4_DST)), (0x0a00_0001, 0x0a00_0002));
        assert_eq!((k.get(IP_PROTO), k.get(TP_SRC), k.get(TP_DST)), (17, 53, 5353));
        assert_eq!((l.l3, l.anomalies), (L3_IPV4, 0));
        assert_eq!(l.l4_off, if vlan { 38 } else { 34 });
    }
}

#[test]
fn tcp_over_ipv6_with_extension_headers() {
    let mut plain = Vec::new();
    PacketBuilder::ethernet2(SRC, DST).ipv6([1; 16], [2; 16], 9).tcp(80, 81, 1, 1).write(&mut plain, &[]).unwrap();
    let (k, l) = read(&plain);
    assert_eq!(k.get(IPV6_SRC_HI), 0x0101_0101_0101_0101);
    assert_eq!(k.get(IPV6_DST_LO), 0x0202_0202_0202_0202);
    assert_eq!((k.get(IP_PROTO), k.get(TP_SRC), k.get(TP_DST), l.l4_off), (6, 80, 81, 54));
    // a hop-by-hop header of 16 bytes in front
    let mut ext = plain.clone();
    ext[20] = 0;
    ext.splice(54..54, [6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let plen = u16::from_be_bytes([plain[18], plain[19]]) + 16;
    ext[18..20].copy_from_slice(&plen.to_be_bytes());
    let (k, l) = read(&ext);
    assert_eq!((k.get(IP_PROTO), k.get(TP_DST), l.l4_off, l.anomalies), (6, 81, 70, 0));
}

#[test]
fn later_fragments_have_no_ports() {
    let mut f = udp4(false);
    f[20..22].copy_from_slice(&0x00b9u16.to_be_bytes());
    let (k, l) = read(&f);
    assert_eq!(k.get(FRAG), u64::from(FRAG_ANY | FRAG_LATER));
    assert_eq!((k.get(TP_SRC), l.l4_off), (0, 0));
    f[20..22].copy_from_slice(&0x2000u16.to_be_bytes());
    let (k, l) = read(&f);
    assert_eq!((k.get(FRAG), k.get(TP_SRC), l.l4_off), (u64::from(FRAG_ANY), 53, 34));
}

#[test]
fn arp_fields() {
    let mut f =
        [DST.as_slice(), &SRC, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &SRC, &[10, 0, 0, 1], &[0; 6], &[10, 0, 0, 9]].concat();
    let (k, l) = read(&f);
    assert_eq!((k.get(IP_PROTO), k.get(IPV4_SRC), k.get(IPV4_DST)), (1, 0x0a00_0001, 0x0a00_0009));
    assert_eq!((k.get(ARP_SHA), k.get(ARP_THA), l.l3), (0x0200_0000_0001, 0, L3_ARP));
    f[18] = 7; // hardware addresses of seven bytes: not Ethernet
    let (k, l) = read(&f);
    assert_eq!((k.get(IPV4_SRC), l.l3, l.anomalies), (0, L3_NONE, 1 << Anomaly::MalformedL3.index()));
}

#[test]
fn two_tags_show_the_outer_one_and_the_inner_type() {
    let mut f = udp4(true);
    f.splice(12..12, [0x88, 0xa8, 0x60, 9]);
    let (k, l) = read(&f);
    assert_eq!((k.get(VLAN_TCI), k.get(ETH_TYPE), l.l3_off, l.l4_off), (0x7009, 0x0800, 22, 42));
}

#[test]
fn snap_and_bare_llc() {
    let head = [DST.as_slice(), &SRC, &[0, 40]].concat();
    let snap = [head.as_slice(), &[0xaa, 0xaa, 3, 0, 0, 0, 0x88, 0xcc], &[0; 32]].concat();
    assert_eq!(read(&snap).0.get(ETH_TYPE), 0x88cc);
    let llc = [head.as_slice(), &[0x42, 0x42, 3], &[0; 37]].concat();
    assert_eq!(read(&llc).0.get(ETH_TYPE), u64::from(ETH_NONE));
}

/// Cut at every byte, and with every length field lying: never a panic, never a field of a
/// header that is not wholly there.
#[test]
fn cut_and_lying_frames_are_matched_by_what_is_there() {
    let mut v6 = Vec::new();
    PacketBuilder::ethernet2(SRC, DST).ipv6([1; 16], [2; 16], 9).udp(80, 81).write(&mut v6, &[1; 9]).unwrap();
    for whole in [udp4(false), udp4(true), v6] {
        let l3 = read(&whole).1.l3_off as usize;
        for cut in 0..whole.len() {
            let (mut k, mut l) = (FlowKey::default(), Layout::default());
            if extract(&whole[..cut], 1, &mut k, &mut l).is_none() {
                assert!(cut < l3);
                continue;
            }
            // the IP length field now promises more than there is
            assert_eq!((l.l3, k.get(TP_SRC)), (L3_NONE, 0), "cut at {cut}");
        }
        for at in [l3, l3 + 2, l3 + 3, l3 + 4, l3 + 5] {
            for byte in [0, 1, 0x41, 0x4f, 0x7f, 0xff] {
                let mut f = whole.clone();
                f[at] = byte;
                read(&f);
            }
        }
    }
}
