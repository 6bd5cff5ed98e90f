//! How a group of type select shares frames among its buckets (OpenFlow 1.3.5 §5.6.1).

use crate::entry::{digest_of_sum, tag_word};
use crate::key::{ETH_SRC, FlowKey};
use crate::limits::PICKS;

/// The place among [`PICKS`] that a frame's headers choose, the same for all frames of a flow.
/// What may differ between them takes no part: port, metadata, priority bits, type of service.
#[inline(always)]
pub fn place_of(key: &FlowKey) -> u32 {
    let mut sum = tag_word(1, key.words[1] & 0xffff_0fff_0000_0000);
    sum = sum.wrapping_add(tag_word(2, key.words[2] & 0x00ff_ffff_ffff_ffff));
    sum = sum.wrapping_add(tag_word(ETH_SRC.word, key.words[ETH_SRC.word] & 0x0000_ffff_ffff_ffff));
    let mut i = 4;
    while i < 9 {
        sum = sum.wrapping_add(tag_word(i, key.words[i]));
        i += 1;
    }
    (digest_of_sum(sum) >> 40) as u32 % PICKS as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{ETH_DST, IN_PORT, IP_TOS, IPV4_DST, METADATA, TP_DST};

    #[test]
    fn a_flow_keeps_its_place_and_flows_spread() {
        let mut key = FlowKey::default();
        key.set(TP_DST, 80);
        let place = place_of(&key);
        for (field, value) in [(METADATA, 7), (IN_PORT, 3), (IP_TOS, 0x48)] {
            let mut other = key;
            other.set(field, value);
            assert_eq!(place_of(&other), place, "{field:?}");
        }
        for field in [TP_DST, IPV4_DST, ETH_DST] {
            let mut halves = [0; 2];
            for n in 0..1000 {
                key.set(field, n);
                halves[place_of(&key) as usize * 2 / PICKS] += 1;
            }
            assert!(halves.iter().all(|h| *h > 400), "{field:?}: {halves:?}");
        }
    }
}
