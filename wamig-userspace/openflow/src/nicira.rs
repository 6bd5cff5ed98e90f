//! The Nicira actions both versions carry in their experimenter action: `NXAST_REG_MOVE` for
//! [`Action::Move`], `NXAST_REG_LOAD2` for an [`Action::SetField`] that the version has no action of
//! its own for: a masked one, and in OpenFlow 1.0 one of most fields.
//!
//! ```text
//!  REG_MOVE: subtype 6 | n_bits | src_ofs | dst_ofs | src header (32) | dst header (32)
//!  REG_LOAD2: subtype 33 | OXM entry with mask | zeros up to 8
//! ```
//! `NXAST_REG_LOAD` (7), which ovs-ofctl sends for a masked set-field, is read as one:
//! ```text
//!  subtype 7 | offset (10) bits - 1 (6) | dst header (32) | value (64)
//! ```
//! Everything else of Nicira stays opaque: moves of parts of fields, other subtypes.

use bytes::Bytes;

use crate::action::Action;
use crate::buf::{Reader, Writer};
use crate::error::ErrorKind;
use crate::field::Field;
use crate::v13::oxm;

/// Nicira's experimenter id.
pub const NICIRA: u32 = 0x0000_2320;
const REG_MOVE: u16 = 6;
const REG_LOAD: u16 = 7;
const REG_LOAD2: u16 = 33;

/// The action that the body after the experimenter id stands for, if it is one of ours.
pub fn decode(data: &Bytes) -> Option<Action> {
    let mut r = Reader::new(data, ErrorKind::BadActionBadLen);
    match r.u16().ok()? {
        REG_MOVE if r.len() == 14 => {
            let (bits, src_ofs, dst_ofs) = (r.u16().ok()?, r.u16().ok()?, r.u16().ok()?);
            let (src, dst) = (field_of(r.u32().ok()?)?, field_of(r.u32().ok()?)?);
            let whole = src_ofs == 0 && dst_ofs == 0 && u16::from(src.bits()) == bits && src.bits() == dst.bits();
            whole.then_some(Action::Move { src, dst })
        }
        REG_LOAD if r.len() == 14 => {
            let place = r.u16().ok()?;
            let (from, bits) = (u32::from(place >> 6), u32::from(place & 0x3f) + 1);
            let (field, value) = (field_of(r.u32().ok()?)?, u128::from(r.u64().ok()?));
            let ones = (1u128 << bits) - 1;
            let fits = from + bits <= u32::from(field.bits()) && value & !ones == 0;
            fits.then(|| Action::SetField { field, value: value << from, mask: ones << from })
        }
        REG_LOAD2 => {
            let (field, value, mask) = oxm::decode_entry(&mut r, &oxm::SET_FIELD).ok()?;
            let zeros = r.len() < 8 && r.remainder().iter().all(|b| *b == 0);
            (zeros && mask != 0).then_some(Action::SetField { field, value, mask })
        }
        _ => None,
    }
}

/// Writes the body after the experimenter id; the caller pads to 8 bytes.
pub fn encode_move(w: &mut Writer<'_>, src: Field, dst: Field) {
    w.u16(REG_MOVE);
    w.u16(u16::from(src.bits()));
    w.u16(0);
    w.u16(0);
    w.u32(oxm::header(src, false));
    w.u32(oxm::header(dst, false));
}

/// As [`encode_move`], for a set-field.
pub fn encode_load(w: &mut Writer<'_>, field: Field, value: u128, mask: u128) {
    w.u16(REG_LOAD2);
    oxm::encode_entry(w, field, value, Some(mask));
}

/// The field of an OXM header without mask, or of the NXM header that names the same one.
fn field_of(header: u32) -> Option<Field> {
    let [c0, c1, number, len] = header.to_be_bytes();
    let field = match (u16::from_be_bytes([c0, c1]), number >> 1) {
        (oxm::CLASS_BASIC, n) => Field::from_oxm(n)?,
        (0, 0) => Field::InPort,
        (0, 1) => Field::EthDst,
        (0, 2) => Field::EthSrc,
        (0, 3) => Field::EthType,
        (0, 6) => Field::IpProto,
        (0, 7) => Field::Ipv4Src,
        (0, 8) => Field::Ipv4Dst,
        (0, 9) => Field::TcpSrc,
        (0, 10) => Field::TcpDst,
        (0, 11) => Field::UdpSrc,
        (0, 12) => Field::UdpDst,
        (0, 13) => Field::Icmpv4Type,
        (0, 14) => Field::Icmpv4Code,
        (0, 15) => Field::ArpOp,
        (0, 16) => Field::ArpSpa,
        (0, 17) => Field::ArpTpa,
        (1, 16) => Field::TunnelId,
        (1, 17) => Field::ArpSha,
        (1, 18) => Field::ArpTha,
        (1, 19) => Field::Ipv6Src,
        (1, 20) => Field::Ipv6Dst,
        (1, 21) => Field::Icmpv6Type,
        (1, 22) => Field::Icmpv6Code,
        (1, 23) => Field::Ipv6NdTarget,
        (1, 24) => Field::Ipv6NdSll,
        (1, 25) => Field::Ipv6NdTll,
        (1, 27) => Field::Ipv6Flabel,
        _ => return None,
    };
    (number & 1 == 0 && len == field.wire_len()).then_some(field)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    #[test]
    fn a_load_is_a_masked_set_field() {
        // load:0xa->NXM_OF_IP_DST[24..31]
        let data = Bytes::from_static(&[0, 7, 6, 7, 0, 0, 16, 4, 0, 0, 0, 0, 0, 0, 0, 10]);
        let wanted = Action::SetField { field: Field::Ipv4Dst, value: 10 << 24, mask: 0xff << 24 };
        assert_eq!(decode(&data), Some(wanted));
    }

    #[test]
    fn a_load_of_a_part_that_no_match_masks_reads_back() {
        // load:0x1->NXM_NX_ND_TARGET[0..61]
        let data = Bytes::from_static(&[0, 7, 0, 61, 0, 1, 0x2e, 16, 0, 0, 0, 0, 0, 0, 0, 1]);
        let (field, mask) = (Field::Ipv6NdTarget, (1 << 62) - 1);
        let wanted = Action::SetField { field, value: 1, mask };
        assert_eq!(decode(&data), Some(wanted.clone()));
        let mut bytes = BytesMut::new();
        encode_load(&mut Writer::new(&mut bytes), field, 1, mask);
        assert_eq!(decode(&bytes.freeze()), Some(wanted));
    }

    #[test]
    fn a_load_of_a_whole_field_reads_back() {
        // load:3->NXM_OF_ICMP_CODE[]
        let data = Bytes::from_static(&[0, 7, 0, 7, 0, 0, 28, 1, 0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(decode(&data), Some(Action::set(Field::Icmpv4Code, 3)));
        let mut bytes = BytesMut::new();
        encode_load(&mut Writer::new(&mut bytes), Field::Icmpv4Code, 3, 0xff);
        assert_eq!(decode(&bytes.freeze()), Some(Action::set(Field::Icmpv4Code, 3)));
    }

    #[test]
    fn a_load_beyond_the_field_stays_opaque() {
        let data = Bytes::from_static(&[0, 7, 6, 8, 0, 0, 16, 4, 0, 0, 0, 0, 0, 0, 0, 10]);
        assert_eq!(decode(&data), None);
        let too_much = Bytes::from_static(&[0, 7, 6, 7, 0, 0, 16, 4, 0, 0, 0, 0, 0, 0, 1, 10]);
        assert_eq!(decode(&too_much), None);
    }

    #[test]
    fn a_move_of_a_part_stays_opaque() {
        let data = Bytes::from_static(&[0, 6, 0, 8, 0, 0, 0, 0, 0, 0, 14, 4, 0, 0, 16, 4]);
        assert_eq!(decode(&data), None);
    }
}
