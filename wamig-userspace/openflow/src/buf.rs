//! Reading and writing wire values: reads that are bounded by their parent, writes whose
//! length fields are filled in afterwards.
//!
//! A [`Reader`] is a window on a message. Every structure with a length of its own is read
//! from a narrower window, so that no length can reach beyond its parent, and each window
//! knows which error of the specification a short read in it is.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::{ErrorKind, OfpError};

/// A window on the bytes of a message.
#[derive(Clone)]
pub struct Reader<'a> {
    owner: &'a Bytes,
    rest: &'a [u8],
    short: ErrorKind,
}

impl<'a> Reader<'a> {
    /// The whole of `owner`; a read beyond its end is the error `short`.
    pub fn new(owner: &'a Bytes, short: ErrorKind) -> Self {
        Self { owner, rest: owner, short }
    }

    /// Bytes left.
    pub fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything is read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The error of this window, with `detail`.
    pub fn fail(&self, detail: &str) -> OfpError {
        OfpError::new(self.short, detail)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], OfpError> {
        let (head, tail) = self
            .rest
            .split_at_checked(n)
            .ok_or_else(|| OfpError::new(self.short, format!("{n} bytes wanted, {} left", self.rest.len())))?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], OfpError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// A byte.
    pub fn u8(&mut self) -> Result<u8, OfpError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// A number of 16 bits.
    pub fn u16(&mut self) -> Result<u16, OfpError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// A number of 32 bits.
    pub fn u32(&mut self) -> Result<u32, OfpError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A number of 64 bits.
    pub fn u64(&mut self) -> Result<u64, OfpError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A number of `len` bytes (at most 16).
    pub fn number(&mut self, len: usize) -> Result<u128, OfpError> {
        Ok(self.take(len)?.iter().fold(0, |n, b| n << 8 | u128::from(*b)))
    }

    /// Passes over padding.
    pub fn skip(&mut self, n: usize) -> Result<(), OfpError> {
        self.take(n).map(|_| ())
    }

    /// A narrower window of the next `n` bytes. The error `short` is that of reads beyond its
    /// end, and of a window that is wider than this one.
    pub fn window(&mut self, n: usize, short: ErrorKind) -> Result<Self, OfpError> {
        let mut inner = self.clone().failing(short);
        inner.rest = inner.take(n)?;
        self.skip(n)?;
        Ok(inner)
    }

    /// The same window with another error.
    #[must_use]
    pub fn failing(mut self, short: ErrorKind) -> Self {
        self.short = short;
        self
    }

    /// The window of a structure whose 16-bit length field lies `at` bytes ahead and counts
    /// from here; `least` is the smallest length it may have. Nothing is read of it.
    pub fn structure(&mut self, at: usize, least: usize, short: ErrorKind) -> Result<Self, OfpError> {
        let mut peek = self.clone().failing(short);
        peek.skip(at)?;
        let len = usize::from(peek.u16()?);
        if len < least || len > self.len() {
            let detail = format!("length {len} is not within {least} and {}", self.len());
            return Err(OfpError::new(short, detail));
        }
        self.window(len, short)
    }

    /// The next `n` bytes, without a copy.
    pub fn bytes(&mut self, n: usize) -> Result<Bytes, OfpError> {
        let slice = self.take(n)?;
        Ok(self.owner.slice_ref(slice))
    }

    /// All that is left, without a copy.
    pub fn remainder(&mut self) -> Bytes {
        self.owner.slice_ref(std::mem::take(&mut self.rest))
    }

    /// A text of `n` bytes that a zero ends; bytes that are no UTF-8 are replaced.
    pub fn text(&mut self, n: usize) -> Result<String, OfpError> {
        let field = self.take(n)?;
        let end = field.iter().position(|b| *b == 0).unwrap_or(n);
        let mut text = String::from_utf8_lossy(field.get(..end).unwrap_or_default()).into_owned();
        // A sender that left out the NUL, or bytes that became longer characters: what the
        // field can hold is kept.
        text.truncate(text.floor_char_boundary(n.saturating_sub(1)));
        Ok(text)
    }

    /// Reads values until the window is empty.
    pub fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Result<T, OfpError>) -> Result<Vec<T>, OfpError> {
        let mut out = Vec::new();
        while !self.is_empty() {
            let before = self.len();
            out.push(one(self)?);
            if self.len() == before {
                return Err(self.fail("an entry of no bytes"));
            }
        }
        Ok(out)
    }
}

/// Why a value has no wire form in a version.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EncodeError {
    /// The version has no such thing.
    #[error("OpenFlow {version} has no {what}")]
    NotInVersion {
        /// "1.0" or "1.3".
        version: &'static str,
        /// What it lacks.
        what: String,
    },
    /// A structure is longer than its length field can say.
    #[error("{0} bytes do not fit a length field of 16 bits")]
    TooLong(usize),
}

/// Where a structure began whose length is not yet known.
#[derive(Clone, Copy)]
pub struct Mark {
    start: usize,
    field: usize,
}

/// Writes wire values.
pub struct Writer<'a> {
    out: &'a mut BytesMut,
}

impl<'a> Writer<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut BytesMut) -> Self {
        Self { out }
    }

    /// A byte.
    pub fn u8(&mut self, v: u8) {
        self.out.put_u8(v);
    }

    /// A number of 16 bits.
    pub fn u16(&mut self, v: u16) {
        self.out.put_u16(v);
    }

    /// A number of 32 bits.
    pub fn u32(&mut self, v: u32) {
        self.out.put_u32(v);
    }

    /// A number of 64 bits.
    pub fn u64(&mut self, v: u64) {
        self.out.put_u64(v);
    }

    /// The low `len` bytes (at most 16) of a number.
    pub fn number(&mut self, v: u128, len: usize) {
        let bytes = v.to_be_bytes();
        self.out.put_slice(bytes.get(16 - len.min(16)..).unwrap_or_default());
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, v: &[u8]) {
        self.out.put_slice(v);
    }

    /// Zeros.
    pub fn zeros(&mut self, n: usize) {
        self.out.put_bytes(0, n);
    }

    /// A text in a field of `n` bytes, cut so that a zero ends it.
    pub fn text(&mut self, v: &str, n: usize) {
        let cut = v.get(..v.floor_char_boundary(n.saturating_sub(1))).unwrap_or_default();
        self.bytes(cut.as_bytes());
        self.zeros(n - cut.len());
    }

    /// Begins a structure here whose 16-bit length field lies `at` bytes ahead.
    pub fn begin(&self, at: usize) -> Mark {
        Mark { start: self.out.len(), field: self.out.len() + at }
    }

    /// Ends the structure: fills in its length.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`].
    pub fn end(&mut self, mark: Mark) -> Result<(), EncodeError> {
        let len = self.out.len() - mark.start;
        let value = u16::try_from(len).map_err(|_| EncodeError::TooLong(len))?;
        if let Some(field) = self.out.get_mut(mark.field..mark.field + 2) {
            field.copy_from_slice(&value.to_be_bytes());
        }
        Ok(())
    }

    /// Zeros up to a multiple of 8 bytes from the structure's begin.
    pub fn pad8(&mut self, mark: Mark) {
        let len = self.out.len() - mark.start;
        self.zeros(len.next_multiple_of(8) - len);
    }

    /// Bytes written since the structure's begin.
    pub fn since(&self, mark: Mark) -> usize {
        self.out.len() - mark.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_cannot_reach_beyond_its_parent() {
        let bytes = Bytes::from_static(&[0, 9, 0, 6, 1, 2]);
        let short = ErrorKind::BadActionBadLen;
        let mut r = Reader::new(&bytes, ErrorKind::BadRequestBadLen);
        assert_eq!(r.clone().structure(0, 4, short).err().map(|e| e.kind), Some(short));
        let mut inner = r.structure(2, 4, short).unwrap();
        assert_eq!((inner.len(), r.len()), (6, 0));
        inner.skip(4).unwrap();
        assert_eq!(inner.u32().unwrap_err().kind, short);
        assert_eq!(inner.u16(), Ok(0x0102));
    }

    #[test]
    fn lengths_are_filled_in_afterwards() {
        let mut out = BytesMut::new();
        let mut w = Writer::new(&mut out);
        let mark = w.begin(2);
        w.u16(7);
        w.u16(0);
        w.u8(1);
        w.pad8(mark);
        w.end(mark).unwrap();
        assert_eq!(out[..], [0, 7, 0, 8, 1, 0, 0, 0]);
    }

    #[test]
    fn a_text_is_cut_at_a_character() {
        let mut out = BytesMut::new();
        Writer::new(&mut out).text("abé", 4);
        assert_eq!(out[..], *b"ab\0\0");
        let back = out.freeze();
        assert_eq!(Reader::new(&back, ErrorKind::BadRequestBadLen).text(4), Ok("ab".into()));
    }
}
