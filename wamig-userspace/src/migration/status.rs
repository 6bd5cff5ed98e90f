//! What an operator is shown: one line per address, with since when, why and what to do.

use std::net::IpAddr;
use std::time::Instant;

use wamig_openflow::MacAddr;

use crate::peer::message::Epoch;

/// Which side of a migration this site is for an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// The address's own network.
    Home,
    /// A network that hosts it.
    Host,
}

impl Role {
    /// As in `wamig status -o json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Host => "host",
        }
    }
}

/// An address's state. The home's come first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// Home: the server is in its own network, as far as this site is concerned.
    Home,
    /// Home: no trigger moves it, wherever it is, until an operator says so.
    Frozen,
    /// Home: it is there, and about to move to a peer that may take it over without a search.
    /// Host: its home has announced it, and a transfer address is kept.
    Prepared,
    /// Home: granted to a peer that is not ready yet.
    Claimed,
    /// Home: a peer hosts it.
    Away,
    /// Either: hosted, but the peer has not been heard for a lease's time.
    Stale,
    /// Home: it was seen at home while away; being brought back.
    Returning,
    /// Host: seen, but not served; the reason says why.
    Seen,
    /// Host: the home has been asked.
    Claiming,
    /// Host: granted; flows are being made, or the home is switching.
    Ready,
    /// Host: served.
    Hosting,
    /// Host: it went back; late packets are still delivered.
    Draining,
    /// Host: it is alive at home as well; nothing of the copy here is forwarded.
    Fenced,
}

impl State {
    /// As in `wamig status -o json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Home => "HOME",
            Self::Frozen => "FROZEN",
            Self::Prepared => "PREPARED",
            Self::Claimed => "CLAIMED",
            Self::Away => "AWAY",
            Self::Stale => "STALE",
            Self::Returning => "RETURNING",
            Self::Seen => "SEEN",
            Self::Claiming => "CLAIMING",
            Self::Ready => "READY",
            Self::Hosting => "HOSTING",
            Self::Draining => "DRAINING",
            Self::Fenced => "FENCED",
        }
    }
}

/// Why an address is not where it should be, and what a person can do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reason {
    /// A fixed phrase, the same for every address it befalls.
    pub text: &'static str,
    /// One sentence that says what to do.
    pub remedy: String,
}

/// The phrases of [`Reason::text`]: part of the interface of `wamig status -o json`.
pub mod reason {
    /// No session to the home, or it does not answer.
    pub const HOME_UNREACHABLE: &str = "home unreachable";
    /// This site's configuration, the home's, or a certificate says no.
    pub const UNAUTHORISED: &str = "unauthorised";
    /// No transfer address is ready.
    pub const POOL_EXHAUSTED: &str = "pool exhausted";
    /// As many guests of that peer as the configuration allows are here.
    pub const GUEST_LIMIT: &str = "guest limit reached";
    /// Another guest's flows have the cookies that its flows would have.
    pub const COOKIE_IN_USE: &str = "another guest has its cookies";
    /// The own router does not answer.
    pub const GATEWAY_SILENT: &str = "own gateway silent";
    /// The home's wamig does not know the family of the address.
    pub const HOME_OLDER: &str = "home knows no IPv6";
    /// The home lets nothing move the address.
    pub const FROZEN: &str = "frozen at home";
    /// This site's operator froze the address.
    pub const FROZEN_BY_OPERATOR: &str = "frozen by the operator";
    /// The address moved too often in a short time.
    pub const FLAPPING: &str = "frozen, it moved too often";
    /// Home: an operator has planned its move, and the host is prepared.
    pub const PREPARED: &str = "prepared for its move";
    /// Home: an operator has planned its move, and the host has not answered yet.
    pub const PREPARING: &str = "the host is asked to prepare";
    /// Host: its home has announced it.
    pub const ANNOUNCED: &str = "announced by its home";
    /// The home could not use the claim, or took its grant back.
    pub const CLAIM_LAPSED: &str = "claim lapsed";
    /// The switch refused the flows.
    pub const SWITCH_REFUSED: &str = "switch refused the flows";
    /// The session with a switch elsewhere is down.
    pub const SWITCH_DOWN: &str = "switch not under control";
    /// The server is alive at both sites.
    pub const DUPLICATE: &str = "alive at home as well";
    /// Home: the server is alive here, and an operator said that it is to be elsewhere.
    pub const DUPLICATE_HERE: &str = "a copy here is not let in";
    /// Home: an operator has called the host dead.
    pub const ASSUMED_DEAD: &str = "its host is assumed dead";
    /// The peer has not been heard for a lease's time.
    pub const PEER_SILENT: &str = "peer silent";
    /// Another host of the LAN uses the transfer address.
    pub const TRANSFER_CONFLICT: &str = "transfer address in use by another host";
    /// A frame with the server's address came from a MAC address that is not the server's.
    pub const FOREIGN_MAC: &str = "address used by another MAC";
}

/// One address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddressStatus {
    /// The server's address.
    pub address: IpAddr,
    /// The server's MAC address.
    pub mac: MacAddr,
    /// Which side this site is.
    pub role: Role,
    /// State.
    pub state: State,
    /// When the state began.
    pub since: Instant,
    /// The same by the wall clock, in milliseconds since 1970, if it began before a restart and
    /// was recorded.
    pub since_unix_ms: Option<u64>,
    /// The other site, as far as one is concerned.
    pub peer: Option<String>,
    /// The transfer address in use or reserved.
    pub transfer: Option<IpAddr>,
    /// The placement's epoch, or the highest one known.
    pub epoch: Epoch,
    /// Why it is not in its best state; one of [`reason`].
    pub reason: Option<&'static str>,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// The transfer addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PoolStatus {
    /// Configured.
    pub size: usize,
    /// Probed and free.
    pub ready: usize,
    /// Reserved for a claim or in use.
    pub in_use: usize,
    /// Resting after use or because another host has them.
    pub quarantined: usize,
}
