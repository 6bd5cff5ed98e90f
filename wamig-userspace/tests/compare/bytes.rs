//! Rules about some bytes of the frames that leave: with these blank, the rest has to be equal.

use wamig_openflow::{Action, Field};

use super::case::Case;
use super::{Event, Way};
use crate::oracle::edit::crc32c;
use crate::oracle::headers::{L3, read};

/// Some bytes that may differ.
pub struct Bytes {
    /// Name of the rule.
    pub name: &'static str,
    /// Whether it is about this frame.
    pub applies: fn(&Case<'_>) -> bool,
    /// Makes the bytes equal.
    pub blank: fn(&mut [u8]),
}

/// All of them.
pub const BYTES: [Bytes; 6] = [
    // The bit is the sign that there is a tag.
    Bytes { name: "DEI is 0 in a tag that is written", applies: |_| true, blank: blank_dei },
    // §5.12, table 6: both are copied from the tag that was outermost.
    Bytes {
        name: "push_vlan over a tag starts with id and priority 0",
        applies: |case| case.trace.text.contains("push_vlan:"),
        blank: blank_tag,
    },
    // §5.12, table 6: label and class are 0, the TTL is IP's.
    Bytes {
        name: "push_mpls over no label starts with label 2 over IPv6, a class out of the DSCP, TTL 64 for 0",
        applies: |case| case.trace.text.contains("push_mpls:"),
        blank: blank_label,
    },
    // It undoes the first push by the second, all but the type.
    Bytes {
        name: "a label pushed behind a bucket that pushed one, too, has that one's EtherType",
        applies: |case| case.trace.text.contains("bucket ") && case.trace.text.matches("push_mpls:").count() > 1,
        blank: blank_label_type,
    },
    // Only checksums that were right are compared: what a wrong one becomes, nobody says.
    Bytes {
        name: "an SCTP checksum that was wrong may be wrong in another way",
        applies: |case| sctp(case.frame).is_some_and(|(_, right)| !right),
        blank: blank_sctp,
    },
    // They say that there is no such header. What would have been written is matched.
    Bytes {
        name: "nothing is edited in an IP packet of protocol 0 or an ARP packet of opcode 0",
        applies: is_of_protocol_0,
        blank: blank_packet,
    },
];

impl Bytes {
    /// A way with the bytes blank.
    pub fn blanked(&self, way: &Way) -> Way {
        let blank = |event: &Event| {
            let mut event = event.clone();
            let (Event::Port(_, frame) | Event::Up { frame, .. }) = &mut event;
            (self.blank)(frame);
            event
        };
        Way::new(way.path.clone(), way.events.iter().map(blank).collect())
    }
}

fn is_tag(frame: &[u8], at: usize) -> bool {
    at + 4 <= frame.len() && matches!(frame[at..at + 2], [0x81, 0x00] | [0x88, 0xa8])
}

/// Where the tags end.
fn end_of_tags(frame: &[u8]) -> usize {
    (12..).step_by(4).find(|at| !is_tag(frame, *at)).unwrap_or(12)
}

fn blank_dei(frame: &mut [u8]) {
    for at in (12..end_of_tags(frame)).step_by(4) {
        frame[at + 2] &= !0x10;
    }
}

fn blank_tag(frame: &mut [u8]) {
    if is_tag(frame, 12) {
        frame[14..16].fill(0);
    }
}

/// Where the EtherType of a label stack is.
fn label_type(frame: &[u8]) -> Option<usize> {
    let at = end_of_tags(frame);
    let snap = frame.get(at + 2..at + 8) == Some(&[0xaa, 0xaa, 3, 0, 0, 0]);
    let at = if snap { at + 8 } else { at };
    matches!(frame.get(at..at + 2), Some([0x88, 0x47 | 0x48])).then_some(at)
}

fn blank_label_type(frame: &mut [u8]) {
    if let Some(at) = label_type(frame) {
        frame[at + 1] = 0x47;
    }
}

/// Every label stack entry but its bottom bit.
fn blank_label(frame: &mut [u8]) {
    let Some(kind) = label_type(frame) else { return };
    for entry in frame[kind + 2..].chunks_exact_mut(4) {
        let last = entry[2] & 1;
        entry.copy_from_slice(&[0, 0, last, 0]);
        if last == 1 {
            break;
        }
    }
}

fn blank_packet(frame: &mut [u8]) {
    let at = (end_of_tags(frame) + 2).min(frame.len());
    frame[at..].fill(0);
}

fn blank_sctp(frame: &mut [u8]) {
    if let Some((at, _)) = sctp(frame) {
        frame[at + 8..at + 12].fill(0);
    }
}

/// Where a frame's SCTP header is, and whether its checksum is right.
fn sctp(frame: &[u8]) -> Option<(usize, bool)> {
    let L3::Ip(ip) = read(frame)?.l3 else { return None };
    let at = ip.l4.filter(|_| ip.proto == 132)?.at;
    let packet = frame.get(at..ip.end).filter(|p| p.len() >= 12)?;
    Some((at, crc32c(packet) == packet[8..12]))
}

fn is_of_protocol_0(case: &Case<'_>) -> bool {
    let read_as_0 = [Field::IpProto, Field::ArpOp].iter().any(|f| case.trace.flow.fields.get(f) == Some(&0));
    let may_write_0 = |a: &Action| match a {
        Action::SetField { field, .. } | Action::Move { dst: field, .. } => *field == Field::ArpOp,
        _ => false,
    };
    read_as_0 || case.actions().any(may_write_0)
}
