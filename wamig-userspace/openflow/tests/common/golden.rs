//! Golden files: commented hex, a line `--`, and what the message says.

use std::path::{Path, PathBuf};

use bytes::BytesMut;
use wamig_openflow::Frame;
use wamig_openflow::header;

/// One golden file.
pub struct Golden {
    pub path: PathBuf,
    /// The part before `--`, as it is written.
    pub hex: String,
    pub bytes: Vec<u8>,
    /// The part after `--`.
    pub text: String,
}

impl Golden {
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    pub fn frame(&self) -> Frame {
        let mut stream = BytesMut::from(&self.bytes[..]);
        let frame = header::decode(&mut stream).unwrap().unwrap_or_else(|| panic!("{}: cut short", self.name()));
        assert!(stream.is_empty(), "{}: more than one message", self.name());
        frame
    }
}

/// Every file of a directory under `tests/golden`.
pub fn files(dir: &str) -> Vec<Golden> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(dir);
    let mut paths: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{}", dir.display());
    paths.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> Golden {
    let all = std::fs::read_to_string(&path).unwrap();
    let (hex, text) = all.split_once("--\n").unwrap_or_else(|| panic!("{}: no -- line", path.display()));
    let digits: String = hex
        .lines()
        .flat_map(|l| l.split('#').next().unwrap_or_default().chars())
        .filter(|c| !c.is_whitespace())
        .collect();
    let bytes = (0..digits.len() / 2).map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap()).collect();
    Golden { hex: hex.to_owned(), bytes, text: text.to_owned(), path }
}
