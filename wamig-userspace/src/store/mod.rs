//! What must survive a restart: records as bytes under string keys, in named tables, in one
//! redb file. Every change is on disk (fsync) when the call returns, because the caller tells
//! the peers about it next.
//!
//! The store does not know what the bytes mean; that is the business of whoever writes them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, TableError};

/// The database's name in the state directory.
pub const FILE_NAME: &str = "wamig.redb";

/// Octets of memory for pages: the records are few and small.
const CACHE_SIZE: usize = 4 << 20;

/// Why the store cannot be used. Each says which path and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the database.
    #[error("{0} is in use by another wamig daemon; stop that one, or give this one its own state_dir")]
    InUse(PathBuf),
    /// The directory or the file cannot be made or opened.
    #[error("cannot open {path}: {source}; state_dir must be a directory that wamig may write")]
    Open {
        /// Which path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file is not a database, or a damaged one.
    #[error(
        "{path} is damaged or no wamig state ({detail}); restore it, or move it away to begin anew: \
         placements are then learned again, and epochs begin a new incarnation"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What redb said.
        detail: String,
    },
    /// A read or a write failed; what was there before is still there.
    #[error("cannot {action} in {path}: {detail}; check the disk's free space and health")]
    Access {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What redb said.
        detail: String,
    },
}

/// The open database; at most one process has it.
#[derive(Debug)]
pub struct Store {
    database: Database,
    path: PathBuf,
}

impl Store {
    /// Opens the database in the directory `state_dir`; makes the directory (mode 0700) and the
    /// database (mode 0600) if they are missing.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let path = state_dir.join(FILE_NAME);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Open { path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(failed(state_dir))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(failed(&path))?;
        // The file's name must be as durable as what is going to be in it.
        File::open(state_dir).and_then(|dir| dir.sync_all()).map_err(failed(state_dir))?;
        let opened = FileBackend::new(file)
            .and_then(|backend| Builder::new().set_cache_size(CACHE_SIZE).create_with_backend(backend));
        match opened {
            Ok(database) => Ok(Self { database, path }),
            Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) => {
                Err(StoreError::InUse(path))
            }
            Err(DatabaseError::Storage(redb::StorageError::Io(source)))
                if source.kind() != io::ErrorKind::InvalidData =>
            {
                Err(StoreError::Open { path, source })
            }
            Err(error) => Err(StoreError::Damaged { path, detail: error.to_string() }),
        }
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a record over what is under `key`; on disk on return.
    pub fn put(&self, table: &str, key: &str, record: &[u8]) -> Result<(), StoreError> {
        let written = || -> Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            transaction.open_table(definition(table))?.insert(key, record)?;
            Ok(transaction.commit()?)
        };
        written().map_err(|error| self.failed("write", &error))
    }

    /// Removes the record under `key`, if there is one; on disk on return.
    pub fn delete(&self, table: &str, key: &str) -> Result<(), StoreError> {
        let deleted = || -> Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            transaction.open_table(definition(table))?.remove(key)?;
            Ok(transaction.commit()?)
        };
        deleted().map_err(|error| self.failed("delete", &error))
    }

    /// Every record of a table with its key, in the order of the keys (by octets). A table that
    /// nobody has written to is empty.
    pub fn load_all(&self, table: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let loaded = || -> Result<Vec<(String, Vec<u8>)>, redb::Error> {
            let table = match self.database.begin_read()?.open_table(definition(table)) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            let mut records = Vec::new();
            for entry in table.iter()? {
                let (key, record) = entry?;
                records.push((key.value().to_owned(), record.value().to_vec()));
            }
            Ok(records)
        };
        loaded().map_err(|error| self.failed("read", &error))
    }

    fn failed(&self, action: &'static str, error: &redb::Error) -> StoreError {
        StoreError::Access { path: self.path.clone(), action, detail: error.to_string() }
    }
}

fn definition(table: &str) -> TableDefinition<'_, &'static str, &'static [u8]> {
    TableDefinition::new(table)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).expect("is there").permissions().mode() & 0o777
    }

    fn pair(key: &str, record: &[u8]) -> (String, Vec<u8>) {
        (key.to_owned(), record.to_vec())
    }

    #[test]
    fn keeps_records_over_a_restart() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let state_dir = dir.path().join("var/wamig");
        let store = Store::open(&state_dir).expect("opens");
        assert_eq!(store.load_all("placement").expect("loads"), []);
        store.put("placement", "192.0.2.53", b"first").expect("puts");
        store.put("placement", "192.0.2.53", b"second").expect("puts");
        store.put("placement", "192.0.2.10", b"").expect("puts");
        store.put("pool", "198.51.100.200", &[0, 255]).expect("puts");
        store.put("pool", "198.51.100.201", b"gone").expect("puts");
        store.delete("pool", "198.51.100.201").expect("deletes");
        store.delete("pool", "never there").expect("deletes");
        drop(store);
        let store = Store::open(&state_dir).expect("opens again");
        assert_eq!(
            store.load_all("placement").expect("loads"),
            [pair("192.0.2.10", b""), pair("192.0.2.53", b"second")]
        );
        assert_eq!(store.load_all("pool").expect("loads"), [pair("198.51.100.200", &[0, 255])]);
    }

    #[test]
    fn is_nobody_elses_to_read() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let state_dir = dir.path().join("state");
        let store = Store::open(&state_dir).expect("opens");
        assert_eq!(mode_of(&state_dir), 0o700);
        assert_eq!(mode_of(store.path()), 0o600);
    }

    #[test]
    fn survives_a_daemon_that_is_killed() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let store = Store::open(dir.path()).expect("opens");
        store.put("placement", "192.0.2.53", b"kept").expect("puts");
        // What is in the file now is all that a killed process leaves behind.
        let copy = tempfile::tempdir().expect("temporary directory");
        fs::copy(store.path(), copy.path().join(FILE_NAME)).expect("copies");
        let survivor = Store::open(copy.path()).expect("repairs");
        assert_eq!(survivor.load_all("placement").expect("loads"), [pair("192.0.2.53", b"kept")]);
    }

    #[test]
    fn second_daemon_is_refused_and_the_first_undisturbed() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let store = Store::open(dir.path()).expect("opens");
        let error = Store::open(dir.path()).expect_err("in use");
        assert!(matches!(error, StoreError::InUse(_)), "{error}");
        assert!(error.to_string().contains("wamig.redb is in use by another wamig daemon"), "{error}");
        store.put("placement", "a", b"1").expect("puts");
        drop(store);
        Store::open(dir.path()).expect("opens once the first is gone");
    }

    #[test]
    fn errors_name_the_path_and_the_remedy() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let file = dir.path().join("file");
        fs::write(&file, b"x").expect("writes");
        let error = Store::open(&file.join("below")).expect_err("not a directory");
        assert!(matches!(error, StoreError::Open { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("file/below") && text.contains("state_dir must be a directory"), "{text}");
        let error = Store::open(&file).expect_err("a file");
        assert!(matches!(error, StoreError::Open { .. }), "{error}");

        fs::create_dir(dir.path().join("held")).expect("makes");
        fs::create_dir(dir.path().join("held").join(FILE_NAME)).expect("makes");
        let error = Store::open(&dir.path().join("held")).expect_err("the file is a directory");
        assert!(matches!(error, StoreError::Open { .. }), "{error}");
    }

    #[test]
    fn garbage_is_called_damaged_and_left_alone() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join(FILE_NAME);
        let garbage = vec![0x5a; 8192];
        fs::write(&path, &garbage).expect("writes");
        let error = Store::open(dir.path()).expect_err("garbage");
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("move it away"), "{error}");
        assert_eq!(fs::read(&path).expect("reads"), garbage);
    }
}
