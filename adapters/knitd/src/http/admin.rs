//! The administration socket (D16): what is not for everybody who reaches the API.
//!
//! Every route is on this screen. It is served on a unix socket that only the user who runs the server may open, so
//! nothing here asks who somebody is: the kernel says it ([`Peer`]), and the log is told ([`By`]).

mod archive;
mod doctor;
mod import;
mod log;
mod projections;
mod rebuild;
mod redact;
mod replay;
mod skip;
mod socket;
mod steps;

use std::sync::Arc;

use ::http::request::Parts;
use axum::Router;
use axum::extract::FromRequestParts;
use axum::routing::{get, post};

pub use socket::AdminSocket;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::rebuild::Rebuilds;
use super::problem::Problem;
use crate::app::App;
use crate::command::Cause;
use crate::doctor::Surroundings;
use crate::views::Name;

/// What every handler is given.
#[derive(Clone)]
struct Admin {
    app: App,
    surroundings: Arc<Surroundings>,
    /// Rebuilds under way.
    rebuilds: Rebuilds,
    /// Taken by a replay: each holds another copy of all projections, so there is one at a time.
    replaying: Arc<Semaphore>,
    /// The server stops.
    stop: CancellationToken,
}

fn routes(admin: Admin) -> Router {
    Router::new()
        .route("/admin/projections", get(projections::show))
        .route("/admin/projections/{name}/rebuild", post(rebuild::begin).delete(rebuild::cancel))
        .route("/admin/projections/{name}/rollback", post(rebuild::roll_back))
        .route("/admin/projections/{name}/skips", post(skip::skip))
        .route("/admin/snapshots", post(projections::save))
        .route("/admin/archive", post(archive::begin))
        .route("/admin/redactions", post(redact::redact))
        .route("/admin/log", get(log::statistics))
        .route("/admin/doctor", get(doctor::look))
        .route("/admin/import", post(import::take))
        .route("/admin/replay", post(replay::of_the_log))
        .route("/admin/replay/sent", post(replay::of_what_is_sent))
        .fallback(async || Problem::no_route())
        .with_state(admin)
}

/// The user at the other end of the socket.
#[derive(Debug, Clone)]
struct Peer(String);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::bug)
    }
}

/// Who asks, and to what it belongs.
struct By(Cause);

impl<S: Sync> FromRequestParts<S> for By {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Peer(name) = Peer::from_request_parts(parts, state).await?;
        Ok(Self(Cause::request(&name)))
    }
}

/// The projection of this name.
///
/// # Errors
/// 404 that says which there are.
fn named(name: &str) -> Result<Name, Problem> {
    name.parse().map_err(|()| {
        let known: Vec<&str> = Name::ALL.iter().map(|name| name.as_str()).collect();
        Problem::absent(format!("there is no projection `{name}`, but {}", known.join(", ")))
    })
}
