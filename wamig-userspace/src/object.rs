//! The XDP object that was compiled into this program, if there is one.
//!
//! It is only carried here; what loads it decides what to say when it is missing.

/// `build.rs` leaves an empty file when there was no object to embed. Aligned, since ELF is read in place.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/wamig.bpf.o"));

/// The ELF file of the XDP program, or `None` in a build without it (feature `bpf` off, or no BPF toolchain).
pub fn bytes() -> Option<&'static [u8]> {
    (!OBJECT.is_empty()).then_some(OBJECT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_embedded_is_an_aligned_elf_file() {
        let Some(object) = bytes() else { return };

        assert_eq!(object.get(..4), Some(&b"\x7fELF"[..]));
        assert_eq!(object.as_ptr().align_offset(8), 0);
    }
}
