//! Bytes as a record of a migration, as the store may give it back after a crash of anything.

#![no_main]

use wamig_userspace::migration::record::Record;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(record) = Record::decode(data) {
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes).expect("what was written is read"), record);
        assert!(record.key()[0] == 1 || record.key()[0] == 2);
    }
});
