//! Actions on the window, against full recomputation of every checksum.

use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};

use super::*;
use crate::action::*;
use crate::extract::extract;
use crate::frame::Buffer;
use crate::key::FlowKey;
use crate::limits::{WINDOW_HEADROOM, WINDOW_LEN};

const CX: Context = Context { flow: 1, metadata: 0, miss: false };

fn set(base: u8, off: u8, width: u32, value: u64, flags: u16) -> Op {
    let shift = 64 - width;
    Op { kind: SET, base, off, flags, value: value << shift, mask: (u64::MAX >> shift) << shift, ..Op::default() }
}

/// Runs `ops` on a frame; the plan and the frame as edited.
fn run(frame: &[u8], ops: &[Op]) -> (u32, Plan, Vec<u8>) {
    let (mut key, mut layout) = (FlowKey::default(), Layout::default());
    extract(frame, 1, &mut key, &mut layout).expect("readable");
    let mut plan = Plan::default();
    plan.reset(1, frame.len() as u32);
    let mut window = Buffer::of(frame, WINDOW_HEADROOM);
    let mut last = step::NEXT;
    for op in ops {
        last = execute(&mut plan, &mut window, &layout, op, CX);
        if last != step::NEXT {
            break;
        }
    }
    let start = plan.start as usize;
    let mut out = window.0[start..start + plan.held as usize].to_vec();
    out.extend(&frame[frame.len().min(WINDOW_LEN)..]);
    (last, plan, out)
}

/// Recomputes every checksum from scratch with an independent implementation.
fn assert_sums(frame: &[u8]) {
    let p = SlicedPacket::from_ethernet(frame).unwrap();
    let net = p.net.unwrap();
    if let Some(v4) = net.ipv4_ref() {
        assert_eq!(v4.header().to_header().calc_header_checksum(), v4.header().header_checksum());
    }
    match p.transport {
        Some(TransportSlice::Udp(u)) if u.checksum() == 0 => {}
        Some(TransportSlice::Udp(u)) => {
            let sum = match &net {
                n if n.ipv4_ref().is_some() => {
                    let h = n.ipv4_ref().unwrap().header();
                    u.to_header().calc_checksum_ipv4_raw(h.source(), h.destination(), u.payload()).unwrap()
                }
                n => {
                    let h = n.ipv6_ref().unwrap().header();
                    u.to_header().calc_checksum_ipv6_raw(h.source(), h.destination(), u.payload()).unwrap()
                }
            };
            assert_eq!(sum, u.checksum());
        }
        Some(TransportSlice::Tcp(t)) => {
            let h = net.ipv4_ref().unwrap().header();
            assert_eq!(
                t.to_header().calc_checksum_ipv4_raw(h.source(), h.destination(), t.payload()).unwrap(),
                t.checksum()
            );
        }
        Some(TransportSlice::Icmpv6(i)) => {
            let h = net.ipv6_ref().unwrap().header();
            assert!(i.is_checksum_valid(h.source(), h.destination()));
        }
        other => panic!("unexpected {other:?}"),
    }
}

fn eth() -> etherparse::PacketBuilderStep<etherparse::Ethernet2Header> {
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
}

fn set_dst4(addr: u32) -> Op {
    set(BASE_L3, 16, 32, u64::from(addr), NEED_IPV4 | SUM_IPV4 | SUM_PSEUDO)
}

#[test]
fn ipv4_rewrites_keep_tcp_and_udp_sums() {
    let (mut udp, mut tcp) = (Vec::new(), Vec::new());
    eth().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1, 2).write(&mut udp, b"odd").unwrap();
    eth().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).tcp(1, 2, 3, 4).write(&mut tcp, &[7; 300]).unwrap();
    for f in [udp, tcp] {
        for addr in [0xc633_6409, 0xffff_ffff, 0, 0x0a00_0002] {
            let ops =
                [set_dst4(addr), set(BASE_L4, 0, 16, 0xffff, NEED_L4 | SUM_L4), Op { kind: DEC_TTL, ..Op::default() }];
            let (last, plan, out) = run(&f, &ops);
            assert_eq!((last, plan.has(EDITED), out.len()), (step::NEXT, true, f.len()));
            assert_eq!(out[30..34], addr.to_be_bytes());
            assert_eq!(out[22], 63);
            assert_sums(&out);
        }
    }
}

#[test]
fn a_udp_sum_of_zero_stays_and_a_computed_zero_is_sent_as_ones() {
    let mut f = Vec::new();
    eth().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1, 2).write(&mut f, b"data").unwrap();
    f[40..42].fill(0);
    let (_, _, out) = run(&f, &[set_dst4(0xc633_6409)]);
    assert_eq!(out[40..42], [0, 0]);
    // choose the destination port so that the sum becomes zero
    let mut f = Vec::new();
    eth().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1, 0).write(&mut f, b"data").unwrap();
    let sum = u16::from_be_bytes([f[40], f[41]]);
    let (_, _, out) = run(&f, &[set(BASE_L4, 2, 16, u64::from(sum), NEED_L4 | SUM_L4)]);
    assert_eq!(out[40..42], [0xff, 0xff]);
}

#[test]
fn ipv6_rewrites_keep_udp_and_icmpv6_sums() {
    let (mut udp, mut icmp) = (Vec::new(), Vec::new());
    eth().ipv6([1; 16], [2; 16], 64).udp(1, 2).write(&mut udp, b"abc").unwrap();
    eth().ipv6([1; 16], [2; 16], 64).icmpv6_echo_request(3, 4).write(&mut icmp, b"abcd").unwrap();
    for f in [udp, icmp] {
        let ops = [
            set(BASE_L3, 24, 64, 0x2001_0db8_0000_0001, NEED_IPV6 | SUM_PSEUDO),
            set(BASE_L3, 32, 64, 0xffff_0000_1234_5678, NEED_IPV6 | SUM_PSEUDO),
        ];
        let (_, _, out) = run(&f, &ops);
        assert_eq!(out[38..46], 0x2001_0db8_0000_0001u64.to_be_bytes());
        assert_sums(&out);
    }
}

#[test]
fn a_later_fragment_keeps_its_payload() {
    let mut f = Vec::new();
    eth().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1, 2).write(&mut f, &[9; 40]).unwrap();
    f[20..22].copy_from_slice(&0x00b9u16.to_be_bytes());
    let (_, _, out) = run(&f, &[set_dst4(0xc633_6409), set(BASE_L4, 0, 16, 7, NEED_L4 | SUM_L4)]);
    assert_eq!(out[30..34], 0xc633_6409u32.to_be_bytes());
    assert_eq!(out[34..], f[34..]);
}

#[test]
fn arp_becomes_its_own_reply_by_moves() {
    let f = [
        [0xff; 6].as_slice(),
        &[2, 0, 0, 0, 0, 1],
        &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
        &[2, 0, 0, 0, 0, 1],
        &[10, 0, 0, 1],
        &[0; 6],
        &[10, 0, 0, 9],
    ]
    .concat();
    let mov = |src_base, src_off, base, off, width: u32| Op {
        kind: MOVE,
        base,
        off,
        src_base,
        src_off,
        flags: NEED_ARP,
        mask: (u64::MAX >> (64 - width)) << (64 - width),
        ..Op::default()
    };
    let s = 0x0200_0000_0053;
    let ops = [
        mov(BASE_L2, 6, BASE_L2, 0, 48),
        set(BASE_L2, 6, 48, s, 0),
        set(BASE_L3, 6, 16, 2, NEED_ARP),
        mov(BASE_L3, 8, BASE_L3, 18, 48),
        mov(BASE_L3, 14, BASE_L3, 24, 32),
        set(BASE_L3, 8, 48, s, NEED_ARP),
        set(BASE_L3, 14, 32, 0x0a00_0009, NEED_ARP),
        Op { kind: OUTPUT_IN_PORT, ..Op::default() },
    ];
    let (_, plan, out) = run(&f, &ops);
    let want = [
        [2, 0, 0, 0, 0, 1].as_slice(),
        &[2, 0, 0, 0, 0, 0x53],
        &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2],
        &[2, 0, 0, 0, 0, 0x53],
        &[10, 0, 0, 9],
        &[2, 0, 0, 0, 0, 1],
        &[10, 0, 0, 1],
    ]
    .concat();
    assert_eq!(out, want);
    assert_eq!((plan.out_kind, plan.out), (u32::from(OUTPUT_IN_PORT), 1));
}

#[test]
fn a_tag_pushed_and_popped_leaves_the_frame_as_it_was() {
    let mut f = Vec::new();
    eth().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1, 2).write(&mut f, &[9; 400]).unwrap();
    let push = Op { kind: PUSH_VLAN, value: 0x8100, ..Op::default() };
    let vid = Op {
        kind: SET,
        base: BASE_L2,
        off: 12,
        flags: NEED_TAG,
        value: 0x0064 << 32,
        mask: 0x0fff << 32,
        ..Op::default()
    };
    let pop = Op { kind: POP_VLAN, ..Op::default() };
    let (_, plan, tagged) = run(&f, &[push, vid]);
    assert_eq!(tagged.len(), f.len() + 4);
    assert_eq!(tagged[12..18], [0x81, 0, 0, 0x64, 8, 0]);
    assert_eq!(tagged[18..], f[14..]);
    assert_eq!(plan.edited_total() as usize, f.len() + 4);
    let (_, _, back) = run(&f, &[push, vid, pop]);
    assert_eq!(back, f);
    // popping an untagged frame does nothing; setting its tag neither
    assert_eq!(run(&f, &[pop, vid]).2, f);
}

#[test]
fn a_ttl_that_runs_out_stops_with_a_packet_in() {
    let mut f = Vec::new();
    eth().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 1).udp(1, 2).write(&mut f, b"x").unwrap();
    let out = Op { kind: OUTPUT, value: 2, ..Op::default() };
    let (last, plan, _) = run(&f, &[Op { kind: DEC_TTL, ..Op::default() }, out]);
    assert_eq!(last, step::STOP);
    assert_eq!(plan.early.reason, USED | PuntReason::InvalidTtl.index());
    assert!(!plan.outputs());
}

#[test]
fn what_one_plan_cannot_hold_takes_the_slow_path() {
    let mut f = Vec::new();
    eth().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9).udp(1, 2).write(&mut f, b"x").unwrap();
    let out = |port| Op { kind: OUTPUT, value: port, ..Op::default() };
    let ctl = Op { kind: CONTROLLER, value: 0xffff, ..Op::default() };
    let slow = |r: SlowReason| step::SLOW | r.index();
    assert_eq!(run(&f, &[out(2), out(3)]).0, slow(SlowReason::SeveralOutputs));
    assert_eq!(run(&f, &[out(2), set_dst4(1)]).0, slow(SlowReason::EditAfterOutput));
    assert_eq!(run(&f, &[ctl, ctl]).0, slow(SlowReason::SeveralPacketIns));
    // a copy before the edit, one after it, and an output: all in one plan
    let (last, plan, _) = run(&f, &[ctl, set_dst4(1), ctl, out(2)]);
    assert_eq!((last, plan.early.reason != 0, plan.late.reason != 0), (step::NEXT, true, true));
    // output to the ingress port is left out
    let (last, plan, _) = run(&f, &[out(1)]);
    assert_eq!((last, plan.outputs(), plan.has(TO_INGRESS)), (step::NEXT, false, true));
}
