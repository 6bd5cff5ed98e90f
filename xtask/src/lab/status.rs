//! What `wamig status -o json` and `wamig flows -o json` say, as far as the lab reads it. The
//! types are the lab's own: they hold the interface that others rely on to its word.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

/// One site at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Status {
    /// The site's name.
    pub site: String,
    /// The switch.
    pub datapath: Datapath,
    /// Other sites.
    pub peers: Vec<Peer>,
    /// Servers.
    pub addresses: Vec<Address>,
    /// Transfer addresses.
    pub pool: Pool,
    /// What happened lately, oldest first.
    pub timeline: Vec<Event>,
    /// Frames dropped, by reason.
    pub drops: BTreeMap<String, u64>,
    /// Frames sent up or refused on the way up, by reason.
    pub punts: BTreeMap<String, u64>,
    /// Frames that could be read in part only, by what was wrong with them.
    #[serde(default)]
    pub anomalies: BTreeMap<String, u64>,
    /// Connections and messages of other sites refused, by reason.
    pub refused: BTreeMap<String, u64>,
}

/// The switch.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Datapath {
    /// `xdp` or `openflow`.
    pub kind: String,
    /// Variant of the program in force.
    pub program: String,
    /// The session with a switch that is not the daemon's own.
    #[serde(default)]
    pub session: Option<Session>,
    /// The switches, if there are several.
    #[serde(default)]
    pub switches: Vec<Switch>,
    /// Ports.
    pub ports: Vec<Port>,
}

/// One of several switches.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Switch {
    /// Its name in the configuration.
    pub name: String,
    /// The session with it.
    pub session: Session,
}

/// The session with a switch that is not the daemon's own.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Session {
    /// `up` or `down`.
    pub state: String,
    /// OpenFlow version.
    pub version: Option<String>,
    /// How it is used.
    pub profile: String,
    /// Since when, in milliseconds of the Unix epoch.
    pub since_unix_ms: Option<u64>,
    /// What it says it is.
    pub description: String,
    /// What it does to later fragments of IPv4.
    #[serde(default)]
    pub fragments: Option<Fragments>,
    /// Why there is none, or why the last one ended.
    pub last_error: Option<String>,
    /// The last batch that it refused.
    #[serde(default)]
    pub refused: Option<Refusal>,
}

/// What a switch does to later fragments of IPv4.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Fragments {
    /// `sound`, `damaged` or `unknown`.
    pub verdict: String,
    /// Since when, in milliseconds of the Unix epoch.
    pub since_unix_ms: Option<u64>,
    /// Those that went through wamig.
    pub detoured: u64,
    /// Those among them that are lost.
    pub lost: u64,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// Something that was refused.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Refusal {
    /// How often.
    pub times: u64,
    /// Why.
    pub reason: String,
}

/// A port.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Port {
    /// OpenFlow number.
    pub port: u32,
    /// Interface.
    pub name: String,
    /// `native`, `generic` or `none`.
    pub mode: String,
    /// What an operator should know about it.
    pub warning: Option<String>,
    /// Frames received.
    pub rx_packets: u64,
    /// Frames sent.
    pub tx_packets: u64,
}

/// Another site.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// `up`, `down` or `refused`.
    pub state: String,
    /// Since when, in milliseconds of the Unix epoch.
    pub since_unix_ms: u64,
    /// Why it is not up.
    pub reason: Option<String>,
    /// What to do about that.
    pub remedy: Option<String>,
}

/// A server's address.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Address {
    /// IPv4 or IPv6 address.
    pub address: IpAddr,
    /// `home` or `host`.
    pub role: String,
    /// State of the address here.
    pub state: String,
    /// Since when, in milliseconds of the Unix epoch.
    pub since_unix_ms: u64,
    /// Transfer address in use.
    pub transfer: Option<IpAddr>,
    /// Placement, `incarnation.counter`.
    pub epoch: Option<String>,
    /// Why it is in this state.
    pub reason: Option<String>,
    /// What to do about that.
    pub remedy: Option<String>,
}

/// Transfer addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub struct Pool {
    /// All.
    pub size: usize,
    /// Probed and free.
    pub ready: usize,
    /// In use.
    pub in_use: usize,
    /// At rest after use.
    pub quarantined: usize,
}

/// A line of the timeline.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Event {
    /// When, in microseconds of the Unix epoch.
    pub at_unix_us: u64,
    /// The server's address, if the line is about one.
    pub address: Option<IpAddr>,
    /// A fixed name.
    pub event: String,
    /// For people.
    pub detail: String,
}

/// A flow of the switch.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Flow {
    /// Which switch has it, if there are several.
    #[serde(default)]
    pub switch: Option<String>,
    /// Table.
    pub table: u8,
    /// Priority.
    pub priority: u16,
    /// Cookie, `0x…`.
    pub cookie: String,
    /// Match, empty = every frame.
    #[serde(rename = "match")]
    pub matching: String,
    /// Instructions.
    pub actions: String,
    /// Frames.
    pub packets: u64,
}

impl Status {
    /// What the site says about an address; nothing known yet is nothing.
    pub fn address(&self, address: impl Into<IpAddr>) -> Option<&Address> {
        let address = address.into();
        self.addresses.iter().find(|entry| entry.address == address)
    }

    /// The state of an address, `-` if the site knows nothing of it.
    pub fn state(&self, address: impl Into<IpAddr>) -> &str {
        self.address(address).map_or("-", |entry| &entry.state)
    }

    /// Whether the site serves the address from elsewhere or for elsewhere: it has a part in a
    /// migration that is neither over nor not begun.
    pub fn is_settled(&self, address: impl Into<IpAddr>) -> bool {
        matches!(self.state(address), "-" | "HOME" | "NONE")
    }

    /// Whether the daemon controls its switch.
    pub fn switch_up(&self) -> bool {
        let several = self.datapath.switches.iter().map(|switch| &switch.session);
        self.datapath.session.iter().chain(several).all(|session| session.state == "up")
    }

    /// Whether the session to the other site is up.
    pub fn peer_up(&self, name: &str) -> bool {
        self.peers.iter().any(|peer| peer.name == name && peer.state == "up")
    }
}

impl Flow {
    /// A flow of the learning switch.
    pub fn is_learning(&self) -> bool {
        self.cookie.starts_with("0x4c53")
    }

    /// Whether it matches or writes an address.
    pub fn names(&self, address: impl Into<IpAddr>) -> bool {
        let address = address.into();
        let text = address.to_string();
        let part = |c: char| match address {
            IpAddr::V4(_) => c.is_ascii_digit() || c == '.',
            IpAddr::V6(_) => c.is_ascii_hexdigit() || c == ':',
        };
        let names = |line: &str| {
            line.match_indices(&text).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                let after = line[at + text.len()..].chars().next();
                // A prefix is not the address.
                !before.is_some_and(part) && !after.is_some_and(part) && after != Some('/')
            })
        };
        names(&self.matching) || names(&self.actions)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_flow_names_an_address_and_not_its_neighbours() {
        let flow = |matching: &str| Flow {
            switch: None,
            table: 0,
            priority: 1,
            cookie: "0x574d000000000001".into(),
            matching: matching.into(),
            actions: "output:1".into(),
            packets: 0,
        };
        let s = Ipv4Addr::new(192, 0, 2, 5);
        assert!(flow("ip,nw_dst=192.0.2.5").names(s));
        assert!(!flow("ip,nw_dst=192.0.2.53").names(s));
        assert!(!flow("arp,arp_spa=192.0.2.5/32").names(s));
        let s = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 5);
        assert!(flow("ipv6,ipv6_dst=2001:db8:1::5").names(s));
        assert!(!flow("ipv6,ipv6_dst=2001:db8:1::5/64").names(s));
        assert!(!flow("ipv6,ipv6_dst=2001:db8:1::5a").names(s));
    }
}
