//! The specification's error types and codes (OpenFlow 1.3.5 §7.4.4), as the switch reports them.

use std::fmt;

macro_rules! errors {
    ($($variant:ident = $ty:literal, $code:literal, $name:literal;)*) => {
        /// What went wrong, by the specification's name.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[expect(missing_docs, reason = "each is named by its own OFP constant")]
        pub enum ErrorKind { $($variant,)* }

        impl ErrorKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// (type, code) on the OpenFlow 1.3 wire.
            pub const fn v13(self) -> (u16, u16) { match self { $(Self::$variant => ($ty, $code),)* } }

            /// `OFPET_...` and code constant.
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)* } }
        }
    };
}

errors! {
    BadRequestBufferUnknown = 1, 8, "OFPBRC_BUFFER_UNKNOWN";
    BadRequestBadTableId = 1, 9, "OFPBRC_BAD_TABLE_ID";
    BadRequestBadPort = 1, 11, "OFPBRC_BAD_PORT";
    BadRequestBadPacket = 1, 12, "OFPBRC_BAD_PACKET";
    BadActionBadType = 2, 0, "OFPBAC_BAD_TYPE";
    BadActionBadOutPort = 2, 4, "OFPBAC_BAD_OUT_PORT";
    BadActionBadArgument = 2, 5, "OFPBAC_BAD_ARGUMENT";
    BadActionTooMany = 2, 7, "OFPBAC_TOO_MANY";
    BadActionMatchInconsistent = 2, 10, "OFPBAC_MATCH_INCONSISTENT";
    BadActionUnsupportedOrder = 2, 11, "OFPBAC_UNSUPPORTED_ORDER";
    BadActionBadTag = 2, 12, "OFPBAC_BAD_TAG";
    BadActionBadSetType = 2, 13, "OFPBAC_BAD_SET_TYPE";
    BadActionBadSetLen = 2, 14, "OFPBAC_BAD_SET_LEN";
    BadActionBadSetArgument = 2, 15, "OFPBAC_BAD_SET_ARGUMENT";
    BadInstructionBadTableId = 3, 2, "OFPBIC_BAD_TABLE_ID";
    BadInstructionUnsupMetadataMask = 3, 4, "OFPBIC_UNSUP_METADATA_MASK";
    BadMatchBadField = 4, 6, "OFPBMC_BAD_FIELD";
    BadMatchBadValue = 4, 7, "OFPBMC_BAD_VALUE";
    BadMatchBadMask = 4, 8, "OFPBMC_BAD_MASK";
    BadMatchBadPrereq = 4, 9, "OFPBMC_BAD_PREREQ";
    FlowModUnknown = 5, 0, "OFPFMFC_UNKNOWN";
    FlowModTableFull = 5, 1, "OFPFMFC_TABLE_FULL";
    FlowModBadTableId = 5, 2, "OFPFMFC_BAD_TABLE_ID";
    FlowModOverlap = 5, 3, "OFPFMFC_OVERLAP";
    FlowModBadCommand = 5, 6, "OFPFMFC_BAD_COMMAND";
    FlowModBadFlags = 5, 7, "OFPFMFC_BAD_FLAGS";
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
    }
}
