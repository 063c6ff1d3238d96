// SPDX-License-Identifier: Apache-2.0
//! How slow the other end of a connection may be, in sending and in reading.
//!
//! Waiting for it spends an allowance of time, and each byte that moves pays some of it
//! back. So a pause is forgiven, and a peer that lets one byte move now and then is not.
//! Only time spent on waiting counts: a slow disk of ours is not the client's fault.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// How long a closed connection is read from.
const LINGER: Duration = Duration::from_secs(2);
/// Most bytes that are read from a closed connection.
const LINGER_BYTES: usize = 8 * 1024 * 1024;

/// Longest wait, and the slowest rate that keeps being waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How long a peer may let us wait without a byte.
    pub(super) pause: Duration,
    /// Bytes per second that it must let move in the long run.
    pub(super) rate: u32,
}

/// What is left of the time that may be waited.
struct Allowance {
    pace: Pace,
    left: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Allowance {
    fn new(pace: Pace) -> Self {
        Self {
            pace,
            left: pace.pause,
            waiting: None,
        }
    }

    /// Nothing moved: ready once the allowance is spent.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let left = self.left;
        let (_, alarm) = self.waiting.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + left)))
        });
        alarm.as_mut().poll(cx)
    }

    /// So many bytes moved.
    fn moved(&mut self, bytes: usize) {
        // The usual case: they moved without a wait, and nothing was spent before.
        if self.waiting.is_none() && self.left == self.pace.pause {
            return;
        }
        if let Some((since, _)) = self.waiting.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(bytes.into()) / self.pace.rate.max(1);
        self.left = self.pace.pause.min(self.left + earned);
    }
}

/// The client let too much time pass within a body.
#[derive(Debug, thiserror::Error)]
#[error("the body came too slowly")]
pub(super) struct TooSlow;

/// The body of a request whose sender must keep the pace.
pub(super) struct PacedBody<B> {
    body: B,
    allowance: Allowance,
}

impl<B> PacedBody<B> {
    /// The same body with an eye on its sender.
    pub(super) fn new(body: B, pace: Pace) -> Self {
        let allowance = Allowance::new(pace);
        Self { body, allowance }
    }
}

impl<B> Body for PacedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                let data = frame
                    .as_ref()
                    .and_then(|frame| frame.as_ref().ok()?.data_ref());
                this.allowance.moved(data.map_or(0, Bytes::len));
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => this
                .allowance
                .wait(cx)
                .map(|()| Some(Err(Box::new(TooSlow).into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection whose other end must keep the pace in reading, and which is closed so that
/// an answer reaches a client that is still sending: if bytes that nobody read were there at
/// the end, the system would reset the connection, and the client lose the answer.
pub(super) struct PacedStream<S> {
    stream: S,
    allowance: Allowance,
    lingering: Option<Lingering>,
}

/// How long to go on reading, and forgetting, after the last byte was written.
struct Lingering {
    alarm: Pin<Box<Sleep>>,
    bytes: usize,
}

impl<S> PacedStream<S> {
    /// The same connection with an eye on its reader.
    pub(super) fn new(stream: S, pace: Pace) -> Self {
        Self {
            stream,
            allowance: Allowance::new(pace),
            lingering: None,
        }
    }

    fn checked<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(Ok(written)) => {
                self.allowance.moved(bytes(&written));
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self
                .allowance
                .wait(cx)
                .map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + Unpin> PacedStream<S> {
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(lingering) = &mut self.lingering else {
            return Poll::Ready(());
        };
        let mut scratch = [0; 4096];
        while lingering.alarm.as_mut().poll(cx).is_pending() && lingering.bytes < LINGER_BYTES {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => lingering.bytes += buffer.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for PacedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.checked(cx, written, |bytes| *bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.checked(cx, written, |bytes| *bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.checked(cx, flushed, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.checked(cx, shut, |()| 0))?;
            let alarm = Box::pin(sleep_until(Instant::now() + LINGER));
            self.lingering = Some(Lingering { alarm, bytes: 0 });
        }
        self.poll_linger(cx).map(Ok)
    }
}
