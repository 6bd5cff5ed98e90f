//! What two sites say to each other (paper §4.2, made two-phase: see docs/peer-protocol.cddl).
//!
//! At-least-once: a sender repeats a request until it is answered; every request is
//! idempotent on (address, epoch, operation). The home site is the only writer of an
//! address's epoch.

use std::fmt;
use std::net::IpAddr;

use wamig_openflow::MacAddr;

/// A placement's number: higher is newer. Written by the home site alone, persisted before
/// it is told to anyone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Epoch {
    /// Raised when the home site has lost its log.
    pub incarnation: u32,
    /// Raised by every placement.
    pub counter: u32,
}

impl Epoch {
    /// The next placement's epoch.
    #[must_use]
    pub fn next(self) -> Self {
        match self.counter.checked_add(1) {
            Some(counter) => Self { counter, ..self },
            None => Self { incarnation: self.incarnation.wrapping_add(1), counter: 1 },
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.incarnation, self.counter)
    }
}

/// What made a site believe that a server is there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Evidence {
    /// An ARP request from the server for its gateway or a neighbour.
    ArpRequest,
    /// An RFC 5227 probe for the server's own address.
    ArpProbe,
    /// A gratuitous ARP.
    ArpAnnounce,
    /// An IP packet of the server's.
    Data,
    /// A RARP of its hypervisor, after a live migration.
    Rarp,
    /// A neighbour solicitation from the server for its gateway or a neighbour.
    NdSolicit,
    /// The server's own search for duplicates of its address (RFC 4862 §5.4).
    NdProbe,
    /// A neighbour advertisement of the server's.
    NdAdvert,
    /// The server looks for a router.
    NdRouterSolicit,
}

impl Evidence {
    /// Its name in the specification and in the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ArpRequest => "arp-request",
            Self::ArpProbe => "arp-probe",
            Self::ArpAnnounce => "arp-announce",
            Self::Data => "data",
            Self::Rarp => "rarp",
            Self::NdSolicit => "nd-solicit",
            Self::NdProbe => "nd-probe",
            Self::NdAdvert => "nd-advert",
            Self::NdRouterSolicit => "nd-router-solicit",
        }
    }
}

/// Why a home site refuses a claim, or a host site a planned move.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NackReason {
    /// The home's configuration does not let this peer host this address.
    Unauthorised,
    /// The server answers at home.
    AliveAtHome,
    /// The operator froze the address.
    Frozen,
    /// The address has no home here.
    NotHome,
    /// The claim's epoch or transfer address cannot be used; claim anew. Of a planned move: a
    /// newer epoch of the address is known.
    Stale,
    /// The host has no transfer address ready, no room for one more guest, or a fenced copy.
    Unable,
}

/// How the home's network looks to the server: what the host site must imitate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HomeProfile {
    /// Bits of the server's own subnet (0..=32, 0..=128).
    pub prefix_len: u8,
    /// The server's default gateway, of the server's family.
    pub gateway: IpAddr,
    /// The gateway's MAC address as the server knows it.
    pub gateway_mac: MacAddr,
}

/// One hosted address in a renewal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Renewal {
    /// The server's address.
    pub address: IpAddr,
    /// The placement.
    pub epoch: Epoch,
    /// Whether the server was heard since the last renewal.
    pub alive: bool,
}

/// A message between sites.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// First message both ways. A peer whose `version` differs in the major number is refused.
    Hello {
        /// Protocol version: major << 8 | minor.
        version: u16,
        /// The sender's site name; must be the name its certificate is pinned under.
        site: String,
        /// New with every start of the daemon.
        boot_id: u64,
    },
    /// Host → home: the server is here; this is the transfer address for it.
    Claim {
        /// The server's address (the paper's S).
        address: IpAddr,
        /// The server's MAC address.
        mac: MacAddr,
        /// Where the home shall send its packets (the paper's transfer address, T).
        transfer: IpAddr,
        /// What was seen.
        evidence: Evidence,
        /// Highest epoch of the address that the host knows of.
        last_epoch: Epoch,
        /// The host acts on the [`Message::Prepare`] of `last_epoch`: Ready follows without a
        /// wait for the grant.
        token: bool,
    },
    /// Home → host: granted.
    ClaimAck {
        /// The server's address.
        address: IpAddr,
        /// The new placement.
        epoch: Epoch,
        /// Seconds until the grant lapses unless renewed.
        lease: u16,
        /// What the host must imitate.
        profile: HomeProfile,
        /// The transfer address that it is granted with; version 1.0 does not say.
        transfer: Option<IpAddr>,
    },
    /// Home → host: refused.
    ClaimNack {
        /// The server's address.
        address: IpAddr,
        /// Why.
        reason: NackReason,
    },
    /// Host → home: my flows are in place (barrier seen).
    Ready {
        /// The server's address.
        address: IpAddr,
        /// The placement.
        epoch: Epoch,
    },
    /// Home → host: traffic is switched; answer the held ARP.
    Active {
        /// The server's address.
        address: IpAddr,
        /// The placement.
        epoch: Epoch,
    },
    /// Host → home: still hosting these.
    Renew(Vec<Renewal>),
    /// Home → host: these are renewed; a hosted address that is missing here has moved on.
    RenewAck(Vec<(IpAddr, Epoch)>),
    /// Home → host: does the server still answer at your site?
    Query {
        /// The server's address.
        address: IpAddr,
        /// The placement asked about.
        epoch: Epoch,
    },
    /// Host → home: the answer to [`Message::Query`].
    QueryAck {
        /// The server's address.
        address: IpAddr,
        /// The placement asked about.
        epoch: Epoch,
        /// Whether it answers.
        alive: bool,
    },
    /// Home → host: the placement ended; `epoch` is the newer one that replaces it.
    Revoke {
        /// The server's address.
        address: IpAddr,
        /// The newer epoch.
        epoch: Epoch,
        /// The server was found at both sites: isolate the copy.
        fence: bool,
        /// Seconds during which late packets are still delivered.
        drain: u16,
    },
    /// Host → home: revoked.
    RevokeAck {
        /// The server's address.
        address: IpAddr,
        /// As in the revoke.
        epoch: Epoch,
    },
    /// Host → home: the server is gone from here.
    Release {
        /// The server's address.
        address: IpAddr,
        /// The placement that ends.
        epoch: Epoch,
    },
    /// Home → host: released.
    ReleaseAck {
        /// The server's address.
        address: IpAddr,
        /// As in the release.
        epoch: Epoch,
    },
    /// Home → host, from version 1.1 on: the server is about to move to you. Keep a transfer
    /// address, and take it over as soon as it is heard.
    Prepare {
        /// The server's address.
        address: IpAddr,
        /// The placement that it will be.
        epoch: Epoch,
        /// The server's MAC address.
        mac: MacAddr,
        /// As in [`Message::ClaimAck`], seconds.
        lease: u16,
        /// Seconds after which it is void.
        window: u16,
        /// What the host must imitate.
        profile: HomeProfile,
    },
    /// Host → home: prepared.
    PrepareAck {
        /// The server's address.
        address: IpAddr,
        /// As in the prepare.
        epoch: Epoch,
        /// The transfer address that is kept for it.
        transfer: IpAddr,
    },
    /// Host → home: not prepared.
    PrepareNack {
        /// The server's address.
        address: IpAddr,
        /// As in the prepare.
        epoch: Epoch,
        /// Why.
        reason: NackReason,
        /// Highest epoch of the address that the host knows of.
        last_epoch: Epoch,
    },
}
