//! The resources of the control socket.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};

use super::Query;
use super::explain;
use super::flow::FlowFilter;
use super::order::OrderRequest;
use super::trace::TraceRequest;

/// A daemon that does not answer in this time is told of as busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves until the listener fails; the caller aborts it at the end.
///
/// # Errors
/// The operating system's, on accept.
pub async fn serve(listener: UnixListener, queries: mpsc::Sender<Query>) -> std::io::Result<()> {
    let router = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/flows", get(flows))
        .route("/v1/explain", get(explain_address))
        .route("/v1/trace", get(trace))
        .route("/v1/order", post(order))
        .route("/v1/reload", post(reload))
        .with_state(queries);
    axum::serve(listener, router).await
}

async fn status(State(queries): State<mpsc::Sender<Query>>) -> Response {
    match ask(&queries, Query::Status).await {
        Ok(status) => Json(status).into_response(),
        Err(refusal) => refusal,
    }
}

async fn flows(State(queries): State<mpsc::Sender<Query>>, RawQuery(query): RawQuery) -> Response {
    let filter = match FlowFilter::from_query(query.as_deref().unwrap_or("")) {
        Ok(filter) => filter,
        Err(e) => return (StatusCode::BAD_REQUEST, e.to_string()).into_response(),
    };
    match ask(&queries, |answer| Query::Flows(filter, answer)).await {
        Ok(Ok(flows)) => Json(flows).into_response(),
        Ok(Err(e)) => (StatusCode::SERVICE_UNAVAILABLE, e).into_response(),
        Err(refusal) => refusal,
    }
}

async fn explain_address(State(queries): State<mpsc::Sender<Query>>, RawQuery(query): RawQuery) -> Response {
    let address = match explain::from_query(query.as_deref().unwrap_or("")) {
        Ok(address) => address,
        Err(e) => return (StatusCode::BAD_REQUEST, e.to_string()).into_response(),
    };
    match ask(&queries, |answer| Query::Explain(address, answer)).await {
        Ok(Ok(explanation)) => Json(explanation).into_response(),
        Ok(Err(e)) => (StatusCode::SERVICE_UNAVAILABLE, e).into_response(),
        Err(refusal) => refusal,
    }
}

async fn trace(State(queries): State<mpsc::Sender<Query>>, RawQuery(query): RawQuery) -> Response {
    let request = match TraceRequest::from_query(query.as_deref().unwrap_or("")) {
        Ok(request) => request,
        Err(e) => return (StatusCode::BAD_REQUEST, e.to_string()).into_response(),
    };
    match ask(&queries, |answer| Query::Trace(request, answer)).await {
        Ok(Ok(trace)) => Json(trace).into_response(),
        Ok(Err(e)) => (StatusCode::BAD_REQUEST, e).into_response(),
        Err(refusal) => refusal,
    }
}

async fn order(State(queries): State<mpsc::Sender<Query>>, body: Bytes) -> Response {
    let request: OrderRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(e) => return (StatusCode::BAD_REQUEST, e.to_string()).into_response(),
    };
    match ask(&queries, |answer| Query::Order(request, answer)).await {
        Ok(Ok(answer)) => Json(answer).into_response(),
        Ok(Err(e)) => (StatusCode::BAD_REQUEST, e).into_response(),
        Err(refusal) => refusal,
    }
}

/// The body says nothing; it is read, so that the connection ends well.
async fn reload(State(queries): State<mpsc::Sender<Query>>, _: Bytes) -> Response {
    match ask(&queries, Query::Reload).await {
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => refusal,
    }
}

pub(super) async fn ask<T>(
    queries: &mpsc::Sender<Query>,
    query: impl FnOnce(oneshot::Sender<T>) -> Query,
) -> Result<T, Response> {
    let (answer, answered) = oneshot::channel();
    let exchange = async {
        queries.send(query(answer)).await.ok()?;
        answered.await.ok()
    };
    match tokio::time::timeout(PATIENCE, exchange).await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err((StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping").into_response()),
        Err(_) => Err((StatusCode::SERVICE_UNAVAILABLE, "the daemon does not answer").into_response()),
    }
}
