//! Where the length fields of a message lie that a controller sends, and which error of the
//! specification (OpenFlow 1.3.5 §7.4.4) each is when it is wrong. Written from the
//! specification's structures; shares no code with the decoder.

use wamig_openflow::ErrorKind::{
    self, BadActionBadLen, BadActionBadSetLen, BadInstructionBadLen, BadMatchBadLen, BadRequestBadLen, BundleMsgBadLen,
    GroupModBadBucket,
};

/// A length field.
pub struct Length {
    pub at: usize,
    /// Bytes: 1 in an OXM header, else 2.
    pub width: usize,
    pub fault: ErrorKind,
}

/// A structure that cannot end before its last byte.
struct Part {
    start: usize,
    end: usize,
    /// The message needs it.
    needed: bool,
    fault: ErrorKind,
}

/// A message's structures, as far as cuts and lengths are concerned.
pub struct Layout {
    /// Bytes of the part that has no lengths.
    fixed: usize,
    parts: Vec<Part>,
    pub lengths: Vec<Length>,
}

impl Layout {
    /// Of a whole message.
    pub fn of(bytes: &[u8]) -> Self {
        let mut layout = Self { fixed: bytes.len(), parts: Vec::new(), lengths: Vec::new() };
        match (bytes[0], bytes[1]) {
            // echo and error: whatever follows is the sender's
            (_, 2) => layout.fixed = 8,
            (_, 1) => layout.fixed = 12,
            (1, 13) => layout.packet_out(14, 16, bytes),
            (1, 14) => layout.actions_of_the_message(72, bytes),
            (4, 13) => layout.packet_out(16, 24, bytes),
            (4, 14) => layout.flow_mod(bytes),
            (4, 15) => layout.group_mod(bytes),
            (4, 18) if matches!(bytes[9], 1 | 2) => layout.matching(48, bytes),
            // an experimenter's, of which only the head is known
            (4, 18) if bytes[8..10] == [0xff, 0xff] => layout.fixed = 24,
            (4, 4) if bytes[8..12] == [0, 0, 0x42, 0x42] => layout.fixed = 16,
            // 1.0 leaves all behind the vendor to it, and Nicira begins with a type
            (1, 4) if bytes[8..12] != [0, 0, 0x23, 0x20] => layout.fixed = 12,
            (4, 29) => {
                layout.fixed = 16;
                layout.list(16, 2, BadRequestBadLen, bytes);
            }
            // ONF: bundle-add with a message in it
            (4, 4) if bytes[8..16] == *b"ONF\0\0\0\x08\xfd" => {
                layout.fixed = 24;
                layout.part(24, bytes.len(), true, BundleMsgBadLen);
                layout.length(26, 2, BundleMsgBadLen);
            }
            _ => {}
        }
        layout
    }

    /// The error of the message cut at a byte; `None` = it makes sense.
    pub fn cut(&self, at: usize) -> Option<ErrorKind> {
        if at < self.fixed {
            return Some(BadRequestBadLen);
        }
        self.parts.iter().find(|p| at < p.end && (p.start < at || p.needed)).map(|p| p.fault)
    }

    fn part(&mut self, start: usize, end: usize, needed: bool, fault: ErrorKind) {
        self.parts.push(Part { start, end, needed, fault });
    }

    fn length(&mut self, at: usize, width: usize, fault: ErrorKind) {
        self.lengths.push(Length { at, width, fault });
    }

    /// Structures one after the other up to the end, their lengths `at` bytes into each.
    fn list(&mut self, from: usize, at: usize, fault: ErrorKind, bytes: &[u8]) -> Vec<(usize, usize)> {
        let all = structures(from, bytes.len(), at, bytes);
        for (start, end) in &all {
            self.part(*start, *end, false, fault);
            self.length(start + at, 2, fault);
        }
        all
    }

    fn actions_of_the_message(&mut self, from: usize, bytes: &[u8]) {
        self.fixed = from;
        for (start, _) in self.list(from, 2, BadActionBadLen, bytes) {
            self.set_field(start, bytes);
        }
    }

    fn packet_out(&mut self, len_at: usize, from: usize, bytes: &[u8]) {
        self.fixed = from;
        let end = from + word(bytes, len_at);
        self.part(from, end, true, BadActionBadLen);
        self.length(len_at, 2, BadActionBadLen);
        self.actions(from, end, bytes);
    }

    /// Actions within a structure: only their lengths count.
    fn actions(&mut self, from: usize, to: usize, bytes: &[u8]) {
        for (start, _) in structures(from, to, 2, bytes) {
            self.length(start + 2, 2, BadActionBadLen);
            self.set_field(start, bytes);
        }
    }

    fn set_field(&mut self, start: usize, bytes: &[u8]) {
        if bytes[0] == 4 && word(bytes, start) == 25 {
            self.length(start + 7, 1, BadActionBadSetLen);
        }
    }

    /// A match with its padding, which is needed.
    fn matching(&mut self, from: usize, bytes: &[u8]) {
        self.fixed = from;
        let end = from + word(bytes, from + 2);
        self.part(from, from + (end - from).next_multiple_of(8), true, BadMatchBadLen);
        self.length(from + 2, 2, BadMatchBadLen);
        let mut at = from + 4;
        while at < end {
            self.length(at + 3, 1, BadMatchBadLen);
            at += 4 + usize::from(bytes[at + 3]);
        }
    }

    fn flow_mod(&mut self, bytes: &[u8]) {
        self.matching(48, bytes);
        let from = self.parts[0].end;
        for (start, end) in self.list(from, 2, BadInstructionBadLen, bytes) {
            if matches!(word(bytes, start), 3 | 4) {
                self.actions(start + 8, end, bytes);
            }
        }
    }

    fn group_mod(&mut self, bytes: &[u8]) {
        self.fixed = 16;
        for (start, end) in self.list(16, 0, GroupModBadBucket, bytes) {
            self.actions(start + 16, end, bytes);
        }
    }
}

fn word(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

/// Begin and end of each structure from one place to another.
fn structures(mut from: usize, to: usize, at: usize, bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    while from < to {
        let end = from + word(bytes, from + at);
        all.push((from, end));
        from = end;
    }
    assert_eq!(from, to, "the lengths of a golden message are right");
    all
}
