//! The codec against its specification (docs/peer-protocol.cddl) and against nonsense.

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use wamig_openflow::MacAddr;

use super::*;
use crate::peer::cbor::{EVIDENCE_VALUES, KEYS, REASON_VALUES, kind};
use crate::peer::message::{Epoch, Evidence, HomeProfile, NackReason, Renewal};

const SPECIFICATION: &str = include_str!("../../../../docs/peer-protocol.cddl");

fn frame_of(message: &Message) -> BytesMut {
    let mut frame = BytesMut::new();
    PeerCodec.encode(message, &mut frame).expect("samples encode");
    frame
}

/// A payload behind its length field.
fn framed(payload: &[u8]) -> BytesMut {
    let mut frame = BytesMut::new();
    frame.put_u32(payload.len() as u32);
    frame.put_slice(payload);
    frame
}

fn decode_payload(payload: &[u8]) -> Result<Option<Frame>, CodecError> {
    PeerCodec.decode(&mut framed(payload))
}

/// One message of each kind, named as in the specification.
fn samples() -> Vec<(&'static str, Message)> {
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53));
    let epoch = Epoch { incarnation: 1, counter: 3 };
    let mac = MacAddr([2, 0, 0, 0, 0, 0x53]);
    let profile = HomeProfile {
        prefix_len: 24,
        gateway: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        gateway_mac: MacAddr([2, 0, 0, 0, 0, 1]),
    };
    let transfer = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 200));
    let evidence = Evidence::ArpRequest;
    vec![
        ("hello", Message::Hello { version: 0x0100, site: "dc1".to_owned(), boot_id: 0x1122_3344_5566_7788 }),
        ("claim", Message::Claim { address, mac, transfer, evidence, last_epoch: Epoch::default(), token: false }),
        ("claim-ack", Message::ClaimAck { address, epoch, lease: 30, profile, transfer: Some(transfer) }),
        ("claim-nack", Message::ClaimNack { address, reason: NackReason::AliveAtHome }),
        ("ready", Message::Ready { address, epoch }),
        ("active", Message::Active { address, epoch }),
        ("renew", Message::Renew(vec![Renewal { address, epoch, alive: true }])),
        ("renew-ack", Message::RenewAck(vec![(address, epoch)])),
        ("query", Message::Query { address, epoch }),
        ("query-ack", Message::QueryAck { address, epoch, alive: false }),
        ("revoke", Message::Revoke { address, epoch, fence: true, drain: 2 }),
        ("revoke-ack", Message::RevokeAck { address, epoch }),
        ("release", Message::Release { address, epoch }),
        ("release-ack", Message::ReleaseAck { address, epoch }),
        ("prepare", Message::Prepare { address, epoch, mac, lease: 30, window: 600, profile }),
        ("prepare-ack", Message::PrepareAck { address, epoch, transfer }),
        ("prepare-nack", Message::PrepareNack { address, epoch, reason: NackReason::Unable, last_epoch: epoch }),
    ]
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().concat()
}

/// The number of `name = number` in the specification.
fn specified(name: &str) -> Option<u64> {
    SPECIFICATION.lines().find_map(|line| {
        let (left, right) = line.split(';').next()?.split_once('=')?;
        (left.trim() == name).then(|| right.trim().parse().ok())?
    })
}

#[test]
fn specification_has_every_number() {
    for key in KEYS {
        assert_eq!(specified(key.name), Some(u64::from(key.number)), "key {}", key.name);
    }
    for (number, _, name) in EVIDENCE_VALUES {
        assert_eq!(specified(name), Some(*number), "evidence {name}");
    }
    for (number, _, name) in REASON_VALUES {
        assert_eq!(specified(name), Some(*number), "reason {name}");
    }
    let numbers = SPECIFICATION.lines().filter_map(|line| {
        let (_, right) = line.split(';').next()?.split_once(" = ")?;
        right.trim().parse::<u64>().ok()
    });
    assert_eq!(numbers.count(), KEYS.len() + EVIDENCE_VALUES.len() + REASON_VALUES.len(), "numbers nobody uses");
}

#[test]
fn specification_has_every_kind() {
    for (number, name) in kind::KINDS {
        let rule = SPECIFICATION.lines().find(|line| line.split_whitespace().take(2).eq([*name, "="]));
        let rule = rule.unwrap_or_else(|| panic!("no rule for {name}"));
        assert!(rule.contains(&format!("= {{ kind => {number},")), "{name}: {rule}");
    }
    assert_eq!(SPECIFICATION.matches("{ kind => ").count(), kind::KINDS.len(), "kinds nobody uses");
}

#[test]
fn specification_examples_are_what_is_sent() {
    let samples = samples();
    assert_eq!(samples.len(), kind::KINDS.len());
    let examples = samples.iter().map(|(name, message)| format!("; example {name} {}", hex(&frame_of(message))));
    let missing: Vec<String> = examples.filter(|example| !SPECIFICATION.lines().any(|line| line == example)).collect();
    assert!(missing.is_empty(), "the specification lacks:\n{}", missing.join("\n"));
    assert_eq!(SPECIFICATION.matches("; example ").count(), kind::KINDS.len());
}

#[test]
fn keepalive_is_four_zero_octets() {
    let mut buffer = BytesMut::new();
    PeerCodec.encode(&Frame::Keepalive, &mut buffer).expect("encodes");
    assert_eq!(&buffer[..], [0, 0, 0, 0]);
    assert_eq!(PeerCodec.decode(&mut buffer), Ok(Some(Frame::Keepalive)));
    assert!(buffer.is_empty());
}

#[test]
fn every_truncation_is_incomplete_as_a_frame_and_an_error_as_a_payload() {
    for (name, message) in samples() {
        let frame = frame_of(&message);
        for end in 0..frame.len() {
            let mut part = BytesMut::from(&frame[..end]);
            assert_eq!(PeerCodec.decode(&mut part), Ok(None), "{name} at {end}");
            assert_eq!(PeerCodec.decode_eof(&mut part).is_err(), end > 0, "{name} at {end}");
        }
        // The length field fits what is left: now the CBOR itself is short.
        for end in 1..frame.len() - LENGTH_SIZE {
            let error = decode_payload(&frame[LENGTH_SIZE..LENGTH_SIZE + end]).expect_err("short");
            assert!(matches!(error, CodecError::Cbor(_)), "{name} at {end}: {error}");
            assert!(!error.is_skippable());
        }
    }
}

#[test]
fn wrong_length_is_an_error() {
    let message = Message::Ready { address: IpAddr::V4(Ipv4Addr::LOCALHOST), epoch: Epoch::default() };
    let frame = frame_of(&message);
    let mut payload = frame[LENGTH_SIZE..].to_vec();
    payload.push(0);
    assert_eq!(decode_payload(&payload), Err(CodecError::TrailingBytes(1)));
}

#[test]
fn oversized_frame_is_refused_from_its_length_alone() {
    let mut buffer = BytesMut::from(&[0, 1, 0, 1][..]);
    assert_eq!(PeerCodec.decode(&mut buffer), Err(CodecError::FrameTooLarge(MAX_FRAME + 1)));
    let mut buffer = BytesMut::from(&[0xff; 64][..]);
    assert_eq!(PeerCodec.decode(&mut buffer), Err(CodecError::FrameTooLarge(u32::MAX as usize)));
}

#[test]
fn oversized_message_is_not_sent() {
    let renewal = Renewal {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        epoch: Epoch { incarnation: u32::MAX, counter: u32::MAX },
        alive: true,
    };
    let mut buffer = BytesMut::new();
    let error = PeerCodec.encode(&Message::Renew(vec![renewal; 4096]), &mut buffer).expect_err("too large");
    assert!(matches!(error, CodecError::FrameTooLarge(_)), "{error}");
    assert!(buffer.is_empty());
    PeerCodec.encode(&Message::Renew(vec![renewal; 2048]), &mut buffer).expect("a large site fits");
}

#[test]
fn unknown_keys_are_skipped_whatever_they_hold() {
    // {0: 5, 1: h'7f000001', 2: [0, 7], 23: {1: [1.5, null]}, 999: "x", -1: [_ 1, {_ }]}
    let payload = [
        &[0xa6, 0x00, 0x05, 0x01, 0x44, 0x7f, 0, 0, 1, 0x02, 0x82, 0, 7][..],
        &[0x17, 0xa1, 0x01, 0x82, 0xf9, 0x3e, 0x00, 0xf6],
        &[0x19, 0x03, 0xe7, 0x61, b'x'],
        &[0x20, 0x9f, 0x01, 0xbf, 0xff, 0xff],
    ]
    .concat();
    let expected =
        Message::Ready { address: IpAddr::V4(Ipv4Addr::LOCALHOST), epoch: Epoch { incarnation: 0, counter: 7 } };
    assert_eq!(decode_payload(&payload), Ok(Some(Frame::Message(expected))));
}

#[test]
fn keys_come_in_any_order() {
    let payload = [0xa3, 0x02, 0x82, 0, 7, 0x01, 0x44, 0x7f, 0, 0, 1, 0x00, 0x06];
    let expected =
        Message::Active { address: IpAddr::V4(Ipv4Addr::LOCALHOST), epoch: Epoch { incarnation: 0, counter: 7 } };
    assert_eq!(decode_payload(&payload), Ok(Some(Frame::Message(expected))));
}

#[test]
fn unknown_kind_and_choice_are_skippable_and_off_the_buffer() {
    let mut buffer = framed(&[0xa1, 0x00, 0x18, 99]);
    buffer.extend_from_slice(&framed(&[0xa3, 0x00, 0x04, 0x01, 0x44, 1, 2, 3, 4, 0x08, 0x18, 77]));
    PeerCodec.encode(&Frame::Keepalive, &mut buffer).expect("encodes");
    let error = PeerCodec.decode(&mut buffer).expect_err("kind 99");
    assert_eq!(error, CodecError::UnknownKind(99));
    assert!(error.is_skippable());
    let error = PeerCodec.decode(&mut buffer).expect_err("reason 77");
    assert_eq!(error, CodecError::UnknownChoice { name: "reason", value: 77 });
    assert!(error.is_skippable());
    assert_eq!(PeerCodec.decode(&mut buffer), Ok(Some(Frame::Keepalive)));
}

#[test]
fn broken_maps_are_named() {
    let missing = CodecError::MissingKey { key: 2, name: "epoch" };
    let cases: [(&[u8], CodecError); 9] = [
        (&[0xa2, 0x00, 0x05, 0x01, 0x44, 1, 2, 3, 4], missing),
        (&[0xa0], CodecError::MissingKey { key: 0, name: "kind" }),
        (&[0xa2, 0x00, 0x05, 0x00, 0x05], CodecError::DuplicateKey(0)),
        (&[0xbf, 0x00, 0x05, 0xff], CodecError::Indefinite),
        (&[0xa3, 0x00, 0x05, 0x01, 0x43, 1, 2, 3, 0x02, 0x82, 0, 0], CodecError::BadValue("address")),
        (&[0xa3, 0x00, 0x05, 0x01, 0x44, 1, 2, 3, 4, 0x02, 0x81, 0], CodecError::BadValue("epoch")),
        (&[0xa2, 0x00, 0x07, 0x0f, 0x9f, 0xff], CodecError::Indefinite),
        (&[0xa4, 0x00, 0x01, 0x0c, 0x1a, 0, 1, 0, 0, 0x0d, 0x61, b'a', 0x0e, 0x00], CodecError::BadValue("version")),
        (&[0xa4, 0x00, 0x01, 0x0c, 0x01, 0x0d, 0x60, 0x0e, 0x00], CodecError::BadValue("site")),
    ];
    for (payload, expected) in cases {
        assert_eq!(decode_payload(payload), Err(expected), "{payload:02x?}");
    }
    for payload in [&[0xff][..], &[0x05], &[0xa1, 0x61, b'k', 0x05], &[0xa1, 0x00, 0xff], &[0xa1, 0x00, 0x20]] {
        let error = decode_payload(payload).expect_err("not a message");
        assert!(matches!(error, CodecError::Cbor(_)), "{payload:02x?}: {error}");
    }
}

#[test]
fn announced_lengths_cost_no_memory() {
    // renew with 2^64-1 renewals, and none there.
    let payload = [0xa2, 0x00, 0x07, 0x0f, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert!(matches!(decode_payload(&payload), Err(CodecError::Cbor(_))));
    let payload = [0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert!(matches!(decode_payload(&payload), Err(CodecError::Cbor(_))));
}

#[test]
fn deep_nesting_is_skipped_without_recursion() {
    let mut payload = vec![0xa2, 0x00, 0x05, 0x17];
    payload.extend(std::iter::repeat_n(0x81, MAX_FRAME - 8));
    payload.push(0x00);
    assert_eq!(decode_payload(&payload), Err(CodecError::MissingKey { key: 1, name: "address" }));
}

#[test]
fn a_profile_must_be_possible() {
    let profile = HomeProfile { prefix_len: 33, gateway: IpAddr::V4(Ipv4Addr::LOCALHOST), gateway_mac: MacAddr::ZERO };
    let ack = |profile| Message::ClaimAck {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        epoch: Epoch::default(),
        lease: 1,
        profile,
        transfer: None,
    };
    let message = ack(profile);
    let error = PeerCodec.encode(&message, &mut BytesMut::new()).expect_err("33 bits");
    assert_eq!(error, CodecError::BadValue("prefix-len"));
    let profile = HomeProfile { prefix_len: 32, ..profile };
    let message = ack(profile);
    let mut frame = frame_of(&message).to_vec();
    let at = frame.windows(3).position(|window| window == [17, 0x18, 32]).expect("prefix-len is there");
    frame[at + 2] = 33;
    assert_eq!(PeerCodec.decode(&mut BytesMut::from(&frame[..])), Err(CodecError::BadValue("prefix-len")));
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

fn any_epoch() -> impl Strategy<Value = Epoch> {
    any::<(u32, u32)>().prop_map(|(incarnation, counter)| Epoch { incarnation, counter })
}

fn any_mac() -> impl Strategy<Value = MacAddr> {
    any::<[u8; 6]>().prop_map(MacAddr)
}

fn any_placement() -> impl Strategy<Value = (IpAddr, Epoch)> {
    (any_address(), any_epoch())
}

fn any_renewal() -> impl Strategy<Value = Renewal> {
    (any_placement(), any::<bool>()).prop_map(|((address, epoch), alive)| Renewal { address, epoch, alive })
}

fn any_profile() -> impl Strategy<Value = HomeProfile> {
    (0..=32u8, any_address(), any_mac()).prop_map(|(prefix_len, gateway, gateway_mac)| HomeProfile {
        prefix_len,
        gateway,
        gateway_mac,
    })
}

fn any_evidence() -> impl Strategy<Value = Evidence> {
    (0..EVIDENCE_VALUES.len()).prop_map(|at| EVIDENCE_VALUES[at].1)
}

fn any_reason() -> impl Strategy<Value = NackReason> {
    (0..REASON_VALUES.len()).prop_map(|at| REASON_VALUES[at].1)
}

fn any_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        (any::<u16>(), "[a-z0-9.-]{1,63}", any::<u64>()).prop_map(|(version, site, boot_id)| Message::Hello {
            version,
            site,
            boot_id
        }),
        (any_placement(), any_mac(), any_address(), any_evidence(), any::<bool>()).prop_map(
            |((address, last_epoch), mac, transfer, evidence, token)| Message::Claim {
                address,
                mac,
                transfer,
                evidence,
                last_epoch,
                token
            }
        ),
        (any_placement(), any::<u16>(), any_profile(), prop::option::of(any_address())).prop_map(
            |((address, epoch), lease, profile, transfer)| Message::ClaimAck {
                address,
                epoch,
                lease,
                profile,
                transfer
            }
        ),
        (any_placement(), any_mac(), any::<(u16, u16)>(), any_profile()).prop_map(
            |((address, epoch), mac, (lease, window), profile)| Message::Prepare {
                address,
                epoch,
                mac,
                lease,
                window,
                profile
            }
        ),
        (any_placement(), any_address()).prop_map(|((address, epoch), transfer)| Message::PrepareAck {
            address,
            epoch,
            transfer
        }),
        (any_placement(), any_reason(), any_epoch()).prop_map(|((address, epoch), reason, last_epoch)| {
            Message::PrepareNack { address, epoch, reason, last_epoch }
        }),
        (any_address(), any_reason()).prop_map(|(address, reason)| Message::ClaimNack { address, reason }),
        prop::collection::vec(any_renewal(), 0..40).prop_map(Message::Renew),
        prop::collection::vec(any_placement(), 0..40).prop_map(Message::RenewAck),
        (any_placement(), any::<bool>()).prop_map(|((address, epoch), alive)| Message::QueryAck {
            address,
            epoch,
            alive
        }),
        (any_placement(), any::<bool>(), any::<u16>()).prop_map(|((address, epoch), fence, drain)| Message::Revoke {
            address,
            epoch,
            fence,
            drain
        }),
        (any_placement(), 0..6u8).prop_map(|((address, epoch), which)| match which {
            0 => Message::Ready { address, epoch },
            1 => Message::Active { address, epoch },
            2 => Message::Query { address, epoch },
            3 => Message::RevokeAck { address, epoch },
            4 => Message::Release { address, epoch },
            _ => Message::ReleaseAck { address, epoch },
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_sent_is_what_is_read(messages in prop::collection::vec(any_message(), 1..5)) {
        let mut stream = BytesMut::new();
        for message in &messages {
            PeerCodec.encode(message, &mut stream).expect("encodes");
        }
        for message in messages {
            prop_assert_eq!(PeerCodec.decode(&mut stream), Ok(Some(Frame::Message(message))));
        }
        prop_assert!(stream.is_empty());
    }

    #[test]
    fn changed_octets_never_panic(
        message in any_message(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut payload = frame_of(&message)[LENGTH_SIZE..].to_vec();
        for (at, octet) in changes {
            let at = at.index(payload.len());
            payload[at] = octet;
        }
        let _ = decode_payload(&payload);
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = PeerCodec.decode(&mut BytesMut::from(&noise[..]));
        let _ = decode_payload(&noise);
    }
}
