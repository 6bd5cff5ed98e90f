//! The specification's error types and codes (OpenFlow 1.3.5 §7.4.4, OpenFlow 1.0 §5.4.4) in
//! one table for both versions.
//!
//! Bundle errors travel as experimenter errors of the ONF in 1.3 (EXT-230): type 0xffff, the
//! code in the place of `exp_type`. Kinds that 1.0 has no number for are answered with the
//! nearest one (third column `false`), which decodes as the kind that owns it.

use std::fmt;

/// `OFPET_EXPERIMENTER`.
pub const ERROR_TYPE_EXPERIMENTER: u16 = 0xffff;

macro_rules! errors {
    ($($variant:ident = ($ty:literal, $code:literal), ($ty10:literal, $code10:literal, $own:literal), $name:literal;)*) => {
        /// What went wrong, by the specification's name.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[expect(missing_docs, reason = "each is named by its own OFP constant")]
        pub enum ErrorKind { $($variant,)* }

        impl ErrorKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// (type, code) on the OpenFlow 1.3 wire.
            pub const fn v13(self) -> (u16, u16) { match self { $(Self::$variant => ($ty, $code),)* } }

            /// (type, code) on the OpenFlow 1.0 wire, the nearest one if 1.0 has none of its own.
            pub const fn v10(self) -> (u16, u16) { match self { $(Self::$variant => ($ty10, $code10),)* } }

            /// Whether 1.0 has a number for exactly this kind.
            pub const fn in_v10(self) -> bool { match self { $(Self::$variant => $own,)* } }

            /// `OFPET_...` and code constant.
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)* } }
        }
    };
}

errors! {
    HelloFailedIncompatible = (0, 0), (0, 0, true), "OFPHFC_INCOMPATIBLE";
    HelloFailedEperm = (0, 1), (0, 1, true), "OFPHFC_EPERM";
    BadRequestBadVersion = (1, 0), (1, 0, true), "OFPBRC_BAD_VERSION";
    BadRequestBadType = (1, 1), (1, 1, true), "OFPBRC_BAD_TYPE";
    BadRequestBadMultipart = (1, 2), (1, 2, true), "OFPBRC_BAD_MULTIPART";
    BadRequestBadExperimenter = (1, 3), (1, 3, true), "OFPBRC_BAD_EXPERIMENTER";
    BadRequestBadExpType = (1, 4), (1, 4, true), "OFPBRC_BAD_EXP_TYPE";
    BadRequestEperm = (1, 5), (1, 5, true), "OFPBRC_EPERM";
    BadRequestBadLen = (1, 6), (1, 6, true), "OFPBRC_BAD_LEN";
    BadRequestBufferEmpty = (1, 7), (1, 7, true), "OFPBRC_BUFFER_EMPTY";
    BadRequestBufferUnknown = (1, 8), (1, 8, true), "OFPBRC_BUFFER_UNKNOWN";
    BadRequestBadTableId = (1, 9), (1, 5, false), "OFPBRC_BAD_TABLE_ID";
    BadRequestIsSlave = (1, 10), (1, 5, false), "OFPBRC_IS_SLAVE";
    BadRequestBadPort = (1, 11), (1, 5, false), "OFPBRC_BAD_PORT";
    BadRequestBadPacket = (1, 12), (1, 5, false), "OFPBRC_BAD_PACKET";
    BadRequestMultipartBufferOverflow = (1, 13), (1, 5, false), "OFPBRC_MULTIPART_BUFFER_OVERFLOW";
    BadActionBadType = (2, 0), (2, 0, true), "OFPBAC_BAD_TYPE";
    BadActionBadLen = (2, 1), (2, 1, true), "OFPBAC_BAD_LEN";
    BadActionBadExperimenter = (2, 2), (2, 2, true), "OFPBAC_BAD_EXPERIMENTER";
    BadActionBadExpType = (2, 3), (2, 3, true), "OFPBAC_BAD_EXP_TYPE";
    BadActionBadOutPort = (2, 4), (2, 4, true), "OFPBAC_BAD_OUT_PORT";
    BadActionBadArgument = (2, 5), (2, 5, true), "OFPBAC_BAD_ARGUMENT";
    BadActionEperm = (2, 6), (2, 6, true), "OFPBAC_EPERM";
    BadActionTooMany = (2, 7), (2, 7, true), "OFPBAC_TOO_MANY";
    BadActionBadQueue = (2, 8), (2, 8, true), "OFPBAC_BAD_QUEUE";
    BadActionBadOutGroup = (2, 9), (2, 5, false), "OFPBAC_BAD_OUT_GROUP";
    BadActionMatchInconsistent = (2, 10), (2, 5, false), "OFPBAC_MATCH_INCONSISTENT";
    BadActionUnsupportedOrder = (2, 11), (2, 5, false), "OFPBAC_UNSUPPORTED_ORDER";
    BadActionBadTag = (2, 12), (2, 5, false), "OFPBAC_BAD_TAG";
    BadActionBadSetType = (2, 13), (2, 5, false), "OFPBAC_BAD_SET_TYPE";
    BadActionBadSetLen = (2, 14), (2, 5, false), "OFPBAC_BAD_SET_LEN";
    BadActionBadSetArgument = (2, 15), (2, 5, false), "OFPBAC_BAD_SET_ARGUMENT";
    BadInstructionUnknownInst = (3, 0), (3, 5, false), "OFPBIC_UNKNOWN_INST";
    BadInstructionUnsupInst = (3, 1), (3, 5, false), "OFPBIC_UNSUP_INST";
    BadInstructionBadTableId = (3, 2), (3, 5, false), "OFPBIC_BAD_TABLE_ID";
    BadInstructionUnsupMetadata = (3, 3), (3, 5, false), "OFPBIC_UNSUP_METADATA";
    BadInstructionUnsupMetadataMask = (3, 4), (3, 5, false), "OFPBIC_UNSUP_METADATA_MASK";
    BadInstructionBadExperimenter = (3, 5), (3, 5, false), "OFPBIC_BAD_EXPERIMENTER";
    BadInstructionBadExpType = (3, 6), (3, 5, false), "OFPBIC_BAD_EXP_TYPE";
    BadInstructionBadLen = (3, 7), (3, 5, false), "OFPBIC_BAD_LEN";
    BadInstructionEperm = (3, 8), (3, 5, false), "OFPBIC_EPERM";
    BadInstructionDupInst = (3, 9), (3, 5, false), "OFPBIC_DUP_INST";
    BadMatchBadType = (4, 0), (3, 5, false), "OFPBMC_BAD_TYPE";
    BadMatchBadLen = (4, 1), (3, 5, false), "OFPBMC_BAD_LEN";
    BadMatchBadTag = (4, 2), (3, 5, false), "OFPBMC_BAD_TAG";
    BadMatchBadDlAddrMask = (4, 3), (3, 5, false), "OFPBMC_BAD_DL_ADDR_MASK";
    BadMatchBadNwAddrMask = (4, 4), (3, 5, false), "OFPBMC_BAD_NW_ADDR_MASK";
    BadMatchBadWildcards = (4, 5), (3, 5, false), "OFPBMC_BAD_WILDCARDS";
    BadMatchBadField = (4, 6), (3, 5, false), "OFPBMC_BAD_FIELD";
    BadMatchBadValue = (4, 7), (3, 5, false), "OFPBMC_BAD_VALUE";
    BadMatchBadMask = (4, 8), (3, 5, false), "OFPBMC_BAD_MASK";
    BadMatchBadPrereq = (4, 9), (3, 5, false), "OFPBMC_BAD_PREREQ";
    BadMatchDupField = (4, 10), (3, 5, false), "OFPBMC_DUP_FIELD";
    BadMatchEperm = (4, 11), (3, 5, false), "OFPBMC_EPERM";
    FlowModUnknown = (5, 0), (3, 5, false), "OFPFMFC_UNKNOWN";
    FlowModTableFull = (5, 1), (3, 0, true), "OFPFMFC_TABLE_FULL";
    FlowModBadTableId = (5, 2), (3, 5, false), "OFPFMFC_BAD_TABLE_ID";
    FlowModOverlap = (5, 3), (3, 1, true), "OFPFMFC_OVERLAP";
    FlowModEperm = (5, 4), (3, 2, true), "OFPFMFC_EPERM";
    FlowModBadTimeout = (5, 5), (3, 3, true), "OFPFMFC_BAD_TIMEOUT";
    FlowModBadCommand = (5, 6), (3, 4, true), "OFPFMFC_BAD_COMMAND";
    FlowModBadFlags = (5, 7), (3, 5, false), "OFPFMFC_BAD_FLAGS";
    GroupModGroupExists = (6, 0), (1, 1, false), "OFPGMFC_GROUP_EXISTS";
    GroupModInvalidGroup = (6, 1), (1, 1, false), "OFPGMFC_INVALID_GROUP";
    GroupModWeightUnsupported = (6, 2), (1, 1, false), "OFPGMFC_WEIGHT_UNSUPPORTED";
    GroupModOutOfGroups = (6, 3), (1, 1, false), "OFPGMFC_OUT_OF_GROUPS";
    GroupModOutOfBuckets = (6, 4), (1, 1, false), "OFPGMFC_OUT_OF_BUCKETS";
    GroupModChainingUnsupported = (6, 5), (1, 1, false), "OFPGMFC_CHAINING_UNSUPPORTED";
    GroupModWatchUnsupported = (6, 6), (1, 1, false), "OFPGMFC_WATCH_UNSUPPORTED";
    GroupModLoop = (6, 7), (1, 1, false), "OFPGMFC_LOOP";
    GroupModUnknownGroup = (6, 8), (1, 1, false), "OFPGMFC_UNKNOWN_GROUP";
    GroupModChainedGroup = (6, 9), (1, 1, false), "OFPGMFC_CHAINED_GROUP";
    GroupModBadType = (6, 10), (1, 1, false), "OFPGMFC_BAD_TYPE";
    GroupModBadCommand = (6, 11), (1, 1, false), "OFPGMFC_BAD_COMMAND";
    GroupModBadBucket = (6, 12), (1, 1, false), "OFPGMFC_BAD_BUCKET";
    GroupModBadWatch = (6, 13), (1, 1, false), "OFPGMFC_BAD_WATCH";
    GroupModEperm = (6, 14), (1, 1, false), "OFPGMFC_EPERM";
    PortModBadPort = (7, 0), (4, 0, true), "OFPPMFC_BAD_PORT";
    PortModBadHwAddr = (7, 1), (4, 1, true), "OFPPMFC_BAD_HW_ADDR";
    PortModBadConfig = (7, 2), (4, 0, false), "OFPPMFC_BAD_CONFIG";
    PortModBadAdvertise = (7, 3), (4, 0, false), "OFPPMFC_BAD_ADVERTISE";
    PortModEperm = (7, 4), (4, 0, false), "OFPPMFC_EPERM";
    TableModBadTable = (8, 0), (1, 1, false), "OFPTMFC_BAD_TABLE";
    TableModBadConfig = (8, 1), (1, 1, false), "OFPTMFC_BAD_CONFIG";
    TableModEperm = (8, 2), (1, 1, false), "OFPTMFC_EPERM";
    QueueOpBadPort = (9, 0), (5, 0, true), "OFPQOFC_BAD_PORT";
    QueueOpBadQueue = (9, 1), (5, 1, true), "OFPQOFC_BAD_QUEUE";
    QueueOpEperm = (9, 2), (5, 2, true), "OFPQOFC_EPERM";
    SwitchConfigBadFlags = (10, 0), (1, 5, false), "OFPSCFC_BAD_FLAGS";
    SwitchConfigBadLen = (10, 1), (1, 6, false), "OFPSCFC_BAD_LEN";
    SwitchConfigEperm = (10, 2), (1, 5, false), "OFPSCFC_EPERM";
    RoleRequestStale = (11, 0), (1, 5, false), "OFPRRFC_STALE";
    RoleRequestUnsup = (11, 1), (1, 5, false), "OFPRRFC_UNSUP";
    RoleRequestBadRole = (11, 2), (1, 5, false), "OFPRRFC_BAD_ROLE";
    MeterModUnknown = (12, 0), (1, 1, false), "OFPMMFC_UNKNOWN";
    MeterModMeterExists = (12, 1), (1, 1, false), "OFPMMFC_METER_EXISTS";
    MeterModInvalidMeter = (12, 2), (1, 1, false), "OFPMMFC_INVALID_METER";
    MeterModUnknownMeter = (12, 3), (1, 1, false), "OFPMMFC_UNKNOWN_METER";
    MeterModBadCommand = (12, 4), (1, 1, false), "OFPMMFC_BAD_COMMAND";
    MeterModBadFlags = (12, 5), (1, 1, false), "OFPMMFC_BAD_FLAGS";
    MeterModBadRate = (12, 6), (1, 1, false), "OFPMMFC_BAD_RATE";
    MeterModBadBurst = (12, 7), (1, 1, false), "OFPMMFC_BAD_BURST";
    MeterModBadBand = (12, 8), (1, 1, false), "OFPMMFC_BAD_BAND";
    MeterModBadBandValue = (12, 9), (1, 1, false), "OFPMMFC_BAD_BAND_VALUE";
    MeterModOutOfMeters = (12, 10), (1, 1, false), "OFPMMFC_OUT_OF_METERS";
    MeterModOutOfBands = (12, 11), (1, 1, false), "OFPMMFC_OUT_OF_BANDS";
    TableFeaturesBadTable = (13, 0), (1, 2, false), "OFPTFFC_BAD_TABLE";
    TableFeaturesBadMetadata = (13, 1), (1, 2, false), "OFPTFFC_BAD_METADATA";
    TableFeaturesBadType = (13, 2), (1, 2, false), "OFPTFFC_BAD_TYPE";
    TableFeaturesBadLen = (13, 3), (1, 2, false), "OFPTFFC_BAD_LEN";
    TableFeaturesBadArgument = (13, 4), (1, 2, false), "OFPTFFC_BAD_ARGUMENT";
    TableFeaturesEperm = (13, 5), (1, 2, false), "OFPTFFC_EPERM";
    BundleUnknown = (0xffff, 2300), (1, 4, false), "OFPBFC_UNKNOWN";
    BundleEperm = (0xffff, 2301), (1, 4, false), "OFPBFC_EPERM";
    BundleBadId = (0xffff, 2302), (1, 4, false), "OFPBFC_BAD_ID";
    BundleBundleExist = (0xffff, 2303), (1, 4, false), "OFPBFC_BUNDLE_EXIST";
    BundleBundleClosed = (0xffff, 2304), (1, 4, false), "OFPBFC_BUNDLE_CLOSED";
    BundleOutOfBundles = (0xffff, 2305), (1, 4, false), "OFPBFC_OUT_OF_BUNDLES";
    BundleBadType = (0xffff, 2306), (1, 4, false), "OFPBFC_BAD_TYPE";
    BundleBadFlags = (0xffff, 2307), (1, 4, false), "OFPBFC_BAD_FLAGS";
    BundleMsgBadLen = (0xffff, 2308), (1, 4, false), "OFPBFC_MSG_BAD_LEN";
    BundleMsgBadXid = (0xffff, 2309), (1, 4, false), "OFPBFC_MSG_BAD_XID";
    BundleMsgUnsup = (0xffff, 2310), (1, 4, false), "OFPBFC_MSG_UNSUP";
    BundleMsgConflict = (0xffff, 2311), (1, 4, false), "OFPBFC_MSG_CONFLICT";
    BundleMsgTooMany = (0xffff, 2312), (1, 4, false), "OFPBFC_MSG_TOO_MANY";
    BundleMsgFailed = (0xffff, 2313), (1, 4, false), "OFPBFC_MSG_FAILED";
    BundleTimeout = (0xffff, 2314), (1, 4, false), "OFPBFC_TIMEOUT";
    BundleBundleInProgress = (0xffff, 2315), (1, 4, false), "OFPBFC_BUNDLE_IN_PROGRESS";
}

impl ErrorKind {
    /// The kind of an OpenFlow 1.3 (type, code); bundle kinds by ([`ERROR_TYPE_EXPERIMENTER`],
    /// `exp_type`).
    pub fn from_v13(ty: u16, code: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|k| k.v13() == (ty, code))
    }

    /// The kind that owns an OpenFlow 1.0 (type, code).
    pub fn from_v10(ty: u16, code: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|k| k.in_v10() && k.v10() == (ty, code))
    }
}

/// An error as the switch answers it: the specification's kind and a sentence for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OfpError {
    /// Type and code.
    pub kind: ErrorKind,
    /// Which field, port or limit, and what would be accepted.
    pub detail: String,
}

impl OfpError {
    /// An error of `kind`; `detail` names the place and the remedy.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

impl fmt::Display for OfpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.detail)
    }
}

impl std::error::Error for OfpError {}

#[cfg(test)]
mod tests {
    use super::ErrorKind;
    use std::collections::HashSet;

    #[test]
    fn no_two_kinds_share_a_number() {
        let numbers: HashSet<_> = ErrorKind::ALL.iter().map(|k| k.v13()).collect();
        assert_eq!(numbers.len(), ErrorKind::ALL.len());
        let own: Vec<_> = ErrorKind::ALL.iter().filter(|k| k.in_v10()).collect();
        let numbers: HashSet<_> = own.iter().map(|k| k.v10()).collect();
        assert_eq!(numbers.len(), own.len());
    }

    #[test]
    fn a_number_reads_back_as_its_kind() {
        for kind in ErrorKind::ALL {
            let (ty, code) = kind.v13();
            assert_eq!(ErrorKind::from_v13(ty, code), Some(*kind));
        }
        assert_eq!(ErrorKind::from_v10(3, 0), Some(ErrorKind::FlowModTableFull));
        assert_eq!(ErrorKind::from_v10(3, 5), None);
    }
}
