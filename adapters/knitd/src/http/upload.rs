//! `POST /api/data`: an archive comes in and becomes a Data.
//!
//! The body is read frame by frame, because the checksum comes behind it in a trailer that HTTP/1.1
//! clients do not announce. The order is: the Run and its Data are recorded, the archive is unpacked where
//! nobody sees it, the checksum is compared, the volume becomes visible, the Run ends `done`. Whatever goes
//! wrong on the way, the Run ends `failed` and no file stays.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures::FutureExt as _;
use http_body_util::BodyExt as _;
use knit_domain::run::ending::UploadOutcome;
use knit_failpoint::failpoint;
use knit_runtime::port::{ArchiveBody, Incoming};
use knit_schemas::api::{CHECKSUM_TRAILER, DataDetail};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span};

use super::front::Api;
use super::openapi::RawBytes;
use super::problem::Problem;
use super::serve::PEER_STALLED_MAX;
use super::{data, transfers};
use crate::app::Upload;
use crate::command::{Cause, CommandError};

/// Frames between the connection and the unpacking: enough to keep both busy, few enough to be forgotten.
const FRAMES_WAITING_MAX: usize = 8;

type Frames = mpsc::Sender<Result<Bytes, Box<dyn Error + Send + Sync>>>;

/// `POST /api/data`.
#[utoipa::path(post, path = "/api/data", operation_id = "uploadData",
    request_body(content = inline(RawBytes), content_type = "application/tar+gzip", description = "tar in gzip; MD5 in the trailer x-checksum-md5"),
    responses((status = 200, body = DataDetail), Problem))]
pub(super) async fn receive(State(api): State<Api>, cause: Cause, body: Body) -> Result<Response, Problem> {
    let place = api.transfers.begin()?;
    let task = api.clone();
    let span = tracing::debug_span!("transfer", direction = "in", run.id = Empty, data.id = Empty);
    // The client may vanish, and this future with it; the task goes on and ends the Run.
    let uploading = async move {
        let _place = place;
        upload(&task, &cause, body).await
    };
    let uploading = api.transfers.spawn(uploading.instrument(span));
    uploading.await.map_err(|error| Problem::unexpected(error.to_string()))?
}

async fn upload(api: &Api, cause: &Cause, body: Body) -> Result<Response, Problem> {
    let metrics = Arc::clone(api.app.metrics());
    let body = Body::new(body.map_frame(move |frame| {
        metrics.received(frame.data_ref().map_or(0, Bytes::len));
        frame
    }));
    let upload = api.app.begin_upload(cause).await?;
    Span::current().record("run.id", display(upload.run_id)).record("data.id", display(upload.knit_id));
    tracing::debug!(run = %upload.run_id, data = %upload.knit_id, "upload begins");
    let storing = AssertUnwindSafe(store(api, &upload, body)).catch_unwind();
    match storing.await.unwrap_or_else(|_| Err(Problem::bug())) {
        Ok(()) => {
            conclude(api, &cause.going_on(), &upload, UploadOutcome::Stored).await?;
            data::detail(api, upload.knit_id)
        }
        Err(problem) => {
            let why = problem.why();
            // Otherwise it is told with the answer, and once is enough.
            if !problem.is_told() {
                tracing::info!(run = %upload.run_id, data = %upload.knit_id, "upload failed: {why}");
            }
            // What the client did wrong matters more to it than that the end is not recorded yet.
            let _ = conclude(api, &cause.going_on(), &upload, UploadOutcome::Failed { reason: why }).await;
            Err(problem)
        }
    }
}

/// Fills the volume of `upload` and makes it visible, or leaves nothing.
async fn store(api: &Api, upload: &Upload, body: Body) -> Result<(), Problem> {
    let (frames, archive) = mpsc::channel(FRAMES_WAITING_MAX);
    let archive: ArchiveBody = Box::pin(ReceiverStream::new(archive));
    let reading = api.transfers.spawn(read(body, frames));
    let incoming = api.app.runtime().receive(&upload.volume, archive).await?;
    failpoint("upload.unpacked");
    let announced = reading.await.map_err(|error| Problem::unexpected(error.to_string()))?;
    if let Some(announced) = announced.filter(|announced| *announced != incoming.received().md5) {
        let problem = Problem::wrong_checksum(&incoming.received().md5, &announced);
        failpoint("upload.refused");
        discard(incoming).await;
        failpoint("upload.discarded");
        return Err(problem);
    }
    incoming.commit().await?;
    failpoint("upload.stored");
    Ok(())
}

async fn discard(incoming: Box<dyn Incoming>) {
    if let Err(fault) = incoming.discard().await {
        tracing::warn!("a refused upload is not removed yet: {fault}");
    }
}

/// Passes the body on to the unpacking; answers the checksum that came behind it, if one did.
async fn read(mut body: Body, frames: Frames) -> Option<String> {
    let mut checksum = None;
    loop {
        let Ok(frame) = timeout(PEER_STALLED_MAX, body.frame()).await else {
            let why = format!("the client sent nothing for {} s", PEER_STALLED_MAX.as_secs());
            let _ = frames.send(Err(why.into())).await;
            return None;
        };
        let Some(frame) = frame else { return checksum };
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(bytes)) => {
                if frames.send(Ok(bytes)).await.is_err() {
                    return None;
                }
            }
            Ok(Err(frame)) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                checksum =
                    trailers.get(CHECKSUM_TRAILER).map(|md5| String::from_utf8_lossy(md5.as_bytes()).into_owned());
            }
            Err(error) => {
                // The unpacking may have refused the archive already; then nobody listens.
                let _ = frames.send(Err(error.into())).await;
                return None;
            }
        }
    }
}

/// Records how the upload ended. If the log cannot be reached, that is tried on beside the answer, for as
/// long as this process lives: an upload that nobody ends would stay `running`.
async fn conclude(api: &Api, cause: &Cause, upload: &Upload, outcome: UploadOutcome) -> Result<(), Problem> {
    match api.app.end_upload(cause, upload, &outcome).await {
        Ok(_) => Ok(()),
        // Somebody aborted the Run meanwhile.
        Err(refused @ CommandError::Refused(_)) => Err(refused.into()),
        Err(error) => {
            let (api, cause, upload) = (api.clone(), cause.clone(), upload.clone());
            api.clone().transfers.spawn(async move {
                transfers::until_recorded(|| api.app.end_upload(&cause, &upload, &outcome)).await;
            });
            Err(error.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_sending_is_not_waited_for_for_ever() {
        let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"begin"))]);
        let body = Body::from_stream(futures::StreamExt::chain(first, stream::pending()));
        let (frames, mut archive) = mpsc::channel(FRAMES_WAITING_MAX);
        assert_eq!(read(body, frames).await, None);
        assert_eq!(archive.recv().await.unwrap().unwrap(), "begin");
        let why = archive.recv().await.unwrap().unwrap_err();
        assert!(why.to_string().contains("sent nothing"), "{why}");
    }
}
