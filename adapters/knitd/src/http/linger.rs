//! Request bodies that nobody reads to the end.
//!
//! A request that is refused early may still be on its way. Were its connection closed over the unread
//! bytes, the kernel would reset it, and the client would never read why it was refused. So what is left of
//! a body is read and thrown away beside the answer, for a bounded time.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;

/// How long the rest of a body is read on: as long as a person would wait for a refusal.
const LINGER: Duration = Duration::from_secs(30);

/// A request body that is read to its end even when it is dropped before. Empty once it is over.
#[derive(Debug)]
pub(super) struct Lingering(Option<Incoming>);

impl Lingering {
    pub(super) fn new(body: Incoming) -> Self {
        Self(Some(body).filter(|body| !body.is_end_stream()))
    }
}

impl Body for Lingering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let unread = self.0.take().filter(|body| !body.is_end_stream());
        // Outside of the server's threads there is no connection left to read from.
        let (Some(mut unread), Ok(server)) = (unread, Handle::try_current()) else { return };
        server.spawn(async move {
            let to_the_end = async { while let Some(Ok(_)) = unread.frame().await {} };
            let _ = tokio::time::timeout(LINGER, to_the_end).await;
        });
    }
}
