// SPDX-License-Identifier: Apache-2.0
//! The accept loop: limits of connections, TLS, and the graceful stop.

use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::{
    extract::{ClientCertificate, Peer},
    limit::Slot,
    pace::{Pace, PacedBody, PacedStream},
};
use crate::app::App;

/// How long to wait after a failed accept (no file descriptors left) before the next.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest head of a request, in bytes; a longer one is refused with 431.
const MAX_HEAD: usize = 64 * 1024;

/// Serves until `stop` becomes true. Then `/readyz` fails; after the notice that the
/// configuration gives, no connection is taken any more, and requests that are running may
/// end for as long as it gives them.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    app: App,
    mut stop: watch::Receiver<bool>,
) {
    let connections = TaskTracker::new();
    let free = Arc::new(Semaphore::new(app.config.limits.max_connections));
    let (close, closed) = watch::channel(false);
    let housekeeping = tokio::spawn(housekeep(app.clone(), closed.clone()));
    let mut last_call = std::pin::pin!(async {
        stopped(&mut stop).await;
        app.stop();
        tokio::time::sleep(app.config.notice()).await;
    });
    loop {
        let Ok(permit) = free.clone().acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut last_call => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                app.metrics.accepted.add(1);
                let Some(slot) = app.limits.connect(peer.ip()) else {
                    app.metrics.crowded.add(1);
                    continue;
                };
                let (app, router, closed) = (app.clone(), router.clone(), closed.clone());
                connections.spawn(async move {
                    let _open = app.metrics.open.hold();
                    connection(stream, &slot, router, &app, closed).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    close.send_replace(true);
    connections.close();
    let unfinished = tokio::time::timeout(app.config.drain(), connections.wait()).await;
    if unfinished.is_err() {
        let open = connections.len();
        tracing::warn!(open, "stopping with requests unfinished");
    }
    drop(housekeeping.await);
}

/// Serves the probes by plain HTTP where there is a listener for them, until it is dropped.
pub async fn serve_probes(listener: Option<TcpListener>, app: App) {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let router = super::probes(&app);
    let (_open, closed) = watch::channel(false);
    // Dropped with this future, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                while connections.try_join_next().is_some() {}
                let Some(slot) = app.limits.connect(peer.ip()) else {
                    continue;
                };
                let (app, router, closed) = (app.clone(), router.clone(), closed.clone());
                connections.spawn(async move {
                    requests(stream, slot.peer, None, router, &app, closed).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// What has to be done now and then while serving.
async fn housekeep(app: App, closed: watch::Receiver<bool>) {
    let watch = async {
        if let Some(tls) = &app.tls {
            tls.watch(&app.clock, &app.metrics, closed.clone()).await;
        }
    };
    tokio::join!(watch, app.limits.forget_idle(closed.clone()));
}

/// One connection, with TLS if that is configured.
async fn connection(
    stream: TcpStream,
    slot: &Slot,
    router: Router,
    app: &App,
    closed: watch::Receiver<bool>,
) {
    // Answers are small and waited for; a failure only costs latency.
    let _ = stream.set_nodelay(true);
    let Some(tls) = &app.tls else {
        return requests(stream, slot.peer, None, router, app, closed).await;
    };
    let shake = tls.acceptor().accept(stream);
    match tokio::time::timeout(app.config.limits.head(), shake).await {
        Ok(Ok(stream)) => {
            let (_, session) = stream.get_ref();
            let certificate = session.peer_certificates().and_then(<[_]>::first);
            let certificate = certificate.map(|leaf| ClientCertificate(Arc::from(leaf.as_ref())));
            requests(stream, slot.peer, certificate, router, app, closed).await;
        }
        Ok(Err(error)) => {
            app.metrics.handshake_failures.add(1);
            tracing::debug!(peer = %slot.peer, %error, "TLS handshake failed");
        }
        Err(_) => app.metrics.handshake_failures.add(1),
    }
}

/// The requests of one connection, until it is closed.
async fn requests<S>(
    stream: S,
    peer: IpAddr,
    certificate: Option<ClientCertificate>,
    router: Router,
    app: &App,
    mut closed: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = &app.config.limits;
    let pace = Pace {
        pause: limits.pause(),
        rate: limits.min_rate,
    };
    let service = service_fn(|request: Request<Incoming>| {
        let peer = super::limit::client(peer, request.headers(), &limits.trusted_proxy);
        let mut request = request.map(|body| Body::new(PacedBody::new(body, pace)));
        request.extensions_mut().insert(Peer(peer));
        if let Some(certificate) = &certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        let answer = router.clone().oneshot(request);
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head())
        .max_header_size(MAX_HEAD)
        .serve_connection(TokioIo::new(PacedStream::new(stream, pace)), service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopped(&mut closed) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended early");
    }
}

/// Waits for the signal to stop; its sender being gone is one too.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}
