//! SCTP's checksum, CRC32c over the whole packet (RFC 9260 §6.8, appendix A): it cannot be
//! updated from the bits that changed, so the slow path computes it anew.

use std::ops::Range;

use wamig_common::extract::{L3_IPV4, L3_IPV6, Layout, extract, proto};
use wamig_common::key::{FRAG, FlowKey};

const CHECKSUM: Range<usize> = 8..12;

/// Makes the checksum of `edited` right if that of `received` was; a frame that arrived
/// damaged must not be mended. Frames without a whole SCTP packet are left alone.
pub fn mend(received: &[u8], edited: &mut [u8]) {
    // Only headers in front of the packet come and go.
    let (before, after) = (received.len(), edited.len());
    let moved = |at: &Range<usize>, from: usize, to: usize| {
        Some((at.start + to).checked_sub(from)?..(at.end + to).checked_sub(from)?)
    };
    let behind_a_label = || moved(&packet(received).filter(|_| !is_ip(edited))?, before, after);
    let Some(new) = packet(edited).or_else(behind_a_label) else { return };
    let old = moved(&new, after, before).and_then(|old| received.get(old));
    if old.is_some_and(|old| crc32c(old) == old[CHECKSUM]) {
        let sum = crc32c(&edited[new.clone()]);
        edited[new][CHECKSUM].copy_from_slice(&sum);
    }
}

/// Where the SCTP packet is in the frame.
fn packet(frame: &[u8]) -> Option<Range<usize>> {
    let (mut key, mut layout) = (FlowKey::default(), Layout::default());
    extract(frame, 0, &mut key, &mut layout)?;
    if layout.l4_off == 0 || layout.l4_proto != proto::SCTP || key.get(FRAG) != 0 {
        return None;
    }
    let l3 = usize::from(layout.l3_off);
    let len = |off: usize| Some(usize::from(u16::from_be_bytes(*frame.get(off..)?.first_chunk()?)));
    let end = if layout.l3 == L3_IPV4 { l3 + len(l3 + 2)? } else { l3 + 40 + len(l3 + 4)? };
    let start = usize::from(layout.l4_off);
    (end <= frame.len() && start + CHECKSUM.end <= end).then_some(start..end)
}

/// Whether the frame shows an IP packet, and so whether it has SCTP: behind a label it does not.
fn is_ip(frame: &[u8]) -> bool {
    let (mut key, mut layout) = (FlowKey::default(), Layout::default());
    extract(frame, 0, &mut key, &mut layout).is_some() && matches!(layout.l3, L3_IPV4 | L3_IPV6)
}

/// The checksum of a packet as it stands in the frame; its own field counts as zero.
pub(super) fn crc32c(packet: &[u8]) -> [u8; 4] {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut crc = u32::MAX;
    for (i, byte) in packet.iter().enumerate() {
        crc ^= u32::from(if CHECKSUM.contains(&i) { 0 } else { *byte });
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 != 0 { POLYNOMIAL } else { 0 };
        }
    }
    (!crc).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switch::fixtures::sctp as frame;

    #[test]
    fn the_polynomial_is_castagnolis() {
        // RFC 3720 appendix B.4: 32 bytes of zeros. Bytes 8..12 count as zero anyway.
        assert_eq!(crc32c(&[0; 32]), [0xaa, 0x36, 0x91, 0x8a]);
    }

    #[test]
    fn a_changed_port_gets_a_right_checksum() {
        let mut edited = frame(80);
        edited[36..38].copy_from_slice(&443u16.to_be_bytes());
        mend(&frame(80), &mut edited);
        assert_eq!(edited, frame(443));
    }

    #[test]
    fn a_packet_behind_a_label_is_mended_too() {
        let label = |frame: Vec<u8>| [&frame[..12], &[0x88, 0x47, 0, 1, 1, 64], &frame[14..]].concat();
        let mut edited = label(frame(80));
        edited[40..42].copy_from_slice(&443u16.to_be_bytes());
        mend(&frame(80), &mut edited);
        assert_eq!(edited, label(frame(443)), "the label was pushed");
        let mut edited = frame(80);
        edited[36..38].copy_from_slice(&443u16.to_be_bytes());
        mend(&label(frame(80)), &mut edited);
        assert_eq!(edited, frame(443), "the label was popped");
    }

    #[test]
    fn a_packet_that_is_sctp_no_more_is_left_alone() {
        let mut edited = frame(80);
        edited[23] = 17;
        let before = edited.clone();
        mend(&frame(80), &mut edited);
        assert_eq!(edited, before);
    }

    #[test]
    fn damage_is_passed_on() {
        let mut received = frame(80);
        received[48] ^= 1;
        let mut edited = received.clone();
        edited[37] ^= 1;
        let before = edited.clone();
        mend(&received, &mut edited);
        assert_eq!(edited, before);
    }

    #[test]
    fn fragments_and_other_protocols_are_left_alone() {
        for (at, value) in [(20, 0x20), (23, 17)] {
            let mut f = frame(80);
            f[at] = value;
            let before = f.clone();
            mend(&before.clone(), &mut f);
            assert_eq!(f, before);
        }
    }
}
