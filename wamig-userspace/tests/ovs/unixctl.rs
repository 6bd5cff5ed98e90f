//! JSON-RPC over a daemon's control socket (ovs-appctl(8), RFC 7047 §4), many questions at once.

use std::io::{BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Deserializer, Value, json};

/// Questions under way at a time: few enough that no socket buffer fills up.
const AT_ONCE: usize = 16;

/// A connection.
pub struct Unixctl {
    socket: UnixStream,
    answers: serde_json::StreamDeserializer<'static, serde_json::de::IoRead<BufReader<UnixStream>>, Value>,
}

impl Unixctl {
    /// Connects to the socket.
    pub fn connect(path: &Path) -> Self {
        let socket = UnixStream::connect(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let reader = BufReader::with_capacity(1 << 16, socket.try_clone().unwrap());
        Self { socket, answers: Deserializer::from_reader(reader).into_iter() }
    }

    /// One command's output.
    pub fn ask(&mut self, method: &str, params: &[&str]) -> String {
        let params = params.iter().map(|p| (*p).to_owned()).collect();
        self.ask_all(method, &[params]).expect("ovs-vswitchd is there").remove(0)
    }

    /// The outputs of one command with many parameters; `None`: the daemon ended meanwhile.
    pub fn ask_all(&mut self, method: &str, params: &[Vec<String>]) -> Option<Vec<String>> {
        let mut out = Vec::with_capacity(params.len());
        for part in params.chunks(AT_ONCE) {
            let first = out.len();
            let line = |(i, params): (usize, &Vec<String>)| {
                json!({"id": first + i, "method": method, "params": params}).to_string()
            };
            let text: String = part.iter().enumerate().map(line).collect();
            self.socket.write_all(text.as_bytes()).ok()?;
            for params in part {
                let answer = match self.answers.next()? {
                    Err(e) if e.is_io() && e.io_error_kind() == Some(ErrorKind::ConnectionReset) => return None,
                    answer => answer.expect("an answer in time"),
                };
                assert_eq!(answer["id"], out.len());
                let Some(text) = answer["result"].as_str() else { panic!("{method} {params:?}: {answer}") };
                out.push(text.to_owned());
            }
        }
        Some(out)
    }
}
