//! The socket: whose it is, who is at its other end, and how it is served.

use std::convert::Infallible;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt as _;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::http::Request;
use anyhow::{Context as _, bail, ensure};
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use knit_failpoint::failpoint;
use knit_schemas::api::SOCKET_PATH_BYTES_MAX;
use nix::unistd::{Uid, User};
use rustix::fs::Mode;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::rebuild::Rebuilds;
use super::{Admin, Peer, Problem, routes};
use crate::app::App;
use crate::doctor::Surroundings;
use crate::http::linger::Lingering;
use crate::http::problem::Told;

/// Connections at once: a few people at terminals, and what they let run by itself. Further ones wait.
const CONNECTIONS_MAX: usize = 16;
/// Connections that the kernel keeps waiting.
const BACKLOG: i32 = 16;
/// How long a connection may take to send a request head; whoever opens one has a request to send.
const HEAD_WAIT: Duration = Duration::from_secs(30);
/// How long what is under way may take when the server stops.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Pause after a failed accept: descriptors ran out, and asking again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The administration socket, open and not yet served.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl AdminSocket {
    /// Whether a socket can be at `path`, whatever is there.
    ///
    /// # Errors
    /// When it is too long.
    pub fn check(path: &Path) -> anyhow::Result<()> {
        let bytes = path.as_os_str().len();
        ensure!(
            bytes <= SOCKET_PATH_BYTES_MAX,
            "the administration socket cannot be at {}: a socket's path has at most {SOCKET_PATH_BYTES_MAX} bytes, and \
             this one has {bytes}; name a shorter one with --admin-socket",
            path.display()
        );
        Ok(())
    }

    /// Opens the socket at `path`, for this user only. One that a server has left there is removed.
    ///
    /// # Errors
    /// When the path is too long, something else is there, or another server listens there; each says what to do.
    pub fn open(path: PathBuf) -> anyhow::Result<Self> {
        Self::check(&path)?;
        clear_away(&path)?;
        let listener = listen(&path).with_context(|| {
            format!("cannot open the administration socket {}: name another with --admin-socket", path.display())
        })?;
        failpoint("admin.bound");
        Ok(Self { listener, path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Serves until `stop` is cancelled, then lets what is under way end, for a bounded time.
    pub async fn serve(self, app: App, surroundings: Surroundings, stop: CancellationToken) {
        let surroundings = Arc::new(surroundings);
        let (rebuilds, replaying) = (Rebuilds::default(), Arc::new(Semaphore::new(1)));
        let router = routes(Admin { app, surroundings, rebuilds, replaying, stop: stop.clone() });
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = accept(&self.listener, &places) => accepted,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, place)) => {
                    let conversation = converse(stream, router.clone(), stop.clone());
                    connections.spawn(async move {
                        conversation.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!("cannot accept a connection of an administrator: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // It goes first: whoever comes now is told that no server is there, and waits for none.
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("the administration socket was not removed: {error}");
        }
        drop(self.listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        drop(timeout(STOP_GRACE, ended).await);
        connections.shutdown().await;
    }
}

async fn accept(listener: &UnixListener, places: &Arc<Semaphore>) -> io::Result<(UnixStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

/// Removes a socket that nobody listens on. Nothing else is touched.
fn clear_away(path: &Path) -> anyhow::Result<()> {
    let at = path.display();
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot look for the administration socket {at}")),
    };
    if !found.file_type().is_socket() {
        bail!("{at} is there already, and is no socket: move it away, or name another path with --admin-socket");
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => {
            bail!(
                "another server listens on the administration socket {at}: stop it, or name another with --admin-socket"
            )
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)
            .with_context(|| format!("cannot remove the administration socket {at} that a server has left")),
        Err(error) => Err(error)
            .with_context(|| format!("cannot tell whether a server listens on the administration socket {at}")),
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // Before it has a name: there must be no moment at which others may open it.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    net::listen(&socket, BACKLOG)?;
    UnixListener::from_std(socket.into())
}

/// Answers the requests of one connection, until its client is done or the server stops.
async fn converse(stream: UnixStream, router: Router, stop: CancellationToken) {
    let peer = match stream.peer_cred() {
        Ok(credentials) => Peer(name_of(credentials.uid())),
        Err(error) => {
            tracing::warn!("the kernel does not say who an administrator is: {error}");
            return;
        }
    };
    let service = service_fn(move |request: Request<Incoming>| {
        let answering = answer(router.clone(), peer.clone(), request.map(|body| Body::new(Lingering::new(body))));
        async move { Ok::<_, Infallible>(answering.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("the connection of an administrator ended early: {error}");
    }
}

async fn answer(router: Router, peer: Peer, mut request: Request<Body>) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let actor = peer.0.clone();
    request.extensions_mut().insert(peer);
    let response = match AssertUnwindSafe(router.oneshot(request)).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => Problem::bug().into_response(),
    };
    let status = response.status().as_u16();
    match response.extensions().get() {
        Some(Told { message, .. }) if response.status().is_server_error() => tracing::error!(
            actor,
            http.method = %method,
            http.path = path,
            http.status = status,
            "administration came to nothing: {message}"
        ),
        Some(_) | None => {
            tracing::info!(actor, http.method = %method, http.path = path, http.status = status, "administration");
        }
    }
    response
}

/// The name of a user, as the log is to have it.
fn name_of(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => user.name,
        // Containers often know no names.
        Ok(None) | Err(_) => format!("uid:{uid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn only_its_owner_may_open_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let _socket = AdminSocket::open(path.clone()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn one_that_was_left_is_removed_and_one_in_use_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let first = AdminSocket::open(path.clone()).unwrap();
        let refused = AdminSocket::open(path.clone()).unwrap_err().to_string();
        assert!(refused.contains("another server listens"), "{refused}");
        drop(first);
        assert!(path.exists(), "a server that was killed leaves it");
        let _again = AdminSocket::open(path).unwrap();
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes");
        fs::write(&path, "mine").unwrap();
        let refused = AdminSocket::open(path.clone()).unwrap_err().to_string();
        assert!(refused.contains("no socket"), "{refused}");
        assert_eq!(fs::read_to_string(path).unwrap(), "mine");
    }

    #[tokio::test]
    async fn a_path_that_no_socket_can_have_is_refused_with_the_limit() {
        let refused = AdminSocket::open(PathBuf::from("/tmp").join("x".repeat(120))).unwrap_err().to_string();
        assert!(refused.contains("107 bytes") && refused.contains("--admin-socket"), "{refused}");
    }

    #[test]
    fn a_user_without_a_name_is_told_by_number() {
        assert_eq!(name_of(0), "root");
        assert_eq!(name_of(4_000_000_000), "uid:4000000000");
    }
}
