//! What the peer sessions tell the daemon.

use super::message::Message;
use super::refusal::Refusal;

/// Something about a peer. For one site: [`PeerEvent::Up`] comes before its first message, and
/// no message comes between [`PeerEvent::Down`] and the next up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PeerEvent {
    /// There is a session with the site. Between two ups there is always a down.
    Up {
        /// Its name.
        site: String,
        /// The protocol's version that it speaks: major << 8 | minor.
        version: u16,
    },
    /// There is no session with the site. Said when a session ends, and again while there is
    /// none whenever the reason changes: why redialling fails is what the operator must know.
    Down {
        /// Its name.
        site: String,
        /// Why.
        reason: DownReason,
        /// The particulars, for people.
        detail: String,
    },
    /// The site says.
    Message {
        /// Its name, as authenticated.
        site: String,
        /// What it says; never a hello.
        message: Message,
    },
    /// Something was not let in, or not let through. At most one event a second for each
    /// reason; [`super::refusal::RefusalCounters`] has them all.
    Refused {
        /// [`Refusal::as_str`].
        reason: &'static str,
        /// Who, what, and what to do about it.
        detail: String,
    },
}

impl PeerEvent {
    pub(super) fn refused(refusal: Refusal, detail: String) -> Self {
        Self::Refused { reason: refusal.as_str(), detail }
    }
}

/// Why there is no session with a peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DownReason {
    /// The endpoint's host answers that nobody listens there.
    ConnectionRefused,
    /// The endpoint does not answer, or there is no route to it.
    Unreachable,
    /// The endpoint's host name has no address.
    Unresolvable,
    /// The peer does not accept this site's certificate.
    RefusedCertificate,
    /// The peer's certificate is not the one that is configured for it.
    WrongCertificate,
    /// The peer calls itself by another name than its certificate is configured under.
    WrongSite,
    /// The peer speaks another major version of the protocol.
    WrongVersion,
    /// Whoever listens at the endpoint speaks no TLS 1.3, or another protocol over it.
    NotWamig,
    /// The peer sent something that is no message.
    Protocol,
    /// Nothing was heard for too long.
    Silent,
    /// The peer does not take what it is sent.
    Slow,
    /// The peer closed the session, or the network did.
    Closed,
    /// The peer's daemon was started anew, or lost the session before this side did; an up
    /// follows at once.
    Replaced,
    /// This site's configuration says something else of the peer, or nothing any more.
    Reconfigured,
}

impl DownReason {
    /// A fixed name, part of the interface of `wamig status -o json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionRefused => "connection-refused",
            Self::Unreachable => "unreachable",
            Self::Unresolvable => "unresolvable",
            Self::RefusedCertificate => "our-certificate-refused",
            Self::WrongCertificate => "wrong-certificate",
            Self::WrongSite => "wrong-site-name",
            Self::WrongVersion => "wrong-version",
            Self::NotWamig => "not-wamig",
            Self::Protocol => "protocol-error",
            Self::Silent => "silent",
            Self::Slow => "slow",
            Self::Closed => "closed",
            Self::Replaced => "replaced",
            Self::Reconfigured => "reconfigured",
        }
    }

    /// True when one of the two organisations does not let the other in, as opposed to a
    /// network or a daemon that does not work: waiting does not help, a person must act.
    pub fn is_unauthorised(self) -> bool {
        matches!(self, Self::RefusedCertificate | Self::WrongCertificate | Self::WrongSite)
    }

    /// What the operator can do, as a sentence.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::ConnectionRefused => {
                "Start wamig at the peer, and compare this [[peer]] endpoint with the peer's [peering] listen."
            }
            Self::Unreachable => {
                "Check routes and firewalls towards the peer's endpoint (TCP), and that the peer is running."
            }
            Self::Unresolvable => "Correct the host name in this [[peer]] endpoint, or write its address.",
            Self::RefusedCertificate => {
                "Ask the peer's operator to set this site's fingerprint (`wamig keygen` printed it) in their [[peer]]."
            }
            Self::WrongCertificate => {
                "Ask the peer's operator which fingerprint is right; if it is the one seen, set it in this [[peer]]."
            }
            Self::WrongSite => "Make the name in this [[peer]] the same as `site` in the peer's configuration.",
            Self::WrongVersion => "Upgrade wamig at the site that has the older version.",
            Self::NotWamig => "Correct the port in this [[peer]] endpoint: something else listens there.",
            Self::Protocol => "Upgrade wamig at both sites to the same version; if it stays, report the detail.",
            Self::Silent => "Check the network between the sites, and whether the peer's machine hangs.",
            Self::Slow => "Check the bandwidth between the sites, and the load of the peer's machine.",
            Self::Closed => "None, if the peer was stopped; the session comes back by itself.",
            Self::Replaced => "None; the session is back already.",
            Self::Reconfigured => "None; the session is made anew, if the peer is still configured.",
        }
    }
}
