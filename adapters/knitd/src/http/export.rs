//! `GET /api/events/export` (ours): the log as it is stored, for whoever carries it elsewhere or verifies it.
//!
//! What the projections show plays no part in it: nothing is checked, nothing waited for, and a log that this program
//! cannot follow is told as it is. Whoever verifies wants to see just that. The notation is `schemas/export.md`.

use std::io;
use std::sync::Arc;

use ::http::StatusCode;
use ::http::header::CACHE_CONTROL;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use knit_domain::event::Position;
use knit_log::{Fault, Log, ReadError, StoredEvent};
use knit_schemas::chain::{GENESIS, Hash};
use knit_schemas::export::{Begin, End, Format, Record, Unreadable};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::as_of;
use super::front::Api;
use super::openapi::RawBytes;
use super::problem::Problem;
use super::query::Query;
use super::reply;
use super::request::Asked;

/// Where it is. Unlike every other question it waits for no projection.
pub(super) const PATH: &str = "/api/events/export";
/// Exports at once: each reads the whole log, and has a page of up to 16 MiB and its text in memory.
const EXPORTS_MAX: usize = 4;
/// Events read at once: some hundred kilobytes of them, which keep the database and the reader busy by turns.
const PAGE_EVENTS_MAX: usize = 1_000;

/// The exports of this process: how many there are, and that they end when the server stops.
#[derive(Clone)]
pub(super) struct Exports {
    places: Arc<Semaphore>,
    leaving: CancellationToken,
}

impl Default for Exports {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(EXPORTS_MAX)), leaving: CancellationToken::new() }
    }
}

impl Exports {
    /// Ends every export: one may take minutes, and a stopping server has less grace.
    pub(super) fn dismiss(&self) {
        self.leaving.cancel();
    }

    fn admit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map_err(|_| Problem::unavailable(format!("{EXPORTS_MAX} exports are under way already")))
    }
}

/// `GET /api/events/export`.
#[utoipa::path(get, path = "/api/events/export", operation_id = "exportEvents",
    params(
        ("after" = Option<u64>, Query, description = "Begin behind this position; 0, the beginning, if absent"),
        ("until" = Option<u64>, Query, description = "End at this position; the head of the log if absent"),
        ("format" = Option<String>, Query, description = "jsonl (the default) or proto"),
    ),
    responses((status = 200, body = inline(RawBytes), content_type = "application/x-ndjson", description = "Records as schemas/export.md describes them: a begin record, events, an end record; X-Knit-Position is the position of the last"), Problem))]
pub(super) async fn send(State(api): State<Api>, Asked(query): Asked) -> Result<Response, Problem> {
    as_of::only_now(&query, "the export is the past itself: `until` says up to which position")?;
    let format = format(&query)?;
    let log = api.app.log().clone();
    let (head, last) = log.ends_unchecked().await.map_err(Problem::of_log)?;
    let (after, until) = range(&query, head.position, last)?;
    let begins_at = chain_at(&log, after).await?;
    let ends_at = if until == head.position { head.chain } else { chain_at(&log, until).await? };
    let place = api.exports.admit()?;
    let mut text = Vec::new();
    format.encode(&Record::Begin(Begin::behind(after, begins_at)), &mut text);
    let end = End { position: until, chain: ends_at };
    // What lies behind a head that was moved back is told as well: whoever verifies finds it there.
    let to = if until == head.position { until.max(last) } else { until };
    let leaving = api.exports.leaving.clone();
    let export = Export { log, format, after, to, end, text, leaving, _place: place };
    let pieces = stream::unfold(Some(export), |export| async move { export?.next().await });
    let mut response = reply::with_type(StatusCode::OK, format.content_type(), Body::from_stream(pieces));
    response.headers_mut().insert(CACHE_CONTROL, ::http::HeaderValue::from_static("no-store"));
    Ok(reply::at(until, response))
}

fn format(query: &Query) -> Result<Format, Problem> {
    match query.scalar("format") {
        None | Some("jsonl") => Ok(Format::JsonLines),
        Some("proto") => Ok(Format::Protobuf),
        Some(other) => Err(Problem::bad_request("`format` should be jsonl or proto").because(format!("got `{other}`"))),
    }
}

/// From behind which position to which, in a log that has come to `head`, or to its `last` event where that lies behind.
fn range(query: &Query, head: Position, last: Position) -> Result<(Position, Position), Problem> {
    let position = |name: &str| {
        let parse = |text: &str| {
            text.parse::<Position>().ok().filter(|position| *position <= head.max(last)).ok_or_else(|| {
                Problem::bad_request(format!("`{name}` should be a position of the log, which ends at {head}"))
                    .because(format!("got `{text}`"))
            })
        };
        query.scalar(name).map(parse).transpose()
    };
    let (after, until) = (position("after")?.unwrap_or(0), position("until")?.unwrap_or(head));
    if after > until {
        return Err(Problem::bad_request(format!("`after` is {after}, which is behind `until`, {until}")));
    }
    Ok((after, until))
}

/// The chain at a position, and zeros where there is no event: whoever verifies finds that it is missing.
async fn chain_at(log: &Log, position: Position) -> Result<Hash, Problem> {
    Ok(log.chain_at(position).await.map_err(Problem::of_log)?.unwrap_or(GENESIS))
}

/// An export under way.
struct Export {
    log: Log,
    format: Format,
    /// The last position that was read.
    after: Position,
    /// The last position that is to be read.
    to: Position,
    end: End,
    /// What is written, but not sent yet.
    text: Vec<u8>,
    leaving: CancellationToken,
    _place: OwnedSemaphorePermit,
}

/// A piece of the answer, and who goes on after it, if somebody does.
type Piece = (io::Result<Bytes>, Option<Export>);

impl Export {
    async fn next(mut self) -> Option<Piece> {
        if self.leaving.is_cancelled() {
            return Some((Err(io::Error::other("the server stops")), None));
        }
        let left = usize::try_from(self.to - self.after).unwrap_or(usize::MAX);
        let page = if left == 0 { Ok(Vec::new()) } else { self.page(left.min(PAGE_EVENTS_MAX)).await };
        let is_over = match page {
            Ok(page) => self.write(page),
            Err(ReadError::Fault(Fault::Damaged { what })) => {
                self.record(&Record::Unreadable(Unreadable { position: self.after + 1, why: what }));
                return Some((Ok(self.text.into()), None));
            }
            Err(why) => {
                tracing::warn!("an export breaks off: {why}");
                return Some((Err(io::Error::other(why)), None));
            }
        };
        if is_over {
            self.record(&Record::End(self.end.clone()));
        }
        let piece = Bytes::from(std::mem::take(&mut self.text));
        Some((Ok(piece), (!is_over).then_some(self)))
    }

    async fn page(&self, limit: usize) -> Result<Vec<StoredEvent>, ReadError> {
        self.log.read_unchecked(self.after, limit).await
    }

    /// Writes a page; answers whether it was the last.
    fn write(&mut self, page: Vec<StoredEvent>) -> bool {
        let Some(last) = page.last().map(|event| event.position) else { return true };
        let to = self.to;
        for event in page.into_iter().filter(|event| event.position <= to) {
            self.record(&Record::Event(event.into()));
        }
        self.after = last.min(to);
        self.after == to
    }

    fn record(&mut self, record: &Record) {
        self.format.encode(record, &mut self.text);
    }
}
