//! Answers that are told while something is done: every step, a line each.

use std::convert::Infallible;

use ::http::StatusCode;
use axum::body::Body;
use axum::response::Response;
use futures::StreamExt as _;
use knit_schemas::api::JSON_LINES;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::http::reply;

/// What is heard, until nobody tells more.
pub(super) fn told<S: Serialize + Send + 'static>(heard: mpsc::Receiver<S>) -> Response {
    let lines = ReceiverStream::new(heard).map(|step| {
        let mut line = serde_json::to_vec(&step).expect("a step is made of texts and numbers");
        line.push(b'\n');
        Ok::<_, Infallible>(line)
    });
    reply::with_type(StatusCode::OK, JSON_LINES, Body::from_stream(lines))
}
