//! Actions that only 1.0 has, in the words of 1.3, for the flow statistics of a session that
//! speaks 1.3.

use wamig_openflow::flow_match::VID_PRESENT;
use wamig_openflow::{Action, Field, FlowStats, Instructions, Match};

/// EtherType of a tag that 1.0's actions push.
const TAG: u16 = 0x8100;

/// The flow as 1.3 can say it. A tag that is pushed only where there is none is shown as pushed
/// unless the match or an action before says that there is one; ports are named by the protocol
/// that the match fixes, and not shown where it leaves that open: as Open vSwitch shows both.
pub fn as_v13(flow: FlowStats) -> FlowStats {
    let apply = said(flow.instructions.apply, &flow.matching);
    FlowStats { instructions: Instructions { apply, ..flow.instructions }, ..flow }
}

fn said(actions: Vec<Action>, matching: &Match) -> Vec<Action> {
    let present = u128::from(VID_PRESENT);
    let mut tagged = matching.get(Field::VlanVid).is_some_and(|m| m.value & present != 0);
    let ports = match matching.get(Field::IpProto).map(|m| m.value) {
        Some(6) => Some([Field::TcpSrc, Field::TcpDst]),
        Some(17) => Some([Field::UdpSrc, Field::UdpDst]),
        Some(132) => Some([Field::SctpSrc, Field::SctpDst]),
        _ => None,
    };
    let mut said = Vec::with_capacity(actions.len());
    for action in actions {
        let new = match (&action, ports) {
            (Action::SetVlanVid(vid), _) => Action::set(Field::VlanVid, present | u128::from(*vid)),
            (Action::SetVlanPcp(pcp), _) => Action::set(Field::VlanPcp, u128::from(*pcp)),
            (Action::SetTpSrc(port), Some([source, _])) => Action::set(source, u128::from(*port)),
            (Action::SetTpDst(port), Some([_, destination])) => Action::set(destination, u128::from(*port)),
            (Action::SetTpSrc(_) | Action::SetTpDst(_), None) => continue,
            _ => action.clone(),
        };
        match action {
            Action::SetVlanVid(_) | Action::SetVlanPcp(_) => {
                if !tagged {
                    said.push(Action::PushVlan(TAG));
                }
                tagged = true;
            }
            Action::PushVlan(_) => tagged = true,
            Action::PopVlan => tagged = false,
            _ => {}
        }
        said.push(new);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use wamig_openflow::PortNo;

    fn shown(actions: &[Action], matching: &Match) -> String {
        Instructions::apply(said(actions.to_vec(), matching)).to_string()
    }

    #[test]
    fn tags_are_pushed_once_and_only_where_there_may_be_none() {
        let both = [Action::SetVlanVid(100), Action::SetVlanPcp(5)];
        let pushed = "push_vlan:0x8100,set_field:0x1064->vlan_vid,set_field:5->vlan_pcp";
        let written = "set_field:0x1064->vlan_vid,set_field:5->vlan_pcp";
        let tagged = Match::any().with(Field::VlanVid, 0x1007);
        assert_eq!(shown(&both, &Match::any()), pushed);
        assert_eq!(shown(&both, &Match::any().with(Field::VlanVid, 0)), pushed);
        assert_eq!(shown(&both, &tagged), written);
        let other = [Action::PopVlan, Action::SetVlanVid(1)];
        assert_eq!(shown(&other, &tagged), "pop_vlan,push_vlan:0x8100,set_field:0x1001->vlan_vid");
    }

    #[test]
    fn ports_are_those_of_the_protocol() {
        let set = [Action::SetTpSrc(1), Action::SetTpDst(2), Action::output(PortNo(3))];
        let of = |proto| Match::any().with(Field::EthType, 0x86dd).with(Field::IpProto, proto);
        assert_eq!(shown(&set, &of(6)), "set_field:1->tcp_src,set_field:2->tcp_dst,output:3");
        assert_eq!(shown(&set, &of(17)), "set_field:1->udp_src,set_field:2->udp_dst,output:3");
        assert_eq!(shown(&set, &of(47)), "output:3", "there are no words for it");
    }
}
