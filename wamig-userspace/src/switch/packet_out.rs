//! Packet-outs (OpenFlow 1.3.5 §7.3.7): checked against their own frame, compiled like a
//! flow's apply-actions, run by the slow path's executor.

use wamig_common::extract::{L3_IPV4, L3_IPV6, Layout, extract, proto};
use wamig_common::key::{self, FlowKey};
use wamig_openflow::flow_match::VID_PRESENT;
use wamig_openflow::{ErrorKind, Field, Match, OfpError, PacketOut, PortNo};

use super::port::Ports;
use super::slowpath::{Output, Side, execute};
use super::validate::{self, Headers};
use crate::fastpath::compile::apply_list;

/// Runs the actions; [`Output::Pipeline`] is left to the caller, who has the tables.
///
/// # Errors
/// `OFPBRC_BAD_PORT` for an ingress port that is none, `OFPBRC_BUFFER_UNKNOWN` for a frame
/// that the switch should have kept, `OFPBRC_BAD_PACKET` for one without Ethernet header, else
/// those of the actions.
pub fn run(out: &PacketOut, headers: Headers, ports: &Ports, side: &mut Side<'_>) -> Result<Vec<Output>, OfpError> {
    if !ports.contains(out.in_port) && !matches!(out.in_port, PortNo::CONTROLLER | PortNo::ANY) {
        return Err(OfpError::new(
            ErrorKind::BadRequestBadPort,
            format!("in_port {}: there are {}, and CONTROLLER", out.in_port, ports.listed()),
        ));
    }
    if let Some(id) = out.buffer_id {
        let detail = format!("buffer {id:#x}: this switch keeps no frames; send the frame itself");
        return Err(OfpError::new(ErrorKind::BadRequestBufferUnknown, detail));
    }
    let Some(frame) = types(&out.data) else {
        return Err(OfpError::new(
            ErrorKind::BadRequestBadPacket,
            format!("{} bytes are shorter than the frame's Ethernet header", out.data.len()),
        ));
    };
    validate::check_packet_out(&out.actions, (&frame, headers), ports)?;
    let mut sets = Vec::new();
    let ops = apply_list(&out.actions, &frame, &mut sets)?;
    Ok(execute(&ops, &sets, ports, side, out.in_port, &out.data))
}

/// The types that actions depend on, as a match; `None` = not even an Ethernet header.
pub(super) fn types(frame: &[u8]) -> Option<Match> {
    let (mut key, mut layout) = (FlowKey::default(), Layout::default());
    extract(frame, 0, &mut key, &mut layout)?;
    let vlan = key.get(key::VLAN_TCI) & u64::from(VID_PRESENT | 0xfff);
    let types =
        Match::any().with(Field::EthType, u128::from(key.get(key::ETH_TYPE))).with(Field::VlanVid, u128::from(vlan));
    Some(match layout.l3 {
        L3_IPV6 if layout.l4_proto == proto::ICMPV6 => types
            .with(Field::IpProto, u128::from(proto::ICMPV6))
            .with(Field::Icmpv6Type, u128::from(key.get(key::TP_SRC))),
        L3_IPV4 | L3_IPV6 => types.with(Field::IpProto, u128::from(key.get(key::IP_PROTO))),
        _ => types,
    })
}
