//! What is asked of a switch, and how that is tried before it is relied on.
//!
//! | profile | OpenFlow | tables | what flows do |
//! |---|---|---|---|
//! | `ovs` | 1.3 | 3 | everything, also Nicira's move: ARP is answered by flows |
//! | `of13` | 1.3 | 1 | match every field of 1.3, set fields, output |
//! | `of13-arp-punt` | 1.3 | 1 | match Ethernet, IPv4 and ports, set MAC and IPv4 addresses, output |
//! | `of10` | 1.0 | 1 | the same, in the words of 1.0 |
//!
//! What the flows of a narrow profile cannot do is done here, frame by frame: [`crate::datapath::narrow`].

use std::fmt;
use std::net::Ipv4Addr;

use wamig_openflow::flow_match::VID_PRESENT;
use wamig_openflow::{Action, Cookie, Field, FlowMod, Instructions, MacAddr, Match, PortNo, TableId, Version};

use crate::datapath::fabric::transit::TAG_TYPE;
use crate::migration::cookie;

/// The cookie of the flows of a trial: of the migration's space, of no role that it has.
const TRIAL: Cookie = Cookie(cookie::SPACE | 0xf << 44);
/// A station that there is not: wamig's own prefix, the last address.
const NOBODY: MacAddr = MacAddr([0x02, 0x57, 0x4d, 0xff, 0xff, 0xff]);
/// An address for documentation (RFC 5737).
const NOWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 255);

/// Fields that a narrow pipeline matches.
const MATCHED: &[Field] = &[
    Field::InPort,
    Field::EthDst,
    Field::EthSrc,
    Field::EthType,
    Field::VlanVid,
    Field::VlanPcp,
    Field::IpProto,
    Field::Ipv4Src,
    Field::Ipv4Dst,
    Field::TcpSrc,
    Field::TcpDst,
    Field::UdpSrc,
    Field::UdpDst,
];
/// Fields that every pipeline writes.
const WRITTEN: &[Field] = &[Field::EthDst, Field::EthSrc, Field::Ipv4Src, Field::Ipv4Dst];

/// How a switch is used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Profile {
    /// Open vSwitch: several tables, bundles, ARP answered by flows.
    Ovs,
    /// OpenFlow 1.3 in one table, with all its match fields.
    Of13,
    /// OpenFlow 1.3 in one table, no field of ARP: hardware with a narrow pipeline.
    Of13ArpPunt,
    /// OpenFlow 1.0.
    Of10,
}

impl Profile {
    /// Every profile, the one that asks for most first.
    pub const ALL: &'static [Self] = &[Self::Ovs, Self::Of13, Self::Of13ArpPunt, Self::Of10];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ovs => "ovs",
            Self::Of13 => "of13",
            Self::Of13ArpPunt => "of13-arp-punt",
            Self::Of10 => "of10",
        }
    }

    /// The version of OpenFlow that it is spoken in.
    pub const fn version(self) -> Version {
        match self {
            Self::Ovs | Self::Of13 | Self::Of13ArpPunt => Version::V13,
            Self::Of10 => Version::V10,
        }
    }

    /// Tables that are needed.
    pub const fn tables(self) -> u8 {
        if self.is_narrow() { 1 } else { 3 }
    }

    /// Whether the switch takes only part of the flows, in one table.
    pub const fn is_narrow(self) -> bool {
        !matches!(self, Self::Ovs)
    }

    /// Whether changes are made in bundles, if the switch has them.
    pub const fn bundles(self) -> bool {
        matches!(self, Self::Ovs | Self::Of13)
    }

    /// The match that the switch is told in the place of this one, and whether it is the same.
    /// If not it takes more frames, never less.
    pub fn matching(self, matching: &Match) -> (Match, bool) {
        if matches!(self, Self::Ovs | Self::Of13) {
            return (matching.clone(), true);
        }
        let fits = |field: Field, mask: u128| {
            // Prefixes are matched by all that match addresses; a mask of another field is rare in hardware.
            let prefix = (mask as u32).leading_ones() == mask.count_ones();
            let address = matches!(field, Field::Ipv4Src | Field::Ipv4Dst);
            MATCHED.contains(&field) && (mask == field.full_mask() || address && prefix)
        };
        let mut told = Match::any();
        for (field, m) in matching.iter().filter(|(field, m)| fits(*field, m.mask)) {
            let finer = told.clone().with_masked(field, m.value, m.mask);
            // What a field needs comes before it; it may have been left out.
            if finer.validate().is_ok() {
                told = finer;
            }
        }
        let same = told == *matching;
        (told, same)
    }

    /// Whether flows of the switch do all that these instructions say, without the controller
    /// and without another table.
    pub fn carries(self, instructions: &Instructions) -> bool {
        let Instructions { meter: None, apply, clear: _, write, metadata: None, goto: None } = instructions else {
            return false;
        };
        let done = |action: &Action| match action {
            Action::Output { port, .. } => *port <= PortNo::MAX || *port == PortNo::IN_PORT,
            Action::SetField { field, mask, .. } => WRITTEN.contains(field) && *mask == field.full_mask(),
            _ => false,
        };
        write.is_empty() && apply.iter().all(done)
    }

    /// Flows with every kind of match and action that will be needed. Each takes frames of a
    /// station only that there is not. `has_links`: those of the links between several switches.
    pub fn trial(self, has_links: bool) -> Vec<FlowMod> {
        let flow = |table: u8, priority, m: Match, i| {
            FlowMod::add(TableId(table), priority, m.mac(Field::EthSrc, NOBODY), i, TRIAL)
        };
        let arp = Match::any().arp().with(Field::ArpOp, 1).ip(Field::ArpSpa, NOWHERE).ip(Field::ArpTpa, NOWHERE);
        let up = Instructions::apply(vec![Action::controller()]);
        let rewrite = Instructions::apply(vec![
            Action::set_mac(Field::EthSrc, NOBODY),
            Action::set_mac(Field::EthDst, NOBODY),
            Action::set_ip(Field::Ipv4Dst, NOWHERE),
            Action::output(PortNo::IN_PORT),
        ]);
        let dhcp = Match::any().ipv4().with(Field::IpProto, 17).with(Field::UdpSrc, 68).with(Field::UdpDst, 67);
        let mut trial = vec![
            flow(0, 3, Match::any().ipv4().ip(Field::Ipv4Dst, NOWHERE), rewrite),
            flow(0, 2, dhcp, Instructions::drop()),
        ];
        match self {
            Self::Ovs => trial.extend([
                flow(0, 4, arp, arp_reply()),
                flow(0, 1, Match::any(), up.then_goto(TableId(1))),
                flow(1, 1, Match::any(), Instructions::goto(TableId(2))),
            ]),
            Self::Of13 => trial.extend([flow(0, 4, arp, up.clone()), flow(0, 1, Match::any(), up)]),
            Self::Of13ArpPunt | Self::Of10 => {
                trial.extend([flow(0, 4, Match::any().arp(), up.clone()), flow(0, 1, Match::any(), up)]);
            }
        }
        if has_links {
            let tagged = Match::any().with(Field::VlanVid, u128::from(VID_PRESENT | 0xffe));
            let pop = Instructions::apply(vec![Action::PopVlan, Action::output(PortNo::IN_PORT)]);
            let push = Instructions::apply(vec![
                Action::PushVlan(TAG_TYPE),
                Action::set(Field::VlanVid, u128::from(VID_PRESENT | 0xffe)),
                Action::output(PortNo::IN_PORT),
            ]);
            trial.extend([flow(0, 6, tagged, pop), flow(0, 5, Match::any(), push)]);
        }
        trial
    }

    /// Takes a trial back.
    pub fn withdrawal(trial: &[FlowMod]) -> Vec<FlowMod> {
        let strict = |f: &FlowMod| FlowMod {
            cookie: f.cookie,
            cookie_mask: u64::MAX,
            ..FlowMod::delete_strict(f.table, f.priority, f.matching.clone())
        };
        trial.iter().map(strict).collect()
    }
}

/// An answer that a flow makes of the question.
fn arp_reply() -> Instructions {
    Instructions::apply(vec![
        Action::Move { src: Field::EthSrc, dst: Field::EthDst },
        Action::set_mac(Field::EthSrc, NOBODY),
        Action::set(Field::ArpOp, 2),
        Action::Move { src: Field::ArpSha, dst: Field::ArpTha },
        Action::set_mac(Field::ArpSha, NOBODY),
        Action::Move { src: Field::ArpSpa, dst: Field::ArpTpa },
        Action::set_ip(Field::ArpSpa, NOWHERE),
        Action::output(PortNo::IN_PORT),
    ])
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_that_is_too_fine_takes_more_frames_and_says_so() {
        let arp = Match::any().in_port(PortNo(3)).arp().ip(Field::ArpTpa, NOWHERE);
        assert_eq!(Profile::Of13.matching(&arp), (arp.clone(), true));
        assert_eq!(Profile::Of13ArpPunt.matching(&arp), (Match::any().in_port(PortNo(3)).arp(), false));
        let prefix = Match::any().ipv4().ip_prefix(Field::Ipv4Dst, NOWHERE, 25);
        assert_eq!(Profile::Of10.matching(&prefix), (prefix.clone(), true));
        let tag = Match::any().with_masked(Field::VlanVid, 0x1000, 0x1000).with(Field::VlanPcp, 5);
        assert_eq!(Profile::Of10.matching(&tag), (Match::any(), false), "pcp needs a vid");
        let group = Match::any().with_masked(Field::EthDst, 1 << 40, 1 << 40);
        assert_eq!(Profile::Of10.matching(&group), (Match::any(), false));
    }

    #[test]
    fn the_controller_and_other_tables_are_not_carried() {
        let out = Action::output(PortNo(2));
        assert!(Profile::Of10.carries(&Instructions::drop()));
        assert!(
            Profile::Of10.carries(&Instructions::apply(vec![Action::set_ip(Field::Ipv4Dst, NOWHERE), out.clone()]))
        );
        for other in [
            Instructions::apply(vec![Action::controller()]),
            Instructions::goto(TableId(1)),
            Instructions { write: vec![out], ..Instructions::default() },
            arp_reply(),
        ] {
            assert!(!Profile::Of13.carries(&other), "{other:?}");
        }
    }

    #[test]
    fn what_is_tried_can_be_said_and_fits_the_profile() {
        for profile in Profile::ALL {
            for flow in profile.trial(*profile == Profile::Ovs) {
                let mut wire = bytes::BytesMut::new();
                let message = wamig_openflow::Message::FlowMod(flow.clone());
                wamig_openflow::encode(profile.version(), wamig_openflow::Xid(1), &message, &mut wire).unwrap();
                assert!(profile.matching(&flow.matching).1, "{profile}: {flow}");
            }
        }
    }
}
