//! One request over the control socket. HTTP/1.1 with `Connection: close` is little enough
//! to be said by hand.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The daemon answers within 5 s or says that it cannot.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no wamig answers at {}: {source}; start it with `wamig run`, or name its socket with --socket or --config", path.display())]
    Nobody {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The caller may not.
    #[error("{} may not be opened: {source}; become root or a member of the socket's group", path.display())]
    Forbidden {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the daemon at {} did not answer: {source}", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The daemon says no.
    #[error("the daemon refused ({code}): {text}")]
    Refused {
        /// HTTP status.
        code: u16,
        /// Its reason.
        text: String,
    },
    /// The answer makes no sense.
    #[error("the daemon's answer is not understood: {0}; is it of another version?")]
    Strange(String),
}

/// Fetches a resource; the body as text.
///
/// # Errors
/// [`ClientError`], with its remedy.
pub fn get(socket: &Path, resource: &str) -> Result<String, ClientError> {
    exchange(socket, "GET", resource, "")
}

/// Sends `value` as JSON to a resource; the body of the answer as text.
///
/// # Errors
/// [`ClientError`], with its remedy.
pub fn post_json<T: Serialize>(socket: &Path, resource: &str, value: &T) -> Result<String, ClientError> {
    let body = serde_json::to_string(value).map_err(|e| ClientError::Strange(e.to_string()))?;
    exchange(socket, "POST", resource, &body)
}

fn exchange(socket: &Path, method: &str, resource: &str, said: &str) -> Result<String, ClientError> {
    let path = || socket.to_owned();
    let mut stream = UnixStream::connect(socket).map_err(|source| match source.kind() {
        ErrorKind::PermissionDenied => ClientError::Forbidden { path: path(), source },
        _ => ClientError::Nobody { path: path(), source },
    })?;
    let mut answer = Vec::new();
    let exchange = |stream: &mut UnixStream, answer: &mut Vec<u8>| -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let length = said.len();
        let head = format!("Host: wamig\r\nConnection: close\r\nContent-Length: {length}\r\n");
        write!(stream, "{method} {resource} HTTP/1.1\r\n{head}\r\n{said}")?;
        stream.read_to_end(answer)?;
        Ok(())
    };
    exchange(&mut stream, &mut answer).map_err(|source| ClientError::Broken { path: path(), source })?;
    body(&answer)
}

/// Fetches a resource as a value.
///
/// # Errors
/// [`ClientError`], with its remedy.
pub fn get_json<T: DeserializeOwned>(socket: &Path, resource: &str) -> Result<T, ClientError> {
    json(&get(socket, resource)?)
}

/// Reads an answer as a value.
///
/// # Errors
/// [`ClientError::Strange`].
pub fn json<T: DeserializeOwned>(answer: &str) -> Result<T, ClientError> {
    serde_json::from_str(answer).map_err(|e| ClientError::Strange(e.to_string()))
}

/// The body of a whole answer, if its status is 200.
fn body(answer: &[u8]) -> Result<String, ClientError> {
    let strange = |what: &str| ClientError::Strange(what.to_owned());
    let text = std::str::from_utf8(answer).map_err(|_| strange("not UTF-8"))?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| strange("no HTTP header"))?;
    let mut lines = head.lines();
    let code: u16 = lines
        .next()
        .and_then(|l| l.strip_prefix("HTTP/1.1 "))
        .and_then(|l| l.get(..3)?.parse().ok())
        .ok_or_else(|| strange("no HTTP status"))?;
    let length = lines
        .filter_map(|l| l.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, n)| n.trim().parse::<usize>().ok())
        .ok_or_else(|| strange("no content-length"))?;
    let body = body.get(..length).ok_or_else(|| strange("cut short"))?;
    if code == 200 { Ok(body.to_owned()) } else { Err(ClientError::Refused { code, text: body.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_by_its_length() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 2\r\n\r\nhi";
        assert_eq!(body(answer).unwrap(), "hi");
    }

    #[test]
    fn answers_that_are_none_are_told_of() {
        for bad in [
            "",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi",
            "HTTP/1.1 2\r\ncontent-length: 0\r\n\r\n",
            "SSH-2.0\r\ncontent-length: 0\r\n\r\n",
        ] {
            assert!(matches!(body(bad.as_bytes()), Err(ClientError::Strange(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_missing_daemon_is_named_with_the_remedy() {
        let said = get(Path::new("/nowhere/ctl.sock"), "/v1/status").unwrap_err().to_string();
        assert_eq!(
            said,
            "no wamig answers at /nowhere/ctl.sock: No such file or directory (os error 2); start it with `wamig run`, or name its socket with --socket or --config"
        );
    }
}
