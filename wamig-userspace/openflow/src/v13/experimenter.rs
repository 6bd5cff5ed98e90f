//! Experimenter messages, and the bundles of the ONF among them (OpenFlow 1.3.5 §7.5.4,
//! EXT-230).
//!
//! ```text
//!  experimenter (32) | exp_type (32) | data
//!  2300 bundle control: bundle id (32) | type (16) | flags (16) | properties
//!  2301 bundle add:     bundle id (32) | zeros (16) | flags (16) | message | properties
//! ```

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::header::{HEADER_LEN, Header};
use crate::message::{BundleAdd, BundleControl, BundleControlType, BundleFlags, Experimenter, Message};
use crate::types::Xid;

/// The ONF's experimenter id.
pub const ONF: u32 = 0x4f4e_4600;
const BUNDLE_CONTROL: u32 = 2300;
const BUNDLE_ADD: u32 = 2301;

pub(super) fn decode(xid: Xid, r: &mut Reader<'_>) -> Result<Message, OfpError> {
    let (experimenter, exp_type) = (r.u32()?, r.u32()?);
    match (experimenter, exp_type) {
        (ONF, BUNDLE_CONTROL) => decode_control(r).map(Message::BundleControl),
        (ONF, BUNDLE_ADD) => decode_add(xid, r).map(Message::BundleAdd),
        _ => Ok(Message::Experimenter(Experimenter { experimenter, exp_type: Some(exp_type), data: r.remainder() })),
    }
}

fn decode_flags(bits: u16) -> Result<BundleFlags, OfpError> {
    BundleFlags::exact(bits).ok_or_else(|| OfpError::new(ErrorKind::BundleBadFlags, format!("flags {bits:#06x}")))
}

/// Properties follow; there are none that this crate knows, and they may be passed over.
fn decode_control(r: &mut Reader<'_>) -> Result<BundleControl, OfpError> {
    let (bundle, ty, flags) = (r.u32()?, r.u16()?, r.u16()?);
    r.remainder();
    let ty = BundleControlType::from_number(ty)
        .ok_or_else(|| OfpError::new(ErrorKind::BundleBadType, format!("bundle control type {ty}")))?;
    Ok(BundleControl { bundle, ty, flags: decode_flags(flags)? })
}

fn decode_add(xid: Xid, r: &mut Reader<'_>) -> Result<BundleAdd, OfpError> {
    let bundle = r.u32()?;
    r.skip(2)?;
    let flags = decode_flags(r.u16()?)?;
    let mut inner = r.structure(2, HEADER_LEN, ErrorKind::BundleMsgBadLen)?;
    r.remainder();
    let header = Header::decode(&mut inner.clone())?;
    if header.xid != xid {
        return Err(OfpError::new(ErrorKind::BundleMsgBadXid, "the message has another xid than its bundle-add"));
    }
    Ok(BundleAdd { bundle, flags, message: inner.remainder() })
}

pub(super) fn encode(w: &mut Writer<'_>, m: &Experimenter) -> Result<(), EncodeError> {
    encode_body(w, m.experimenter, m.exp_type, &m.data)
}

/// What both the messages and the multiparts of an experimenter consist of.
pub(super) fn encode_body(
    w: &mut Writer<'_>,
    experimenter: u32,
    exp_type: Option<u32>,
    data: &[u8],
) -> Result<(), EncodeError> {
    let lacks = || EncodeError::NotInVersion { version: "1.3", what: "experimenter message without a type".to_owned() };
    w.u32(experimenter);
    w.u32(exp_type.ok_or_else(lacks)?);
    w.bytes(data);
    Ok(())
}

pub(super) fn encode_control(w: &mut Writer<'_>, m: BundleControl) {
    w.u32(ONF);
    w.u32(BUNDLE_CONTROL);
    w.u32(m.bundle);
    w.u16(m.ty.number());
    w.u16(m.flags.to_bits());
}

pub(super) fn encode_add(w: &mut Writer<'_>, m: &BundleAdd) {
    w.u32(ONF);
    w.u32(BUNDLE_ADD);
    w.u32(m.bundle);
    w.zeros(2);
    w.u16(m.flags.to_bits());
    w.bytes(&m.message);
}
