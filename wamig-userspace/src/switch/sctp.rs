//! SCTP's checksum, CRC32c over the whole packet (RFC 9260 §6.8, appendix A): it cannot be
//! updated from the bits that changed, so the slow path computes it anew.

use std::ops::Range;

use wamig_common::extract::{
    ETH_8021AD, ETH_8021Q, ETH_IPV4, ETH_IPV6, ETH_MPLS, ETH_MPLS_MULTICAST, ETH_PBB, L3_IPV4, L3_IPV6, Layout,
    extract, proto,
};
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
    // Behind a label, or in a frame that is inside another, there is a packet if there was one.
    let hidden = || moved(&packet(received).filter(|_| headers(edited).is_none())?, before, after);
    let Some(new) = packet(edited).or_else(hidden) else { return };
    let old = moved(&new, after, before).and_then(|old| received.get(old));
    if old.is_some_and(|old| crc32c(old) == old[CHECKSUM])
        && let Some(packet) = edited.get_mut(new)
    {
        let sum = crc32c(packet);
        packet[CHECKSUM].copy_from_slice(&sum);
    }
}

/// Where the SCTP packet is in the frame.
fn packet(frame: &[u8]) -> Option<Range<usize>> {
    let (key, layout, l3) = headers(frame)?;
    if layout.l4_off == 0 || layout.l4_proto != proto::SCTP || key.get(FRAG) != 0 {
        return None;
    }
    let len = |off: usize| Some(usize::from(u16::from_be_bytes(*frame.get(off..)?.first_chunk()?)));
    let end = if layout.l3 == L3_IPV4 { l3 + len(l3 + 2)? } else { l3 + 40 + len(l3 + 4)? };
    let start = l3 + usize::from(layout.l4_off - layout.l3_off);
    (end <= frame.len() && start + CHECKSUM.end <= end).then_some(start..end)
}

/// The headers of the IP packet in a frame, and where they begin; `None` = no IP packet is to be
/// seen, or it is none of the version that its EtherType says.
fn headers(frame: &[u8]) -> Option<(FlowKey, Layout, usize)> {
    let (eth_type, l3) = ip(frame)?;
    let (mut key, mut layout) = (FlowKey::default(), Layout::default());
    // The frame as it would be without what stands between its addresses and the packet. Where
    // the type is not in front of the packet, a label is.
    let bare = frame.get(l3 - 14..)?;
    if bare[12..14] == eth_type.to_be_bytes() {
        extract(bare, 0, &mut key, &mut layout)?;
    } else {
        let bare = [&[0; 12], &eth_type.to_be_bytes()[..], &frame[l3..]].concat();
        extract(bare.as_slice(), 0, &mut key, &mut layout)?;
    }
    matches!(layout.l3, L3_IPV4 | L3_IPV6).then_some((key, layout, l3))
}

/// The EtherType of the IP packet in a frame, and where it begins: behind any number of tags,
/// and of labels, behind which its own version tells what it is. Further than the fast path
/// looks, as what it does not see may come to light by an action and be hidden by the next.
fn ip(frame: &[u8]) -> Option<(u16, usize)> {
    let word = |at: usize| frame.get(at..)?.first_chunk().map(|b| u16::from_be_bytes(*b));
    let mut at = 12;
    loop {
        let eth_type = word(at)?;
        at += 2;
        match eth_type {
            ETH_8021Q | ETH_8021AD => at += 2,
            ETH_IPV4 | ETH_IPV6 => return Some((eth_type, at)),
            ETH_MPLS | ETH_MPLS_MULTICAST => {
                while frame.get(at + 2)? & 1 == 0 {
                    at += 4;
                }
                return match frame.get(at + 4)? >> 4 {
                    4 => Some((ETH_IPV4, at + 4)),
                    6 => Some((ETH_IPV6, at + 4)),
                    _ => None,
                };
            }
            // IEEE 802.1ah: a frame in a frame
            ETH_PBB => at += 4 + 12,
            // IEEE 802.2 with a sub-network access protocol
            0..0x0600 if frame.get(at..at + 6)? == [0xaa, 0xaa, 3, 0, 0, 0] => at += 6,
            _ => return None,
        }
    }
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
    fn a_packet_behind_many_tags_or_between_labels_is_mended_too() {
        let with = |frame: Vec<u8>, header: &[u8]| [&frame[..12], header, &frame[12..]].concat();
        let tags = [0x81, 0, 0, 1, 0x88, 0xa8, 0, 2, 0x81, 0, 0, 3, 0x81, 0, 0, 4];
        let labelled = |frame: Vec<u8>| [&frame[..12], &[0x88, 0x47, 0, 1, 0, 64, 0, 2, 1, 64], &frame[14..]].concat();
        let in_a_frame = |frame: Vec<u8>| [&frame[..12], &[0x88, 0xe7, 0, 0, 0, 9], &frame].concat();
        for header in [&tags[..], &tags[..12], &tags[4..]] {
            for hide in [|f| f, labelled as fn(Vec<u8>) -> Vec<u8>, in_a_frame] {
                // Popped, changed, and hidden again: neither what came in nor what goes out is plain to see.
                let mut edited = hide(frame(80));
                let at = edited.len() - (frame(80).len() - 36);
                edited[at..at + 2].copy_from_slice(&443u16.to_be_bytes());
                mend(&with(frame(80), header), &mut edited);
                assert_eq!(edited, hide(frame(443)));
                let mut edited = with(frame(80), header);
                let at = edited.len() - (frame(80).len() - 36);
                edited[at..at + 2].copy_from_slice(&443u16.to_be_bytes());
                mend(&hide(frame(80)), &mut edited);
                assert_eq!(edited, with(frame(443), header));
            }
        }
        let mut edited = labelled(frame(80));
        let at = edited.len() - (frame(80).len() - 36);
        edited[at..at + 2].copy_from_slice(&443u16.to_be_bytes());
        mend(&labelled(frame(80)), &mut edited);
        assert_eq!(edited, labelled(frame(443)), "popped, changed, pushed");
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
