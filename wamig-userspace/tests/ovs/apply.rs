//! The datapath's part, done to a frame: what leaves, in order. Bytes are changed by the
//! oracle's simple functions, which share no code with the switch under test.

use wamig_openflow::{Field, PortNo};

use super::action::DpAction;
use crate::compare::Event;
use crate::oracle::edit;

/// `OFPR_` as Open vSwitch numbers them inside, by the names of OpenFlow 1.3.
fn reason(number: u32) -> &'static str {
    match number {
        0 | 6 | 7 => "no-match",
        2 => "invalid-ttl",
        _ => "action",
    }
}

/// Carries the actions out on a frame.
pub fn apply(actions: &[DpAction], port: impl Fn(u32) -> PortNo, frame: &[u8]) -> Vec<Event> {
    let mut frame = frame.to_vec();
    let mut out = Vec::new();
    for action in actions {
        match action {
            DpAction::Output(number) => out.push(Event::Port(port(*number), frame.clone())),
            DpAction::Drop | DpAction::Recirculate => {}
            DpAction::PushVlan(tpid, tci) => {
                edit::push_vlan(&mut frame, *tpid);
                frame[14..16].copy_from_slice(&tci.to_be_bytes());
            }
            DpAction::PushMpls(kind, entry) => {
                edit::push_mpls(&mut frame, *kind);
                for (field, value) in
                    [(Field::MplsLabel, entry >> 12), (Field::MplsTc, entry >> 9 & 7), (Field::MplsBos, entry >> 8 & 1)]
                {
                    set(&mut frame, field, u128::from(value), field.full_mask());
                }
                edit::set_mpls_ttl(&mut frame, *entry as u8);
            }
            DpAction::PopMpls(below) => edit::pop_mpls(&mut frame, *below),
            DpAction::SetMplsTtl(ttl) => edit::set_mpls_ttl(&mut frame, *ttl),
            DpAction::PopVlan => edit::pop_vlan(&mut frame),
            DpAction::Set(field, value, mask) => set(&mut frame, *field, *value, *mask),
            DpAction::SetTtl(ttl) => edit::set_ttl(&mut frame, *ttl),
            DpAction::Controller { reason: number, cookie, max_len } => out.push(Event::Up {
                cookie: *cookie,
                reason: reason(*number),
                frame_len: frame.len(),
                frame: frame[..frame.len().min(*max_len)].to_vec(),
            }),
        }
    }
    out
}

fn set(frame: &mut [u8], field: Field, value: u128, mask: u128) {
    if mask != 0 {
        edit::set(frame, field, value, mask);
    }
}
