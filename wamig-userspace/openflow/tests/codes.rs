//! Malformed messages: each golden message that a controller sends, cut at each byte and with
//! each of its lengths wrong, is refused with the specification's error type and code.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use bytes::BytesMut;
use common::golden::{Golden, files};
use common::lengths::Layout;
use wamig_openflow::{ErrorKind, decode, header};

/// What controllers send, hellos left out: those never fail (§7.5.1).
fn requests() -> Vec<Golden> {
    let sent = |file: &Golden| match file.bytes[0] {
        1 => matches!(file.bytes[1], 1 | 2 | 4 | 13 | 14 | 15 | 16),
        _ => matches!(file.bytes[1], 1 | 2 | 4 | 9 | 13..=18 | 24 | 28 | 29),
    };
    let all: Vec<_> = files("v10").into_iter().chain(files("v13")).filter(sent).collect();
    assert!(all.len() >= 20, "{}", all.len());
    all
}

/// The error of a message, its header saying how long it is.
fn fault(mut bytes: Vec<u8>) -> Option<ErrorKind> {
    let len = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    let frame = header::decode(&mut BytesMut::from(&bytes[..])).unwrap().unwrap();
    let error = decode(&frame).err()?;
    assert_eq!(error.header, frame.header, "the answer carries version and xid of the request");
    assert_eq!(error.request, bytes[..bytes.len().min(64)]);
    let numbers = if bytes[0] == 1 { error.error.kind.v10() } else { error.error.kind.v13() };
    assert_eq!(error.numbers(), numbers);
    Some(error.error.kind)
}

#[test]
fn a_cut_is_an_error_of_the_structure_that_it_cuts() {
    let mut wrong = Vec::new();
    for file in requests() {
        let layout = Layout::of(&file.bytes);
        for cut in 8..=file.bytes.len() {
            let (said, expected) = (fault(file.bytes[..cut].to_vec()), layout.cut(cut));
            if said != expected {
                wrong.push(format!("{} cut at {cut}: {said:?} instead of {expected:?}", file.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_length_is_an_error_of_its_structure() {
    let (mut tried, mut wrong) = (0, Vec::new());
    for file in requests() {
        for length in Layout::of(&file.bytes).lengths {
            let field = length.at..length.at + length.width;
            let old = file.bytes[field.clone()].iter().fold(0, |n, b| n << 8 | u16::from(*b));
            let most = if length.width == 1 { 0xff } else { 0xffff };
            for new in [old - 1, old + 1, 0, most] {
                let mut bytes = file.bytes.clone();
                bytes[field.clone()].copy_from_slice(&new.to_be_bytes()[2 - length.width..]);
                let sound = match (bytes[0], bytes[1], length.at) {
                    // A packet-out without actions: they are part of the frame.
                    (1, 13, 14) | (4, 13, 16) => new == 0,
                    // What a bundle-add carries is judged by itself, and properties may follow it.
                    (4, 4, _) => new == old - 1,
                    _ => false,
                };
                let (said, expected) = (fault(bytes), (!sound).then_some(length.fault));
                tried += 1;
                if said != expected {
                    let name = file.name();
                    wrong.push(format!("{name} length at {} = {new}: {said:?} instead of {expected:?}", length.at));
                }
            }
        }
    }
    assert!(tried >= 150, "{tried}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
