//! `GET /api/data/{id}`: a Data goes out as an archive, its checksum behind it in a trailer.
//!
//! A Data Agent is open while bytes flow, so that nobody discards the Data meanwhile; it is closed when the
//! client has everything or went away. When something breaks in the middle, the body breaks too: it is not
//! ended as if it were whole, because the original's client accepts a missing checksum.

use std::sync::Arc;

use ::http::header::TRAILER;
use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use knit_domain::id::KnitId;
use knit_domain::run::Status;
use knit_failpoint::failpoint;
use knit_runtime::port::{ArchivePart, ArchiveStream, ReadError};
use knit_schemas::api::{CHECKSUM_TRAILER, TAR_GZIP, TRANSIENT_HEADER};
use tracing::Instrument as _;

use super::front::Api;
use super::openapi::RawBytes;
use super::problem::Problem;
use super::request::{Asked, Named};
use super::{as_of, past, reply};
use crate::command::Cause;

type Broken = Box<dyn std::error::Error + Send + Sync>;

/// `GET /api/data/{id}`.
#[utoipa::path(get, path = "/api/data/{id}", operation_id = "downloadData", params(("id" = String, Path, description = "Id of a Data")),
    responses((status = 200, description = "tar in gzip; MD5 in the trailer x-checksum-md5", body = inline(RawBytes), content_type = "application/tar+gzip",
        headers(("x-knit-transient" = String, description = "processing or failed, where the Data is not what its Run makes of it in the end"))), Problem))]
pub(super) async fn send(
    State(api): State<Api>,
    named: Named,
    cause: Cause,
    Asked(query): Asked,
) -> Result<Response, Problem> {
    let id: KnitId = named.id("Data")?;
    as_of::only_now(&query, "the content of a Data never changes; its tags do, and `detail` shows them as they were")?;
    let place = api.transfers.begin()?;
    let reader = match api.transfers.open_reader(&api.app, &cause, id).await {
        Ok(reader) => reader,
        Err(refused) => return Err(past::told(&api, id, refused).await),
    };
    // Asked before the first byte is read: what is finished by then is read whole.
    let transient = api.app.views().store.read().transient_value(id);
    let archive = api.app.runtime().send(reader.volume()).await.map_err(|error| explain(&api, id, error))?;
    let span = tracing::debug_span!("transfer", direction = "out", data.id = %id);
    let closing = span.clone();
    let end = async move {
        reader.close().instrument(closing).await;
        drop(place);
    };
    let metrics = Arc::clone(api.app.metrics());
    let body = StreamBody::new(frames(archive, end)).map_frame(move |frame| {
        // Kept until the last frame is gone: so long does the transfer last.
        span.in_scope(|| metrics.sent(frame.data_ref().map_or(0, Bytes::len)));
        frame
    });
    let body = Body::new(body);
    let mut response = reply::with_type(StatusCode::OK, TAR_GZIP, body);
    response.headers_mut().insert(TRAILER, HeaderValue::from_static("X-Checksum-Md5"));
    if let Some(state) = transient {
        response.headers_mut().insert(TRANSIENT_HEADER, HeaderValue::from_static(state));
    }
    Ok(response)
}

/// Why a Data cannot be read. Without a volume it may be not yet there, or never; only what a Run has made
/// and sealed must be there.
fn explain(api: &Api, id: KnitId, error: ReadError) -> Problem {
    if let ReadError::Fault(_) = error {
        return error.into();
    }
    let store = api.app.views().store.read();
    let status = store.producer_of(id).and_then(|run| store.run_status(run));
    match status {
        Some(Status::Done) => error.into(),
        Some(Status::Failed | Status::Invalidated) | None => {
            Problem::absent("the Data has no content: the Run that should make it ended before")
        }
        Some(
            status @ (Status::Deactivated
            | Status::Waiting
            | Status::Ready
            | Status::Starting
            | Status::Running
            | Status::Completing
            | Status::Aborting),
        ) => Problem::unavailable(format!("the Run that makes the Data is {status}; there is nothing to read yet")),
    }
}

/// The frames of a body: the archive, then its checksum. `end` is awaited before the last of them, or
/// dropped when the client is gone.
fn frames(
    archive: ArchiveStream,
    end: impl Future<Output = ()> + Send,
) -> impl Stream<Item = Result<Frame<Bytes>, Broken>> + Send {
    stream::unfold(Some((archive, end)), |state| async move {
        let (mut archive, end) = state?;
        let (frame, more) = match archive.next().await {
            Some(Ok(ArchivePart::Bytes(bytes))) => (Ok(Frame::data(bytes)), true),
            Some(Ok(ArchivePart::End { md5 })) => (checksum(&md5), false),
            Some(Err(fault)) => {
                tracing::error!("a download breaks off: {fault}");
                (Err(fault.into()), false)
            }
            None => (Err("the archive ended without its checksum".into()), false),
        };
        failpoint("download.part-read");
        if more {
            return Some((frame, Some((archive, end))));
        }
        failpoint("download.read-whole");
        end.await;
        failpoint("download.closed");
        Some((frame, None))
    })
}

fn checksum(md5: &str) -> Result<Frame<Bytes>, Broken> {
    let trailer = (HeaderName::from_static(CHECKSUM_TRAILER), HeaderValue::from_str(md5)?);
    Ok(Frame::trailers(HeaderMap::from_iter([trailer])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use knit_runtime::port::Fault;

    async fn sent(parts: Vec<Result<ArchivePart, Fault>>) -> Vec<Result<Frame<Bytes>, Broken>> {
        frames(Box::pin(stream::iter(parts)), std::future::ready(())).collect().await
    }

    #[tokio::test]
    async fn the_checksum_follows_the_bytes() {
        let bytes = Bytes::from_static(b"archive");
        let sent = sent(vec![
            Ok(ArchivePart::Bytes(bytes.clone())),
            Ok(ArchivePart::End { md5: "0123456789abcdef0123456789abcdef".to_owned() }),
        ])
        .await;
        assert_eq!(sent[0].as_ref().unwrap().data_ref(), Some(&bytes));
        let trailers = sent[1].as_ref().unwrap().trailers_ref().unwrap();
        assert_eq!(trailers["x-checksum-md5"], "0123456789abcdef0123456789abcdef");
        assert_eq!(sent.len(), 2);
    }

    #[tokio::test]
    async fn a_download_that_breaks_is_never_ended_as_if_it_were_whole() {
        let broken = sent(vec![Err(Fault::new("read a file", "the disk is gone"))]).await;
        assert!(broken.last().unwrap().is_err());
        let short = sent(vec![Ok(ArchivePart::Bytes(Bytes::from_static(b"x")))]).await;
        assert!(short.last().unwrap().is_err());
    }
}
