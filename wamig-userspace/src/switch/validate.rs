//! What a flow-mod may ask for (OpenFlow 1.3.5 §5.9–5.12, §6.4, §7.2.3, §7.2.5): tables,
//! match, instructions and actions are checked before anything is touched, and the answer
//! names the field, port or limit.

use wamig_common::action::slot;
use wamig_common::limits::MAX_PORTS;
use wamig_common::reshape::{is_mpls, is_pbb};
use wamig_openflow::flow_match::{Masked, VID_PRESENT, check as check_field};
use wamig_openflow::{
    Action, ErrorKind, Field, FlowMod, FlowModCommand, Instructions, Match, OfpError, PortNo, TableId, Version,
};

use super::port::Ports;

/// What is to be known of a frame before an action may write into a header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Headers {
    /// The match, or an action before, says that the header is there (1.3.5 §7.2.3.6).
    Named,
    /// Addresses and type of service of IP are written where there are any: OpenFlow 1.0 has no
    /// such rule (1.0 §5.2.4), and controllers send these actions without a match on `dl_type`.
    WhereThere,
}

impl Headers {
    /// What a version of OpenFlow has as its rule.
    pub const fn of(version: Version) -> Self {
        match version {
            Version::V10 => Self::WhereThere,
            Version::V13 => Self::Named,
        }
    }
}

/// Checks one flow-mod by itself; overlap and capacity are for the transaction, which sees
/// the tables.
///
/// # Errors
/// The specification's error for the first thing that is wrong.
pub fn check(m: &FlowMod, headers: Headers, tables: u8, ports: &Ports) -> Result<(), OfpError> {
    let delete = matches!(m.command, FlowModCommand::Delete | FlowModCommand::DeleteStrict);
    let any_table = delete && m.table == TableId::ALL;
    if m.table.0 >= tables && !any_table {
        let all = if m.table == TableId::ALL { " (all tables is for deletes only)" } else { "" };
        return Err(OfpError::new(
            ErrorKind::FlowModBadTableId,
            format!("table {}: tables are 0 to {}{all}", m.table, tables - 1),
        ));
    }
    check_match(&m.matching)?;
    if delete {
        return Ok(());
    }
    check_instructions(m, tables)?;
    check_actions(&m.instructions, (&m.matching, headers), ports)
}

fn check_match(matching: &Match) -> Result<(), OfpError> {
    matching.validate()?;
    let bad = |field: Field, what: String| {
        Err(OfpError::new(ErrorKind::BadMatchBadValue, format!("{}: {what}", field.name())))
    };
    for (field, m) in matching.iter() {
        match field {
            Field::InPort | Field::InPhyPort => {
                let port = PortNo(m.value as u32);
                let known = (1..=MAX_PORTS).contains(&port.0) || port == PortNo::LOCAL || port == PortNo::CONTROLLER;
                if !known {
                    return bad(field, format!("port {port}: ports are 1 to {MAX_PORTS}, LOCAL and CONTROLLER"));
                }
            }
            Field::VlanVid => {
                let present = u128::from(VID_PRESENT);
                if m.mask & present != 0 && m.value & present == 0 && m.value != 0 {
                    return bad(field, format!("{:#x}: a VLAN id needs the present bit 0x1000", m.value));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_instructions(m: &FlowMod, tables: u8) -> Result<(), OfpError> {
    let Some(goto) = m.instructions.goto else { return Ok(()) };
    if goto <= m.table || goto.0 >= tables {
        return Err(OfpError::new(
            ErrorKind::BadInstructionBadTableId,
            format!("goto_table:{goto} in table {}: only tables {} to {}", m.table, m.table.0 + 1, tables - 1),
        ));
    }
    Ok(())
}

fn check_actions(instructions: &Instructions, frame: (&Match, Headers), ports: &Ports) -> Result<(), OfpError> {
    for list in [&instructions.apply, &instructions.write] {
        check_list(list, frame, |port| check_output(port, ports))?;
    }
    check_set_actions(&instructions.write)
}

/// The action set has a place for every action but a move.
fn check_set_actions(actions: &[Action]) -> Result<(), OfpError> {
    if let Some(action) = actions.iter().find(|a| matches!(a, Action::Move { .. })) {
        return Err(OfpError::new(
            ErrorKind::BadActionBadType,
            format!("{action} in write_actions: the action set has no place for it, use apply-actions"),
        ));
    }
    Ok(())
}

/// Checks the actions of a packet-out against its frame: `frame` says which EtherType,
/// protocol and tag the frame has. [`PortNo::TABLE`] is allowed.
///
/// # Errors
/// As for a flow's actions.
pub fn check_packet_out(actions: &[Action], frame: (&Match, Headers), ports: &Ports) -> Result<(), OfpError> {
    check_list(actions, frame, |port| if port == PortNo::TABLE { Ok(()) } else { check_output(port, ports) })
}

/// Checks the actions of a group's bucket. What must be in the frame for them is not known
/// before it comes: an action whose header is not there does nothing.
///
/// # Errors
/// As for a flow's write-actions.
pub fn check_bucket(actions: &[Action], ports: &Ports) -> Result<(), OfpError> {
    check_set_actions(actions)?;
    let mut known = Known::of((&Match::any(), Headers::Named));
    for action in actions {
        match action {
            Action::Output { port, .. } => check_output(*port, ports)?,
            edit => match known.step(edit) {
                Err(e) if e.kind != ErrorKind::BadActionMatchInconsistent => return Err(e),
                _ => {}
            },
        }
    }
    Ok(())
}

/// The actions of a bucket whose headers a frame has when they run, in the order of the action
/// set (OpenFlow 1.3.5 §5.10). `frame` says which EtherType, protocol and tag it came with.
/// What lies in a header that was popped is not known: those actions are left in.
pub(super) fn possible_actions<'a>(actions: &'a [Action], frame: &Match) -> Vec<&'a Action> {
    let mut ordered: Vec<&Action> = actions.iter().collect();
    ordered.sort_by_key(|a| rank(a));
    let mut known = Known::of((frame, Headers::Named));
    let mut popped = false;
    ordered.retain(|action| {
        let possible = known.step(action).is_ok();
        popped |= possible && matches!(action, Action::PopMpls(_) | Action::PopPbb);
        possible || popped && matches!(action, Action::SetField { .. })
    });
    ordered
}

/// Where an action stands in the action set.
fn rank(action: &Action) -> u8 {
    match action {
        Action::CopyTtlIn => slot::COPY_TTL_IN,
        Action::PopMpls(_) => slot::POP_MPLS,
        Action::PopPbb => slot::POP_PBB,
        Action::PopVlan => slot::POP_VLAN,
        Action::PushMpls(_) => slot::PUSH_MPLS,
        Action::PushPbb(_) => slot::PUSH_PBB,
        Action::PushVlan(_) => slot::PUSH_VLAN,
        Action::CopyTtlOut => slot::COPY_TTL_OUT,
        Action::DecNwTtl => slot::DEC_TTL,
        Action::DecMplsTtl => slot::DEC_MPLS_TTL,
        Action::SetNwTtl(_) => slot::SET_TTL,
        Action::SetMplsTtl(_) => slot::SET_MPLS_TTL,
        // what other fields depend on, first
        Action::SetField { field: Field::EthType | Field::IpProto, .. } => slot::FIRST_SET,
        Action::Group(_) => slot::GROUP,
        Action::Output { .. } => slot::OUTPUT,
        _ => slot::FIRST_SET + 1,
    }
}

fn check_list(
    actions: &[Action],
    frame: (&Match, Headers),
    output: impl Fn(PortNo) -> Result<(), OfpError>,
) -> Result<(), OfpError> {
    let mut known = Known::of(frame);
    for action in actions {
        match action {
            Action::Output { port, .. } => output(*port)?,
            edit => known.step(edit)?,
        }
    }
    Ok(())
}

/// What the match and the actions so far say about the frame.
struct Known {
    /// EtherType, IP protocol and ICMPv6 type, as far as the match fixes them.
    types: [Option<Masked>; TYPES.len()],
    /// Tags that the actions pushed.
    pushed: u32,
    /// Whether the frame has a tag below those; `None` = either.
    tagged: Option<bool>,
    /// How much there has to be.
    headers: Headers,
}

/// The fields that say which other fields there are, in their order.
const TYPES: [Field; 3] = [Field::EthType, Field::IpProto, Field::Icmpv6Type];

impl Known {
    fn of((matching, headers): (&Match, Headers)) -> Self {
        let present = u128::from(VID_PRESENT);
        Self {
            types: TYPES.map(|field| matching.get(field)),
            pushed: 0,
            tagged: matching.get(Field::VlanVid).filter(|m| m.mask & present != 0).map(|m| m.value & present != 0),
            headers,
        }
    }

    fn step(&mut self, action: &Action) -> Result<(), OfpError> {
        match action {
            // Whether a group is there is for the transaction, which sees them. Ports are written
            // where there are any: not behind more than two tags.
            Action::Output { .. } | Action::Group(_) | Action::SetTpSrc(_) | Action::SetTpDst(_) => Ok(()),
            Action::SetField { field, value, mask } => {
                check_set(*field, *value, *mask)?;
                self.needs(action, *field)?;
                match field {
                    Field::EthType => self.behind(Some(*value as u16)),
                    field => {
                        let known = TYPES.iter().zip(&mut self.types).find(|(f, m)| *f == field && m.is_some());
                        if let Some((field, m)) = known {
                            *m = Some(whole(*field, *value));
                        }
                    }
                }
                Ok(())
            }
            Action::Move { src, dst } => {
                check_move(*src, *dst)?;
                self.needs(action, *src)?;
                self.needs(action, *dst)
            }
            Action::PushVlan(tag) => {
                check_tag(action, matches!(tag, 0x8100 | 0x88a8), "tags are 0x8100 and 0x88a8")?;
                self.pushed += 1;
                Ok(())
            }
            Action::PushMpls(tag) => {
                check_tag(action, is_mpls(*tag), "label stacks are 0x8847 and 0x8848")?;
                self.behind(Some(*tag));
                Ok(())
            }
            Action::PopMpls(below) => {
                self.needs(action, Field::MplsLabel)?;
                self.behind(Some(*below));
                Ok(())
            }
            Action::PushPbb(tag) => {
                check_tag(action, is_pbb(*tag), "service instance tags are 0x88e7")?;
                self.behind(Some(*tag));
                (self.pushed, self.tagged) = (0, Some(false));
                Ok(())
            }
            Action::PopPbb => {
                self.needs(action, Field::PbbIsid)?;
                self.behind(None);
                (self.pushed, self.tagged) = (0, None);
                Ok(())
            }
            Action::SetMplsTtl(_) | Action::DecMplsTtl | Action::CopyTtlOut | Action::CopyTtlIn => {
                self.needs(action, Field::MplsLabel)
            }
            Action::PopVlan if self.pushed > 0 => {
                self.pushed -= 1;
                Ok(())
            }
            Action::PopVlan if self.tagged == Some(false) => {
                Err(inconsistent(action, "the match takes untagged frames"))
            }
            Action::PopVlan => {
                self.tagged = None;
                Ok(())
            }
            Action::DecNwTtl | Action::SetNwTtl(_) => self.needs(action, Field::IpDscp),
            Action::SetQueue(_) | Action::Enqueue { .. } => {
                Err(OfpError::new(ErrorKind::BadActionBadQueue, format!("{action}: there is no such queue")))
            }
            Action::Experimenter { .. } => Err(OfpError::new(
                ErrorKind::BadActionBadExperimenter,
                format!("{action}: this switch does not know it"),
            )),
            Action::SetVlanVid(_) | Action::SetVlanPcp(_) => {
                check_tag_bits(action)?;
                if self.pushed == 0 {
                    self.tagged = Some(true);
                }
                Ok(())
            }
        }
    }

    /// An action after which the frame is of this type, and no more is known of it.
    fn behind(&mut self, eth_type: Option<u16>) {
        self.types = [eth_type.map(|t| whole(Field::EthType, u128::from(t))), None, None];
    }

    fn needs(&self, action: &Action, field: Field) -> Result<(), OfpError> {
        if matches!(field, Field::VlanVid | Field::VlanPcp) {
            if self.pushed == 0 && self.tagged != Some(true) {
                return Err(inconsistent(
                    action,
                    "needs a match on vlan_vid with the present bit, or push_vlan before it",
                ));
            }
            return Ok(());
        }
        let is_v10 = matches!(action, Action::SetField { mask, .. } if *mask == field.full_mask())
            && matches!(field, Field::Ipv4Src | Field::Ipv4Dst | Field::IpDscp);
        if self.headers == Headers::WhereThere && is_v10 {
            return Ok(());
        }
        // A match of the types and the field.
        let get = |f: Field| {
            if f == field {
                return Some(whole(field, 0));
            }
            TYPES.iter().zip(self.types).find(|(known, _)| **known == f).and_then(|(_, m)| m)
        };
        let before = TYPES.iter().filter(|f| **f < field);
        let behind = TYPES.iter().filter(|f| **f > field);
        let checked =
            before.chain([&field]).chain(behind).try_for_each(|f| get(*f).map_or(Ok(()), |m| check_field(*f, m, get)));
        checked.map_err(|e: OfpError| inconsistent(action, &e.detail))
    }
}

/// All bits of a field, those beyond its width dropped.
fn whole(field: Field, value: u128) -> Masked {
    Masked { value: value & field.full_mask(), mask: field.full_mask() }
}

fn inconsistent(action: &Action, why: &str) -> OfpError {
    OfpError::new(ErrorKind::BadActionMatchInconsistent, format!("{action}: {why}"))
}

fn check_output(port: PortNo, ports: &Ports) -> Result<(), OfpError> {
    let refuse = |why: String| Err(OfpError::new(ErrorKind::BadActionBadOutPort, format!("output:{port}: {why}")));
    match port {
        PortNo::IN_PORT | PortNo::FLOOD | PortNo::ALL | PortNo::CONTROLLER => Ok(()),
        PortNo::NORMAL => refuse("this switch has no traditional pipeline; goto the learning table".into()),
        PortNo::TABLE => refuse("is for packet-out only".into()),
        _ if ports.contains(port) => Ok(()),
        _ => refuse(format!("no such port; there are {}", ports.listed())),
    }
}

fn check_set(field: Field, value: u128, mask: u128) -> Result<(), OfpError> {
    let name = field.name();
    if !field.settable() {
        return Err(OfpError::new(ErrorKind::BadActionBadSetType, format!("set_field: {name} cannot be written")));
    }
    let bad = |why: &str| Err(OfpError::new(ErrorKind::BadActionBadSetArgument, format!("set_field: {name}: {why}")));
    if value & !field.full_mask() != 0 {
        return bad(&format!("the value has more than {} bits", field.bits()));
    }
    if mask == 0 || mask & !field.full_mask() != 0 || value & !mask != 0 {
        return bad("the mask is empty, too wide, or the value has bits outside it");
    }
    if mask != field.full_mask() && !field.maskable() {
        return bad("takes no mask");
    }
    if field == Field::EthType && value < 0x0600 {
        return bad("a type is 0x0600 or more");
    }
    if field == Field::VlanVid && mask & !value & u128::from(VID_PRESENT) != 0 {
        return bad("needs the present bit 0x1000; pop_vlan removes a tag");
    }
    Ok(())
}

fn check_move(src: Field, dst: Field) -> Result<(), OfpError> {
    let names = format!("move:{}[]->{}[]", src.nxm_name(), dst.nxm_name());
    let whole = |f| !matches!(f, Field::VlanVid | Field::EthType | Field::IpProto | Field::TunnelId);
    let movable = |f: Field| f.settable() && whole(f);
    if !movable(src) || !movable(dst) {
        return Err(OfpError::new(ErrorKind::BadActionBadSetType, format!("{names}: not a header field of the frame")));
    }
    if src.bits() != dst.bits() {
        return Err(OfpError::new(
            ErrorKind::BadActionBadSetLen,
            format!("{names}: {} bits onto {}", src.bits(), dst.bits()),
        ));
    }
    Ok(())
}

fn check_tag_bits(action: &Action) -> Result<(), OfpError> {
    let fits = match action {
        Action::SetVlanVid(vid) => *vid <= 0xfff,
        Action::SetVlanPcp(pcp) => *pcp <= 7,
        _ => true,
    };
    let bad =
        || OfpError::new(ErrorKind::BadActionBadArgument, format!("{action}: ids are 0 to 4095, priorities 0 to 7"));
    fits.then_some(()).ok_or_else(bad)
}

fn check_tag(action: &Action, known: bool, which: &str) -> Result<(), OfpError> {
    if known { Ok(()) } else { Err(OfpError::new(ErrorKind::BadActionBadTag, format!("{action}: {which}"))) }
}

#[cfg(test)]
mod tests;
