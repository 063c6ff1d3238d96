// SPDX-License-Identifier: Apache-2.0
//! A stream that ends well only if what went through it is what was promised.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::Stream;
use registry_schema::{Digest, digest::Hasher};

use super::CopyError;
use crate::source::{Pieces, SourceError};

/// Pieces of a blob on their way. At the first byte too many, and at the end if bytes
/// are missing or the digest differs, comes an error instead of the end.
pub struct Checked {
    pieces: Pieces,
    hasher: Option<Hasher>,
    expected: Digest,
    left: u64,
    verdict: Verdict,
}

/// Why a stream broke off, for whoever only sees that the upload failed.
#[derive(Clone, Default)]
pub struct Verdict(Arc<Mutex<Option<Broken>>>);

/// How a source can break its promise.
#[derive(Debug)]
pub enum Broken {
    /// It stopped sending.
    Source(SourceError),
    /// It sent something else.
    Content(String),
}

impl Verdict {
    /// Why the stream broke off, if it did.
    pub fn take(&self) -> Option<Broken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Broken {
    /// The error that says so.
    pub fn explain(self, digest: &Digest, from: String) -> CopyError {
        match self {
            Self::Source(error) => CopyError::Source(error),
            Self::Content(reason) => CopyError::Damaged {
                digest: digest.clone(),
                from,
                reason,
            },
        }
    }
}

impl Checked {
    /// Watches over `pieces`, which are to be `size` bytes with digest `expected`.
    pub fn new(pieces: Pieces, expected: Digest, size: u64) -> (Self, Verdict) {
        let verdict = Verdict::default();
        let checked = Self {
            pieces,
            hasher: Some(Hasher::new(expected.algorithm())),
            expected,
            left: size,
            verdict: verdict.clone(),
        };
        (checked, verdict)
    }

    fn fail(&mut self, broken: Broken) -> Poll<Option<io::Result<Bytes>>> {
        self.hasher = None;
        let message = format!("{broken:?}");
        let mut verdict = self
            .verdict
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *verdict = Some(broken);
        Poll::Ready(Some(Err(io::Error::other(message))))
    }
}

impl Stream for Checked {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.hasher.is_none() {
            return Poll::Ready(None);
        }
        match this.pieces.as_mut().poll_next(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Err(error))) => this.fail(Broken::Source(error)),
            Poll::Ready(Some(Ok(piece))) => match this.left.checked_sub(piece.len() as u64) {
                Some(left) => {
                    this.left = left;
                    if let Some(hasher) = &mut this.hasher {
                        hasher.update(&piece);
                    }
                    Poll::Ready(Some(Ok(piece)))
                }
                None => this.fail(Broken::Content("it is longer than promised".to_owned())),
            },
            Poll::Ready(None) if this.left > 0 => {
                let left = this.left;
                this.fail(Broken::Content(format!("{left} bytes are missing")))
            }
            Poll::Ready(None) => {
                let actual = this.hasher.take().map(Hasher::finish);
                match actual {
                    Some(actual) if actual != this.expected => {
                        this.fail(Broken::Content(format!("it is {actual}")))
                    }
                    _ => Poll::Ready(None),
                }
            }
        }
    }
}
