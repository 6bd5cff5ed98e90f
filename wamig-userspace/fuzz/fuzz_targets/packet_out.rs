//! Packet-outs as they come from a controller: refused with an error, or carried out, and then every frame that leaves
//! does so by a port that is there.

#![no_main]

use std::cell::RefCell;
use std::time::Instant;

use wamig_openflow::{Action, Cookie, FlowMod, Instructions, Match, Message, PortNo, TableId, Version, decode};
use wamig_userspace::fastpath::memory::Memory;
use wamig_userspace::switch::Switch;
use wamig_userspace::switch::effect::Effect;
use wamig_userspace::switch::validate::Headers;

thread_local! {
    static SWITCH: RefCell<Switch<Memory>> = RefCell::new(with_flows());
}

/// OFPT_PACKET_OUT in both versions.
const PACKET_OUT: u8 = 13;

/// What OFPP_TABLE meets: a frame that came in by port 1 goes to port 2 and to the controller.
fn with_flows() -> Switch<Memory> {
    let mut switch = wamig_fuzz::switch();
    let actions = Instructions::apply(vec![Action::output(PortNo(2)), Action::controller()]);
    let add = FlowMod::add(TableId(0), 1, Match::any().in_port(PortNo(1)), actions, Cookie(1));
    switch.apply(vec![add], Instant::now()).expect("a flow that is allowed");
    switch
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    let version = if bytes.first() == Some(&1) { Version::V10 } else { Version::V13 };
    if let Some(ty) = bytes.get_mut(1) {
        *ty = PACKET_OUT;
    }
    let Some(frame) = wamig_fuzz::message(version, &bytes) else { return };
    let Ok(Message::PacketOut(out)) = decode(&frame) else { return };
    SWITCH.with_borrow_mut(|switch| {
        for effect in switch.packet_out_with(&out, Headers::of(version), Instant::now()).unwrap_or_default() {
            if let Effect::Inject { port, .. } = effect {
                assert!(switch.ports().contains(port), "{port} of {out:?}");
            }
        }
    });
});
