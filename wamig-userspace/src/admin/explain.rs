//! What `GET /v1/explain` answers: an address's state, what it waits for, and how it came there.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::status::Address;

/// A line of the audit log. Keys are only ever added.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Microseconds since 1970.
    pub at_unix_us: u64,
    /// Whose word it was: `automatic`, or the operator's verb.
    pub verb: String,
    /// IP address; `-` = the site as a whole.
    pub address: String,
    /// This site's part: `home` or `host`; `-` = neither.
    pub role: String,
    /// The state before; `-` = that of something that has none.
    pub from: String,
    /// The state after; `NONE` = nothing is known of it any more.
    pub to: String,
    /// The placement's epoch, or the highest one known, `incarnation.counter`.
    pub epoch: String,
    /// Why.
    pub reason: String,
}

/// What is known of an address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// The site that answers.
    pub site: String,
    /// How the address is now; null = this site has nothing to do with it at present.
    pub now: Option<Address>,
    /// What has to happen for it to leave its state.
    pub waits_for: Option<String>,
    /// The latest entries of the audit log, oldest first.
    pub history: Vec<Entry>,
}

/// The query string is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} does not name an address; needed: address=IP address")]
pub struct BadAddress(pub String);

/// Reads `address=A`.
///
/// # Errors
/// [`BadAddress`], with what was given.
pub fn from_query(query: &str) -> Result<IpAddr, BadAddress> {
    let address = query.strip_prefix("address=").and_then(|a| a.parse().ok());
    address.ok_or_else(|| BadAddress(query.to_owned()))
}

/// What an address in `state` waits for; `None` = nothing, it can stay so.
pub fn waits_for(state: &str, peer: Option<&str>) -> Option<String> {
    let peer = peer.unwrap_or("its home");
    Some(match state {
        "FROZEN" => "for an operator: `wamig unfreeze`; nothing else moves it".to_owned(),
        "PREPARED" => "for the server to be heard at the host; unless it comes in time, all is as before".to_owned(),
        "CLAIMED" => format!("for {peer} to say that its flows are in; else the grant is taken back"),
        "STALE" => format!("for {peer} to be heard again; traffic flows on as it did"),
        "RETURNING" => format!("for {peer} to say whether the copy is alive, then for the flows to be out"),
        "SEEN" => "for what its reason names; the claim is then repeated".to_owned(),
        "CLAIMING" => format!("for {peer} to grant or refuse the claim"),
        "READY" => format!("for its flows to be in, then for {peer} to switch the traffic"),
        "DRAINING" => "for late packets; then its flows go out and the transfer address rests".to_owned(),
        "FENCED" => "for the copy here to fall silent".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn an_address_is_asked_for_by_its_query() {
        assert_eq!(from_query("address=192.0.2.53"), Ok(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53))));
        for bad in ["", "address=", "address=x", "192.0.2.53"] {
            assert_eq!(from_query(bad), Err(BadAddress(bad.to_owned())));
        }
    }

    #[test]
    fn only_states_that_pass_wait_for_something() {
        assert_eq!(waits_for("HOME", None), None);
        assert_eq!(waits_for("AWAY", Some("dc2")), None);
        assert_eq!(waits_for("CLAIMING", Some("dc1")).unwrap(), "for dc1 to grant or refuse the claim");
    }
}
