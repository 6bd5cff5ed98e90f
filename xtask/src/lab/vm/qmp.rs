//! The QEMU Machine Protocol as far as a live migration needs it: one JSON object a line, over a socket in the
//! file system (QEMU's `docs/interop/qmp-spec.rst`).

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::lab::signals;

/// What an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to one QEMU.
pub struct Qmp {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

/// What QEMU says of a migration that is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Migrated {
    /// How long the guest stood still, in milliseconds.
    pub downtime_ms: u64,
    /// From the command to the end, in milliseconds.
    pub total_ms: u64,
    /// Bytes moved.
    pub bytes: u64,
}

impl Qmp {
    /// Connects to the socket as soon as QEMU listens there.
    ///
    /// # Errors
    /// It does not within 20 s, or it does not speak QMP.
    pub fn connect(socket: &Path) -> Result<Self> {
        let stream = signals::wait_for(PATIENCE, || Ok(UnixStream::connect(socket).ok()))?
            .with_context(|| format!("QEMU does not listen at {}", socket.display()))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut qmp = Self { reader: BufReader::new(stream.try_clone()?), writer: stream };
        qmp.read().context("QEMU did not greet")?;
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            bail!("QEMU closed its control socket");
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// Carries out a command; events that come in between are passed over.
    ///
    /// # Errors
    /// QEMU refuses, says nothing, or has ended.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let mut request = json!({ "execute": command, "arguments": arguments }).to_string();
        request.push('\n');
        self.writer.write_all(request.as_bytes()).with_context(|| format!("QEMU takes no {command}"))?;
        loop {
            let said = self.read().with_context(|| format!("QEMU does not answer {command}"))?;
            if let Some(error) = said.get("error") {
                return Err(anyhow!("QEMU refuses {command}: {error}"));
            }
            if let Some(result) = said.get("return") {
                return Ok(result.clone());
            }
        }
    }

    /// Moves the running guest to the QEMU that waits at `socket`; returns when it runs there.
    ///
    /// # Errors
    /// The migration fails or takes longer than a minute.
    pub fn migrate(&mut self, socket: &Path) -> Result<Migrated> {
        let uri = format!("unix:{}", socket.display());
        self.execute("migrate", &json!({ "uri": uri }))?;
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            signals::check()?;
            let said = self.execute("query-migrate", &json!({}))?;
            let number = |value: &Value| value.as_u64().unwrap_or(0);
            match said["status"].as_str() {
                Some("completed") => {
                    return Ok(Migrated {
                        downtime_ms: number(&said["downtime"]),
                        total_ms: number(&said["total-time"]),
                        bytes: number(&said["ram"]["transferred"]),
                    });
                }
                Some("failed" | "cancelled") => bail!("the live migration failed: {said}"),
                _ if Instant::now() > deadline => bail!("the live migration does not end: {said}"),
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A QEMU that answers each line with the next of these.
    fn scripted(answers: &'static [&'static str]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qmp");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"{\"QMP\": {}}\n").unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            for answer in answers {
                lines.next();
                stream.write_all(answer.as_bytes()).unwrap();
                stream.write_all(b"\n").unwrap();
            }
        });
        (dir, path)
    }

    #[test]
    fn a_migration_is_followed_to_its_end() {
        let (_dir, path) = scripted(&[
            r#"{"return": {}}"#,
            "{\"event\": \"MIGRATION\"}\n{\"return\": {}}",
            r#"{"return": {"status": "active"}}"#,
            r#"{"return": {"status": "completed", "downtime": 7, "total-time": 600, "ram": {"transferred": 9}}}"#,
        ]);
        let migrated = Qmp::connect(&path).unwrap().migrate(Path::new("/nowhere")).unwrap();
        assert_eq!(migrated, Migrated { downtime_ms: 7, total_ms: 600, bytes: 9 });
    }

    #[test]
    fn a_refusal_says_what_was_refused() {
        let (_dir, path) = scripted(&[r#"{"return": {}}"#, r#"{"error": {"desc": "no such device"}}"#]);
        let error = Qmp::connect(&path).unwrap().execute("stop", &json!({})).unwrap_err();
        assert!(error.to_string().contains("stop") && error.to_string().contains("no such device"), "{error}");
    }
}
