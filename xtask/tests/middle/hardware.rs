//! The law of a narrow hardware pipeline: one table, few fields, no bundles, nothing of
//! Nicira's. What it refuses, it refuses with the specification's errors (OpenFlow 1.3.5 §7.4.4); what it lets pass is done by the real switch behind it.

use super::{Fate, From, error, flow_mod};

/// Fields that can be matched: ports, Ethernet, VLAN, IPv4 and its protocols' ports.
const MATCHED: [u8; 14] = [0, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 1];
/// Fields that can be written: `ETH_DST`, `ETH_SRC`, `IPV4_SRC`, `IPV4_DST`.
const WRITTEN: [u8; 4] = [3, 4, 11, 12];
/// `OFPXMC_OPENFLOW_BASIC`.
const BASIC: u16 = 0x8000;
const IPV4: [u8; 2] = [11, 12];

const BAD_REQUEST: u16 = 1;
const BAD_ACTION: u16 = 2;
const BAD_INSTRUCTION: u16 = 3;
const BAD_MATCH: u16 = 4;
const FLOW_MOD_FAILED: u16 = 5;

/// What it holds against a message: error type and code.
type Refusal = (u16, u16);

/// The law.
pub fn law(from: From, message: &[u8]) -> Fate {
    match (from, message[1]) {
        // OFPT_FEATURES_REPLY
        (From::Switch, 6) => {
            let mut narrow = message.to_vec();
            narrow[20] = 1;
            Fate::Becomes(narrow)
        }
        // OFPT_EXPERIMENTER: OFPBRC_BAD_EXPERIMENTER
        (From::Controller, 4) => Fate::Answered(error(message, BAD_REQUEST, 3)),
        (From::Controller, 14) => match refused(message) {
            None => Fate::Passes,
            Some((kind, code)) => Fate::Answered(error(message, kind, code)),
        },
        _ => Fate::Passes,
    }
}

fn refused(message: &[u8]) -> Option<Refusal> {
    let m = flow_mod(message)?;
    // OFPTT_ALL is for deletes.
    if m[24] != 0 && m[24] != 0xff {
        return Some((FLOW_MOD_FAILED, 2));
    }
    let length = usize::from(u16::from_be_bytes([m[50], m[51]]));
    let fields = matched(&m[52..48 + length]);
    fields.or_else(|| instructions(&m[48 + length.next_multiple_of(8)..]))
}

fn matched(mut oxms: &[u8]) -> Option<Refusal> {
    while let [a, b, field, length, ..] = *oxms {
        let (number, has_mask) = (field >> 1, field & 1 == 1);
        if u16::from_be_bytes([a, b]) != BASIC || !MATCHED.contains(&number) {
            // OFPBMC_BAD_FIELD
            return Some((BAD_MATCH, 6));
        }
        let body = oxms.get(4..4 + usize::from(length))?;
        let mask = &body[body.len() / 2..];
        let prefix = mask.iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1)).is_sorted_by(|a, b| a >= b);
        if has_mask && !(IPV4.contains(&number) && prefix) {
            // OFPBMC_BAD_MASK
            return Some((BAD_MATCH, 8));
        }
        oxms = &oxms[4 + usize::from(length)..];
    }
    None
}

fn instructions(mut list: &[u8]) -> Option<Refusal> {
    while let [a, b, c, d, ..] = *list {
        let (kind, length) = (u16::from_be_bytes([a, b]), usize::from(u16::from_be_bytes([c, d])).max(8));
        // OFPIT_APPLY_ACTIONS alone; else OFPBIC_UNSUP_INST
        if kind != 4 {
            return Some((BAD_INSTRUCTION, 1));
        }
        let refused = actions(list.get(8..length)?);
        if refused.is_some() {
            return refused;
        }
        list = list.get(length..)?;
    }
    None
}

fn actions(mut list: &[u8]) -> Option<Refusal> {
    while let [a, b, c, d, ..] = *list {
        let (kind, length) = (u16::from_be_bytes([a, b]), usize::from(u16::from_be_bytes([c, d])).max(8));
        match kind {
            // OFPAT_OUTPUT
            0 => {}
            // OFPAT_SET_FIELD; else OFPBAC_BAD_SET_TYPE
            25 => {
                let [class_a, class_b, field, _] = *list.get(4..8)? else { return Some((BAD_ACTION, 13)) };
                let plain = u16::from_be_bytes([class_a, class_b]) == BASIC && field & 1 == 0;
                if !plain || !WRITTEN.contains(&(field >> 1)) {
                    return Some((BAD_ACTION, 13));
                }
            }
            // OFPAT_EXPERIMENTER: OFPBAC_BAD_EXPERIMENTER
            0xffff => return Some((BAD_ACTION, 2)),
            // OFPBAC_BAD_TYPE
            _ => return Some((BAD_ACTION, 0)),
        }
        list = list.get(length..)?;
    }
    None
}
