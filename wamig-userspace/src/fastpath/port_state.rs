//! The ports and their rules, as the switch told them last: from both follows which ports the
//! reserved sets hold.

use std::collections::BTreeMap;

use wamig_common::rules::PortRules;
use wamig_openflow::PortNo;
use wamig_openflow::message::PortConfig;

use super::FastPort;

/// How frames are treated at the ports.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PortSettings {
    /// What controllers configured, port by port; a port that is not here has no flags.
    pub ports: BTreeMap<PortNo, PortConfig>,
    /// IP fragments are dropped (`OFPC_FRAG_DROP`).
    pub drop_fragments: bool,
    /// Table misses are packet-ins (OpenFlow 1.0).
    pub misses_go_up: bool,
}

impl PortSettings {
    /// The rules of a port; also for frames that came in by no port.
    pub fn rules(&self, port: PortNo) -> PortRules {
        let config = self.ports.get(&port).copied().unwrap_or_default();
        let rule = |on: bool, bit: u32| if on { bit } else { 0 };
        PortRules(
            rule(config.no_recv || config.down, PortRules::NO_RECEIVE)
                | rule(config.no_recv_stp, PortRules::NO_RECEIVE_STP)
                | rule(config.no_fwd || config.down, PortRules::NO_FORWARD)
                | rule(config.no_packet_in, PortRules::NO_PACKET_IN)
                | rule(self.drop_fragments, PortRules::NO_FRAGMENTS)
                | rule(self.misses_go_up, PortRules::MISSES_GO_UP),
        )
    }
}

/// Ports and settings.
#[derive(Default)]
pub(super) struct PortState {
    pub ports: Vec<FastPort>,
    pub settings: PortSettings,
}

impl PortState {
    /// Members of the set of all ports.
    pub fn all(&self) -> Vec<u32> {
        self.ports.iter().map(|p| p.port.0).collect()
    }

    /// Members of the set of ports that floods reach.
    pub fn flood(&self) -> Vec<u32> {
        let flooded = |p: &&FastPort| !self.settings.ports.get(&p.port).is_some_and(|config| config.no_flood);
        self.ports.iter().filter(flooded).map(|p| p.port.0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_rules() {
        let of = |config: PortConfig| {
            PortSettings { ports: [(PortNo(1), config)].into(), ..PortSettings::default() }.rules(PortNo(1)).0
        };
        let none = PortConfig::default();
        assert_eq!(of(none), 0);
        assert_eq!(of(PortConfig { down: true, ..none }), PortRules::NO_RECEIVE | PortRules::NO_FORWARD);
        assert_eq!(of(PortConfig { no_recv: true, ..none }), PortRules::NO_RECEIVE);
        assert_eq!(of(PortConfig { no_fwd: true, ..none }), PortRules::NO_FORWARD);
        assert_eq!(of(PortConfig { no_packet_in: true, ..none }), PortRules::NO_PACKET_IN);
        assert_eq!(of(PortConfig { no_recv_stp: true, ..none }), PortRules::NO_RECEIVE_STP);
        assert_eq!(of(PortConfig { no_flood: true, no_stp: true, ..none }), 0);
        let settings = PortSettings { drop_fragments: true, ..PortSettings::default() };
        assert_eq!(settings.rules(PortNo(7)).0, PortRules::NO_FRAGMENTS);
        let settings = PortSettings { misses_go_up: true, ..PortSettings::default() };
        assert_eq!(settings.rules(PortNo(0)).0, PortRules::MISSES_GO_UP, "packet-outs by no port as well");
    }
}
