//! Groups (OpenFlow 1.3.5 §7.3.4.2, §7.3.5.9–11).

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::message::{Bucket, GroupDesc, GroupFeatures, GroupMod, GroupModCommand, GroupStats, GroupType};
use crate::types::{GroupId, PortNo};
use crate::v13::action;
use crate::v13::flow::{decode_duration, encode_duration};

fn decode_bucket(r: &mut Reader<'_>) -> Result<Bucket, OfpError> {
    let mut r = r.structure(0, 16, ErrorKind::GroupModBadBucket)?;
    if r.len() % 8 != 0 {
        return Err(r.fail(&format!("a bucket of {} bytes; its length counts padding to 64 bits", r.len())));
    }
    r.skip(2)?;
    let (weight, watch_port, watch_group) = (r.u16()?, PortNo(r.u32()?), GroupId(r.u32()?));
    r.skip(4)?;
    let actions = action::decode_list(&mut r.failing(ErrorKind::BadActionBadLen))?;
    Ok(Bucket { weight, watch_port, watch_group, actions })
}

fn encode_buckets(w: &mut Writer<'_>, buckets: &[Bucket]) -> Result<(), EncodeError> {
    buckets.iter().try_for_each(|b| {
        let mark = w.begin(0);
        w.u16(0);
        w.u16(b.weight);
        w.u32(b.watch_port.0);
        w.u32(b.watch_group.0);
        w.zeros(4);
        action::encode_list(w, &b.actions)?;
        w.end(mark)
    })
}

fn decode_type(r: &mut Reader<'_>) -> Result<GroupType, OfpError> {
    let ty = r.u8()?;
    r.skip(1)?;
    GroupType::from_number(ty).ok_or_else(|| OfpError::new(ErrorKind::GroupModBadType, format!("group type {ty}")))
}

pub(super) fn decode_mod(r: &mut Reader<'_>) -> Result<GroupMod, OfpError> {
    let command = r.u16()?;
    let command = GroupModCommand::from_number(command)
        .ok_or_else(|| OfpError::new(ErrorKind::GroupModBadCommand, format!("command {command}")))?;
    let ty = decode_type(r)?;
    let group = GroupId(r.u32()?);
    Ok(GroupMod { command, ty, group, buckets: r.list(decode_bucket)? })
}

pub(super) fn encode_mod(w: &mut Writer<'_>, m: &GroupMod) -> Result<(), EncodeError> {
    w.u16(m.command.number());
    w.u8(m.ty.number());
    w.zeros(1);
    w.u32(m.group.0);
    encode_buckets(w, &m.buckets)
}

pub(super) fn decode_desc(r: &mut Reader<'_>) -> Result<GroupDesc, OfpError> {
    let mut r = r.structure(0, 8, ErrorKind::BadRequestBadLen)?;
    r.skip(2)?;
    let ty = decode_type(&mut r)?;
    Ok(GroupDesc { group: GroupId(r.u32()?), ty, buckets: r.list(decode_bucket)? })
}

pub(super) fn encode_desc(w: &mut Writer<'_>, d: &GroupDesc) -> Result<(), EncodeError> {
    let mark = w.begin(0);
    w.u16(0);
    w.u8(d.ty.number());
    w.zeros(1);
    w.u32(d.group.0);
    encode_buckets(w, &d.buckets)?;
    w.end(mark)
}

pub(super) fn decode_stats(r: &mut Reader<'_>) -> Result<GroupStats, OfpError> {
    let mut r = r.structure(0, 40, ErrorKind::BadRequestBadLen)?;
    r.skip(4)?;
    let (group, ref_count) = (GroupId(r.u32()?), r.u32()?);
    r.skip(4)?;
    let (packets, bytes, duration) = (r.u64()?, r.u64()?, decode_duration(&mut r)?);
    let buckets = r.list(|r| Ok((r.u64()?, r.u64()?)))?;
    Ok(GroupStats { group, ref_count, packets, bytes, duration, buckets })
}

pub(super) fn encode_stats(w: &mut Writer<'_>, s: &GroupStats) -> Result<(), EncodeError> {
    let mark = w.begin(0);
    w.zeros(4);
    w.u32(s.group.0);
    w.u32(s.ref_count);
    w.zeros(4);
    w.u64(s.packets);
    w.u64(s.bytes);
    encode_duration(w, s.duration);
    for (packets, bytes) in &s.buckets {
        w.u64(*packets);
        w.u64(*bytes);
    }
    w.end(mark)
}

pub(super) fn decode_features(r: &mut Reader<'_>) -> Result<GroupFeatures, OfpError> {
    let (types, capabilities) = (r.u32()?, r.u32()?);
    let mut four = || Ok::<_, OfpError>([r.u32()?, r.u32()?, r.u32()?, r.u32()?]);
    Ok(GroupFeatures { types, capabilities, max_groups: four()?, actions: four()? })
}

pub(super) fn encode_features(w: &mut Writer<'_>, f: &GroupFeatures) {
    for n in [f.types, f.capabilities].iter().chain(&f.max_groups).chain(&f.actions) {
        w.u32(*n);
    }
}
