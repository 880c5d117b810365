//! What handlers take out of a request, with refusals in the words of the wire.

use std::str::FromStr;

use ::http::request::Parts;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use knit_domain::id::RunId;

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

/// Who asks. Without authentication everybody is nobody (D16).
pub(super) fn cause() -> Cause {
    Cause::request("anonymous")
}
