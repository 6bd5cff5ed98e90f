//! Bytes as one message of OpenFlow 1.0: refused with an error that can be sent, or understood and said again.

#![no_main]

use wamig_openflow::Version;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some(frame) = wamig_fuzz::message(Version::V10, data) {
        wamig_fuzz::decodes_and_encodes(Version::V10, &frame);
    }
});
