//! What `GET /v1/status` answers. Keys are only ever added.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One site at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The site's name.
    pub site: String,
    /// The daemon's version.
    pub version: String,
    /// Seconds since the daemon started.
    pub uptime_s: u64,
    /// The configuration in force.
    #[serde(default)]
    pub configuration: Configuration,
    /// The switch.
    pub datapath: Datapath,
    /// Other sites.
    pub peers: Vec<Peer>,
    /// External controllers: endpoints and sessions.
    #[serde(default)]
    pub controllers: Vec<ControllerLine>,
    /// Servers that this site is home of, hosts, or has seen.
    pub addresses: Vec<Address>,
    /// Transfer addresses.
    pub pool: Pool,
    /// What happened lately, oldest first.
    pub timeline: Vec<Event>,
    /// Frames dropped, by reason.
    pub drops: BTreeMap<String, u64>,
    /// Odd frames that were matched by what could be read of them, by reason.
    #[serde(default)]
    pub anomalies: BTreeMap<String, u64>,
    /// Frames sent up, or refused on the way up, by reason.
    pub punts: BTreeMap<String, u64>,
    /// Connections and messages of other sites refused, by reason.
    pub refused: BTreeMap<String, u64>,
}

/// The configuration in force.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Configuration {
    /// The file that it came from.
    pub file: String,
    /// Since when it is in force, in milliseconds since 1970.
    pub since_unix_ms: u64,
    /// The file as it was read again later, and refused.
    pub refused: Option<Refusal>,
}

/// An endpoint of external controllers, or a session on one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ControllerLine {
    /// As configured.
    pub endpoint: String,
    /// Who is at the other end.
    pub remote: Option<String>,
    /// `connected`, `connecting` or `listening`.
    pub state: String,
    /// OpenFlow version, `1.0` or `1.3`.
    pub version: Option<String>,
    /// `equal`, `master` or `slave`.
    pub role: Option<String>,
    /// Since when, in milliseconds since 1970; without a session, when it failed last.
    pub since_unix_ms: Option<u64>,
    /// Why the last attempt or session came to nothing.
    pub last_error: Option<String>,
    /// Bytes that wait for it to read.
    #[serde(default)]
    pub queued_bytes: u64,
    /// Packet-ins that it was too slow for.
    pub dropped_packet_ins: u64,
    /// Flow-removed and port-status messages that it was too slow for.
    pub dropped_notices: u64,
}

/// The switch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Datapath {
    /// 16 hexadecimal digits.
    pub dpid: String,
    /// `xdp`, `memory` or `openflow`.
    pub kind: String,
    /// Variant of the program in force; the profile of a switch elsewhere.
    pub program: String,
    /// Since when no controller is there and the switch acts by itself, in milliseconds since
    /// 1970 (`fail_mode = "standalone"`).
    #[serde(default)]
    pub standalone_since_unix_ms: Option<u64>,
    /// The session with a switch elsewhere.
    #[serde(default)]
    pub session: Option<SwitchSession>,
    /// The switches, if there are several.
    #[serde(default)]
    pub switches: Vec<SwitchLine>,
    /// The links between them.
    #[serde(default)]
    pub links: Vec<LinkLine>,
    /// Ports, ascending.
    pub ports: Vec<Port>,
}

/// The session with a switch elsewhere.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SwitchSession {
    /// `up` or `down`. While it is down the switch keeps its flows, and nothing can be changed.
    pub state: String,
    /// Since when, in milliseconds since 1970, if that is known.
    pub since_unix_ms: Option<u64>,
    /// Endpoints where it is waited for or dialled.
    pub endpoints: Vec<String>,
    /// Who is at the other end.
    pub remote: Option<String>,
    /// OpenFlow version, `1.0` or `1.3`.
    pub version: Option<String>,
    /// How it is used.
    pub profile: String,
    /// Whether changes are made in bundles.
    pub bundles: bool,
    /// What the switch says it is.
    pub description: String,
    /// Our flows on it.
    pub flows: usize,
    /// What it does to later fragments of IPv4.
    #[serde(default)]
    pub fragments: Option<Fragments>,
    /// Why there is no session, or why the last one ended.
    pub last_error: Option<String>,
    /// Since when a batch of flows is under way, in milliseconds since 1970.
    #[serde(default)]
    pub batch_since_unix_ms: Option<u64>,
    /// The last batch of flows that the switch refused, nothing of which is in force.
    #[serde(default)]
    pub refused: Option<Refusal>,
    /// The last connection that was turned away: another switch, or a wrong certificate.
    #[serde(default)]
    pub turned_away: Option<Refusal>,
}

/// What a switch elsewhere does to later fragments of IPv4 where it writes an address.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Fragments {
    /// `sound`, `damaged` or `unknown`.
    pub verdict: String,
    /// When it was tried, in milliseconds since 1970.
    pub since_unix_ms: Option<u64>,
    /// Those that went through wamig, so that they were not damaged.
    pub detoured: u64,
    /// Those among them that came faster than wamig sends them on, and are lost.
    pub lost: u64,
    /// Why it is not sound.
    pub reason: Option<String>,
    /// What to do about that.
    pub remedy: Option<String>,
}

/// Something that was refused.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Refusal {
    /// When it was last, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// How often since the daemon started.
    pub times: u64,
    /// Why.
    pub reason: String,
}

/// One of several switches.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SwitchLine {
    /// Its name in the configuration.
    pub name: String,
    /// 16 hexadecimal digits.
    pub dpid: String,
    /// The session with it.
    pub session: SwitchSession,
}

/// A link between two of several switches.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkLine {
    /// Both ends, SWITCH:PORT.
    pub ends: Vec<String>,
    /// Both switches are there and say that it carries frames.
    pub up: bool,
}

/// A port.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Port {
    /// OpenFlow number.
    pub port: u32,
    /// Interface.
    pub name: String,
    /// How XDP is attached: `native`, `generic`, `none`.
    pub mode: String,
    /// Whether the link carries frames.
    pub link_up: bool,
    /// What an operator should know about the interface.
    pub warning: Option<String>,
    /// Frames received.
    pub rx_packets: u64,
    /// Bytes of those.
    pub rx_bytes: u64,
    /// Frames sent out of this port alone.
    pub tx_packets: u64,
    /// Bytes of those.
    pub tx_bytes: u64,
    /// Frames received here and dropped.
    pub rx_dropped: u64,
}

/// Another site.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// `up`, `down` or `refused`.
    pub state: String,
    /// Milliseconds since 1970 when it entered this state.
    pub since_unix_ms: u64,
    /// Why it is not up.
    pub reason: Option<String>,
    /// What to do about that.
    pub remedy: Option<String>,
}

/// A server's address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Address {
    /// IP address.
    pub address: String,
    /// The server's MAC address, if known.
    pub mac: Option<String>,
    /// This site's part: `home` or `host`.
    pub role: String,
    /// State of the address at this site.
    pub state: String,
    /// Milliseconds since 1970 when it entered this state.
    pub since_unix_ms: u64,
    /// The other site, if there is one.
    pub peer: Option<String>,
    /// Transfer address in use.
    pub transfer: Option<String>,
    /// Placement, `incarnation.counter`.
    pub epoch: Option<String>,
    /// Why it is in this state, if that needs saying.
    pub reason: Option<String>,
    /// What to do about that.
    pub remedy: Option<String>,
}

/// Transfer addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
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
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Microseconds since 1970.
    pub at_unix_us: u64,
    /// The server's address, if the line is about one.
    pub address: Option<String>,
    /// A fixed name.
    pub event: String,
    /// For people.
    pub detail: String,
    /// Needs an operator's eye.
    pub alert: bool,
}
