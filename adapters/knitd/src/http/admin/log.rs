//! The log: how large it is, and where it grows.

use axum::extract::State;
use axum::response::Response;
use knit_domain::event::Position;
use knit_domain::time::Timestamp;
use knit_log::StreamLength;
use knit_schemas::api::{DayOfEvents, LogStatistics, LongStream};
use knit_schemas::instant::Instant;

use super::Admin;
use crate::http::problem::Problem;
use crate::http::reply;

/// Days whose growth is told: a week shows how weekends differ.
const DAYS: i64 = 7;
/// Streams that are told: what is out of proportion is among the first.
const STREAMS: usize = 10;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// `GET /admin/log`: how large the log is, and where it grows.
pub(super) async fn statistics(State(admin): State<Admin>) -> Result<Response, Problem> {
    let log = admin.app.log();
    let head = log.head().await.map_err(Problem::of_log)?;
    let size = log.size().await.map_err(Problem::of_log)?;
    let now = log.database_time().await.map_err(Problem::of_log)?;
    let starts = starts_of_days(now);
    // What was recorded at the last millisecond of the day before is not of the day.
    let before: Vec<Timestamp> = starts.iter().map(|start| start.plus_ms(-1)).collect();
    let before = log.positions_at(&before).await.map_err(Problem::of_log)?;
    let longest = log.longest_streams(STREAMS).await.map_err(Problem::of_log)?;
    let bytes_of_events = size.total_bytes.saturating_sub(size.snapshots_bytes);
    let bytes = |events: u64| bytes_of_events.saturating_mul(events).checked_div(head.position).unwrap_or(0);
    Ok(reply::json(&LogStatistics {
        log: head.log.to_string(),
        events: head.position,
        newest: (head.position > 0).then(|| Instant::from_unix_ms(head.recorded_at.0)).flatten(),
        chain: hex::encode(head.chain),
        bytes: size.total_bytes,
        snapshots_bytes: size.snapshots_bytes,
        days: days(&starts, &before, head.position, bytes),
        longest_streams: longest.into_iter().map(told).collect(),
    }))
}

/// When the last days of UTC began, the newest first.
fn starts_of_days(now: Timestamp) -> Vec<Timestamp> {
    let today = now.0.div_euclid(DAY_MS);
    (0..DAYS).map(|ago| Timestamp((today - ago) * DAY_MS)).collect()
}

/// What was recorded in each day, from the positions that were reached before each began. Days from before the log
/// are left out.
fn days(starts: &[Timestamp], before: &[Position], head: Position, bytes: impl Fn(u64) -> u64) -> Vec<DayOfEvents> {
    let mut days = Vec::new();
    let mut end = head;
    for (start, before) in starts.iter().zip(before) {
        if end == 0 {
            break;
        }
        let events = end.saturating_sub(*before);
        days.extend(Instant::from_unix_ms(start.0).map(|day| DayOfEvents { day, events, bytes: bytes(events) }));
        end = *before;
    }
    days
}

fn told(stream: StreamLength) -> LongStream {
    LongStream { kind: stream.stream_type, id: stream.stream_id, events: stream.events }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_what_was_recorded_since_it_began_and_days_before_the_log_are_not_told() {
        let starts = starts_of_days(Timestamp(20 * DAY_MS + 5));
        assert_eq!((starts[0], starts[6]), (Timestamp(20 * DAY_MS), Timestamp(14 * DAY_MS)));
        let counts = |before: &[Position], head| -> Vec<u64> {
            days(&starts, before, head, |events| events).iter().map(|day| day.events).collect()
        };
        assert_eq!(counts(&[90, 90, 40, 0, 0, 0, 0], 100), [10, 0, 50, 40]);
        assert_eq!(counts(&[0; 7], 3), [3]);
        assert_eq!(counts(&[0; 7], 0), [0_u64; 0]);
    }
}
