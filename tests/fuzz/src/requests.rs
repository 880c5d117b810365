//! Requests: query strings, JSON bodies and whole connections, answered by the API as in the server.

use axum::body::Body;
use axum::response::Response;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Collected};
use knit_schemas::api;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

use crate::world::{World, block_on, with_world};

/// Bytes that a connection holds between its two ends: more than any answer here.
const CONNECTION_BYTES: usize = 4 << 20;

/// A `GET` of whatever stands there, path and query.
pub(crate) fn queries(bytes: &[u8]) {
    let Ok(target) = std::str::from_utf8(bytes) else { return };
    with_world(|world| answer(world, "GET", &format!("/{target}"), ""));
}

/// Several requests: `METHOD TARGET` in one line, the body up to the next empty line.
pub(crate) fn requests(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    with_world(|world| {
        for request in text.split("\n\n") {
            let (head, body) = request.split_once('\n').unwrap_or((request, ""));
            if let Some((method, target)) = head.split_once(' ') {
                answer(world, method, target, body);
            }
        }
        world.check();
    });
}

fn answer(world: &World, method: &str, target: &str, body: &str) {
    let (target, body) = (world.with_ids(target), world.with_ids(body));
    let Ok(uri) = target.parse::<Uri>() else { return };
    let request = Request::builder().method(method).uri(uri).header("host", "localhost");
    // A followed log ends when its Run does, and here no Run ends.
    if target.contains("follow") {
        return;
    }
    let Ok(request) = request.header("content-type", api::JSON).body(Body::from(body)) else { return };
    block_on(async { check(world.front.answer(request).await).await });
}

/// An answer is complete, no fault of ours, and JSON when it says so.
async fn check(response: Response) {
    let (head, body) = response.into_parts();
    let body = body.collect().await.map(Collected::to_bytes);
    let body = body.unwrap_or_else(|error| panic!("an answer breaks off: {error}"));
    let text = String::from_utf8_lossy(&body);
    let fault = head.status.is_server_error() && head.status != StatusCode::SERVICE_UNAVAILABLE;
    assert!(!fault, "{} {text}", head.status);
    let is_json = head.headers.get("content-type").is_some_and(|given| given == api::JSON);
    // The answer to a `HEAD` has the type of a body and no body.
    if is_json && !body.is_empty() {
        serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_else(|error| panic!("{error}: {text}"));
    }
    if head.status.is_client_error() && !body.is_empty() {
        let told: api::ErrorMessage = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(!told.message.is_empty(), "a refusal says why");
    }
}

/// A connection on which these bytes are sent, and then no more.
pub(crate) fn connections(bytes: &[u8]) {
    with_world(|world| {
        let sent = match std::str::from_utf8(bytes) {
            Ok(text) => world.with_ids(text).into_bytes(),
            Err(_) => bytes.to_vec(),
        };
        let answered = block_on(converse(world, sent));
        for line in String::from_utf8_lossy(&answered).lines().filter(|line| line.starts_with("HTTP/1.1 5")) {
            let known = ["HTTP/1.1 503", "HTTP/1.1 505"].iter().any(|known| line.starts_with(known));
            assert!(known, "{line}");
        }
        world.check();
    });
}

async fn converse(world: &World, sent: Vec<u8>) -> Vec<u8> {
    let (client, server) = tokio::io::duplex(CONNECTION_BYTES);
    let stopping = watch::Sender::new(false);
    let serving = tokio::spawn(knitd::http::converse(server, world.front.clone(), stopping.subscribe()));
    let (mut reading, mut writing) = tokio::io::split(client);
    let talking = tokio::spawn(async move {
        drop(writing.write_all(&sent).await);
        drop(writing.shutdown().await);
    });
    let mut answered = Vec::new();
    drop(reading.read_to_end(&mut answered).await);
    drop((talking.await, serving.await));
    answered
}
