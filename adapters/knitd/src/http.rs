//! The HTTP API: the original's wire, and what was added beside it (web-api.md).
//!
//! Every route is on this screen. A handler reads its request, asks [`App`] for one thing, and renders;
//! it decides nothing. Whatever goes wrong becomes a response in [`problem`] and nowhere else. Around the
//! routes lie, from the outside in: the connections ([`serve`]), the guard that refuses strangers, a net
//! for panics, paths without regard to a last slash, freshness (D13), and the parameters of a query.

mod admin;
mod as_of;
mod body;
mod data;
mod download;
mod drawing;
mod events;
mod explain;
mod export;
mod forecast;
mod fresh;
mod front;
mod guard;
mod health;
mod ids;
mod lineage;
mod linger;
mod logs;
mod matches;
mod metrics;
mod openapi;
mod parameters;
mod past;
mod plan_graph;
mod plans;
mod problem;
mod query;
mod reply;
mod request;
mod runs;
mod serve;
mod tags;
mod trailers;
mod transfers;
mod upload;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, put};

pub use admin::AdminSocket;
pub use front::{Api, Front};
pub use guard::Hosts;
pub use serve::{converse, serve};

use problem::Problem;

fn routes(api: Api) -> Router {
    Router::new()
        .route("/api/data", only("OPTIONS, GET, POST", get(data::find).post(upload::receive)))
        .route("/api/data/{id}", only("OPTIONS, GET, PUT", get(download::send).put(data::change_tags)))
        .route("/api/data/{id}/detail", only("OPTIONS, GET", get(data::show)))
        .route("/api/data/{id}/lineage", only("OPTIONS, GET", get(lineage::around)))
        .route("/api/data/{id}/path", only("OPTIONS, GET", get(lineage::path)))
        .route("/api/data/{id}/diff", only("OPTIONS, GET", get(explain::data_diff)))
        .route("/api/plans", only("OPTIONS, GET, POST", get(plans::find).post(plans::register)))
        .route("/api/plans/{id}", only("OPTIONS, GET", get(plans::show)))
        .route("/api/plans/{id}/graph", only("OPTIONS, GET", get(plan_graph::show)))
        .route("/api/plans/{id}/matches", only("OPTIONS, GET", get(matches::show)))
        .route("/api/plans/{id}/active", only("OPTIONS, PUT, DELETE", put(plans::activate).delete(plans::deactivate)))
        .route("/api/plans/{id}/resources", only("OPTIONS, PUT", put(plans::change_resources)))
        .route("/api/plans/{id}/annotations", only("OPTIONS, PUT", put(plans::change_annotations)))
        .route(
            "/api/plans/{id}/serviceaccount",
            only("OPTIONS, PUT, DELETE", put(plans::set_service_account).delete(plans::clear_service_account)),
        )
        .route("/api/runs", only("OPTIONS, GET", get(runs::find)))
        .route("/api/runs/{id}", only("OPTIONS, GET, DELETE", get(runs::show).delete(runs::delete)))
        .route("/api/runs/{id}/abort", only("OPTIONS, PUT", put(runs::abort)))
        .route("/api/runs/{id}/tearoff", only("OPTIONS, PUT", put(runs::tear_off)))
        .route("/api/runs/{id}/retry", only("OPTIONS, PUT", put(runs::retry)))
        .route("/api/runs/{id}/explain", only("OPTIONS, GET", get(explain::run)))
        .route("/api/runs/{id}/diff", only("OPTIONS, GET", get(explain::run_diff)))
        .route("/api/runs/{id}/log", only("OPTIONS, GET", get(logs::log)))
        .route("/api/runs/{id}/lineage", only("OPTIONS, GET", get(lineage::around_run)))
        .route("/api/runs/{id}/attempts", only("OPTIONS, GET", get(runs::attempts)))
        .route("/api/runs/{id}/attempts/{attempt}/log", only("OPTIONS, GET", get(logs::of_attempt)))
        .route("/api/ids", only("OPTIONS, GET", get(ids::find)))
        .route("/api/tags", only("OPTIONS, GET", get(tags::find)))
        .route("/api/events", only("OPTIONS, GET", get(events::watch)))
        .route(export::PATH, only("OPTIONS, GET", get(export::send)))
        .route("/api/events/{position}", only("OPTIONS, GET", get(events::one::show)))
        .route("/api/events/{position}/why", only("OPTIONS, GET", get(events::why::why)))
        .route("/openapi.json", only("OPTIONS, GET", get(openapi::document)))
        .merge(about_the_server())
        .fallback(async || Problem::no_route())
        .layer(from_fn(parameters::heed))
        .layer(from_fn_with_state(api.clone(), fresh::wait_and_tell))
        .layer(from_fn(front::tell_route))
        .with_state(api)
}

/// What is asked about the server itself.
fn about_the_server() -> Router<Api> {
    Router::new()
        .route("/healthz", only("OPTIONS, GET", get(health::alive)))
        .route("/readyz", only("OPTIONS, GET", get(health::ready)))
        .route("/metrics", only("OPTIONS, GET", get(metrics::show)))
}

/// That, where nothing else is answered.
fn routes_about_the_server(api: Api) -> Router {
    about_the_server().fallback(async || Problem::no_route()).layer(from_fn(front::tell_route)).with_state(api)
}

/// Answers every other method as the wire does: 204 to `OPTIONS` and 405 to the rest, `HEAD` included,
/// which axum would otherwise answer like `GET`. Both name the methods there are.
fn only(allow: &'static str, methods: MethodRouter<Api>) -> MethodRouter<Api> {
    methods
        .options(async move || front::options(allow))
        .head(async move || Problem::no_method(allow))
        .fallback(async move || Problem::no_method(allow))
}
