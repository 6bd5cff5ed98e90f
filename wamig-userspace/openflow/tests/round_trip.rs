//! decode(encode(x)) == x for every message kind of both versions, and no bytes make the
//! decoder panic.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use bytes::BytesMut;
use proptest::prelude::*;
use wamig_openflow::{Message, Version, Xid, decode, encode, header};

fn back_and_forth(version: Version, message: &Message) -> Result<(), TestCaseError> {
    let mut stream = BytesMut::new();
    encode(version, Xid(7), message, &mut stream).unwrap();
    let frame = header::decode(&mut stream).unwrap().unwrap();
    prop_assert!(stream.is_empty());
    prop_assert_eq!(frame.header.xid, Xid(7));
    let back = decode(&frame).map_err(|e| TestCaseError::fail(format!("{e}: {message:?}")))?;
    prop_assert_eq!(&back, message);
    let mut again = BytesMut::new();
    encode(version, Xid(7), &back, &mut again).unwrap();
    prop_assert_eq!(again.freeze(), frame.bytes);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_is_said_in_v13_is_understood(message in common::v13::message()) {
        back_and_forth(Version::V13, &message)?;
    }

    #[test]
    fn what_is_said_in_v10_is_understood(message in common::v10::message()) {
        back_and_forth(Version::V10, &message)?;
    }

    /// Valid messages with a few bytes changed: decoded or refused, and what is decoded can
    /// be said again.
    #[test]
    fn damaged_messages_are_refused_or_make_sense(
        message in prop_oneof![
            common::v13::message().prop_map(|m| (Version::V13, m)),
            common::v10::message().prop_map(|m| (Version::V10, m)),
        ],
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (version, message) = message;
        let mut stream = BytesMut::new();
        encode(version, Xid(7), &message, &mut stream).unwrap();
        for (at, byte) in damage {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        let Ok(Some(frame)) = header::decode(&mut stream) else { return Ok(()) };
        match decode(&frame) {
            Ok(message) => {
                if let Some(version) = Version::from_number(frame.header.version) {
                    let mut out = BytesMut::new();
                    // Not everything that is understood can be said: see EncodeError.
                    let _ = encode(version, Xid(7), &message, &mut out);
                }
            }
            Err(e) => {
                let (xid, reply) = e.reply();
                prop_assert_eq!(xid, frame.header.xid);
                let mut out = BytesMut::new();
                encode(e.version(), xid, &reply, &mut out).unwrap();
                prop_assert!(e.request.len() >= frame.bytes.len().min(64));
            }
        }
    }
}

/// The text of a flow says all of it but the command, the buffer, and how many bytes go to
/// ports that are no controllers.
fn textual(m: &wamig_openflow::FlowMod) -> bool {
    use wamig_openflow::{Action, PortNo};
    m.instructions.apply.iter().chain(&m.instructions.write).all(|a| match a {
        Action::Output { port, max_len } => *port == PortNo::CONTROLLER || *max_len == 0xffff,
        Action::Experimenter { .. } => false,
        _ => true,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, max_global_rejects: 1_000_000, ..ProptestConfig::default() })]

    #[test]
    fn a_flow_reads_what_it_prints(
        m in common::v13::flow_mod().prop_filter("has a text", textual),
    ) {
        let back: wamig_openflow::FlowMod = m.to_string().parse()
            .map_err(|e| TestCaseError::fail(format!("{m}: {e}")))?;
        let wanted = wamig_openflow::FlowMod {
            command: wamig_openflow::FlowModCommand::Add,
            buffer_id: None,
            ..m
        };
        prop_assert_eq!(back, wanted);
    }
}
