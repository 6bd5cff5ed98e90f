//! Bytes as frames of the peer session: each is refused with an error, or understood and said again.

#![no_main]

use bytes::BytesMut;
use tokio_util::codec::{Decoder as _, Encoder as _};
use wamig_userspace::peer::codec::PeerCodec;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // The length is put right: the CBOR behind it is what is looked for.
    let mut framed = BytesMut::from(&(data.len() as u32).to_be_bytes()[..]);
    framed.extend_from_slice(data);
    for stream in [framed, BytesMut::from(data)] {
        let mut stream = stream;
        while let Ok(Some(frame)) = PeerCodec.decode(&mut stream) {
            let mut out = BytesMut::new();
            PeerCodec.encode(&frame, &mut out).expect("what was received can be sent");
            let again = PeerCodec.decode(&mut out).expect("what was sent is understood");
            assert_eq!(again, Some(frame));
            assert!(out.is_empty());
        }
    }
});
