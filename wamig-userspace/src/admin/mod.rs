//! The daemon's interface to people and tools: HTTP/JSON on a unix socket.
//!
//! `GET /v1/status` and `GET /v1/flows[?table=N][&address=A]`; `curl --unix-socket` reads it
//! as well as `wamig status` and `wamig flows` do. The server knows nothing of the daemon but
//! a queue of [`Query`]; whoever owns the data path answers them.
//!
//! * [`status`], [`flow`] — what is answered: the schema of `-o json`
//! * [`socket`] — binding the socket, beside a live or a dead daemon
//! * [`server`] — the two resources
//! * [`client`] — one request over the socket

pub mod client;
pub mod flow;
pub mod server;
pub mod socket;
pub mod status;

use tokio::sync::oneshot;

use flow::{FlowFilter, FlowLine};
use status::Status;

/// A question to the daemon, with the way back.
#[derive(Debug)]
pub enum Query {
    /// How is everything?
    Status(oneshot::Sender<Status>),
    /// Which flows are there? The answer may be why the switch cannot tell.
    Flows(FlowFilter, oneshot::Sender<Result<Vec<FlowLine>, String>>),
}
