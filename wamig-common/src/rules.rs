//! What the configuration of ports and switch does to frames, before the tables see them and
//! on their way out (OpenFlow 1.3.5 §7.2.1.1, §7.3.2; OpenFlow 1.0 §5.2.1).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::key::{ETH_DST, FRAG, FlowKey};
use crate::verdict::DropReason;

/// Where spanning tree frames go (IEEE 802.1D §7.12.3).
const STP_GROUP: u64 = 0x0180_c200_0000;

/// The rules of one port, a bit each.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PortRules(pub u32);

impl PortRules {
    /// Frames that come in are dropped.
    pub const NO_RECEIVE: u32 = 1;
    /// Spanning tree frames that come in are dropped.
    pub const NO_RECEIVE_STP: u32 = 2;
    /// Frames that would go out are dropped.
    pub const NO_FORWARD: u32 = 4;
    /// A table miss makes no packet-in.
    pub const NO_PACKET_IN: u32 = 8;
    /// IP fragments that come in are dropped.
    pub const NO_FRAGMENTS: u32 = 16;
    /// A table miss is a packet-in (OpenFlow 1.0 §3.4), not a drop.
    pub const MISSES_GO_UP: u32 = 32;

    /// Whether a rule holds.
    #[inline(always)]
    pub const fn has(self, rule: u32) -> bool {
        self.0 & rule != 0
    }

    /// Why a frame that came in does not reach the tables; `None` = it does.
    #[inline(always)]
    pub fn refuses(self, key: &FlowKey) -> Option<DropReason> {
        if self.0 == 0 {
            return None;
        }
        let stp = self.has(Self::NO_RECEIVE_STP) && key.get(ETH_DST) == STP_GROUP;
        if self.has(Self::NO_RECEIVE) || stp {
            return Some(DropReason::PortReceivesNot);
        }
        (self.has(Self::NO_FRAGMENTS) && key.get(FRAG) != 0).then_some(DropReason::Fragment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{FRAG_ANY, FRAG_LATER};

    #[test]
    fn every_rule_refuses_its_own_frames_only() {
        let mut stp = FlowKey::default();
        stp.set(ETH_DST, STP_GROUP);
        let mut fragment = FlowKey::default();
        fragment.set(FRAG, u64::from(FRAG_ANY | FRAG_LATER));
        let plain = FlowKey::default();
        let by = |rule, keys: [&FlowKey; 3]| keys.map(|k| PortRules(rule).refuses(k));
        let (no, frag) = (Some(DropReason::PortReceivesNot), Some(DropReason::Fragment));
        let keys = [&plain, &stp, &fragment];
        assert_eq!(by(0, keys), [None; 3]);
        assert_eq!(by(PortRules::NO_RECEIVE, keys), [no; 3]);
        assert_eq!(by(PortRules::NO_RECEIVE_STP, keys), [None, no, None]);
        assert_eq!(by(PortRules::NO_FRAGMENTS, keys), [None, None, frag]);
        let others = PortRules::NO_FORWARD | PortRules::NO_PACKET_IN | PortRules::MISSES_GO_UP;
        assert_eq!(by(others, keys), [None; 3]);
    }
}
