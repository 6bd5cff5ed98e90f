//! Bytes as a stream of messages that arrives in pieces: the messages do not depend on the pieces, and every one of
//! them, of any version, is decoded or refused.

#![no_main]

use bytes::BytesMut;
use wamig_openflow::{Frame, LostStream, Version, header};

/// The messages of a stream that arrives in pieces of these sizes, and how it ends.
fn read(mut data: &[u8], mut pieces: impl Iterator<Item = usize>) -> (Vec<Frame>, Option<LostStream>, usize) {
    let mut stream = BytesMut::new();
    let mut frames = Vec::new();
    while !data.is_empty() {
        let piece = pieces.next().unwrap_or(data.len()).clamp(1, data.len());
        let (now, later) = data.split_at(piece);
        stream.extend_from_slice(now);
        data = later;
        loop {
            match header::decode(&mut stream) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(lost) => return (frames, Some(lost), 0),
            }
        }
    }
    (frames, None, stream.len())
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [pieces @ .., a, b, c, d] = data else { return };
    let pieces_of = [a, b, c, d].map(|n| usize::from(*n));
    let whole = read(pieces, std::iter::empty());
    let split = read(pieces, pieces_of.into_iter().cycle());
    assert_eq!(whole, split);
    for frame in whole.0 {
        let version = Version::from_number(frame.header.version);
        wamig_fuzz::decodes_and_encodes(version.unwrap_or(Version::V13), &frame);
    }
});
