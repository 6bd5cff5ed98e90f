//! Port numbers of 16 bits (OpenFlow 1.0 §5.2.1): the numbers from 0xff00 up are the last 256
//! of the 32 bits of 1.3.

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::OfpError;
use crate::types::PortNo;

/// First number that is not a port's (`OFPP_MAX`).
const MAX: u32 = 0xff00;
const HIGH: u32 = 0xffff_0000;

pub(super) fn widen(n: u16) -> PortNo {
    let n = u32::from(n);
    PortNo(if n < MAX { n } else { HIGH | n })
}

pub(super) fn narrow(port: PortNo) -> Result<u16, EncodeError> {
    if port.0 < MAX || port.0 >= HIGH | MAX { Ok(port.0 as u16) } else { Err(super::lacks(&format!("port {port}"))) }
}

pub(super) fn decode(r: &mut Reader<'_>) -> Result<PortNo, OfpError> {
    r.u16().map(widen)
}

pub(super) fn encode(w: &mut Writer<'_>, port: PortNo) -> Result<(), EncodeError> {
    w.u16(narrow(port)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ports_keep_their_names() {
        assert_eq!(widen(0xfffd), PortNo::CONTROLLER);
        assert_eq!(widen(0xffff), PortNo::ANY);
        assert_eq!(widen(0xff00), PortNo::MAX);
        assert_eq!(narrow(PortNo::IN_PORT), Ok(0xfff8));
        assert_eq!(narrow(PortNo(7)), Ok(7));
        assert!(narrow(PortNo(0xff00)).is_err());
    }
}
