//! What is asked of a switch, and how that is tried before it is relied on.

use std::fmt;
use std::net::Ipv4Addr;

use wamig_openflow::{Action, Cookie, Field, FlowMod, Instructions, MacAddr, Match, PortNo, TableId};

use crate::migration::cookie;

/// The cookie of the flows of a trial: of the migration's space, of no role that it has.
const TRIAL: Cookie = Cookie(cookie::SPACE | 0xf << 44);
/// A station that there is not: wamig's own prefix, the last address.
const NOBODY: MacAddr = MacAddr([0x02, 0x57, 0x4d, 0xff, 0xff, 0xff]);
/// An address for documentation (RFC 5737).
const NOWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 255);

/// How a switch is used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Profile {
    /// Open vSwitch: several tables, bundles, ARP answered by flows.
    Ovs,
}

impl Profile {
    /// Every profile.
    pub const ALL: &'static [Self] = &[Self::Ovs];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ovs => "ovs",
        }
    }

    /// Tables that are needed.
    pub const fn tables(self) -> u8 {
        match self {
            Self::Ovs => 3,
        }
    }

    /// Whether changes are made in bundles, if the switch has them.
    pub const fn bundles(self) -> bool {
        matches!(self, Self::Ovs)
    }

    /// Flows with every kind of match and action that will be needed. Each takes frames of a
    /// station only that there is not.
    pub fn trial(self) -> Vec<FlowMod> {
        let flow = |table: u8, priority, m: Match, i| {
            FlowMod::add(TableId(table), priority, m.mac(Field::EthSrc, NOBODY), i, TRIAL)
        };
        let arp = Match::any().arp().with(Field::ArpOp, 1).ip(Field::ArpSpa, NOWHERE).ip(Field::ArpTpa, NOWHERE);
        let reply = Instructions::apply(vec![
            Action::Move { src: Field::EthSrc, dst: Field::EthDst },
            Action::set_mac(Field::EthSrc, NOBODY),
            Action::set(Field::ArpOp, 2),
            Action::Move { src: Field::ArpSha, dst: Field::ArpTha },
            Action::set_mac(Field::ArpSha, NOBODY),
            Action::Move { src: Field::ArpSpa, dst: Field::ArpTpa },
            Action::set_ip(Field::ArpSpa, NOWHERE),
            Action::output(PortNo::IN_PORT),
        ]);
        let rewrite = Instructions::apply(vec![
            Action::set_mac(Field::EthDst, NOBODY),
            Action::set_ip(Field::Ipv4Dst, NOWHERE),
            Action::output(PortNo::IN_PORT),
        ]);
        let dhcp = Match::any().ipv4().with(Field::IpProto, 17).with(Field::UdpSrc, 68).with(Field::UdpDst, 67);
        vec![
            flow(0, 4, arp, reply),
            flow(0, 3, Match::any().ipv4().ip(Field::Ipv4Dst, NOWHERE), rewrite),
            flow(0, 2, dhcp, Instructions::drop()),
            flow(0, 1, Match::any(), Instructions::apply(vec![Action::controller()]).then_goto(TableId(1))),
            flow(1, 1, Match::any(), Instructions::goto(TableId(2))),
        ]
    }

    /// Takes a trial back.
    pub fn withdrawal(trial: &[FlowMod]) -> Vec<FlowMod> {
        let strict = |f: &FlowMod| FlowMod {
            cookie: TRIAL,
            cookie_mask: u64::MAX,
            ..FlowMod::delete_strict(f.table, f.priority, f.matching.clone())
        };
        trial.iter().map(strict).collect()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
