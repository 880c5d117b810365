//! `GET /api/events` (ours): the log as it is written, for whoever watches.
//!
//! An answer is a stream of server-sent events, one for each event of the log, whose `id` is its position: whoever
//! was cut off goes on behind the last one it has seen, and misses nothing. Without `follow` the stream ends at the
//! head of the log as it was when the request came; with it, it stays open.
//!
//! A watcher is at its own place in the log and holds nothing but a piece of text, however slowly it is read. It is
//! told what the follower has folded, which has checked that it continues the log that was there before (D6): a
//! watcher is never told the events of another log as if they were the next ones, but its stream breaks.
//!
//! What an event says is told whole, as it is stored. It holds nothing that the other routes keep to themselves, and
//! its size is bounded where it is appended. Nothing of it is kept here: what is redacted in the log (D15) is told to
//! nobody from then on.

mod filter;
pub(super) mod one;
pub(super) mod why;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::CACHE_CONTROL;
use ::http::{HeaderMap, HeaderValue, StatusCode};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use knit_domain::event::{Position, Recorded};
use knit_schemas::api::{
    EVENT_STREAM, EVENTS_LAST_MAX, EVENTS_SILENCE_SECONDS_MAX, EventStream, LAST_EVENT_ID_HEADER, LogEvent,
};
use knit_schemas::instant::Instant as WireInstant;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::front::Api;
use super::openapi::ServerSentEvent;
use super::problem::Problem;
use super::query::Query;
use super::request::Asked;
use super::{as_of, reply};
use crate::views::Followed;
use filter::{Filter, Page};

/// Streams at once that follow what is yet to come. Each keeps a connection of the 512 that there are; with a quarter
/// of them nobody who watches keeps others from asking.
const STREAMS_MAX: usize = 128;
/// Events read at once: some hundred kilobytes, so that many streams that begin far back need not much memory.
const PAGE_EVENTS_MAX: usize = 200;
/// Text after which a piece of the answer ends, though more events are at hand. Whoever reads slowly keeps one in
/// memory, and an event may have a megabyte.
const PIECE_BYTES_MAX: usize = 256 << 10;
/// Why an event has no past of its own.
const NEVER_CHANGES: &str = "an event never changes: it is there from its position on";
/// The longest silence.
const SILENCE_MAX: Duration = Duration::from_secs(EVENTS_SILENCE_SECONDS_MAX);

/// The streams of this process: how many there are, and that they end when the server stops.
#[derive(Clone)]
pub(super) struct Watchers {
    places: Arc<Semaphore>,
    leaving: CancellationToken,
}

impl Default for Watchers {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(STREAMS_MAX)), leaving: CancellationToken::new() }
    }
}

impl Watchers {
    /// Ends every stream: a stream that is never over would keep a stopping server for all of its grace.
    pub(super) fn dismiss(&self) {
        self.leaving.cancel();
    }

    /// What ends them; other streams that may never be over end with them.
    pub(super) fn leaving(&self) -> CancellationToken {
        self.leaving.clone()
    }

    fn admit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Problem::unavailable(format!("{STREAMS_MAX} streams of events are open already")))
    }
}

/// `GET /api/events`.
#[utoipa::path(get, path = "/api/events", operation_id = "watchEvents",
    params(
        ("after" = Option<u64>, Query, description = "Begin behind this position; 0, the beginning, if absent"),
        ("Last-Event-ID" = Option<u64>, Header, description = "The same, as browsers send it when they come back"),
        ("last" = Option<u64>, Query, description = "Instead of `after`: begin so that so many of those that are wanted come, or fewer if there are not so many, and then go on; from 1 to 1000"),
        ("follow" = Option<String>, Query, description = "Whatever its value: stay open for what is yet to come"),
        ("entity" = Option<String>, Query, description = "Any of these: data:ID, plan:ID, run:ID, or a kind of stream: data, plan, run, agent, plan-catalog, journal"),
        ("type" = Option<String>, Query, description = "Any of these names, such as RunSucceeded,RunFailed"),
        ("actor" = Option<String>, Query, description = "By any of these, such as anonymous,reactor:finishing; `reactor` is every `reactor:…`"),
        ("correlation" = Option<String>, Query, description = "Belonging to any of these; what a client sent as `traceparent` or `x-request-id` does, too"),
        ("since" = Option<String>, Query, description = "Recorded then or later: a position of the log, RFC 3339, or like `2h ago`"),
        ("until" = Option<String>, Query, description = "Recorded then or earlier, in the same forms"),
    ),
    responses((status = 200, body = inline(ServerSentEvent), content_type = "text/event-stream", description = "Server-sent events: `id` is the position, `event` the type, `data` a LogEvent; a comment at least every 15 s"), Problem))]
pub(super) async fn watch(
    State(api): State<Api>,
    headers: HeaderMap,
    Asked(query): Asked,
) -> Result<Response, Problem> {
    as_of::only_now(&query, "the stream is the past itself: `after` says behind which position it begins")?;
    let filter = Filter::of(&query)?;
    let followed = api.app.views().watch_followed();
    let head = followed.borrow().position;
    let since = as_of::before(&api, &query, "since").await?.unwrap_or_default();
    let until = as_of::position(&api, &query, "until").await?;
    // What ends by itself keeps a connection no longer than any other answer.
    let place = query.has("follow").then(|| api.watchers.admit()).transpose()?;
    let (after, greeting) = match beginning(&headers, &query, head)? {
        Beginning::Behind(after) => (after.max(since), None),
        Beginning::Last(count) => {
            let end = until.unwrap_or(head);
            let found = filter::before_last(api.app.log(), &filter, count, end, PAGE_EVENTS_MAX).await;
            let after = found.map_err(Problem::of_log)?.max(since);
            // Whoever is cut off before the first event goes on from there, and not from the beginning of the log.
            (after, Some(Ok(format!(": the last {count}\nid: {after}\n\n").into())))
        }
    };
    let log = followed.borrow().log;
    let until = until.or_else(|| (!query.has("follow")).then_some(head));
    let watcher = Watcher { api, filter, after, until, followed, log, spoke_at: Instant::now(), _place: place };
    let events = stream::unfold(Some(watcher), |watcher| async move { watcher?.next().await });
    let events = stream::iter(greeting).chain(events);
    let mut response = reply::with_type(StatusCode::OK, EVENT_STREAM, Body::from_stream(events));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(reply::at(head, response))
}

/// Where a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beginning {
    /// Behind this position.
    Behind(Position),
    /// So that so many of those that are wanted come.
    Last(usize),
}

/// Where the stream begins. The header is newer than the address, which a browser never changes.
fn beginning(headers: &HeaderMap, query: &Query, head: Position) -> Result<Beginning, Problem> {
    let header = headers.get(LAST_EVENT_ID_HEADER).and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
    let (name, text) = match (header, query.scalar("after"), query.scalar("last")) {
        (Some(id), ..) => ("Last-Event-ID", id),
        (None, Some(_), Some(_)) => return Err(Problem::bad_request("either `after` or `last` says where to begin")),
        (None, Some(after), None) => ("after", after),
        (None, None, Some(last)) => return last_count(last).map(Beginning::Last),
        (None, None, None) => return Ok(Beginning::Behind(0)),
    };
    let after: Position = text.parse().map_err(|_| {
        Problem::bad_request(format!("`{name}` should be the position of an event")).because(format!("got `{text}`"))
    })?;
    if after > head {
        return Err(Problem::bad_request(format!(
            "there is nothing behind position {after}, for the log ends at {head}: begin behind an earlier one; if it \
             was there before, the log was restored to an older state, or is another one"
        )));
    }
    Ok(Beginning::Behind(after))
}

fn last_count(text: &str) -> Result<usize, Problem> {
    text.parse().ok().filter(|count| (1..=EVENTS_LAST_MAX).contains(count)).ok_or_else(|| {
        Problem::bad_request(format!("`last` should be a number from 1 to {EVENTS_LAST_MAX}"))
            .because(format!("got `{text}`"))
    })
}

/// One who watches: a place in the log that moves on.
struct Watcher {
    api: Api,
    filter: Filter,
    /// The last position that was looked at.
    after: Position,
    /// The last position of interest; none if it goes on for ever.
    until: Option<Position>,
    followed: watch::Receiver<Followed>,
    /// Which log was followed: see [`Followed::log`].
    log: u64,
    /// When something was sent last.
    spoke_at: Instant,
    _place: Option<OwnedSemaphorePermit>,
}

/// A piece of the answer, and who goes on after it, if somebody does.
type Piece = (io::Result<Bytes>, Option<Watcher>);

impl Watcher {
    /// The next piece of the stream; none at its end.
    async fn next(mut self) -> Option<Piece> {
        loop {
            if self.is_over() || self.api.watchers.leaving.is_cancelled() {
                return None;
            }
            let text = match self.page().await {
                Ok(page) => self.piece(&page),
                Err(why) => {
                    tracing::warn!("a stream of events breaks off: {why}");
                    return Some((Err(io::Error::other(why)), None));
                }
            };
            if !text.is_empty() {
                return Some(self.say(text));
            }
            if self.spoke_at.elapsed() >= SILENCE_MAX {
                // Whoever comes back need not look again through what it has no interest in.
                let alive = format!(": nothing else\nid: {}\n\n", self.after);
                return Some(self.say(alive));
            }
            // Where the end is reached by events of no interest, nothing more is waited for.
            let is_at_head = !self.is_over() && self.after >= self.followed.borrow().position;
            if is_at_head && !self.something_happens().await {
                return None;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| self.after >= until)
    }

    fn say(mut self, text: String) -> Piece {
        self.spoke_at = Instant::now();
        (Ok(text.into()), Some(self))
    }

    /// Waits until there may be more, or until it is time to say that there is not; answers whether to go on.
    async fn something_happens(&mut self) -> bool {
        let silent_until = self.spoke_at + SILENCE_MAX;
        let leaving = self.api.watchers.leaving.clone();
        tokio::select! {
            () = leaving.cancelled() => false,
            changed = self.followed.changed() => changed.is_ok(),
            () = tokio::time::sleep_until(silent_until) => true,
        }
    }

    /// The events of interest among the next ones that are known to continue the log.
    async fn page(&mut self) -> Result<Page, String> {
        let other = || "the log was restored or swapped".to_owned();
        let followed = *self.followed.borrow_and_update();
        if followed.log != self.log {
            return Err(other());
        }
        let until = self.until.unwrap_or(Position::MAX).min(followed.position);
        let page = filter::page(self.api.app.log(), &self.filter, self.after, until, PAGE_EVENTS_MAX).await;
        let page = page.map_err(|error| error.to_string())?;
        let ends_otherwise = |last: &Arc<Recorded>| last.position == followed.position && last.chain != followed.chain;
        if page.events.last().is_some_and(ends_otherwise) { Err(other()) } else { Ok(page) }
    }

    /// The text of a page, or of its beginning; moves on behind what it says.
    fn piece(&mut self, page: &Page) -> String {
        let mut text = String::new();
        for event in &page.events {
            if text.len() >= PIECE_BYTES_MAX {
                return text;
            }
            text.push_str(&text_of(event));
            self.after = event.position;
        }
        self.after = page.up_to;
        text
    }
}

fn text_of(event: &Recorded) -> String {
    let data = serde_json::to_string(&of_the_wire(event)).expect("a recorded event is made of texts and numbers");
    let mut text = format!("id: {}\nevent: {}\n", event.position, event.event.type_name());
    // The rules of the format: a line of data for each line of the text.
    data.lines().for_each(|line| text.push_str(&format!("data: {line}\n")));
    text.push('\n');
    text
}

fn of_the_wire(event: &Recorded) -> LogEvent<Box<RawValue>> {
    LogEvent {
        position: event.position,
        event_id: event.event_id.to_string(),
        recorded_at: instant(event),
        stream: stream_of(event),
        sequence: event.sequence,
        event_type: event.event.type_name().to_owned(),
        version: event.event.version(),
        actor: event.metadata.actor.clone(),
        correlation: event.metadata.correlation.map(|id| id.to_string()),
        causation: event.metadata.causation.map(|id| id.to_string()),
        payload: payload(event),
    }
}

fn instant(event: &Recorded) -> WireInstant {
    let instant = WireInstant::from_unix_ms(event.recorded_at.0);
    instant.expect("instants beyond the calendar are refused when they are folded")
}

fn stream_of(event: &Recorded) -> EventStream {
    EventStream { kind: event.stream.kind.as_str().to_owned(), id: event.stream.id.clone() }
}

/// What the event says: the fields, without the name around them, which stands beside.
fn payload(event: &Recorded) -> Box<RawValue> {
    let named: HashMap<String, Box<RawValue>> =
        serde_json::from_str(&event.event.encode()).expect("an event is stored as its name with its fields");
    named.into_values().next().expect("an event is stored as its name with its fields")
}
