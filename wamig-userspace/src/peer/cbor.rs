//! Messages as CBOR maps with integer keys. The numbers are here and in
//! docs/peer-protocol.cddl, nowhere else; a test keeps the two in step.
//!
//! Written by hand rather than derived, because a reader must skip keys it does not know,
//! must refuse a key that occurs twice, and must tell a later minor version (unknown kind,
//! unknown choice) from a broken sender.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};
use wamig_openflow::MacAddr;

use super::codec::CodecError;
use super::message::{Epoch, Evidence, HomeProfile, Message, NackReason, Renewal};
use crate::migration::prefix::Family;

/// A key of the specification: one number has one meaning in every map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key {
    /// Its number on the wire; below 24, so that it takes one octet.
    pub(super) number: u8,
    /// Its name in the specification.
    pub(super) name: &'static str,
}

/// Declares the keys as constants and the list of all of them.
macro_rules! keys {
    ($($constant:ident = $number:literal $name:literal;)*) => {
        $(const $constant: Key = Key { number: $number, name: $name };)*
        /// Every key, for the test against the specification.
        #[cfg(test)]
        pub(super) const KEYS: &[Key] = &[$($constant),*];
    };
}

keys! {
    KIND = 0 "kind";
    ADDRESS = 1 "address";
    EPOCH = 2 "epoch";
    MAC = 3 "mac";
    TRANSFER = 4 "transfer";
    EVIDENCE = 5 "evidence";
    LEASE = 6 "lease";
    PROFILE = 7 "profile";
    REASON = 8 "reason";
    ALIVE = 9 "alive";
    FENCE = 10 "fence";
    DRAIN = 11 "drain";
    VERSION = 12 "version";
    SITE = 13 "site";
    BOOT_ID = 14 "boot-id";
    RENEWALS = 15 "renewals";
    LAST_EPOCH = 16 "last-epoch";
    PREFIX_LEN = 17 "prefix-len";
    GATEWAY = 18 "gateway";
    GATEWAY_MAC = 19 "gateway-mac";
    TOKEN = 20 "token";
    WINDOW = 21 "window";
}

/// Longest site name, in octets.
pub const MAX_SITE_NAME: usize = 63;

/// The kind numbers with their names in the specification.
pub(super) mod kind {
    /// Declares the kinds as constants and the list of all of them.
    macro_rules! kinds {
        ($($constant:ident = $number:literal $name:literal;)*) => {
            $(pub(in crate::peer) const $constant: u64 = $number;)*
            /// Every kind, for the test against the specification.
            #[cfg(test)]
            pub(in crate::peer) const KINDS: &[(u64, &str)] = &[$(($number, $name)),*];
        };
    }

    kinds! {
        HELLO = 1 "hello";
        CLAIM = 2 "claim";
        CLAIM_ACK = 3 "claim-ack";
        CLAIM_NACK = 4 "claim-nack";
        READY = 5 "ready";
        ACTIVE = 6 "active";
        RENEW = 7 "renew";
        RENEW_ACK = 8 "renew-ack";
        QUERY = 9 "query";
        QUERY_ACK = 10 "query-ack";
        REVOKE = 11 "revoke";
        REVOKE_ACK = 12 "revoke-ack";
        RELEASE = 13 "release";
        RELEASE_ACK = 14 "release-ack";
        PREPARE = 15 "prepare";
        PREPARE_ACK = 16 "prepare-ack";
        PREPARE_NACK = 17 "prepare-nack";
    }
}

/// The numbers of [`Evidence`] with their names in the specification.
pub(super) const EVIDENCE_VALUES: &[(u64, Evidence, &str)] = &[
    (1, Evidence::ArpRequest, Evidence::ArpRequest.as_str()),
    (2, Evidence::ArpProbe, Evidence::ArpProbe.as_str()),
    (3, Evidence::ArpAnnounce, Evidence::ArpAnnounce.as_str()),
    (4, Evidence::Data, Evidence::Data.as_str()),
    (5, Evidence::Rarp, Evidence::Rarp.as_str()),
    (6, Evidence::NdSolicit, Evidence::NdSolicit.as_str()),
    (7, Evidence::NdProbe, Evidence::NdProbe.as_str()),
    (8, Evidence::NdAdvert, Evidence::NdAdvert.as_str()),
    (9, Evidence::NdRouterSolicit, Evidence::NdRouterSolicit.as_str()),
];

/// The numbers of [`NackReason`] with their names in the specification.
pub(super) const REASON_VALUES: &[(u64, NackReason, &str)] = &[
    (1, NackReason::Unauthorised, "unauthorised"),
    (2, NackReason::AliveAtHome, "alive-at-home"),
    (3, NackReason::Frozen, "frozen"),
    (4, NackReason::NotHome, "not-home"),
    (5, NackReason::Stale, "stale"),
    (6, NackReason::Unable, "unable"),
];

impl From<minicbor::decode::Error> for CodecError {
    fn from(error: minicbor::decode::Error) -> Self {
        Self::Cbor(error.to_string())
    }
}

/// The message as one CBOR item.
pub(super) fn encode(message: &Message) -> Result<Vec<u8>, CodecError> {
    let mut map = Writer::new();
    match message {
        Message::Hello { version, site, boot_id } => {
            if !is_site_name_length(site) {
                return Err(CodecError::BadValue(SITE.name));
            }
            map.open(4, kind::HELLO);
            map.number(VERSION, u64::from(*version));
            map.text(SITE, site);
            map.number(BOOT_ID, *boot_id);
        }
        Message::Claim { address, mac, transfer, evidence, last_epoch, token } => {
            map.open(6 + u64::from(*token), kind::CLAIM);
            map.address(ADDRESS, *address);
            map.bytes(MAC, &mac.0);
            map.address(TRANSFER, *transfer);
            map.number(EVIDENCE, number_of(EVIDENCE_VALUES, *evidence).ok_or(CodecError::BadValue(EVIDENCE.name))?);
            map.epoch(LAST_EPOCH, *last_epoch);
            if *token {
                map.flag(TOKEN, true);
            }
        }
        Message::ClaimAck { address, epoch, lease, profile, transfer } => {
            map.open(5 + u64::from(transfer.is_some()), kind::CLAIM_ACK);
            map.placement(*address, *epoch);
            map.number(LEASE, u64::from(*lease));
            map.profile(profile)?;
            if let Some(transfer) = transfer {
                map.address(TRANSFER, *transfer);
            }
        }
        Message::ClaimNack { address, reason } => {
            map.open(3, kind::CLAIM_NACK);
            map.address(ADDRESS, *address);
            map.reason(*reason)?;
        }
        Message::Prepare { address, epoch, mac, lease, window, profile } => {
            map.open(7, kind::PREPARE);
            map.placement(*address, *epoch);
            map.bytes(MAC, &mac.0);
            map.number(LEASE, u64::from(*lease));
            map.number(WINDOW, u64::from(*window));
            map.profile(profile)?;
        }
        Message::PrepareAck { address, epoch, transfer } => {
            map.open(4, kind::PREPARE_ACK);
            map.placement(*address, *epoch);
            map.address(TRANSFER, *transfer);
        }
        Message::PrepareNack { address, epoch, reason, last_epoch } => {
            map.open(5, kind::PREPARE_NACK);
            map.placement(*address, *epoch);
            map.reason(*reason)?;
            map.epoch(LAST_EPOCH, *last_epoch);
        }
        Message::Renew(renewals) => {
            map.open(2, kind::RENEW);
            map.array(RENEWALS, renewals.len());
            for renewal in renewals {
                map.item(3);
                map.placement(renewal.address, renewal.epoch);
                map.flag(ALIVE, renewal.alive);
            }
        }
        Message::RenewAck(renewed) => {
            map.open(2, kind::RENEW_ACK);
            map.array(RENEWALS, renewed.len());
            for (address, epoch) in renewed {
                map.item(2);
                map.placement(*address, *epoch);
            }
        }
        Message::QueryAck { address, epoch, alive } => {
            map.open(4, kind::QUERY_ACK);
            map.placement(*address, *epoch);
            map.flag(ALIVE, *alive);
        }
        Message::Revoke { address, epoch, fence, drain } => {
            map.open(5, kind::REVOKE);
            map.placement(*address, *epoch);
            map.flag(FENCE, *fence);
            map.number(DRAIN, u64::from(*drain));
        }
        Message::Ready { address, epoch } => map.bare(kind::READY, *address, *epoch),
        Message::Active { address, epoch } => map.bare(kind::ACTIVE, *address, *epoch),
        Message::Query { address, epoch } => map.bare(kind::QUERY, *address, *epoch),
        Message::RevokeAck { address, epoch } => map.bare(kind::REVOKE_ACK, *address, *epoch),
        Message::Release { address, epoch } => map.bare(kind::RELEASE, *address, *epoch),
        Message::ReleaseAck { address, epoch } => map.bare(kind::RELEASE_ACK, *address, *epoch),
    }
    Ok(map.0.into_writer())
}

/// One message out of exactly the octets of one frame.
pub(super) fn decode(payload: &[u8]) -> Result<Message, CodecError> {
    let mut input = Decoder::new(payload);
    let fields = Fields::read(&mut input)?;
    let rest = payload.len().saturating_sub(input.position());
    if rest > 0 {
        return Err(CodecError::TrailingBytes(rest));
    }
    let kind = fields.number(KIND)?;
    let message = match kind {
        kind::HELLO => {
            Message::Hello { version: fields.u16(VERSION)?, site: fields.site()?, boot_id: fields.number(BOOT_ID)? }
        }
        kind::CLAIM => Message::Claim {
            address: fields.address(ADDRESS)?,
            mac: fields.mac(MAC)?,
            transfer: fields.address(TRANSFER)?,
            evidence: fields.choice(EVIDENCE, EVIDENCE_VALUES)?,
            last_epoch: fields.epoch(LAST_EPOCH)?,
            token: if fields.has(TOKEN) { fields.flag(TOKEN)? } else { false },
        },
        kind::CLAIM_ACK => Message::ClaimAck {
            address: fields.address(ADDRESS)?,
            epoch: fields.epoch(EPOCH)?,
            lease: fields.u16(LEASE)?,
            profile: fields.profile()?,
            transfer: if fields.has(TRANSFER) { Some(fields.address(TRANSFER)?) } else { None },
        },
        kind::CLAIM_NACK => {
            Message::ClaimNack { address: fields.address(ADDRESS)?, reason: fields.choice(REASON, REASON_VALUES)? }
        }
        kind::RENEW => Message::Renew(fields.list(RENEWALS, |item| {
            Ok(Renewal { address: item.address(ADDRESS)?, epoch: item.epoch(EPOCH)?, alive: item.flag(ALIVE)? })
        })?),
        kind::RENEW_ACK => {
            Message::RenewAck(fields.list(RENEWALS, |item| Ok((item.address(ADDRESS)?, item.epoch(EPOCH)?)))?)
        }
        kind::QUERY_ACK => Message::QueryAck {
            address: fields.address(ADDRESS)?,
            epoch: fields.epoch(EPOCH)?,
            alive: fields.flag(ALIVE)?,
        },
        kind::REVOKE => Message::Revoke {
            address: fields.address(ADDRESS)?,
            epoch: fields.epoch(EPOCH)?,
            fence: fields.flag(FENCE)?,
            drain: fields.u16(DRAIN)?,
        },
        kind::READY => Message::Ready { address: fields.address(ADDRESS)?, epoch: fields.epoch(EPOCH)? },
        kind::ACTIVE => Message::Active { address: fields.address(ADDRESS)?, epoch: fields.epoch(EPOCH)? },
        kind::QUERY => Message::Query { address: fields.address(ADDRESS)?, epoch: fields.epoch(EPOCH)? },
        kind::REVOKE_ACK => Message::RevokeAck { address: fields.address(ADDRESS)?, epoch: fields.epoch(EPOCH)? },
        kind::RELEASE => Message::Release { address: fields.address(ADDRESS)?, epoch: fields.epoch(EPOCH)? },
        kind::RELEASE_ACK => Message::ReleaseAck { address: fields.address(ADDRESS)?, epoch: fields.epoch(EPOCH)? },
        kind::PREPARE => Message::Prepare {
            address: fields.address(ADDRESS)?,
            epoch: fields.epoch(EPOCH)?,
            mac: fields.mac(MAC)?,
            lease: fields.u16(LEASE)?,
            window: fields.u16(WINDOW)?,
            profile: fields.profile()?,
        },
        kind::PREPARE_ACK => Message::PrepareAck {
            address: fields.address(ADDRESS)?,
            epoch: fields.epoch(EPOCH)?,
            transfer: fields.address(TRANSFER)?,
        },
        kind::PREPARE_NACK => Message::PrepareNack {
            address: fields.address(ADDRESS)?,
            epoch: fields.epoch(EPOCH)?,
            reason: fields.choice(REASON, REASON_VALUES)?,
            last_epoch: fields.epoch(LAST_EPOCH)?,
        },
        other => return Err(CodecError::UnknownKind(other)),
    };
    Ok(message)
}

fn is_site_name_length(site: &str) -> bool {
    (1..=MAX_SITE_NAME).contains(&site.len())
}

fn number_of<T: PartialEq>(table: &[(u64, T, &str)], value: T) -> Option<u64> {
    table.iter().find(|(_, candidate, _)| *candidate == value).map(|(number, ..)| *number)
}

/// Writes maps into memory, which cannot fail.
struct Writer(Encoder<Vec<u8>>);

impl Writer {
    fn new() -> Self {
        Self(Encoder::new(Vec::with_capacity(64)))
    }

    /// Runs one step of the encoder, whose error type has no values for a `Vec`.
    fn put(
        &mut self,
        step: impl FnOnce(
            &mut Encoder<Vec<u8>>,
        ) -> Result<&mut Encoder<Vec<u8>>, minicbor::encode::Error<std::convert::Infallible>>,
    ) {
        let done = step(&mut self.0);
        debug_assert!(done.is_ok(), "writing into memory does not fail");
    }

    fn open(&mut self, entries: u64, kind: u64) {
        self.item(entries);
        self.number(KIND, kind);
    }

    fn bare(&mut self, kind: u64, address: IpAddr, epoch: Epoch) {
        self.open(3, kind);
        self.placement(address, epoch);
    }

    fn item(&mut self, entries: u64) {
        self.put(|e| e.map(entries));
    }

    fn nested(&mut self, key: Key, entries: u64) {
        self.put(|e| e.u8(key.number)?.map(entries));
    }

    fn array(&mut self, key: Key, items: usize) {
        self.put(|e| e.u8(key.number)?.array(items as u64));
    }

    fn number(&mut self, key: Key, value: u64) {
        self.put(|e| e.u8(key.number)?.u64(value));
    }

    fn flag(&mut self, key: Key, value: bool) {
        self.put(|e| e.u8(key.number)?.bool(value));
    }

    fn text(&mut self, key: Key, value: &str) {
        self.put(|e| e.u8(key.number)?.str(value));
    }

    fn bytes(&mut self, key: Key, value: &[u8]) {
        self.put(|e| e.u8(key.number)?.bytes(value));
    }

    fn address(&mut self, key: Key, address: IpAddr) {
        match address {
            IpAddr::V4(a) => self.bytes(key, &a.octets()),
            IpAddr::V6(a) => self.bytes(key, &a.octets()),
        }
    }

    fn epoch(&mut self, key: Key, epoch: Epoch) {
        self.put(|e| e.u8(key.number)?.array(2)?.u32(epoch.incarnation)?.u32(epoch.counter));
    }

    fn reason(&mut self, reason: NackReason) -> Result<(), CodecError> {
        self.number(REASON, number_of(REASON_VALUES, reason).ok_or(CodecError::BadValue(REASON.name))?);
        Ok(())
    }

    fn profile(&mut self, profile: &HomeProfile) -> Result<(), CodecError> {
        if profile.prefix_len > Family::of(profile.gateway).bits() {
            return Err(CodecError::BadValue(PREFIX_LEN.name));
        }
        self.nested(PROFILE, 3);
        self.number(PREFIX_LEN, u64::from(profile.prefix_len));
        self.address(GATEWAY, profile.gateway);
        self.bytes(GATEWAY_MAC, &profile.gateway_mac.0);
        Ok(())
    }

    fn placement(&mut self, address: IpAddr, epoch: Epoch) {
        self.address(ADDRESS, address);
        self.epoch(EPOCH, epoch);
    }
}

/// Keys below this are kept; the rest are skipped as of a later version.
const KNOWN_KEYS: usize = 24;

/// A map's known values, each still as CBOR: read in any order of keys.
struct Fields<'b> {
    values: [Option<&'b [u8]>; KNOWN_KEYS],
}

impl<'b> Fields<'b> {
    fn read(input: &mut Decoder<'b>) -> Result<Self, CodecError> {
        let entries = input.map()?.ok_or(CodecError::Indefinite)?;
        let mut fields = Self { values: [None; KNOWN_KEYS] };
        for _ in 0..entries {
            let key = i64::try_from(input.int()?).map_err(|_| CodecError::BadValue("key"))?;
            let start = input.position();
            // A stray break would otherwise be skipped as if it were a value.
            if input.datatype()? == Type::Break {
                return Err(CodecError::Cbor("break where a value belongs".to_owned()));
            }
            input.skip()?;
            let value = input.input().get(start..input.position());
            let slot = usize::try_from(key).ok().and_then(|key| fields.values.get_mut(key));
            if let Some(slot) = slot {
                if slot.is_some() {
                    return Err(CodecError::DuplicateKey(key));
                }
                *slot = value;
            }
        }
        Ok(fields)
    }

    fn has(&self, key: Key) -> bool {
        self.values.get(usize::from(key.number)).is_some_and(Option::is_some)
    }

    fn get(&self, key: Key) -> Result<Decoder<'b>, CodecError> {
        let value = self.values.get(usize::from(key.number)).copied().flatten();
        let missing = CodecError::MissingKey { key: key.number, name: key.name };
        value.map(Decoder::new).ok_or(missing)
    }

    fn number(&self, key: Key) -> Result<u64, CodecError> {
        Ok(self.get(key)?.u64()?)
    }

    fn u16(&self, key: Key) -> Result<u16, CodecError> {
        u16::try_from(self.number(key)?).map_err(|_| CodecError::BadValue(key.name))
    }

    fn flag(&self, key: Key) -> Result<bool, CodecError> {
        Ok(self.get(key)?.bool()?)
    }

    fn octets<const N: usize>(&self, key: Key) -> Result<[u8; N], CodecError> {
        self.get(key)?.bytes()?.try_into().map_err(|_| CodecError::BadValue(key.name))
    }

    fn address(&self, key: Key) -> Result<IpAddr, CodecError> {
        let octets = self.get(key)?.bytes()?;
        let v4 = || <[u8; 4]>::try_from(octets).map(|o| Ipv4Addr::from(o).into());
        let v6 = || <[u8; 16]>::try_from(octets).map(|o| Ipv6Addr::from(o).into());
        v4().or_else(|_| v6()).map_err(|_| CodecError::BadValue(key.name))
    }

    fn mac(&self, key: Key) -> Result<MacAddr, CodecError> {
        Ok(MacAddr(self.octets(key)?))
    }

    fn epoch(&self, key: Key) -> Result<Epoch, CodecError> {
        let mut value = self.get(key)?;
        // A later version may append to the array; it may not take away.
        match value.array()? {
            Some(2..) => Ok(Epoch { incarnation: value.u32()?, counter: value.u32()? }),
            Some(_) => Err(CodecError::BadValue(key.name)),
            None => Err(CodecError::Indefinite),
        }
    }

    fn site(&self) -> Result<String, CodecError> {
        let mut value = self.get(SITE)?;
        let site = value.str()?;
        is_site_name_length(site).then(|| site.to_owned()).ok_or(CodecError::BadValue(SITE.name))
    }

    fn choice<T: Copy>(&self, key: Key, table: &[(u64, T, &str)]) -> Result<T, CodecError> {
        let value = self.number(key)?;
        let known = table.iter().find(|(number, ..)| *number == value);
        known.map(|(_, known, _)| *known).ok_or(CodecError::UnknownChoice { name: key.name, value })
    }

    fn profile(&self) -> Result<HomeProfile, CodecError> {
        let fields = Self::read(&mut self.get(PROFILE)?)?;
        let (prefix_len, gateway) = (fields.number(PREFIX_LEN)?, fields.address(GATEWAY)?);
        let prefix_len = u8::try_from(prefix_len).ok().filter(|bits| *bits <= Family::of(gateway).bits());
        Ok(HomeProfile {
            prefix_len: prefix_len.ok_or(CodecError::BadValue(PREFIX_LEN.name))?,
            gateway,
            gateway_mac: fields.mac(GATEWAY_MAC)?,
        })
    }

    /// The items of an array of maps. Its announced length is never trusted with memory.
    fn list<T>(&self, key: Key, item: impl Fn(&Fields<'_>) -> Result<T, CodecError>) -> Result<Vec<T>, CodecError> {
        let mut input = self.get(key)?;
        let count = input.array()?.ok_or(CodecError::Indefinite)?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(&Fields::read(&mut input)?)?);
        }
        Ok(items)
    }
}
