// SPDX-License-Identifier: Apache-2.0
//! The daemon's door: JSON over a unix socket for commands, and measurements over TCP.
//!
//! | route | what it does |
//! |---|---|
//! | `GET /v1/status` | what is wished, what is true, and why they differ |
//! | `GET /v1/desired` | what was wished last |
//! | `PUT /v1/desired` | wish all of this and nothing else |
//! | `PATCH /v1/desired` | wish one chain; without programs, remove it |
//! | `POST /v1/plan` | the steps that `PUT /v1/desired` would take |
//! | `POST /v1/unload` | remove every program, and wish for none |
//! | `GET /metrics`, `GET /healthz` | measurements; whether the daemon answers |

mod client;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use registry_schema::exit;
use tokio::net::{TcpListener, UnixListener};

use crate::agent::{Agent, AgentError, Problem};
use crate::desired::{ChainSpec, Desired};
use crate::kernel::Kernel;

pub use client::{Client, ClientError};

/// Who may use the socket: its owner and its group.
const SOCKET_MODE: u32 = 0o660;

/// Why the daemon cannot listen.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ListenError {
    /// Another daemon answers there.
    #[error("a daemon is listening on {0} already; stop it first, or set another [api] socket")]
    Busy(PathBuf),
    /// The socket cannot be made.
    #[error("listening on {path}: {source}")]
    Socket { path: PathBuf, source: io::Error },
    /// The address cannot be used.
    #[error("showing metrics on {address}: {source}; set another [metrics] listen")]
    Metrics {
        address: SocketAddr,
        source: io::Error,
    },
}

/// Makes the socket of the daemon, in place of one that nobody listens on any more.
///
/// # Errors
/// [`ListenError::Busy`], [`ListenError::Socket`].
pub fn listen(path: &Path) -> Result<UnixListener, ListenError> {
    let error = |source| ListenError::Socket {
        path: path.to_owned(),
        source,
    };
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(ListenError::Busy(path.to_owned()));
    }
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(error(source)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(error)?;
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE)).map_err(error)?;
    Ok(listener)
}

/// Opens the port that shows measurements.
///
/// # Errors
/// [`ListenError::Metrics`].
pub async fn listen_metrics(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ListenError::Metrics { address, source })
}

/// Everything, for the socket.
pub fn routes<K: Kernel + 'static>(agent: Arc<Agent<K>>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/desired", get(desired).put(apply).patch(apply_chain))
        .route("/v1/plan", post(plan))
        .route("/v1/unload", post(unload))
        .with_state(Arc::clone(&agent))
        .merge(metrics_routes(agent))
}

/// What may be read by everyone who reaches the metrics port.
pub fn metrics_routes<K: Kernel + 'static>(agent: Arc<Agent<K>>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(agent)
}

async fn status<K: Kernel>(State(agent): State<Arc<Agent<K>>>) -> Response {
    answer(tokio::task::block_in_place(|| agent.status()))
}

async fn desired<K: Kernel>(State(agent): State<Arc<Agent<K>>>) -> Response {
    Json(agent.desired()).into_response()
}

async fn apply<K: Kernel>(
    State(agent): State<Arc<Agent<K>>>,
    Json(wishes): Json<Desired>,
) -> Response {
    answer(agent.apply(&wishes).await)
}

async fn apply_chain<K: Kernel>(
    State(agent): State<Arc<Agent<K>>>,
    Json(chain): Json<ChainSpec>,
) -> Response {
    answer(agent.apply_chain(chain).await)
}

async fn plan<K: Kernel>(
    State(agent): State<Arc<Agent<K>>>,
    Json(wishes): Json<Desired>,
) -> Response {
    answer(agent.plan(&wishes).await)
}

async fn unload<K: Kernel>(State(agent): State<Arc<Agent<K>>>) -> Response {
    answer(agent.apply(&Desired::default()).await)
}

async fn metrics<K: Kernel>(State(agent): State<Arc<Agent<K>>>) -> Response {
    match tokio::task::block_in_place(|| agent.metrics()) {
        Err(error) => problem(&error),
        Ok(page) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], page).into_response()
        }
    }
}

fn answer<T: serde::Serialize>(result: Result<T, AgentError>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(error) => problem(&error),
    }
}

fn problem(error: &AgentError) -> Response {
    let problem = Problem::from(error);
    let status = match problem.exit_code {
        exit::USAGE => StatusCode::BAD_REQUEST,
        exit::NOT_FOUND => StatusCode::NOT_FOUND,
        exit::CONFLICT => StatusCode::CONFLICT,
        exit::UNAVAILABLE => StatusCode::BAD_GATEWAY,
        exit::VERIFICATION | exit::POLICY | exit::FINDINGS => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let body = Json(problem).into_response();
    (
        status,
        [(header::CONTENT_TYPE, "application/problem+json")],
        body.into_body(),
    )
        .into_response()
}
