//! What this process measures of itself, for Prometheus: figures at `GET /metrics`, in the text of OpenMetrics.
//!
//! What happens is counted where it happens, by a method that is named for it. What is a state, such as how far a
//! projection is behind, is looked at when somebody asks ([`state`]). Times are in seconds and sizes in bytes, and no
//! label holds an id: each has a few values, so that what is kept here and there does not grow with what is done.

mod hops;
mod labels;
mod process;
mod state;

use std::time::Duration;

use ::http::{Method, StatusCode};
use knit_domain::event::Recorded;
use knit_domain::id::RunId;
use knit_domain::time::Timestamp;
use knit_log::{BatchWritten, Observer};
use knit_schemas::api;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use self::hops::Hops;
use self::labels::{Answered, Asked, ByDirection, ErrorOf, method_name};
use self::process::Process;
use self::state::State;
use crate::app::App;
use crate::command::ErrorFamily;

pub(crate) use state::{ActiveRole, AtHand};

/// The type of the text.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Where an error is counted that a request met.
pub(crate) const API: &str = "api";
/// Where an error is counted that following the log met.
pub(crate) const FOLLOWER: &str = "follower";
/// Where an error is counted that archiving the log met.
pub(crate) const ARCHIVE: &str = "archive";

/// Seconds of an append: from a commit to a good disk up to the patience of the appender.
const APPEND_SECONDS: [f64; 13] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0];
/// Events of a batch, up to the most that the appender puts into one.
const BATCH_EVENTS: [f64; 11] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0];
/// Seconds of a request: a look into memory up to a question over everything.
const REQUEST_SECONDS: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Seconds of a hop. The design wants half of them within 0.02 and nearly all within 0.2 (D10).
const HOP_SECONDS: [f64; 12] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0];

/// Every figure of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    appends: Appends,
    requests: Requests,
    errors: Family<ErrorOf, Counter>,
    received: Counter,
    sent: Counter,
    hops: Hops,
    hop_seconds: Histogram,
    state: State,
    process: Process,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        registry.register("knitd_build", "The version of this program", Info::new([("version", api::VERSION)]));
        let (received, sent) = transferred(&mut registry);
        let hop_seconds = Histogram::new(HOP_SECONDS);
        let help = "From the recorded end of a Worker to the request for the Worker of a Run that its output set off";
        registry.register("knitd_hop_seconds", help, hop_seconds.clone());
        Self {
            appends: Appends::registered(&mut registry),
            requests: Requests::registered(&mut registry),
            errors: errors(&mut registry),
            received,
            sent,
            hops: Hops::default(),
            hop_seconds,
            state: State::registered(&mut registry),
            process: Process::registered(&mut registry),
            registry,
        }
    }
}

impl Metrics {
    /// All figures as text, with the state of `app` as it is now.
    pub(crate) async fn text(&self, app: &App) -> String {
        self.state.look(app).await;
        self.process.look();
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("text can always be written to memory");
        text
    }

    /// A request was answered, `after` so long, up to the beginning of its answer. `route` is the pattern of its path.
    pub(crate) fn request_answered(&self, method: &Method, route: Option<&str>, status: StatusCode, after: Duration) {
        let asked = Asked { method: method_name(method), route: route.unwrap_or("unmatched").to_owned() };
        self.requests.seconds.get_or_create(&asked).observe(after.as_secs_f64());
        let Asked { method, route } = asked;
        self.requests.count.get_or_create(&Answered { method, route, status: status.as_u16().into() }).inc();
    }

    /// Something came to nothing at `place`: [`API`], [`FOLLOWER`], [`ARCHIVE`], or the name of a reactor.
    pub(crate) fn failed(&self, place: &'static str, family: ErrorFamily) {
        self.errors.get_or_create(&ErrorOf { place, family: family.as_str() }).inc();
    }

    /// Bytes of an upload came in, as they were on the wire.
    pub(crate) fn received(&self, bytes: usize) {
        self.received.inc_by(bytes as u64);
    }

    /// Bytes of a download went out, as they are on the wire.
    pub(crate) fn sent(&self, bytes: usize) {
        self.sent.inc_by(bytes as u64);
    }

    /// Events were recorded a moment ago. Those of long ago are not to be told: how long what they began took is no
    /// figure of this process.
    pub(crate) fn recorded<'e>(&self, events: impl Iterator<Item = &'e Recorded>) {
        self.hops.recorded(events);
    }

    /// The Worker of `run` was requested, `now`.
    pub(crate) fn worker_requested(&self, run: RunId, now: Timestamp) {
        if let Some(hop) = self.hops.ended(run, now) {
            self.hop_seconds.observe(hop.as_secs_f64());
        }
    }

    /// How many transfers are under way.
    pub(crate) fn transfers_open(&self, count: usize) {
        self.state.transfers_open(count);
    }

    /// Says that this server acts in `role`, until what it answers is dropped.
    pub(crate) fn active(&self, role: &'static str) -> ActiveRole {
        self.state.active(role)
    }

    /// What the reactor that makes Runs has at hand, which is in no worklist.
    pub(crate) fn combinations(&self) -> &AtHand {
        self.state.combinations()
    }
}

impl Observer for Metrics {
    fn batch_written(&self, batch: &BatchWritten) {
        self.appends.batch_seconds.observe(batch.took.as_secs_f64());
        self.appends.batch_events.observe(small(batch.events));
        self.appends.batch_requests.observe(small(batch.requests));
    }

    fn answered(&self, after: Duration) {
        self.appends.seconds.observe(after.as_secs_f64());
    }
}

#[derive(Debug)]
struct Appends {
    seconds: Histogram,
    batch_seconds: Histogram,
    batch_events: Histogram,
    batch_requests: Histogram,
}

impl Appends {
    fn registered(registry: &mut Registry) -> Self {
        let mut register = |name: &str, help: &str, buckets: &[f64]| {
            let histogram = Histogram::new(buckets.iter().copied());
            registry.register(name, help, histogram.clone());
            histogram
        };
        Self {
            seconds: register("knitd_append_seconds", "From handing in a request to its answer", &APPEND_SECONDS),
            batch_seconds: register("knitd_append_batch_seconds", "One transaction of the appender", &APPEND_SECONDS),
            batch_events: register("knitd_append_batch_events", "Events recorded by one transaction", &BATCH_EVENTS),
            batch_requests: register(
                "knitd_append_batch_requests",
                "Requests that shared one transaction",
                &BATCH_EVENTS,
            ),
        }
    }
}

#[derive(Debug)]
struct Requests {
    count: Family<Answered, Counter>,
    seconds: Family<Asked, Histogram>,
}

impl Requests {
    fn registered(registry: &mut Registry) -> Self {
        let count = Family::default();
        let seconds = Family::new_with_constructor((|| Histogram::new(REQUEST_SECONDS)) as fn() -> Histogram);
        registry.register("knitd_http_requests", "Requests answered, by the pattern of their path", count.clone());
        registry.register(
            "knitd_http_request_seconds",
            "From a request to the beginning of its answer",
            seconds.clone(),
        );
        Self { count, seconds }
    }
}

/// Every place and family is there from the beginning, at 0: what appears with its first error has no rate.
fn errors(registry: &mut Registry) -> Family<ErrorOf, Counter> {
    let errors: Family<ErrorOf, Counter> = Family::default();
    let places = [API, FOLLOWER, ARCHIVE].into_iter().chain(state::ROLES);
    for (place, family) in places.flat_map(|place| ErrorFamily::ALL.map(|family| (place, family))) {
        drop(errors.get_or_create(&ErrorOf { place, family: family.as_str() }));
    }
    registry.register(
        "knitd_errors",
        "What came to nothing: refused by a rule, lost to others, or a fault",
        errors.clone(),
    );
    errors
}

fn transferred(registry: &mut Registry) -> (Counter, Counter) {
    let bytes: Family<ByDirection, Counter> = Family::default();
    registry.register("knitd_transfer_bytes", "Bytes of archives on the wire", bytes.clone());
    let of = |direction| bytes.get_or_create(&ByDirection { direction }).clone();
    (of("in"), of("out"))
}

/// As a number that a histogram takes; what is counted here is far below where that gets inexact.
fn small(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests;
