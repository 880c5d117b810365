//! The administration socket (D16): what is not for everybody who reaches the API.
//!
//! Every route is on this screen. It is served on a unix socket that only the user who runs the server may open, so
//! nothing here asks who somebody is: the kernel says it ([`Peer`]).

mod log;
mod projections;
mod socket;

use axum::Router;
use axum::routing::{get, post};

pub use socket::AdminSocket;

use super::problem::Problem;
use crate::app::App;

/// What every handler is given.
#[derive(Clone)]
struct Admin {
    app: App,
}

fn routes(admin: Admin) -> Router {
    Router::new()
        .route("/admin/projections", get(projections::show))
        .route("/admin/snapshots", post(projections::save))
        .route("/admin/log", get(log::statistics))
        .fallback(async || Problem::no_route())
        .with_state(admin)
}

/// The user at the other end of the socket.
#[derive(Debug, Clone)]
struct Peer(String);
