//! Extraction against a reader of headers that shares no code with it, on whole, unusual, cut
//! and lying frames.

#[path = "../../wamig-userspace/tests/frames/mod.rs"]
mod frames;
#[path = "../../wamig-userspace/tests/oracle/headers.rs"]
mod headers;

use frames::{CTAG, Frame, ICMP, ICMPV6, SCTP, STAG, Sum, TCP, UDP, arp, udp, udp6};
use headers::{Headers, L3, read};
use proptest::prelude::*;
use wamig_common::extract::{L3_ARP, L3_IPV4, L3_IPV6, L3_MPLS, L3_NONE, L3_PBB, Layout, extract};
use wamig_common::frame::{Buffer, Edited};
use wamig_common::key::*;
use wamig_common::limits::WINDOW_HEADROOM;

/// The key that a frame with these headers has; and its layout, tags and anomalies left out.
fn expected(h: &Headers, in_port: u32) -> (FlowKey, (u8, u16, u8)) {
    let mut key = FlowKey::default();
    let mut layout = (L3_NONE, 0, 0);
    key.set(IN_PORT, u64::from(in_port));
    key.set(ETH_DST, h.eth_dst);
    key.set(ETH_SRC, h.eth_src);
    key.set(ETH_TYPE, u64::from(h.eth_type));
    key.set(VLAN_TCI, h.tag.map_or(0, |tci| u64::from(tci | VLAN_PRESENT)));
    match &h.l3 {
        L3::Unread => {}
        L3::Arp { op, sha, spa, tha, tpa, .. } => {
            layout.0 = L3_ARP;
            key.set(HAS, u64::from(HAS_L3));
            key.set(ARP_OP, u64::from(*op));
            key.set(ARP_SHA, *sha);
            key.set(IPV4_SRC, u64::from(*spa));
            key.set(ARP_THA, *tha);
            key.set(IPV4_DST, u64::from(*tpa));
        }
        L3::Mpls { entry, .. } => {
            layout.0 = L3_MPLS;
            key.set(HAS, u64::from(HAS_L3));
            key.set(LABEL, u64::from(entry & !0xff));
        }
        L3::Pbb { tag, .. } => {
            layout.0 = L3_PBB;
            key.set(HAS, u64::from(HAS_L3));
            key.set(LABEL, u64::from(tag & 0xff_ffff));
        }
        L3::Ip(ip) => {
            layout = (if ip.v6 { L3_IPV6 } else { L3_IPV4 }, 0, u8::from(ip.routed));
            key.set(HAS, u64::from(HAS_L3));
            key.set(IP_TOS, u64::from(ip.tos));
            key.set(IP_PROTO, u64::from(ip.proto));
            key.set(LABEL, u64::from(ip.label));
            let (src, dst) = if ip.v6 { (IPV6_SRC_LO, IPV6_DST_LO) } else { (IPV4_SRC, IPV4_DST) };
            key.set(src, ip.src as u64);
            key.set(dst, ip.dst as u64);
            if ip.v6 {
                key.set(IPV6_SRC_HI, (ip.src >> 64) as u64);
                key.set(IPV6_DST_HI, (ip.dst >> 64) as u64);
            }
            key.set(FRAG, u64::from(if ip.first { u8::from(ip.fragment) } else { FRAG_ANY | FRAG_LATER }));
            if let Some(l4) = ip.l4 {
                layout.1 = l4.at as u16;
                key.set(HAS, u64::from(HAS_L3 | HAS_L4));
                key.set(TP_SRC, u64::from(l4.first));
                key.set(TP_DST, u64::from(l4.second));
            }
            key.set(EXTHDR, u64::from(ip.extensions));
            if let Some(neighbour) = ip.neighbour {
                let ll = if neighbour.address.is_some() { HAS_ND_LL } else { 0 };
                key.set(HAS, u64::from(HAS_L3 | HAS_L4 | HAS_ND | ll));
                key.set(ND_TARGET_HI, (neighbour.target >> 64) as u64);
                key.set(ND_TARGET_LO, neighbour.target as u64);
                key.set(ND_LL, neighbour.address.map_or(0, |(_, address)| address));
            }
        }
    }
    (key, layout)
}

fn agrees(frame: &[u8]) {
    let (mut key, mut layout) = (FlowKey::default(), Layout::default());
    let found = extract(frame, 7, &mut key, &mut layout).map(|()| (key, (layout.l3, layout.l4_off, layout.routed)));
    assert_eq!(found, read(frame).map(|h| expected(&h, 7)), "{frame:02x?}");
    // the same out of the window, as after an edit
    let window = Buffer::of(frame, WINDOW_HEADROOM);
    let whole = frame.len() as u32;
    let edited = Edited { window: &window, start: WINDOW_HEADROOM as u32, held: whole.min(544), total: whole };
    let (mut again, mut there) = (FlowKey::default(), Layout::default());
    assert_eq!(extract(&edited, 7, &mut again, &mut there).is_some(), found.is_some());
    if found.is_some() {
        assert_eq!((again, there), (key, layout), "{frame:02x?}");
    }
}

fn some_frame() -> impl Strategy<Value = Frame> {
    let base = prop_oneof![
        Just(udp()),
        Just(udp6()),
        Just(arp()),
        Just(Frame { eth_type: 0x88cc, ..udp() }),
        Just(Frame { eth_type: 0x8847, ..udp() }),
        Just(Frame { eth_type: 0x88e7, ..udp() }),
    ];
    let tag = (prop_oneof![Just(CTAG), Just(STAG)], any::<u16>());
    let extension =
        (prop::sample::select(vec![0u8, 43, 44, 51, 60, 135]), 0u8..4, prop::sample::select(vec![0usize, 1, 2, 30]))
            .prop_map(|(kind, left, words)| {
                let length = if kind == 51 { words * 2 } else { words } as u8;
                (kind, [vec![length, 0, left], vec![0; words * 8 + 4]].concat())
            });
    let fragment = prop::option::weighted(0.2, (0u16..2, any::<bool>()));
    let proto = prop::sample::select(vec![TCP, UDP, UDP, SCTP, ICMP, ICMPV6, 47]);
    let sum = prop_oneof![Just(Sum::Right), Just(Sum::Zero), Just(Sum::Damaged(3))];
    let tags = prop::collection::vec(tag, 0..4);
    let extensions = prop::collection::vec(extension, 0..8);
    let sizes = (0usize..11, 0usize..60, 0usize..20);
    (base, any::<bool>(), tags, extensions, fragment, proto, (any::<u16>(), any::<u16>(), any::<u8>()), sum, sizes)
        .prop_map(
            |(f, snap, tags, extensions, fragment, proto, (sport, dport, tos), sum, (options, payload, padding))| {
                Frame {
                    snap: snap && tags.len() == 1,
                    tags,
                    extensions,
                    fragment,
                    proto,
                    sport,
                    dport,
                    tos,
                    sum,
                    options: vec![1; options * 4],
                    payload: vec![5; payload],
                    padding,
                    ..f
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn extraction_reads_what_the_frame_says(frame in some_frame()) {
        agrees(&frame.bytes());
    }

    #[test]
    fn extraction_reads_what_a_broken_frame_says(
        frame in some_frame(),
        cut in prop::option::of(any::<prop::sample::Index>()),
        lies in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = frame.bytes();
        for (at, lie) in lies {
            let at = at.index(bytes.len().min(100));
            bytes[at] = lie;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        agrees(&bytes);
    }
}
