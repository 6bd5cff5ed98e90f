//! A BPF array in our own memory (`BPF_F_MMAPABLE`, Linux 5.5): what is stored there is what the
//! programs read, without a system call.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::atomic::{AtomicU64, Ordering};

use aya::maps::{Map, MapData};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// An array of `T`, mapped. `T` is a whole number of words of eight bytes.
pub struct Mapped<T> {
    words: *mut u64,
    bytes: usize,
    entries: u32,
    _map: Map,
    _values: PhantomData<T>,
}

// SAFETY: the memory belongs to the map, is accessed by atomic words, and lives until the drop.
unsafe impl<T> Send for Mapped<T> {}

impl<T: IntoBytes + FromBytes + Immutable> Mapped<T> {
    const WORDS: usize = size_of::<T>() / size_of::<u64>();

    /// Maps an array.
    ///
    /// # Errors
    /// It is no array of such values, or was not made to be mapped.
    pub fn new(map: Map) -> io::Result<Self> {
        let Map::Array(data) = &map else { return Err(io::Error::other("no array can be mapped but an array")) };
        let (entries, size) = layout(data)?;
        if size != size_of::<T>() || !size.is_multiple_of(size_of::<u64>()) {
            return Err(io::Error::other(format!("the map's values have {size} bytes, not {}", size_of::<T>())));
        }
        let bytes = entries as usize * size;
        let (fd, protection) = (data.fd().as_fd().as_raw_fd(), libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: a new mapping of a map, of no more than the map has.
        let words = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, libc::MAP_SHARED, fd, 0) };
        if words == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { words: words.cast(), bytes, entries, _map: map, _values: PhantomData })
    }

    /// Places in the array.
    pub const fn len(&self) -> u32 {
        self.entries
    }

    /// What is in a place. The programs only read it, so that it stays as it is while it is borrowed.
    pub fn get(&self, index: u32) -> Option<&T> {
        const { assert!(align_of::<T>() <= align_of::<u64>()) };
        let at = (index < self.entries).then_some(index as usize * Self::WORDS)?;
        // SAFETY: within the mapping, aligned, of a type for which any bytes are a value; whoever writes borrows
        // the whole array mutably, and programs do not write to arrays that are mapped.
        Some(unsafe { &*self.words.add(at).cast::<T>() })
    }

    /// Stores a value, word by word.
    ///
    /// # Errors
    /// There is no such place.
    pub fn set(&mut self, index: u32, value: &T) -> io::Result<()> {
        for (place, word) in value.as_bytes().chunks_exact(8).enumerate() {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(word);
            self.store(index, place, u64::from_ne_bytes(bytes), Ordering::Relaxed)?;
        }
        Ok(())
    }

    /// Stores those words of a value that differ from what is there.
    ///
    /// # Errors
    /// There is no such place.
    pub fn update(&mut self, index: u32, value: &T) -> io::Result<()> {
        for (place, word) in value.as_bytes().chunks_exact(8).enumerate() {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(word);
            let word = u64::from_ne_bytes(bytes);
            if self.word(index, place)?.load(Ordering::Relaxed) != word {
                self.store(index, place, word, Ordering::Relaxed)?;
            }
        }
        Ok(())
    }

    /// Stores one word of a value; `order` is that towards what was stored before.
    ///
    /// # Errors
    /// There is no such place.
    pub fn store(&mut self, index: u32, place: usize, word: u64, order: Ordering) -> io::Result<()> {
        self.word(index, place).map(|w| w.store(word, order))
    }

    fn word(&self, index: u32, place: usize) -> io::Result<&AtomicU64> {
        if index >= self.entries || place >= Self::WORDS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("the map has no place {index}")));
        }
        let at = index as usize * Self::WORDS + place;
        // SAFETY: within the mapping, which is page-aligned and lives as long as we do; other
        // readers and writers use whole words.
        Ok(unsafe { AtomicU64::from_ptr(self.words.add(at)) })
    }
}

fn layout(data: &MapData) -> io::Result<(u32, usize)> {
    let info = data.info().map_err(io::Error::other)?;
    Ok((info.max_entries(), info.value_size() as usize))
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, not used after this.
        unsafe { libc::munmap(self.words.cast(), self.bytes) };
    }
}
