//! What `GET /v1/trace` is asked.

use bytes::Bytes;
use wamig_openflow::PortNo;

use crate::switch::trace::{hex, unhex};

/// A frame to be followed through the tables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceRequest {
    /// Where it comes in.
    pub in_port: PortNo,
    /// The frame.
    pub frame: Bytes,
}

/// A query string that is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}; a trace is asked for by in_port=PORT and frame=HEXADECIMAL DIGITS")]
pub struct BadTrace(pub String);

impl TraceRequest {
    /// Reads `in_port=N&frame=HEX`.
    ///
    /// # Errors
    /// [`BadTrace`], naming the part that is wrong or missing.
    pub fn from_query(query: &str) -> Result<Self, BadTrace> {
        let (mut in_port, mut frame) = (None, None);
        for part in query.split('&').filter(|p| !p.is_empty()) {
            let bad = || BadTrace(format!("{part:?} is not understood"));
            match part.split_once('=').ok_or_else(bad)? {
                ("in_port", port) => in_port = Some(port.parse().map_err(|_| bad())?),
                ("frame", hex) => frame = Some(unhex(hex).map_err(|e| BadTrace(format!("frame: {e}")))?),
                _ => return Err(bad()),
            }
        }
        let missing = |what: &str| BadTrace(format!("{what} is missing"));
        Ok(Self { in_port: in_port.ok_or_else(|| missing("in_port"))?, frame: frame.ok_or_else(|| missing("frame"))? })
    }

    /// The query string that [`Self::from_query`] reads.
    pub fn to_query(&self) -> String {
        format!("in_port={}&frame={}", self.in_port, hex(&self.frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_its_query_string() {
        for port in [PortNo(7), PortNo::LOCAL] {
            let request = TraceRequest { in_port: port, frame: Bytes::from_static(&[0, 0xff, 7]) };
            assert_eq!(TraceRequest::from_query(&request.to_query()), Ok(request));
        }
    }

    #[test]
    fn mistakes_are_named() {
        let said = |query: &str| TraceRequest::from_query(query).unwrap_err().0;
        assert_eq!(said("frame=00"), "in_port is missing");
        assert_eq!(said("in_port=1"), "frame is missing");
        assert_eq!(said("in_port=x&frame=00"), "\"in_port=x\" is not understood");
        assert_eq!(said("in_port=1&frame=0g"), "frame: character 2: 'g' is no hexadecimal digit");
        assert_eq!(said("port=1"), "\"port=1\" is not understood");
    }
}
