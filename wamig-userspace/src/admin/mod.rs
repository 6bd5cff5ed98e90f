//! The daemon's interface to people and tools: HTTP/JSON on a unix socket.
//!
//! `GET /v1/status`, `GET /v1/flows[?table=N][&address=A][&flow=F]`, `GET /v1/explain?address=A`,
//! `GET /v1/trace?in_port=N&frame=HEX` and, alone in changing anything, `POST /v1/order` and
//! `POST /v1/reload`;
//! `curl --unix-socket` reads it as well as `wamig status` and `wamig flows` do. The server knows nothing of the daemon but
//! a queue of [`Query`]; whoever owns the data path answers them.
//!
//! * [`status`], [`flow`] — what is answered: the schema of `-o json`
//! * [`explain`] — an address's state and history: the schema of `wamig explain -o json`
//! * [`order`] — what an operator orders: the body of `POST /v1/order`, and its answer
//! * [`reload`] — what became of `POST /v1/reload`
//! * [`metrics`] — the same status for Prometheus, on a TCP port
//! * [`trace`] — which frame is to be followed; the answer is [`crate::switch::trace::Trace`]
//! * [`socket`] — binding the socket, beside a live or a dead daemon
//! * [`server`] — the resources
//! * [`client`] — one request over the socket

pub mod client;
pub mod explain;
pub mod flow;
pub mod metrics;
pub mod order;
pub mod reload;
pub mod server;
pub mod socket;
pub mod status;
pub mod trace;

use std::net::IpAddr;

use tokio::sync::oneshot;

use explain::Explanation;
use flow::{FlowFilter, FlowLine};
use order::{OrderAnswer, OrderRequest};
use reload::ReloadAnswer;
use status::Status;
use trace::TraceRequest;

use crate::switch::trace::Trace;

/// A question to the daemon, with the way back.
#[derive(Debug)]
pub enum Query {
    /// How is everything?
    Status(oneshot::Sender<Status>),
    /// Which flows are there? The answer may be why the switch cannot tell.
    Flows(FlowFilter, oneshot::Sender<Result<Vec<FlowLine>, String>>),
    /// Where is an address, and how did it come there? The answer may be why the audit log
    /// cannot be read.
    Explain(IpAddr, oneshot::Sender<Result<Explanation, String>>),
    /// This shall be done. The answer may be why nothing can be.
    Order(OrderRequest, oneshot::Sender<Result<OrderAnswer, String>>),
    /// The configuration file shall be read again.
    Reload(oneshot::Sender<ReloadAnswer>),
    /// What would become of a frame? The answer may be why that cannot be told.
    Trace(TraceRequest, oneshot::Sender<Result<Trace, String>>),
}
