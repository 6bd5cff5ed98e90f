//! A text as the configuration: every mistake in it has a place in it, or it is one configuration however often it is
//! read.

#![no_main]

use std::path::Path;

use wamig_userspace::config::Config;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // Nothing but files that the text names is read, and relative ones are not there.
    if text.contains("/dev/") || text.contains("/proc/") || text.contains("/sys/") {
        return;
    }
    let path = Path::new("/nonexistent/wamig.toml");
    match Config::parse(path, text) {
        Ok(config) => assert_eq!(Config::parse(path, text).ok(), Some(config)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
