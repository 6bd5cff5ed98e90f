//! The audit log: which address went from which state to which, when, on whose word and why.
//! A file of JSON lines in the state directory that is only ever appended to.
//!
//! What cannot be written is told of once and does not hold anything up: the placements
//! themselves are in the store, and forwarding matters more than its history.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::admin::explain::Entry;

/// The log's name in the state directory.
pub const FILE_NAME: &str = "audit.jsonl";

/// The open log.
#[derive(Debug)]
pub struct Audit {
    file: File,
    path: PathBuf,
}

impl Audit {
    /// Opens the log in the directory `state_dir`, which must be there; makes the file (mode
    /// 0600) if it is missing. A line that a crash left unfinished is ended, so that the next
    /// entry has a line of its own.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(FILE_NAME);
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path)?;
        let mut audit = Self { file, path };
        if !audit.ends_in_line()? {
            audit.file.write_all(b"\n")?;
        }
        Ok(audit)
    }

    fn ends_in_line(&self) -> io::Result<bool> {
        use std::os::unix::fs::FileExt;
        let length = self.file.metadata()?.len();
        let mut last = [b'\n'];
        if length > 0 {
            self.file.read_exact_at(&mut last, length - 1)?;
        }
        Ok(last == [b'\n'])
    }

    /// Where the log is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends an entry as one write, so that it is in the file whole or cut short at its end.
    ///
    /// # Errors
    /// The operating system's: the disk is full, or may not be written.
    pub fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }

    /// The latest entries about an address, at most `most`, oldest first. Lines that are no
    /// entry are passed over.
    ///
    /// # Errors
    /// The operating system's.
    pub fn latest(&self, address: IpAddr, most: usize) -> io::Result<Vec<Entry>> {
        let text = address.to_string();
        let mut found = std::collections::VecDeque::new();
        for line in BufReader::new(File::open(&self.path)?).split(b'\n') {
            let Ok(entry) = serde_json::from_slice::<Entry>(&line?) else { continue };
            if entry.address == text {
                if found.len() == most {
                    found.pop_front();
                }
                found.push_back(entry);
            }
        }
        Ok(found.into())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const S: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53));

    fn entry(at: u64, address: &str) -> Entry {
        Entry {
            at_unix_us: at,
            verb: "automatic".to_owned(),
            address: address.to_owned(),
            role: "home".to_owned(),
            from: "HOME".to_owned(),
            to: "CLAIMED".to_owned(),
            epoch: "1.3".to_owned(),
            reason: "granted to dc2".to_owned(),
        }
    }

    #[test]
    fn what_was_written_is_there_after_a_restart_and_only_ever_more() {
        let dir = tempfile::tempdir().unwrap();
        for at in 0..5 {
            let mut audit = Audit::open(dir.path()).unwrap();
            audit.append(&entry(at, "192.0.2.53")).unwrap();
            audit.append(&entry(at, "192.0.2.54")).unwrap();
        }
        let audit = Audit::open(dir.path()).unwrap();
        let latest = audit.latest(S, 3).unwrap();
        assert_eq!(latest.iter().map(|e| e.at_unix_us).collect::<Vec<_>>(), [2, 3, 4]);
        assert!(latest.iter().all(|e| e.address == "192.0.2.53"));
        assert_eq!(audit.latest(S, 100).unwrap().len(), 5);
    }

    #[test]
    fn a_line_that_a_crash_cut_short_spoils_no_other() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE_NAME), br#"{"at_unix_us":1,"verb":"auto"#).unwrap();
        let mut audit = Audit::open(dir.path()).unwrap();
        audit.append(&entry(2, "192.0.2.53")).unwrap();
        assert_eq!(audit.latest(S, 9).unwrap(), [entry(2, "192.0.2.53")]);
    }
}
