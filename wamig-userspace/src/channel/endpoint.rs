//! Where a connection goes to or comes from, in the syntax of Open vSwitch:
//!
//! ```text
//!   tcp:HOST[:PORT]   tls:HOST[:PORT]   unix:PATH        dialled
//!   ptcp:[PORT][:IP]  ptls:[PORT][:IP]  punix:PATH       listened on
//! ```
//! The port is 6653 unless given, an IPv6 address stands in brackets, and `ssl:`, `pssl:` are
//! other names of `tls:`, `ptls:`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// The port of OpenFlow (IANA).
pub const PORT: u16 = 6653;

/// An endpoint.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Endpoint {
    /// Dials TCP.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// Dials TLS over TCP.
    Tls {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// Dials a unix socket.
    Unix(PathBuf),
    /// Listens on TCP.
    ListenTcp(SocketAddr),
    /// Listens for TLS over TCP.
    ListenTls(SocketAddr),
    /// Listens on a unix socket, which is replaced if nobody listens there.
    ListenUnix(PathBuf),
}

impl Endpoint {
    /// Whether it is listened on.
    pub const fn is_passive(&self) -> bool {
        matches!(self, Self::ListenTcp(_) | Self::ListenTls(_) | Self::ListenUnix(_))
    }

    /// Whether it needs certificates.
    pub const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls { .. } | Self::ListenTls(_))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |h: &str| if h.contains(':') { format!("[{h}]") } else { h.to_owned() };
        let ip = |a: &SocketAddr| host(&a.ip().to_string());
        match self {
            Self::Tcp { host: h, port } => write!(f, "tcp:{}:{port}", host(h)),
            Self::Tls { host: h, port } => write!(f, "tls:{}:{port}", host(h)),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::ListenTcp(a) => write!(f, "ptcp:{}:{}", a.port(), ip(a)),
            Self::ListenTls(a) => write!(f, "ptls:{}:{}", a.port(), ip(a)),
            Self::ListenUnix(path) => write!(f, "punix:{}", path.display()),
        }
    }
}

/// The text is no endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "an endpoint is tcp:HOST[:PORT], tls:HOST[:PORT] or unix:PATH, and to listen ptcp:[PORT][:IP], \
     ptls:[PORT][:IP] or punix:PATH"
)]
pub struct BadEndpoint;

impl FromStr for Endpoint {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        let (kind, rest) = text.split_once(':').ok_or(BadEndpoint)?;
        let path = || if rest.is_empty() { Err(BadEndpoint) } else { Ok(PathBuf::from(rest)) };
        Ok(match kind {
            "tcp" => {
                let (host, port) = active(rest)?;
                Self::Tcp { host, port }
            }
            "tls" | "ssl" => {
                let (host, port) = active(rest)?;
                Self::Tls { host, port }
            }
            "unix" => Self::Unix(path()?),
            "ptcp" => Self::ListenTcp(passive(rest)?),
            "ptls" | "pssl" => Self::ListenTls(passive(rest)?),
            "punix" => Self::ListenUnix(path()?),
            _ => return Err(BadEndpoint),
        })
    }
}

fn port(text: &str) -> Result<u16, BadEndpoint> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().map_err(|_| BadEndpoint) } else { Err(BadEndpoint) }
}

/// `HOST[:PORT]`.
fn active(text: &str) -> Result<(String, u16), BadEndpoint> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']').ok_or(BadEndpoint)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| BadEndpoint)?;
            (host, rest)
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(number) => port(number)?,
        None if rest.is_empty() => PORT,
        None => return Err(BadEndpoint),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:%".contains(&b);
    if host.is_empty() || port == 0 || !host.bytes().all(plain) {
        return Err(BadEndpoint);
    }
    Ok((host.to_owned(), port))
}

/// `[PORT][:IP]`.
fn passive(text: &str) -> Result<SocketAddr, BadEndpoint> {
    let (number, ip) = text.split_once(':').unwrap_or((text, ""));
    let port = if number.is_empty() { PORT } else { port(number)? };
    let ip = match ip {
        "" => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        ip => ip.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| BadEndpoint)?,
    };
    Ok(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_out_is_what_was_read() {
        for (text, full) in [
            ("tcp:192.0.2.1", "tcp:192.0.2.1:6653"),
            ("tcp:[2001:db8::1]:6633", "tcp:[2001:db8::1]:6633"),
            ("ssl:controller.example:6654", "tls:controller.example:6654"),
            ("unix:/run/c.sock", "unix:/run/c.sock"),
            ("ptcp:", "ptcp:6653:0.0.0.0"),
            ("ptcp:6634:127.0.0.1", "ptcp:6634:127.0.0.1"),
            ("pssl:6635:[::1]", "ptls:6635:[::1]"),
            ("punix:/run/b.mgmt", "punix:/run/b.mgmt"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(endpoint.to_string(), full);
            assert_eq!(full.parse(), Ok(endpoint));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "",
            "tcp",
            "tcp:",
            "tcp::6653",
            "tcp:a:0",
            "tcp:a:65536",
            "tcp:a:+1",
            "tcp:[::1",
            "tcp:[x]:1",
            "udp:a",
            "ptcp:x",
            "ptcp:1:host",
            "unix:",
            "tcp:a b",
        ] {
            assert_eq!(bad.parse::<Endpoint>(), Err(BadEndpoint), "{bad:?}");
        }
    }
}
