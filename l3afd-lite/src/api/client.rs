// SPDX-License-Identifier: Apache-2.0
//! The commands' side of the socket.

use std::io;
use std::path::{Path, PathBuf};

use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use registry_schema::exit;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::agent::Problem;

/// Speaks to the daemon behind a socket.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

/// Why the daemon's answer is not there.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "no daemon answers on {socket}: {source}; start one with `l3afd-lite run`, or name its socket in [api]"
    )]
    NoDaemon { socket: PathBuf, source: io::Error },
    /// The connection broke, or the answer makes no sense.
    #[error("the daemon on {socket} gave no usable answer: {reason}; look at its log")]
    Answer { socket: PathBuf, reason: String },
    /// The daemon refuses.
    #[error("{}", .0.message)]
    Refused(Problem),
}

impl ClientError {
    /// The exit code of a command that ends with this error.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::NoDaemon { .. } | Self::Answer { .. } => exit::UNAVAILABLE,
            Self::Refused(problem) => problem.exit_code,
        }
    }
}

impl Client {
    /// Will speak to the daemon behind `socket`.
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// Whether a daemon listens.
    pub fn answers(&self) -> bool {
        std::os::unix::net::UnixStream::connect(&self.socket).is_ok()
    }

    /// Asks for something.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.parse(&self.send(Method::GET, path, &()).await?)
    }

    /// Asks for a page of text.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn text(&self, path: &str) -> Result<String, ClientError> {
        let bytes = self.send(Method::GET, path, &()).await?;
        String::from_utf8(bytes).map_err(|error| self.unusable(&error))
    }

    /// Sends something, and reads what became of it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn request<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.parse(&self.send(method, path, body).await?)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Vec<u8>, ClientError> {
        let stream =
            UnixStream::connect(&self.socket)
                .await
                .map_err(|source| ClientError::NoDaemon {
                    socket: self.socket.clone(),
                    source,
                })?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| self.unusable(&error))?;
        tokio::spawn(connection);
        let body = serde_json::to_vec(body).map_err(|error| self.unusable(&error))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, "l3afd-lite")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .map_err(|error| self.unusable(&error))?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| self.unusable(&error))?;
        let status = response.status();
        let bytes = response
            .into_body()
            .collect()
            .await
            .map_err(|error| self.unusable(&error))?
            .to_bytes();
        if status == StatusCode::OK {
            return Ok(bytes.to_vec());
        }
        Err(match serde_json::from_slice(&bytes) {
            Ok(problem) => ClientError::Refused(problem),
            Err(_) => self.unusable(&format!("{status}: {}", String::from_utf8_lossy(&bytes))),
        })
    }

    fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(bytes).map_err(|error| self.unusable(&error))
    }

    fn unusable(&self, reason: &impl ToString) -> ClientError {
        ClientError::Answer {
            socket: self.socket.clone(),
            reason: reason.to_string(),
        }
    }
}
