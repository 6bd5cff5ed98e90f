//! The golden files: each is decoded, compared with what it says, and encoded again.
//! `UPDATE=1 cargo test -p wamig-openflow --test golden` writes what each decodes to.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::fmt::Write as _;
use std::process::Command;

use bytes::BytesMut;
use common::golden::{Golden, files};
use wamig_openflow::{ErrorKind, Message, TableId, Version, decode, encode, header};

fn good() -> Vec<Golden> {
    files("v10").into_iter().chain(files("v13")).collect()
}

#[test]
fn each_says_what_its_text_says_and_says_it_again() {
    let update = std::env::var_os("UPDATE").is_some();
    for file in good() {
        let frame = file.frame();
        let message = decode(&frame).unwrap_or_else(|e| panic!("{}: {e}", file.name()));
        let text = format!("{message:#?}\n");
        if update {
            std::fs::write(&file.path, format!("{}--\n{text}", file.hex)).unwrap();
        } else {
            assert_eq!(text, file.text, "{}", file.name());
        }
        let version = Version::from_number(frame.header.version).unwrap();
        let mut out = BytesMut::new();
        encode(version, frame.header.xid, &message, &mut out).unwrap();
        assert_eq!(out.freeze(), frame.bytes, "{}", file.name());
    }
}

#[test]
fn each_bad_one_is_refused_with_its_error() {
    for file in files("bad") {
        let error = decode(&file.frame()).err().unwrap_or_else(|| panic!("{}: taken", file.name()));
        let (ty, code) = error.numbers();
        assert_eq!(format!("{} {ty} {code}", error.error.kind.name()), file.text.trim(), "{}", file.name());
        let (xid, reply) = error.reply();
        assert_eq!(xid, error.header.xid);
        encode(error.version(), xid, &reply, &mut BytesMut::new()).unwrap();
        assert_eq!(error.request, file.bytes[..file.bytes.len().min(64)]);
    }
}

/// Every message cut at each byte, its length field saying so.
#[test]
fn a_message_cut_short_is_refused_or_makes_sense() {
    for file in good() {
        for cut in 8..file.bytes.len() {
            let mut bytes = BytesMut::from(&file.bytes[..cut]);
            bytes[2..4].copy_from_slice(&(cut as u16).to_be_bytes());
            let frame = header::decode(&mut bytes).unwrap().unwrap();
            // Lists and payloads may end here; everything else is an error with numbers.
            if let Err(e) = decode(&frame) {
                assert!(ErrorKind::ALL.contains(&e.error.kind), "{}", file.name());
                assert_eq!(e.header.xid, frame.header.xid);
            }
        }
        for cut in 0..file.bytes.len() {
            let mut bytes = BytesMut::from(&file.bytes[..cut]);
            assert_eq!(header::decode(&mut bytes), Ok(None), "{} cut at {cut} waits for more", file.name());
        }
    }
}

/// Any two bytes may be a length: each place takes the values a length is never right with.
#[test]
fn a_wrong_length_anywhere_never_harms() {
    let mut refused = 0;
    for file in good() {
        for at in 4..file.bytes.len() - 1 {
            let old = u16::from_be_bytes([file.bytes[at], file.bytes[at + 1]]);
            for new in [old.wrapping_add(1), old.wrapping_sub(1), 0, 65535] {
                let mut bytes = BytesMut::from(&file.bytes[..]);
                bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());
                let frame = header::decode(&mut bytes).unwrap().unwrap();
                refused += u32::from(decode(&frame).is_err());
            }
        }
        let length = file.bytes.len() as u16;
        for new in [length + 1, length - 1, 0, 65535] {
            let mut bytes = BytesMut::from(&file.bytes[..]);
            bytes[2..4].copy_from_slice(&new.to_be_bytes());
            match header::decode(&mut bytes) {
                Ok(Some(frame)) => drop(decode(&frame)),
                Ok(None) => assert!(new > length),
                Err(lost) => assert_eq!(lost.error().kind, ErrorKind::BadRequestBadLen),
            }
        }
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn a_version_that_nobody_speaks_is_refused_by_name() {
    for file in good() {
        for version in 0..=255 {
            let mut bytes = BytesMut::from(&file.bytes[..]);
            bytes[0] = version;
            let frame = header::decode(&mut bytes).unwrap().unwrap();
            let result = decode(&frame);
            if frame.header.ty == 0 {
                assert!(result.is_ok(), "a hello is understood in every version");
            } else if Version::from_number(version).is_none() {
                assert_eq!(result.unwrap_err().error.kind, ErrorKind::BadRequestBadVersion);
            }
        }
    }
}

/// True when Open vSwitch's tool is there; else says why the test is skipped.
fn has_ofctl() -> bool {
    let found = Command::new("ovs-ofctl").arg("--version").output().is_ok_and(|run| run.status.success());
    if !found {
        println!("SKIP: needs ovs-ofctl (Debian: openvswitch-switch)");
    }
    found
}

/// Open vSwitch prints each message without finding fault with it.
#[test]
fn open_vswitch_understands_each() {
    if !has_ofctl() {
        return;
    }
    let mut faults = Vec::new();
    for file in good() {
        let hex = file.bytes.iter().fold(String::new(), |mut s, b| {
            write!(s, "{b:02x}").unwrap();
            s
        });
        let run = Command::new("ovs-ofctl").args(["ofp-print", &hex]).output().unwrap();
        let out = String::from_utf8_lossy(&run.stdout);
        // An error quotes the start of a request only, and that is said with asterisks.
        let quoted = out.contains("OFPT_ERROR");
        // It does not know every experimenter, nor does it have to.
        let stranger = file.name().contains("experimenter") || file.name().contains("vendor");
        // A vendor's message of fewer than 16 bytes it takes for no message.
        let kinds = ["OFPBRC_BAD_VENDOR", "OFPBRC_BAD_EXPERIMENTER", "OFPBRC_BAD_LEN"];
        let refused = stranger && kinds[..if file.bytes.len() < 16 { 3 } else { 2 }].iter().any(|k| out.contains(k));
        println!("{}\n{out}", file.name());
        if !run.status.success() || out.contains("***") && !quoted && !refused || out.contains("unknown") {
            faults.push(format!("{}: {out}", file.name()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What a flow-mod prints, Open vSwitch takes as a flow.
#[test]
fn open_vswitch_reads_our_text() {
    if !has_ofctl() {
        return;
    }
    let mut seen = 0;
    for file in good() {
        let Ok(Message::FlowMod(m)) = decode(&file.frame()) else { continue };
        let version = if file.bytes[0] == 1 { "OpenFlow10" } else { "OpenFlow13" };
        let table = m.table;
        // 1.0 has no tables, and no flow is added to all of them.
        let flow = wamig_openflow::FlowMod { table: TableId(table.0 & 0x7f), ..m }.to_string();
        let run = Command::new("ovs-ofctl").args(["-O", version, "parse-flow", &flow]).output().unwrap();
        println!("{flow}\n{}", String::from_utf8_lossy(&run.stdout));
        assert!(run.status.success(), "{flow}: {}", String::from_utf8_lossy(&run.stderr));
        seen += 1;
    }
    assert!(seen >= 4);
}
