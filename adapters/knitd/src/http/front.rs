//! What stands before the routes: the guard, the net for panics, and paths without a last slash.

use std::io::ErrorKind;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::http::header::{ALLOW, CONNECTION, TRANSFER_ENCODING};
use ::http::uri::PathAndQuery;
use ::http::{HeaderValue, Method, Request, StatusCode, Uri};
use axum::Router;
use axum::body::Body;
use axum::extract::MatchedPath;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use knit_domain::id::EventId;
use knit_projections::projection::Projection as _;
use knit_projections::store::{At, Store};
use knit_schemas::api;
use tower::ServiceExt as _;
use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span};

use super::events::Watchers;
use super::export::Exports;
use super::guard::Hosts;
use super::problem::{Problem, Told};
use super::reply;
use super::transfers::Transfers;
use crate::app::App;
use crate::metrics::{self, Metrics};
use crate::telling;

/// What every handler is given.
#[derive(Clone)]
pub struct Api {
    /// Commands and projections.
    pub(super) app: App,
    /// Uploads and downloads under way.
    pub(super) transfers: Transfers,
    /// Streams of events that are open.
    pub(super) watchers: Watchers,
    /// Exports of the log under way.
    pub(super) exports: Exports,
}

impl Api {
    /// Asks the catalog and lineage something that may take long, off the threads that serve connections.
    ///
    /// # Errors
    /// 500 when answering panicked.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Store) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let app = self.app.clone();
        let asked = tokio::task::spawn_blocking(move || question(&app.views().store.read()));
        asked.await.map_err(|_| Problem::bug())
    }

    /// Asks the catalog and lineage something whose answer is JSON of tens of megabytes (see [`Self::ask_for_text`]).
    ///
    /// # Errors
    /// What `question` answers instead; 500 when answering panicked.
    pub(super) async fn ask_for_json<J: Send + 'static>(
        self,
        at: At,
        question: impl FnOnce(&Store, At) -> Result<J, Problem> + Send + 'static,
        write: fn(&mut J, &Store, &mut Vec<u8>, usize) -> bool,
    ) -> Result<Response, Problem> {
        self.ask_for_text(api::JSON, at, question, write).await
    }

    /// Asks the catalog and lineage something whose answer may be tens of megabytes: `question` says which text
    /// it is, and `write` writes it while it is sent, a piece at a time (see [`reply::written`]). `at` is the time
    /// the question is about; `question` is given its position, so that the answer stays about one.
    ///
    /// # Errors
    /// What `question` answers instead; 500 when answering panicked.
    pub(super) async fn ask_for_text<J: Send + 'static>(
        self,
        content_type: &'static str,
        at: At,
        question: impl FnOnce(&Store, At) -> Result<J, Problem> + Send + 'static,
        write: fn(&mut J, &Store, &mut Vec<u8>, usize) -> bool,
    ) -> Result<Response, Problem> {
        let app = self.app.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let view = &app.views().store;
            let store = view.read();
            let position = at.position(store.position());
            let mut text = question(&store, At::Position(position))?;
            // In the same look: an answer of one piece is never cut off, whatever takes the place of this store.
            let mut first = Vec::new();
            let goes_on = write(&mut text, &store, &mut first, reply::PIECE_BYTES);
            Ok::<_, Problem>((position, view.reached().instance, text, (first, goes_on)))
        });
        let (position, instance, mut text, first) = asked.await.map_err(|_| Problem::bug())??;
        let mut first = Some(first);
        let body = reply::written(content_type, move |piece, room_bytes| {
            if let Some((first, goes_on)) = first.take() {
                *piece = first;
                return Ok(goes_on);
            }
            // The rows of a store that was folded anew are other rows: what has been sent must not seem whole. One
            // that a rebuild has replaced stays for a while, for answers that are on their way.
            let view = &self.app.views().store;
            let written = view.look(instance, |store| write(&mut text, store, piece, room_bytes));
            written.ok_or_else(|| ErrorKind::Interrupted.into())
        });
        Ok(reply::at(position, body))
    }
}

/// The whole API behind one function: a request in, a response out, never a panic.
#[derive(Clone)]
pub struct Front {
    router: Router,
    hosts: Arc<Hosts>,
    metrics: Arc<Metrics>,
    transfers: Transfers,
    watchers: Watchers,
    exports: Exports,
}

impl Front {
    /// The API of `app`, answering to `hosts`. It takes uploads and downloads only if `with_transfers`.
    #[must_use]
    pub fn new(app: App, hosts: Hosts, with_transfers: bool) -> Self {
        Self::with(app, hosts, with_transfers, super::routes)
    }

    /// Health and figures of `app`, and nothing else.
    #[must_use]
    pub fn about_the_server(app: App, hosts: Hosts) -> Self {
        Self::with(app, hosts, false, super::routes_about_the_server)
    }

    fn with(app: App, hosts: Hosts, with_transfers: bool, routes: fn(Api) -> Router) -> Self {
        let (transfers, watchers) = (Transfers::new(with_transfers), Watchers::default());
        let (exports, metrics) = (Exports::default(), Arc::clone(app.metrics()));
        let api = Api { app, transfers: transfers.clone(), watchers: watchers.clone(), exports: exports.clone() };
        Self { router: routes(api), hosts: Arc::new(hosts), metrics, transfers, watchers, exports }
    }

    /// Answers one request, and tells of it: in the figures, in a span, and in a line where this server has failed.
    pub async fn answer(&self, mut request: Request<Body>) -> Response {
        let asked = Asked::by(&mut request);
        let response = self.answer_untold(request).instrument(asked.span.clone()).await;
        self.tell(&asked, &response);
        response
    }

    fn tell(&self, asked: &Asked, response: &Response) {
        let (status, told) = (response.status(), response.extensions());
        let route = told.get().map(MatchedPath::as_str);
        let Asked { began, method, path, correlation, span } = asked;
        self.metrics.request_answered(method, route, status, began.elapsed());
        span.record("http.route", route).record("http.status", status.as_u16());
        let _within = span.enter();
        if let Some(Told { family, message }) = told.get() {
            self.metrics.failed(metrics::API, *family);
            // What only has to wait (503) is everyday life; consoles ask again every few seconds.
            if status == StatusCode::INTERNAL_SERVER_ERROR {
                let correlation = correlation.map(display);
                tracing::error!(http.method = %method, http.path = path, correlation, "answered with an error: {message}");
            }
        }
        tracing::debug!(http.method = %method, http.path = path, http.status = status.as_u16(), "answered");
    }

    async fn answer_untold(&self, mut request: Request<Body>) -> Response {
        if let Err(stranger) = self.hosts.admit(request.uri(), request.headers()) {
            return Problem::forbidden(&stranger).into_response();
        }
        *request.uri_mut() = without_last_slash(request.uri());
        // A chunked body is the last of its connection: trailers are not promised behind it.
        let last = request.headers().contains_key(TRANSFER_ENCODING);
        let answering = AssertUnwindSafe(self.router.clone().oneshot(request)).catch_unwind();
        let mut response = match answering.await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_) => Problem::bug().into_response(),
        };
        if last {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Ends the streams that would go on for ever, or for long.
    pub(super) fn dismiss_watchers(&self) {
        self.watchers.dismiss();
        self.exports.dismiss();
    }

    /// Waits until every transfer under way has recorded its end, at most `limit`.
    pub(super) async fn transfers_ended(&self, limit: Duration) {
        self.transfers.ended(limit).await;
    }
}

/// What is told of a request beside its answer.
struct Asked {
    began: Instant,
    method: Method,
    path: String,
    correlation: Option<EventId>,
    span: Span,
}

impl Asked {
    fn by(request: &mut Request<Body>) -> Self {
        let (began, method, path) = (Instant::now(), request.method().clone(), request.uri().path().to_owned());
        let correlation = super::request::correlate(request);
        let span = tracing::debug_span!(
            "request",
            http.method = %method,
            http.path = path,
            http.route = Empty,
            http.status = Empty,
            correlation = correlation.map(display),
        );
        telling::go_on_with(&span, request.headers());
        Self { began, method, path, correlation, span }
    }
}

/// Tells with the answer which route gave it: figures know routes, and not paths, which hold ids.
pub(super) async fn tell_route(request: axum::extract::Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

/// The answer to `OPTIONS`.
pub(super) fn options(allow: &'static str) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// The same target without one slash at the end of its path; a redirect would break clients (web-api 1.1).
fn without_last_slash(target: &Uri) -> Uri {
    let path = target.path();
    let Some(shorter) = path.strip_suffix('/').filter(|shorter| !shorter.is_empty()) else {
        return target.clone();
    };
    let shorter = match target.query() {
        Some(query) => format!("{shorter}?{query}"),
        None => shorter.to_owned(),
    };
    let mut parts = target.clone().into_parts();
    parts.path_and_query = PathAndQuery::from_maybe_shared(shorter).ok();
    Uri::from_parts(parts).unwrap_or_else(|_| target.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_last_slash_makes_no_difference() {
        for (given, routed) in [
            ("/api/data/", "/api/data"),
            ("/api/data/?", "/api/data?"),
            ("/api/data/?tag=a%3Ab/", "/api/data?tag=a%3Ab/"),
            ("/api/data", "/api/data"),
            ("/api/data//", "/api/data/"),
            ("/", "/"),
            ("http://localhost/api/runs/", "http://localhost/api/runs"),
        ] {
            assert_eq!(without_last_slash(&given.parse().unwrap()).to_string(), routed);
        }
    }
}
