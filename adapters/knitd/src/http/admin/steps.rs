//! Answers that are told while something is done: every step, a line each.

use std::convert::Infallible;
use std::fmt::Display;

use ::http::StatusCode;
use axum::body::Body;
use axum::response::Response;
use futures::StreamExt as _;
use knit_schemas::api::JSON_LINES;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::http::reply;

/// An end that is a failure is a line of the server's log as well: whoever began may be gone.
pub(super) fn came_to_nothing(what: impl Display, why: &str) {
    tracing::error!("{what} came to nothing: {why}");
}

/// What is heard, until nobody tells more.
pub(super) fn told<S: Serialize + Send + 'static>(heard: mpsc::Receiver<S>) -> Response {
    let lines = ReceiverStream::new(heard).map(|step| {
        let mut line = serde_json::to_vec(&step).expect("a step is made of texts and numbers");
        line.push(b'\n');
        Ok::<_, Infallible>(line)
    });
    reply::with_type(StatusCode::OK, JSON_LINES, Body::from_stream(lines))
}
