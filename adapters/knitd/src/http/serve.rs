//! The connection loop: accepting, how many at once, how long to wait, and stopping gracefully.
//!
//! A server that stops answers every request that has reached this machine. To a client, either there is no
//! connection, and it may ask another server without fear, or there is an answer.

mod closing;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ::http::Request;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Front;
use super::linger::Lingering;
use super::trailers::Willing;

/// Connections at once; further ones wait in the kernel's queue. Half of the 1,024 descriptors that a
/// process has by default, so that volumes, Workers and the database have theirs.
const CONNECTIONS_MAX: usize = 512;
/// How long a connection may take to send a request head, counted from the answer before. Longer than
/// the 90 s after which the original's client drops an idle connection, so that it does so first.
const HEAD_WAIT: Duration = Duration::from_secs(120);
/// Grace for running requests when the server stops (web-api 1.2).
const STOP_GRACE: Duration = Duration::from_secs(5);
/// After the grace, how long the transfers that were cut off may take to record their end.
const TRANSFER_END_WAIT: Duration = Duration::from_secs(5);
/// How long a connection that said nothing yet is listened to when the server stops: its request may be on the
/// way. A client that connects also sends, within the time of a round trip.
const FIRST_REQUEST_WAIT: Duration = Duration::from_millis(500);
/// Pause after a failed accept: descriptors ran out, and asking again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A peer that has been silent this long is asked whether it still lives.
const PEER_IDLE: Duration = Duration::from_secs(60);
/// Pause between questions to a silent peer.
const PEER_PROBE: Duration = Duration::from_secs(15);
/// A peer that answers no question, takes nothing of its answer, or sends nothing of its upload for so long is
/// given up. It would keep others from one of the places for transfers, and the Data it reads from being deleted.
/// Long enough for a client whose own disk must first write what it has; a transfer has no other limit of time.
pub(super) const PEER_STALLED_MAX: Duration = Duration::from_secs(300);

/// Serves until `stop` resolves, then lets running requests end, for a bounded time.
pub async fn serve(listener: TcpListener, front: Front, stop: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let stopping = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &places) => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((socket, place)) => {
                let conversation = converse(socket, front.clone(), stopping.subscribe());
                connections.spawn(async move {
                    conversation.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    for socket in closing::the_last_of(listener).await {
        connections.spawn(converse(socket, front.clone(), stopping.subscribe()));
    }
    stopping.send_replace(true);
    front.dismiss_watchers();
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP_GRACE, ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "stopping: cutting off requests that did not end");
    }
    connections.shutdown().await;
    front.transfers_ended(TRANSFER_END_WAIT).await;
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    let (socket, _) = listener.accept().await?;
    if let Err(error) = prepare(&socket) {
        tracing::debug!("cannot set the options of a connection: {error}");
    }
    Ok((socket, place))
}

/// Answers must not wait for more bytes, and peers that are gone without a word must be noticed.
fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, PEER_IDLE)?;
    sockopt::set_tcp_keepintvl(socket, PEER_PROBE)?;
    sockopt::set_tcp_user_timeout(socket, u32::try_from(PEER_STALLED_MAX.as_millis()).unwrap_or(u32::MAX))?;
    Ok(())
}

/// Answers the requests of one connection until its client is done or `stopping` turns true; then the
/// present request is the last.
pub async fn converse<S: AsyncRead + AsyncWrite + Unpin>(socket: S, front: Front, mut stopping: watch::Receiver<bool>) {
    let begun = watch::Sender::new(false);
    let mut has_begun = begun.subscribe();
    let service = service_fn(move |request: Request<Incoming>| {
        begun.send_replace(true);
        let front = front.clone();
        async move { Ok::<_, Infallible>(front.answer(request.map(|body| Body::new(Lingering::new(body)))).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .serve_connection(TokioIo::new(Willing::new(socket)), service);
    let mut connection = pin!(connection);
    let told_to_stop = async {
        drop(stopping.wait_for(|stopping| *stopping).await);
        // A connection on which nothing was read would be closed over the request that it is about to bring.
        drop(timeout(FIRST_REQUEST_WAIT, has_begun.wait_for(|begun| *begun)).await);
    };
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = told_to_stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("connection ended early: {error}");
    }
}
