//! What survives a restart. The home's record is the truth about an address's epoch; the
//! host's remembers what it promised, so that no guest and no transfer address is forgotten.
//!
//! On disk a record is a CBOR map with integer keys; unknown keys are ignored and missing
//! ones are absent, so that a newer and an older daemon read each other's.

use std::net::{IpAddr, Ipv6Addr};

use minicbor::bytes::ByteArray;
use wamig_openflow::{MacAddr, PortNo};

use super::planned::{Permit, Planned, StoredPermit, StoredPlanned};
use super::prefix::Family;
use crate::peer::message::{Epoch, HomeProfile};

/// Home: where a server of ours is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placement {
    /// The peer that hosts it.
    pub peer: String,
    /// The transfer address lent by that peer.
    pub transfer: IpAddr,
    /// The placement's epoch.
    pub epoch: Epoch,
    /// The own router's MAC address when the placement was made: what its flows were made
    /// with, and can be made with again before the router has been asked.
    pub gateway_mac: MacAddr,
}

/// Home: no trigger moves the address until an operator says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Freeze {
    /// Whose doing it was.
    pub by: FrozenBy,
    /// The operator's reason, or how often it moved.
    pub reason: String,
    /// When, in milliseconds since 1970, if the wall clock was known.
    pub since_unix_ms: Option<u64>,
}

/// Who froze an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrozenBy {
    /// An operator, by `wamig freeze`.
    Operator,
    /// The damping: it moved too often.
    Damping,
}

/// Host: what a guest is served with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binding {
    /// The guest's home.
    pub peer: String,
    /// The guest's MAC address.
    pub mac: MacAddr,
    /// The port it is plugged into.
    pub port: PortNo,
    /// Its transfer address.
    pub transfer: IpAddr,
    /// The placement's epoch.
    pub epoch: Epoch,
    /// What is imitated.
    pub profile: HomeProfile,
    /// The own router's MAC address, as in [`Placement::gateway_mac`].
    pub gateway_mac: MacAddr,
    /// Whether the home has said Active.
    pub active: bool,
}

/// One address's durable state; a newer record replaces the one of equal [`Record::key`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// Of a server whose home is here.
    Home {
        /// The server's address.
        address: IpAddr,
        /// Highest epoch ever given out.
        epoch: Epoch,
        /// Where it is; `None` = at home.
        placement: Option<Placement>,
        /// Whether it may move.
        frozen: Option<Freeze>,
        /// Which move of it is planned, while it is at home.
        planned: Option<Planned>,
    },
    /// Of a peer's server.
    Host {
        /// The server's address.
        address: IpAddr,
        /// Highest epoch heard of.
        epoch: Epoch,
        /// What it is served with; `None` = not here any more.
        binding: Option<Binding>,
        /// A transfer address that it had last, to be quarantined after a restart too.
        resting: Option<IpAddr>,
        /// Its home has announced it.
        permit: Option<Permit>,
    },
}

/// The bytes are not a record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not CBOR of the expected form.
    #[error("a stored record cannot be read: {0}")]
    Cbor(#[from] minicbor::decode::Error),
    /// A field that the record needs is absent or out of range.
    #[error("a stored record lacks a usable {0}")]
    Field(&'static str),
}

/// The stored form.
#[derive(Default, minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
struct Stored {
    #[n(0)]
    role: u8,
    #[n(1)]
    address: u32,
    #[n(2)]
    incarnation: u32,
    #[n(3)]
    counter: u32,
    #[n(4)]
    peer: Option<String>,
    #[n(5)]
    transfer: Option<u32>,
    #[n(6)]
    placed_incarnation: Option<u32>,
    #[n(7)]
    placed_counter: Option<u32>,
    #[n(8)]
    gateway_mac: Option<u64>,
    #[n(9)]
    mac: Option<u64>,
    #[n(10)]
    port: Option<u32>,
    #[n(11)]
    active: Option<bool>,
    #[n(12)]
    prefix_len: Option<u8>,
    #[n(13)]
    home_gateway: Option<u32>,
    #[n(14)]
    home_gateway_mac: Option<u64>,
    #[n(15)]
    resting: Option<u32>,
    #[n(16)]
    frozen_by: Option<u8>,
    #[n(17)]
    frozen_why: Option<String>,
    #[n(18)]
    frozen_unix_ms: Option<u64>,
    #[n(19)]
    planned: Option<StoredPlanned>,
    #[n(20)]
    permit: Option<StoredPermit>,
    #[n(21)]
    address6: Option<Stored6>,
    #[n(22)]
    transfer6: Option<Stored6>,
    #[n(23)]
    home_gateway6: Option<Stored6>,
    #[n(24)]
    resting6: Option<Stored6>,
}

/// An IPv6 address as it is stored: its octets, beside the number that an IPv4 address is.
pub(super) type Stored6 = ByteArray<16>;

pub(super) fn stored4(address: IpAddr) -> Option<u32> {
    if let IpAddr::V4(a) = address { Some(a.to_bits()) } else { None }
}

pub(super) fn stored6(address: IpAddr) -> Option<Stored6> {
    if let IpAddr::V6(a) = address { Some(a.octets().into()) } else { None }
}

pub(super) fn restored6(stored: Stored6) -> IpAddr {
    Ipv6Addr::from(<[u8; 16]>::from(stored)).into()
}

/// The address that is stored as one or the other.
fn restored(v4: Option<u32>, v6: Option<Stored6>) -> Option<IpAddr> {
    v6.map(restored6).or_else(|| v4.map(|n| Family::V4.address(n.into())))
}

const HOME: u8 = 1;
const HOST: u8 = 2;
const BY_OPERATOR: u8 = 1;
const BY_DAMPING: u8 = 2;

impl Record {
    /// The server's address.
    pub fn address(&self) -> IpAddr {
        match self {
            Self::Home { address, .. } | Self::Host { address, .. } => *address,
        }
    }

    /// What the record is filed under: the role (1 home, 2 host) and the address's octets.
    pub fn key(&self) -> Vec<u8> {
        let role = match self {
            Self::Home { .. } => HOME,
            Self::Host { .. } => HOST,
        };
        match self.address() {
            IpAddr::V4(a) => [&[role], &a.octets()[..]].concat(),
            IpAddr::V6(a) => [&[role], &a.octets()[..]].concat(),
        }
    }

    /// The record as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let stored = match self {
            Self::Home { address, epoch, placement, frozen, planned } => {
                let planned = planned.as_ref().map(StoredPlanned::from);
                let stored = Stored { role: HOME, planned, ..Stored::of(*address, *epoch) };
                stored.with_placement(placement.as_ref()).with_freeze(frozen.as_ref())
            }
            Self::Host { address, epoch, binding, resting, permit } => {
                let (resting, resting6) = (resting.and_then(stored4), resting.and_then(stored6));
                let permit = permit.as_ref().map(StoredPermit::from);
                let stored = Stored { role: HOST, resting, resting6, permit, ..Stored::of(*address, *epoch) };
                stored.with_binding(binding.as_ref())
            }
        };
        let mut out = Vec::new();
        match minicbor::encode(&stored, &mut out) {
            Ok(()) => out,
            // Writing to a vector cannot fail.
            Err(e) => unreachable!("{e}"),
        }
    }

    /// Reads what [`Record::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not CBOR, or a needed field is missing or out of range.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut stored: Stored = minicbor::decode(bytes)?;
        let address = need(restored(Some(stored.address), stored.address6.take()), "address")?;
        let epoch = Epoch { incarnation: stored.incarnation, counter: stored.counter };
        match stored.role {
            HOME => {
                let (frozen, planned) = (stored.freeze()?, stored.planned.take().map(Planned::from));
                Ok(Self::Home { address, epoch, placement: stored.placement()?, frozen, planned })
            }
            HOST => {
                let resting = restored(stored.resting, stored.resting6.take());
                let permit = stored.permit.take().map(Permit::try_from).transpose()?;
                Ok(Self::Host { address, epoch, binding: stored.binding()?, resting, permit })
            }
            _ => Err(RecordError::Field("role")),
        }
    }
}

fn need<T>(value: Option<T>, name: &'static str) -> Result<T, RecordError> {
    value.ok_or(RecordError::Field(name))
}

impl Stored {
    fn of(address: IpAddr, epoch: Epoch) -> Self {
        let (incarnation, counter) = (epoch.incarnation, epoch.counter);
        let (address, address6) = (stored4(address).unwrap_or(0), stored6(address));
        Self { address, incarnation, counter, address6, ..Self::default() }
    }

    fn with_placement(self, placement: Option<&Placement>) -> Self {
        let Some(p) = placement else { return self };
        Self {
            peer: Some(p.peer.clone()),
            transfer: stored4(p.transfer),
            transfer6: stored6(p.transfer),
            placed_incarnation: Some(p.epoch.incarnation),
            placed_counter: Some(p.epoch.counter),
            gateway_mac: Some(p.gateway_mac.to_u64()),
            ..self
        }
    }

    fn with_freeze(self, freeze: Option<&Freeze>) -> Self {
        let Some(freeze) = freeze else { return self };
        let by = match freeze.by {
            FrozenBy::Operator => BY_OPERATOR,
            FrozenBy::Damping => BY_DAMPING,
        };
        let frozen_why = Some(freeze.reason.clone());
        Self { frozen_by: Some(by), frozen_why, frozen_unix_ms: freeze.since_unix_ms, ..self }
    }

    fn freeze(&self) -> Result<Option<Freeze>, RecordError> {
        let by = match self.frozen_by {
            None => return Ok(None),
            Some(BY_OPERATOR) => FrozenBy::Operator,
            Some(BY_DAMPING) => FrozenBy::Damping,
            Some(_) => return Err(RecordError::Field("cause of its freeze")),
        };
        let reason = self.frozen_why.clone().unwrap_or_default();
        Ok(Some(Freeze { by, reason, since_unix_ms: self.frozen_unix_ms }))
    }

    fn with_binding(self, binding: Option<&Binding>) -> Self {
        let Some(b) = binding else { return self };
        Self {
            peer: Some(b.peer.clone()),
            transfer: stored4(b.transfer),
            transfer6: stored6(b.transfer),
            placed_incarnation: Some(b.epoch.incarnation),
            placed_counter: Some(b.epoch.counter),
            gateway_mac: Some(b.gateway_mac.to_u64()),
            mac: Some(b.mac.to_u64()),
            port: Some(b.port.0),
            active: Some(b.active),
            prefix_len: Some(b.profile.prefix_len),
            home_gateway: stored4(b.profile.gateway),
            home_gateway6: stored6(b.profile.gateway),
            home_gateway_mac: Some(b.profile.gateway_mac.to_u64()),
            ..self
        }
    }

    fn placed_epoch(&self) -> Result<Epoch, RecordError> {
        Ok(Epoch {
            incarnation: need(self.placed_incarnation, "placement epoch")?,
            counter: need(self.placed_counter, "placement epoch")?,
        })
    }

    fn placement(mut self) -> Result<Option<Placement>, RecordError> {
        let Some(peer) = self.peer.clone() else { return Ok(None) };
        Ok(Some(Placement {
            peer,
            transfer: need(restored(self.transfer, self.transfer6.take()), "transfer address")?,
            epoch: self.placed_epoch()?,
            gateway_mac: MacAddr::from_u64(need(self.gateway_mac, "gateway MAC address")?),
        }))
    }

    fn binding(mut self) -> Result<Option<Binding>, RecordError> {
        let Some(peer) = self.peer.clone() else { return Ok(None) };
        let gateway = need(restored(self.home_gateway, self.home_gateway6.take()), "home gateway")?;
        let longest = Family::of(gateway).bits();
        let profile = HomeProfile {
            prefix_len: need(self.prefix_len.filter(|l| *l <= longest), "prefix length")?,
            gateway,
            gateway_mac: MacAddr::from_u64(need(self.home_gateway_mac, "home gateway MAC address")?),
        };
        Ok(Some(Binding {
            peer,
            mac: MacAddr::from_u64(need(self.mac, "MAC address")?),
            port: PortNo(need(self.port, "port")?),
            transfer: need(restored(self.transfer, self.transfer6.take()), "transfer address")?,
            epoch: self.placed_epoch()?,
            profile,
            gateway_mac: MacAddr::from_u64(need(self.gateway_mac, "gateway MAC address")?),
            active: self.active.unwrap_or(false),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use proptest::prelude::*;

    fn freeze(by: FrozenBy) -> Freeze {
        Freeze { by, reason: "maintenance of the WAN".into(), since_unix_ms: Some(1_795_348_862_000) }
    }

    fn records() -> Vec<Record> {
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53));
        let epoch = Epoch { incarnation: 1, counter: 7 };
        let placed = Epoch { incarnation: 1, counter: 6 };
        let transfer = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 200));
        let gateway_mac = MacAddr([2, 0, 0, 0, 0, 1]);
        let placement = Placement { peer: "dc2".into(), transfer, epoch: placed, gateway_mac };
        let profile = HomeProfile { prefix_len: 24, gateway: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), gateway_mac };
        let binding = Binding {
            peer: "dc1".into(),
            mac: MacAddr([2, 0, 0, 0, 0, 0x53]),
            port: PortNo(3),
            transfer,
            epoch: placed,
            profile,
            gateway_mac: MacAddr([2, 0, 0, 0, 0, 2]),
            active: true,
        };
        let permit = Permit { peer: "dc1".into(), mac: binding.mac, transfer, epoch, profile, lease: 30, window: 600 };
        let home = |placement, frozen, planned| Record::Home { address, epoch, placement, frozen, planned };
        let host = |binding, resting, permit| Record::Host { address, epoch, binding, resting, permit };
        let planned = Planned { peer: "dc2".into(), reason: "the rack is taken down".into() };
        vec![
            home(None, None, None),
            home(Some(placement.clone()), None, None),
            home(None, Some(freeze(FrozenBy::Operator)), None),
            home(Some(placement), Some(freeze(FrozenBy::Damping)), None),
            host(Some(binding), None, None),
            host(None, Some(transfer), None),
            home(None, None, Some(planned)),
            host(None, None, Some(permit)),
        ]
    }

    /// The same of IPv6 addresses.
    fn records6() -> Vec<Record> {
        let v6 = |s: &str| s.parse::<IpAddr>().unwrap();
        let (server, lent) = (v6("2001:db8:1::53"), v6("2001:db8:2::c8"));
        let mut all = records();
        for record in &mut all {
            let (Record::Home { address, .. } | Record::Host { address, .. }) = record;
            *address = server;
            if let Record::Home { placement: Some(p), .. } = record {
                p.transfer = lent;
            }
            let Record::Host { binding, resting, permit, .. } = record else { continue };
            *resting = resting.map(|_| lent);
            let profile = |p: HomeProfile| HomeProfile { prefix_len: 64, gateway: v6("fe80::1"), ..p };
            if let Some(b) = binding {
                (b.transfer, b.profile) = (lent, profile(b.profile));
            }
            if let Some(p) = permit {
                (p.transfer, p.profile) = (lent, profile(p.profile));
            }
        }
        all
    }

    #[test]
    fn what_is_written_is_read_back() {
        for record in records().into_iter().chain(records6()) {
            assert_eq!(Record::decode(&record.encode()).unwrap(), record);
        }
    }

    #[test]
    fn roles_are_filed_apart() {
        let r = records();
        assert_eq!(r[0].key(), r[1].key());
        assert_eq!(r[0].key(), [1, 192, 0, 2, 53]);
        assert_ne!(r[0].key(), r[4].key());
        assert_eq!(records6()[0].key()[..5], [1, 0x20, 1, 0x0d, 0xb8]);
    }

    #[test]
    fn a_truncated_record_is_an_error() {
        for record in records() {
            let bytes = record.encode();
            for len in 0..bytes.len() {
                assert!(Record::decode(&bytes[..len]).is_err());
            }
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let stored = Stored { role: HOST, peer: Some("dc1".into()), prefix_len: Some(24), ..Stored::default() };
        let err = Record::decode(&minicbor::to_vec(&stored).unwrap()).unwrap_err();
        assert_eq!(err.to_string(), "a stored record lacks a usable home gateway");
    }

    proptest! {
        #[test]
        fn no_bytes_stop_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Record::decode(&bytes);
        }
    }
}
