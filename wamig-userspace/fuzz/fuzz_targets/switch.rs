//! A stream of messages that change a switch: each is refused and changes nothing, or done. What the switch then says
//! about its flows can be sent, whichever version they came by, and the fast path and the slow path do the same with a frame.

#![no_main]

use std::time::Instant;

use wamig_openflow::message::{Message, MultipartReply};
use wamig_openflow::{FlowStats, Version, Xid};
use wamig_userspace::agent::translate::as_v13;
use wamig_userspace::fastpath::memory::Memory;
use wamig_userspace::switch::Switch;
use wamig_userspace::switch::flow_table::Selector;
use wamig_userspace::switch::modification::Modification;
use wamig_userspace::switch::validate::Headers;

fn flows(switch: &mut Switch<Memory>, now: Instant) -> Vec<FlowStats> {
    switch.dump_flows(&Selector::all(), now)
}

/// What has a place in the message.
fn said(flow: FlowStats) -> FlowStats {
    FlowStats { slow: None, ..flow }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut switch = wamig_fuzz::switch();
    let now = Instant::now();
    for (version, message) in wamig_fuzz::messages(data) {
        let before = flows(&mut switch, now);
        let refused = match message {
            Message::FlowMod(m) if version == Version::V10 => {
                switch.apply(vec![Modification::FlowV10(m)], now).is_err()
            }
            Message::FlowMod(m) => switch.apply(vec![m], now).is_err(),
            Message::GroupMod(m) => switch.apply(vec![m], now).is_err(),
            Message::MeterMod(m) => switch.apply(vec![Modification::Meter(m)], now).is_err(),
            Message::PacketOut(out) => switch.packet_out_with(&out, Headers::of(version), now).is_err(),
            _ => continue,
        };
        if refused {
            assert_eq!(flows(&mut switch, now), before);
        }
    }
    let flows = flows(&mut switch, now).into_iter().map(as_v13).map(said).collect();
    let reply = Message::MultipartReply { more: false, body: MultipartReply::Flow(flows) };
    wamig_fuzz::says_the_same(Version::V13, Xid(1), &reply);
});
