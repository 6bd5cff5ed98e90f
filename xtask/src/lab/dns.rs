//! The DNS messages of the lab: questions for an A, AAAA or TXT record and the answers to them
//! (RFC 1035), and the acknowledgement of a NOTIFY (RFC 1996).

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::family::any_beside;

/// A type of record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Kind {
    /// An IPv4 address.
    A = 1,
    /// A text.
    Txt = 16,
    /// An IPv6 address.
    Aaaa = 28,
}

/// What an answer says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Data {
    /// An address.
    Address(IpAddr),
    /// The first string of a text.
    Text(String),
}

/// A question as it goes over the wire.
pub fn question(id: u16, name: &str, kind: Kind) -> Vec<u8> {
    let mut message = Vec::with_capacity(64);
    message.extend(id.to_be_bytes());
    message.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(label.len().min(63) as u8);
        message.extend(&label.as_bytes()[..label.len().min(63)]);
    }
    message.push(0);
    message.extend((kind as u16).to_be_bytes());
    message.extend([0, 1]);
    message
}

/// The id of a message, and whether it is an answer.
pub fn header(message: &[u8]) -> Option<(u16, bool)> {
    let head = message.get(..12)?;
    Some((u16::from_be_bytes([head[0], head[1]]), head[2] & 0x80 != 0))
}

/// The first A, AAAA or TXT record of an authoritative answer; `None` if there is none.
pub fn answer(message: &[u8]) -> Option<Data> {
    let count = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let flags = count(2)?;
    // An answer (QR), authoritative (AA), without error.
    if flags & 0x8400 != 0x8400 || flags & 0xf != 0 {
        return None;
    }
    let mut at = 12;
    for _ in 0..count(4)? {
        at = skip_name(message, at)? + 4;
    }
    for _ in 0..count(6)? {
        at = skip_name(message, at)?;
        let kind = count(at)?;
        let length = usize::from(count(at + 8)?);
        let data = message.get(at + 10..at + 10 + length)?;
        match kind {
            1 => return Some(Data::Address(<[u8; 4]>::try_from(data).ok()?.into())),
            28 => return Some(Data::Address(<[u8; 16]>::try_from(data).ok()?.into())),
            16 => {
                let text = data.get(1..1 + usize::from(*data.first()?))?;
                return Some(Data::Text(String::from_utf8_lossy(text).into_owned()));
            }
            _ => at += 10 + length,
        }
    }
    None
}

/// The octet behind a name.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            // A pointer ends the name.
            n if n & 0xc0 == 0xc0 => return Some(at + 2),
            n => at += 1 + usize::from(n),
        }
    }
}

/// The acknowledgement of a NOTIFY; `None` if the message is none.
pub fn acknowledge(message: &[u8]) -> Option<Vec<u8>> {
    let mut reply = message.to_vec();
    let flags = reply.get_mut(2)?;
    let is_notify = *flags & 0xf8 == 4 << 3;
    *flags |= 0x84;
    (is_notify && reply.len() >= 12).then_some(reply)
}

/// Asks a server from the present namespace, again every half second until `patience` is
/// over, as a resolver would; an answer may be to any of the questions.
///
/// # Errors
/// No answer came, or one that has no such record.
pub fn ask(server: impl Into<IpAddr>, name: &str, kind: Kind, patience: Duration) -> Result<(Data, Duration)> {
    let server = SocketAddr::new(server.into(), 53);
    let socket = UdpSocket::bind(any_beside(server.ip()))?;
    let deadline = Instant::now() + patience;
    let mut asked: Vec<(u16, Instant)> = Vec::new();
    while Instant::now() < deadline {
        let id = (std::process::id() as u16).wrapping_add(asked.len() as u16);
        let sent = Instant::now();
        asked.push((id, sent));
        // While nothing leads to the server the kernel may refuse; that is a lost question.
        let _ = socket.send_to(&question(id, name, kind), server);
        let until = deadline.min(sent + Duration::from_millis(500));
        let mut buffer = [0; 1500];
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            socket.set_read_timeout(Some(left))?;
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { break };
            let Some((id, true)) = header(&buffer[..length]).filter(|_| from == server) else { continue };
            if let Some((_, sent)) = asked.iter().find(|(known, _)| *known == id) {
                let data = answer(&buffer[..length]).with_context(|| format!("{server} has no {kind:?} of {name}"))?;
                return Ok((data, sent.elapsed()));
            }
        }
    }
    bail!("{server} gave no answer for {name} within {patience:?}")
}

/// Asks for an address by name, one of the server's own family.
///
/// # Errors
/// As [`ask`].
pub fn resolve(server: IpAddr, name: &str, patience: Duration) -> Result<IpAddr> {
    let kind = if server.is_ipv4() { Kind::A } else { Kind::Aaaa };
    let (data, _) = ask(server, name, kind, patience)?;
    let Data::Address(address) = data else { bail!("{server} answered {data:?} for {name}") };
    ensure!(!address.is_unspecified(), "{name} has no address");
    Ok(address)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn reply(kind: Kind, data: &[u8]) -> Vec<u8> {
        let mut message = question(7, "marker.shop.example", kind);
        message[2] = 0x84;
        message[7] = 1;
        message.extend([0xc0, 12]);
        message.extend((kind as u16).to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 60]);
        message.extend((data.len() as u16).to_be_bytes());
        message.extend(data);
        message
    }

    #[test]
    fn reads_what_a_server_answers() {
        assert_eq!(answer(&reply(Kind::Txt, b"\x03dc2")), Some(Data::Text("dc2".into())));
        assert_eq!(answer(&reply(Kind::A, &[192, 0, 2, 80])), Some(Data::Address([192, 0, 2, 80].into())));
        let address = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x80);
        assert_eq!(answer(&reply(Kind::Aaaa, &address.octets())), Some(Data::Address(address.into())));
    }

    #[test]
    fn an_answer_cut_anywhere_is_none() {
        let whole = reply(Kind::Txt, b"\x03dc2");
        assert!((0..whole.len()).all(|end| answer(&whole[..end]).is_none()));
    }

    #[test]
    fn an_error_is_no_answer() {
        let mut refused = reply(Kind::A, &[1, 2, 3, 4]);
        refused[3] = 5;
        assert_eq!(answer(&refused), None);
    }

    #[test]
    fn only_a_notify_is_acknowledged() {
        let mut notify = question(9, "shop.example", Kind::A);
        assert_eq!(acknowledge(&notify), None);
        notify[2] = 4 << 3 | 4;
        assert_eq!(acknowledge(&notify).unwrap()[2], 0xa4);
    }
}
