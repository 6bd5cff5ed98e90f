//! What the kernel counts at an interface, by rtnetlink (`IFLA_STATS64`).

use std::io;

use rtnetlink::packet_core::{NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage, Stats64};
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::fastpath::InterfaceCounters;

/// A socket for questions that the kernel answers at once.
#[derive(Debug)]
pub struct Statistics {
    socket: Socket,
    last: u32,
}

impl Statistics {
    /// Opens the socket in the network namespace of this thread.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, last: 0 })
    }

    /// The counters of an interface.
    ///
    /// # Errors
    /// The operating system's; of another kind when the answer has no counters.
    pub fn of(&mut self, ifindex: u32) -> io::Result<InterfaceCounters> {
        let mut link = LinkMessage::default();
        link.header.index = ifindex;
        let mut question = NetlinkMessage::from(RouteNetlinkMessage::GetLink(link));
        question.header.flags = NLM_F_REQUEST;
        self.last = self.last.wrapping_add(1);
        question.header.sequence_number = self.last;
        question.finalize();
        let mut bytes = vec![0; question.buffer_len()];
        question.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        loop {
            let (bytes, _) = self.socket.recv_from_full()?;
            let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes).map_err(io::Error::other)?;
            // One to an earlier question that was given up.
            if answer.header.sequence_number != self.last {
                continue;
            }
            return match answer.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => {
                    let stats =
                        |a: &LinkAttribute| if let LinkAttribute::Stats64(s) = a { Some(s.into()) } else { None };
                    link.attributes.iter().find_map(stats).ok_or_else(|| io::ErrorKind::InvalidData.into())
                }
                NetlinkPayload::Error(error) => Err(error.to_io()),
                _ => Err(io::ErrorKind::InvalidData.into()),
            };
        }
    }
}

impl From<&Stats64> for InterfaceCounters {
    fn from(s: &Stats64) -> Self {
        Self {
            rx_packets: s.rx_packets,
            tx_packets: s.tx_packets,
            rx_bytes: s.rx_bytes,
            tx_bytes: s.tx_bytes,
            rx_dropped: s.rx_dropped,
            tx_dropped: s.tx_dropped,
            rx_errors: s.rx_errors,
            tx_errors: s.tx_errors,
            rx_frame_errors: s.rx_frame_errors,
            rx_over_errors: s.rx_over_errors,
            rx_crc_errors: s.rx_crc_errors,
            collisions: s.collisions,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn the_loopback_counts_what_goes_through_it() {
        let mut statistics = Statistics::open().unwrap();
        let before = statistics.of(1).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..5 {
            socket.send_to(&[0; 1000], socket.local_addr().unwrap()).unwrap();
        }
        let after = statistics.of(1).unwrap();
        assert!(after.rx_packets >= before.rx_packets + 5 && after.tx_packets >= before.tx_packets + 5);
        assert!(after.rx_bytes >= before.rx_bytes + 5000 && after.tx_bytes >= before.tx_bytes + 5000);
    }

    #[test]
    fn an_interface_that_is_not_there_is_an_error() {
        let mut statistics = Statistics::open().unwrap();
        assert_eq!(statistics.of(0x7fff_fff0).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        assert!(statistics.of(1).is_ok(), "the next question is answered");
    }
}
