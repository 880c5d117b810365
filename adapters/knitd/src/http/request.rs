//! What handlers take out of a request, with refusals in the words of the wire.

use std::str::FromStr;

use ::http::request::Parts;
use ::http::{Method, Request};
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use knit_domain::id::{EventId, RunId};
use uuid::Uuid;

use super::problem::Problem;
use super::query::Query;
use crate::command::Cause;

/// The decoded query string.
pub(super) struct Asked(pub(super) Query);

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(Query::parse(parts.uri.query())))
    }
}

/// The id in the path, as text: an ill-formed one is not found, like any other that nothing has.
pub(super) struct Named(String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        id.map(|Path(id)| Self(id)).map_err(|error| Problem::bad_request(error.body_text()))
    }
}

impl Named {
    /// The id, if it is well-formed.
    ///
    /// # Errors
    /// 404 that says there is no such `what`.
    pub(super) fn id<T: FromStr>(&self, what: &str) -> Result<T, Problem> {
        self.0.parse().map_err(|_| Problem::not_found(what, &self.0))
    }
}

/// The Run and the number of an attempt in the path.
pub(super) struct NamedAttempt {
    run: Named,
    attempt: String,
}

impl<S: Send + Sync> FromRequestParts<S> for NamedAttempt {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let both: Result<Path<(String, String)>, PathRejection> = Path::from_request_parts(parts, state).await;
        let Path((run, attempt)) = both.map_err(|error| Problem::bad_request(error.body_text()))?;
        Ok(Self { run: Named(run), attempt })
    }
}

impl NamedAttempt {
    /// The Run.
    ///
    /// # Errors
    /// 404 when the id is ill-formed.
    pub(super) fn run_id(&self) -> Result<RunId, Problem> {
        self.run.id("Run")
    }

    /// The number, if it can be one of an attempt.
    pub(super) fn attempt(&self) -> Option<u32> {
        self.attempt.parse().ok().filter(|attempt| *attempt > 0)
    }
}

/// Headers by which a client says to what its request belongs, the first one that it sends.
const CORRELATION_HEADERS: [&str; 2] = [TRACE_HEADER, REQUEST_ID_HEADER];
/// The context of a trace, as W3C Trace Context defines it.
const TRACE_HEADER: &str = "traceparent";
/// What proxies and clients give a request, without any standard.
const REQUEST_ID_HEADER: &str = "x-request-id";
/// The namespace in which a word that is no UUID gets one.
const CORRELATIONS: Uuid = uuid::uuid!("5b0e6a0c-8f0e-5d4b-9b0d-2f6f0f1b7c35");

/// To what a request belongs; kept with it, so that its span, its lines and its events name the same.
#[derive(Debug, Clone, Copy)]
struct Correlated(EventId);

/// To what a request belongs: to what its client says, or else to something new, unless it only asks.
pub(super) fn correlate<B>(request: &mut Request<B>) -> Option<EventId> {
    let sent = CORRELATION_HEADERS.iter().filter_map(|name| request.headers().get(*name)?.to_str().ok());
    let sent = sent.map(str::trim).find(|text| !text.is_empty()).map(correlation);
    let known = sent.or_else(|| (request.method() != Method::GET).then(|| EventId(Uuid::new_v4())))?;
    request.extensions_mut().insert(Correlated(known));
    Some(known)
}

/// Who asks, and to what it belongs. Without authentication everybody is nobody (D16).
impl<S: Sync> FromRequestParts<S> for Cause {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(match parts.extensions.get::<Correlated>() {
            Some(Correlated(correlation)) => Self::request_within(ANONYMOUS, *correlation),
            None => Self::request(ANONYMOUS),
        })
    }
}

/// Whoever asks.
const ANONYMOUS: &str = "anonymous";

/// The correlation that a client's word for it stands for: the id of the trace in a trace context, a UUID itself,
/// with or without its strokes, and for any other word always the same one.
pub(super) fn correlation(text: &str) -> EventId {
    let trace = text.split('-').nth(1).filter(|id| id.len() == 32 && text.len() >= 55);
    let known = Uuid::try_parse(trace.unwrap_or(text)).ok();
    EventId(known.unwrap_or_else(|| Uuid::new_v5(&CORRELATIONS, text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_a_uuid_and_any_word_name_a_correlation() {
        let id = EventId(uuid::uuid!("4bf92f35-77b3-4da6-a3ce-929d0e0e4736"));
        for same in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
        ] {
            assert_eq!(correlation(same), id, "{same}");
        }
        assert_eq!(correlation("nightly build"), correlation("nightly build"));
        assert_ne!(correlation("nightly build"), correlation("another"));
    }
}
