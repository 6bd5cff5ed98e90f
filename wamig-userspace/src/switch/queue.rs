//! Queues (OpenFlow 1.3.5 §7.2.2, §7.3.5.8): the ports have none, since an XDP program sends
//! past the kernel's queueing disciplines. Requests are answered as a switch does that has no
//! queues configured: empty lists for every queue, errors for a certain one.

use wamig_openflow::message::{QUEUE_ALL, QueueConfig, QueueStats, QueueStatsRequest};
use wamig_openflow::{ErrorKind, OfpError, PortNo};

use super::port::Ports;

/// Counters of the queues asked for.
///
/// # Errors
/// `OFPQOFC_BAD_PORT` for a port that is none, `OFPQOFC_BAD_QUEUE` for one certain queue.
pub fn stats(request: QueueStatsRequest, ports: &Ports) -> Result<Vec<QueueStats>, OfpError> {
    check_port(request.port, ports)?;
    if request.queue != QUEUE_ALL {
        let detail = format!("queue {} of port {}: the ports have no queues", request.queue, request.port);
        return Err(OfpError::new(ErrorKind::QueueOpBadQueue, detail));
    }
    Ok(Vec::new())
}

/// The queues of a port, or of every port.
///
/// # Errors
/// `OFPQOFC_BAD_PORT` for a port that is none.
pub fn config(port: PortNo, ports: &Ports) -> Result<QueueConfig, OfpError> {
    check_port(port, ports)?;
    Ok(QueueConfig { port, queues: Vec::new() })
}

/// 1.0 asks for every port by `OFPP_ALL`, 1.3 by `OFPP_ANY`.
fn check_port(port: PortNo, ports: &Ports) -> Result<(), OfpError> {
    if matches!(port, PortNo::ANY | PortNo::ALL) || ports.contains(port) {
        return Ok(());
    }
    Err(OfpError::new(ErrorKind::QueueOpBadPort, format!("port {port}: there are {}", ports.listed())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switch::fixtures::port;

    #[test]
    fn no_queues_are_an_empty_answer_and_a_certain_one_is_an_error() {
        let ports = Ports::new([port(1)]);
        let ask = |port, queue| stats(QueueStatsRequest { port, queue }, &ports).map_err(|e| e.kind);
        assert_eq!(ask(PortNo::ANY, QUEUE_ALL), Ok(vec![]));
        assert_eq!(ask(PortNo(1), QUEUE_ALL), Ok(vec![]));
        assert_eq!(ask(PortNo(2), QUEUE_ALL), Err(ErrorKind::QueueOpBadPort));
        assert_eq!(ask(PortNo(1), 0), Err(ErrorKind::QueueOpBadQueue));
        assert_eq!(ask(PortNo::ANY, 7), Err(ErrorKind::QueueOpBadQueue));
        assert_eq!(config(PortNo(1), &ports), Ok(QueueConfig { port: PortNo(1), queues: vec![] }));
        assert_eq!(config(PortNo(2), &ports).unwrap_err().kind, ErrorKind::QueueOpBadPort);
    }
}
