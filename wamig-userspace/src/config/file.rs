//! The configuration file as it is written: keys, optional or not, each value with its place.
//! Nothing here is checked beyond its type; [`super::check`] does that.

use serde::Deserialize;
use toml::Spanned;

/// A text with its place.
pub(super) type Text = Spanned<String>;
/// A number with its place.
pub(super) type Number = Spanned<i64>;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) site: Text,
    pub(super) state_dir: Option<Text>,
    pub(super) control_socket: Option<Text>,
    pub(super) switch: Switch,
    pub(super) metrics: Option<Metrics>,
    pub(super) lan: Option<Spanned<Lan>>,
    pub(super) openflow: Option<Openflow>,
    pub(super) peering: Option<Spanned<Peering>>,
    #[serde(default)]
    pub(super) peer: Vec<Spanned<Peer>>,
    #[serde(default)]
    pub(super) server: Vec<Spanned<Server>>,
    pub(super) hosting: Option<Spanned<Hosting>>,
    #[serde(default)]
    pub(super) learning: Learning,
    #[serde(default)]
    pub(super) damping: Damping,
    #[serde(default)]
    pub(super) timers: Timers,
}

/// The one key that a client needs; the others are not looked at.
#[derive(Deserialize)]
pub(super) struct SocketOnly {
    pub(super) control_socket: Option<Text>,
}

/// `[switch]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    pub(super) datapath_id: Option<Text>,
    pub(super) ports: Spanned<Vec<Text>>,
    pub(super) local: Option<Text>,
    pub(super) pin_path: Option<Text>,
    pub(super) xdp_mode: Option<Text>,
    #[serde(default)]
    pub(super) in_band: bool,
    pub(super) limits: Option<Spanned<Limits>>,
    pub(super) control: Option<Text>,
    pub(super) remote: Option<Spanned<Remote>>,
    #[serde(default)]
    pub(super) member: Vec<Spanned<Member>>,
    #[serde(default)]
    pub(super) link: Vec<Spanned<Link>>,
}

/// `[switch.limits]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) flows: Option<Number>,
    pub(super) arp_rate: Option<Number>,
    pub(super) packet_in_rate: Option<Number>,
    pub(super) slow_rate: Option<Number>,
}

/// `[[switch.member]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Member {
    pub(super) name: Text,
    pub(super) datapath_id: Text,
    pub(super) remote: Spanned<Remote>,
}

/// `[[switch.link]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    pub(super) ends: Spanned<Vec<Text>>,
}

/// `[switch.remote]`, and `[switch.member.remote]` of each of several
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Remote {
    #[serde(default)]
    pub(super) connect: Vec<Text>,
    #[serde(default)]
    pub(super) listen: Vec<Text>,
    pub(super) version: Option<Text>,
    pub(super) profile: Text,
    pub(super) role: Option<Text>,
    pub(super) inactivity_probe_s: Option<Number>,
    pub(super) certificate: Option<Text>,
    pub(super) private_key: Option<Text>,
    pub(super) ca: Option<Text>,
    pub(super) fingerprints: Option<Spanned<Vec<Text>>>,
    pub(super) switch_certificate: Option<Text>,
    pub(super) cookies: Option<Spanned<Cookies>>,
    pub(super) priority: Option<Number>,
}

/// `cookies` in [`Remote`]
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cookies {
    pub(super) migration: Option<Number>,
    pub(super) learning: Option<Number>,
    pub(super) links: Option<Number>,
}

/// The keys for TLS, of whichever section.
pub(super) struct Tls<'f> {
    pub(super) section: &'static str,
    pub(super) certificate: Option<&'f Text>,
    pub(super) private_key: Option<&'f Text>,
    pub(super) ca: Option<&'f Text>,
    pub(super) fingerprints: Option<&'f Spanned<Vec<Text>>>,
}

impl Openflow {
    pub(super) fn tls(&self) -> Tls<'_> {
        Tls {
            section: "[openflow]",
            certificate: self.certificate.as_ref(),
            private_key: self.private_key.as_ref(),
            ca: self.ca.as_ref(),
            fingerprints: self.fingerprints.as_ref(),
        }
    }
}

impl Remote {
    pub(super) fn tls(&self, section: &'static str) -> Tls<'_> {
        Tls {
            section,
            certificate: self.certificate.as_ref(),
            private_key: self.private_key.as_ref(),
            ca: self.ca.as_ref(),
            fingerprints: self.fingerprints.as_ref(),
        }
    }
}

/// `[metrics]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metrics {
    pub(super) listen: Text,
}

/// `[openflow]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Openflow {
    #[serde(default)]
    pub(super) controllers: Vec<Text>,
    #[serde(default)]
    pub(super) listen: Vec<Text>,
    pub(super) protocols: Option<Spanned<Vec<Text>>>,
    pub(super) fail_mode: Option<Text>,
    pub(super) inactivity_probe_s: Option<Number>,
    pub(super) max_connections: Option<Number>,
    pub(super) certificate: Option<Text>,
    pub(super) private_key: Option<Text>,
    pub(super) ca: Option<Text>,
    pub(super) fingerprints: Option<Spanned<Vec<Text>>>,
    #[serde(default)]
    pub(super) pin: Vec<Pin>,
}

/// `[[openflow.pin]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pin {
    pub(super) endpoint: Text,
    pub(super) certificate: Text,
}

/// `[lan]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lan {
    pub(super) uplink: Text,
    pub(super) prefix: Option<Text>,
    pub(super) gateway: Option<Text>,
    pub(super) prefix6: Option<Text>,
    pub(super) gateway6: Option<Text>,
    pub(super) mac: Option<Text>,
}

/// `[peering]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Peering {
    pub(super) listen: Text,
    pub(super) certificate: Text,
    pub(super) private_key: Text,
}

/// `[[peer]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Peer {
    pub(super) name: Text,
    pub(super) endpoint: Text,
    pub(super) fingerprint: Text,
}

/// `[[server]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Server {
    pub(super) address: Text,
    pub(super) mac: Text,
    pub(super) hosts: Spanned<Vec<Text>>,
}

/// `[hosting]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hosting {
    pub(super) ports: Spanned<Vec<Text>>,
    pub(super) pool: Spanned<Vec<Text>>,
    pub(super) ready: Option<Number>,
    pub(super) quarantine_s: Option<Number>,
    #[serde(default)]
    pub(super) guest: Vec<Guest>,
}

/// `[[hosting.guest]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Guest {
    pub(super) peer: Text,
    pub(super) prefixes: Spanned<Vec<Text>>,
    pub(super) max: Option<Number>,
}

/// `[learning]`
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Learning {
    pub(super) idle_s: Option<Number>,
    pub(super) max_addresses: Option<Number>,
}

/// `[damping]`
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Damping {
    pub(super) moves: Option<Number>,
    pub(super) window_s: Option<Number>,
}

/// `[timers]`
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Timers {
    pub(super) claim_retry_ms: Option<Number>,
    pub(super) home_probe_ms: Option<Number>,
    pub(super) claimed_ms: Option<Number>,
    pub(super) ready_retry_ms: Option<Number>,
    pub(super) query_ms: Option<Number>,
    pub(super) drain_ms: Option<Number>,
    pub(super) backoff_min_ms: Option<Number>,
    pub(super) backoff_max_ms: Option<Number>,
    pub(super) arp_probe_min_ms: Option<Number>,
    pub(super) arp_probe_max_ms: Option<Number>,
    pub(super) announce_wait_ms: Option<Number>,
    pub(super) lease_s: Option<Number>,
    pub(super) renew_s: Option<Number>,
    pub(super) peer_down_s: Option<Number>,
    pub(super) fence_silence_s: Option<Number>,
    pub(super) forget_s: Option<Number>,
    pub(super) prepared_s: Option<Number>,
}
