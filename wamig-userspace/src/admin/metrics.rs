//! The status for Prometheus: `GET /metrics` in its text format 0.0.4, on a TCP port.
//!
//! There is no authentication, so the port is meant for the loopback interface; the
//! configuration refuses any other.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use wamig_openflow::PortNo;

use super::Query;
use super::server::ask;
use super::status::{ControllerLine, Port, Status};

const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves until the listener fails; the caller aborts it at the end.
///
/// # Errors
/// The operating system's, on accept.
pub async fn serve(listener: TcpListener, queries: mpsc::Sender<Query>) -> std::io::Result<()> {
    axum::serve(listener, Router::new().route("/metrics", get(metrics)).with_state(queries)).await
}

async fn metrics(State(queries): State<mpsc::Sender<Query>>) -> Response {
    match ask(&queries, Query::Status).await {
        Ok(status) => ([(CONTENT_TYPE, FORMAT)], text(&status)).into_response(),
        Err(refusal) => refusal,
    }
}

/// Which of a port's counters.
type Count = fn(&Port) -> u64;

/// Text of a metric in the making.
struct Metrics(String);

impl Metrics {
    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn counters(&mut self, name: &str, help: &str, counts: &BTreeMap<String, u64>) {
        self.begin(name, "counter", help);
        for (reason, count) in counts {
            self.sample(name, &[("reason", reason)], *count);
        }
    }

    fn controllers(&mut self, lines: &[ControllerLine]) {
        let sessions = || lines.iter().filter_map(|c| c.remote.as_deref().map(|remote| (c, remote)));
        self.begin("wamig_controller_queued_bytes", "gauge", "Bytes that wait for the controller to read.");
        for (c, remote) in sessions() {
            let labels = [("endpoint", &*c.endpoint), ("remote", remote)];
            self.sample("wamig_controller_queued_bytes", &labels, c.queued_bytes);
        }
        let name = "wamig_controller_lost_messages_total";
        self.begin(name, "counter", "Messages that the controller was too slow for, since it connected.");
        for (c, remote) in sessions() {
            for (kind, count) in [("packet-in", c.dropped_packet_ins), ("notice", c.dropped_notices)] {
                self.sample(name, &[("endpoint", &c.endpoint), ("remote", remote), ("kind", kind)], count);
            }
        }
    }
}

/// A label's value: backslash, quote and line feed are escaped.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The status as Prometheus reads it.
pub fn text(status: &Status) -> String {
    let mut m = Metrics(String::new());
    m.begin("wamig_build_info", "gauge", "Always 1; the labels tell which daemon this is.");
    m.sample("wamig_build_info", &[("version", &status.version), ("site", &status.site)], 1);
    m.begin("wamig_uptime_seconds", "gauge", "Seconds since the daemon started.");
    m.sample("wamig_uptime_seconds", &[], status.uptime_s);
    m.begin("wamig_peer_up", "gauge", "1 while the session to the other site is up.");
    for peer in &status.peers {
        m.sample("wamig_peer_up", &[("peer", &peer.name)], u64::from(peer.state == "up"));
    }
    m.begin("wamig_address_state", "gauge", "1 for the state that the address is in at this site.");
    for a in &status.addresses {
        let peer = a.peer.as_deref().unwrap_or("");
        let labels = [("address", &*a.address), ("role", &*a.role), ("state", &*a.state), ("peer", peer)];
        m.sample("wamig_address_state", &labels, 1);
    }
    m.begin("wamig_address_since_seconds", "gauge", "When the address entered its state, in seconds since 1970.");
    for a in &status.addresses {
        let labels = [("address", &*a.address), ("role", &*a.role)];
        m.sample("wamig_address_since_seconds", &labels, a.since_unix_ms / 1000);
    }
    m.begin("wamig_transfer_addresses", "gauge", "Transfer addresses by what they are doing.");
    let pool = status.pool;
    for (state, count) in [("ready", pool.ready), ("in_use", pool.in_use), ("quarantined", pool.quarantined)] {
        m.sample("wamig_transfer_addresses", &[("state", state)], count as u64);
    }
    m.begin("wamig_transfer_addresses_configured", "gauge", "Transfer addresses that the configuration lends.");
    m.sample("wamig_transfer_addresses_configured", &[], pool.size as u64);
    m.counters("wamig_dropped_frames_total", "Frames dropped.", &status.drops);
    m.counters("wamig_odd_frames_total", "Frames matched by what could be read of them.", &status.anomalies);
    m.counters("wamig_punted_frames_total", "Frames sent up, or refused on the way.", &status.punts);
    m.counters("wamig_refused_total", "Connections and messages of other sites refused.", &status.refused);
    m.controllers(&status.controllers);
    let ports = &status.datapath.ports;
    let of_ports: [(&str, &str, Count); 5] = [
        ("wamig_port_received_frames_total", "Frames received.", |p| p.rx_packets),
        ("wamig_port_received_bytes_total", "Bytes received.", |p| p.rx_bytes),
        ("wamig_port_sent_frames_total", "Frames sent out of this port alone.", |p| p.tx_packets),
        ("wamig_port_sent_bytes_total", "Bytes sent out of this port alone.", |p| p.tx_bytes),
        ("wamig_port_dropped_frames_total", "Frames received here and dropped.", |p| p.rx_dropped),
    ];
    for (name, help, count) in of_ports {
        m.begin(name, "counter", help);
        for port in ports {
            m.sample(name, &[("port", &PortNo(port.port).to_string()), ("name", &port.name)], count(port));
        }
    }
    m.begin("wamig_port_link_up", "gauge", "1 while the link carries frames.");
    for port in ports {
        let labels = [("port", &*PortNo(port.port).to_string()), ("name", &*port.name)];
        m.sample("wamig_port_link_up", &labels, u64::from(port.link_up));
    }
    m.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_break_its_line() {
        assert_eq!(escape("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
