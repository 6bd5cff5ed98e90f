//! A move that an operator has announced: what each site keeps of it until the server goes.

use std::net::IpAddr;

use wamig_openflow::MacAddr;

use super::prefix::Family;
use super::record::{RecordError, Stored6, restored6, stored4, stored6};
use crate::peer::message::{Epoch, HomeProfile};

/// Home: a peer may take the server over without a search for it here. The placement that it
/// will be has the address's highest epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    /// The peer.
    pub peer: String,
    /// The operator's reason.
    pub reason: String,
}

/// Host: a server is about to come, and a transfer address is kept for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Permit {
    /// The server's home.
    pub peer: String,
    /// The server's MAC address.
    pub mac: MacAddr,
    /// The transfer address.
    pub transfer: IpAddr,
    /// The placement that it will be.
    pub epoch: Epoch,
    /// What is imitated.
    pub profile: HomeProfile,
    /// How long a renewal lasts, seconds.
    pub lease: u16,
    /// How long the permit lasts, seconds; counted anew after a restart.
    pub window: u16,
}

/// The stored form of [`Planned`].
#[derive(Default, minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
pub(super) struct StoredPlanned {
    #[n(0)]
    peer: String,
    #[n(1)]
    reason: String,
}

/// The stored form of [`Permit`].
#[derive(Default, minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
pub(super) struct StoredPermit {
    #[n(0)]
    peer: String,
    #[n(1)]
    mac: u64,
    #[n(2)]
    transfer: u32,
    #[n(3)]
    incarnation: u32,
    #[n(4)]
    counter: u32,
    #[n(5)]
    prefix_len: u8,
    #[n(6)]
    gateway: u32,
    #[n(7)]
    gateway_mac: u64,
    #[n(8)]
    lease: u16,
    #[n(9)]
    window: u16,
    #[n(10)]
    transfer6: Option<Stored6>,
    #[n(11)]
    gateway6: Option<Stored6>,
}

impl From<&Planned> for StoredPlanned {
    fn from(p: &Planned) -> Self {
        Self { peer: p.peer.clone(), reason: p.reason.clone() }
    }
}

impl From<StoredPlanned> for Planned {
    fn from(p: StoredPlanned) -> Self {
        Self { peer: p.peer, reason: p.reason }
    }
}

impl From<&Permit> for StoredPermit {
    fn from(p: &Permit) -> Self {
        Self {
            peer: p.peer.clone(),
            mac: p.mac.to_u64(),
            transfer: stored4(p.transfer).unwrap_or(0),
            transfer6: stored6(p.transfer),
            incarnation: p.epoch.incarnation,
            counter: p.epoch.counter,
            prefix_len: p.profile.prefix_len,
            gateway: stored4(p.profile.gateway).unwrap_or(0),
            gateway6: stored6(p.profile.gateway),
            gateway_mac: p.profile.gateway_mac.to_u64(),
            lease: p.lease,
            window: p.window,
        }
    }
}

impl TryFrom<StoredPermit> for Permit {
    type Error = RecordError;

    fn try_from(p: StoredPermit) -> Result<Self, RecordError> {
        let either = |v4: u32, v6: Option<Stored6>| v6.map_or_else(|| Family::V4.address(v4.into()), restored6);
        let gateway = either(p.gateway, p.gateway6);
        if p.prefix_len > Family::of(gateway).bits() {
            return Err(RecordError::Field("prefix length"));
        }
        let profile = HomeProfile { prefix_len: p.prefix_len, gateway, gateway_mac: MacAddr::from_u64(p.gateway_mac) };
        Ok(Self {
            peer: p.peer,
            mac: MacAddr::from_u64(p.mac),
            transfer: either(p.transfer, p.transfer6),
            epoch: Epoch { incarnation: p.incarnation, counter: p.counter },
            profile,
            lease: p.lease,
            window: p.window,
        })
    }
}
