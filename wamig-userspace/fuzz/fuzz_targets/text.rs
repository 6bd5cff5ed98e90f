//! ovs-ofctl syntax: a text is refused with an error that names a part of it, or says the same when it is printed and
//! read again.

#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use wamig_openflow::text::TextError;
use wamig_openflow::{Action, FlowMod, Instructions, Match, PortNo};

fn check<T: FromStr<Err = TextError> + Display + Debug + PartialEq>(text: &str) {
    match text.parse::<T>() {
        Ok(value) => {
            let printed = value.to_string();
            let again = printed.parse::<T>().unwrap_or_else(|error| panic!("{error}: {printed}"));
            assert_eq!(again, value, "{printed}");
        }
        Err(error) => assert!(text.contains(&error.place), "{error} names no part of {text:?}"),
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check::<FlowMod>(text);
    check::<Match>(text);
    check::<Action>(text);
    check::<Instructions>(text);
    check::<PortNo>(text);
});
