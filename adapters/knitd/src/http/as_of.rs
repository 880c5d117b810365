//! `as-of`: the time that a question is about, in every GET about Data, Plans, Runs and lineage (ours).
//!
//! A position of the log, an RFC 3339 time, or how long ago. What would be answered must be settled: neither a
//! position that the log has not reached nor a moment that is not over can be asked about, for the same question
//! might be answered otherwise later.

use std::time::{SystemTime, UNIX_EPOCH};

use knit_domain::event::Position;
use knit_domain::time::Timestamp;
use knit_projections::projection::Projection as _;
use knit_projections::store::At;
use knit_schemas::duration::ago_ms;

use super::front::Api;
use super::problem::Problem;
use super::query::Query;
use crate::app::App;

/// The name of the parameter.
const NAME: &str = "as-of";
/// What may be written.
const FORMS: &str = "should be a position of the log, a time like 2025-03-03T09:15:02.4+00:00, \
                     or how long ago, like `2h ago` or `3d ago`";

/// The time that `query` asks about; now if it does not say.
///
/// # Errors
/// 400 when it says no time, or one that is not settled yet; 503 while this server has not folded so far.
pub(super) async fn at(api: &Api, query: &Query) -> Result<At, Problem> {
    once(query)?;
    match position(api, query, NAME).await? {
        Some(position) => shown(api, position),
        None => Ok(At::Now),
    }
}

/// # Errors
/// 400 when `as-of` is there without saying a time, or more than once: the answer would be taken for one about another
/// time than it is about.
pub(super) fn once(query: &Query) -> Result<(), Problem> {
    match query.each(NAME).collect::<Vec<_>>()[..] {
        [] => Ok(()),
        [""] => Err(Problem::bad_request(format!("`{NAME}` {FORMS}")).because("it is empty")),
        [_] => Ok(()),
        ref several => Err(Problem::bad_request(format!("say `{NAME}` once: an answer is about one time"))
            .because(format!("it is there {} times", several.len()))),
    }
}

/// The last position at or before the time that the parameter `name` names, if it is there.
///
/// # Errors
/// 400 when it says no time, or one that is not settled yet.
pub(super) async fn position(api: &Api, query: &Query, name: &'static str) -> Result<Option<Position>, Problem> {
    let Some(text) = query.scalar(name) else { return Ok(None) };
    Ok(Some(match Asked::parse(name, text, now())? {
        Asked::Position(position) => reached(&api.app, position).await?,
        Asked::Time(time) => settled(&api.app, name, time).await?,
    }))
}

/// The last position before the time that the parameter `name` names, if it is there.
///
/// # Errors
/// As [`position`].
pub(super) async fn before(api: &Api, query: &Query, name: &'static str) -> Result<Option<Position>, Problem> {
    let Some(text) = query.scalar(name) else { return Ok(None) };
    Ok(Some(match Asked::parse(name, text, now())? {
        Asked::Position(position) => reached(&api.app, position).await?.saturating_sub(1),
        // Stamps are whole milliseconds.
        Asked::Time(time) => settled(&api.app, name, time.plus_ms(-1)).await?,
    }))
}

/// The time right after the event at `position`.
///
/// # Errors
/// 400 when the log has not come so far; 503 while this server has not folded so far.
pub(super) async fn at_position(api: &Api, position: Position) -> Result<At, Problem> {
    shown(api, reached(&api.app, position).await?)
}

/// Nothing, unless `query` asks about the past of what has none; `why` says what it is like.
///
/// # Errors
/// 400 when `as-of` is there: an answer about now would be taken for one about then.
pub(super) fn only_now(query: &Query, why: &str) -> Result<(), Problem> {
    if query.has(NAME) {
        return Err(Problem::bad_request("ask without `as-of`: this is answered only as it is now").because(why));
    }
    Ok(())
}

fn shown(api: &Api, position: Position) -> Result<At, Problem> {
    let shown = api.app.views().store.read().position();
    if position > shown {
        return Err(Problem::unavailable(format!("this server has folded the log up to position {shown}")));
    }
    Ok(At::Position(position))
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A place in the log.
    Position(Position),
    /// An instant.
    Time(Timestamp),
}

impl Asked {
    /// Reads what was written for the parameter `name`.
    ///
    /// # Errors
    /// 400 that says what may be written.
    pub(super) fn parse(name: &str, text: &str, now: Timestamp) -> Result<Self, Problem> {
        let text = text.trim();
        let malformed = || Problem::bad_request(format!("`{name}` {FORMS}")).because(format!("got `{text}`"));
        if text.ends_with("ago") {
            let ago_ms = ago_ms(text).ok_or_else(malformed)?;
            return Ok(Self::Time(now.plus_ms(-ago_ms)));
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self::Position).map_err(|_| malformed());
        }
        Timestamp::parse(text).map(Self::Time).map_err(|_| malformed())
    }
}

/// The position, if the log has come so far.
///
/// # Errors
/// 400 when it has not.
pub(super) async fn reached(app: &App, position: Position) -> Result<Position, Problem> {
    let head = app.log().head().await.map_err(Problem::of_log)?.position;
    if position <= head {
        return Ok(position);
    }
    Err(Problem::bad_request(format!("the log ends at position {head}: ask about that or an earlier one"))
        .because(format!("position {position} is not there yet")))
}

/// The last position recorded at `time` or before, which the parameter `name` names.
///
/// # Errors
/// 400 when that is not over yet.
pub(super) async fn settled(app: &App, name: &str, time: Timestamp) -> Result<Position, Problem> {
    let head = app.log().head().await.map_err(Problem::of_log)?;
    // Where the clock was put back, what is recorded last lies ahead of it.
    if time >= now().max(head.recorded_at) {
        return Err(Problem::bad_request(format!("ask about a moment that is over, or leave out `{name}`"))
            .because(format!("{time} is not over yet")));
    }
    app.log().position_at(time).await.map_err(Problem::of_log)
}

/// The machine's time, as the log takes it.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_741_000_000_000);

    #[test]
    fn a_time_is_a_position_an_instant_or_so_long_ago() {
        let ago = |ms: i64| Asked::Time(NOW.plus_ms(-ms));
        for (text, meant) in [
            ("0", Asked::Position(0)),
            ("1234", Asked::Position(1234)),
            ("2h ago", ago(2 * 3_600_000)),
            ("1h30m ago", ago(90 * 60_000)),
            ("3d ago", ago(3 * 24 * 3_600_000)),
            ("3dago", ago(3 * 24 * 3_600_000)),
            ("2025-03-03T09:15:02.4Z", Asked::Time(Timestamp::parse("2025-03-03T09:15:02.4Z").unwrap())),
        ] {
            assert_eq!(Asked::parse("as-of", text, NOW), Ok(meant), "{text}");
        }
    }

    #[test]
    fn it_is_said_once_or_not_at_all() {
        let once = |text: &str| once(&Query::parse(Some(text)));
        assert_eq!((once(""), once("as-of=7&tag=a:b")), (Ok(()), Ok(())));
        for bad in ["as-of=", "as-of", "as-of=1&as-of=2", "as-of=1&as-of=1", "as-of=1&as-of="] {
            assert_eq!(once(bad).unwrap_err().status(), ::http::StatusCode::BAD_REQUEST, "{bad}");
            assert!(only_now(&Query::parse(Some(bad)), "it has no past").is_err(), "{bad}");
        }
    }

    #[test]
    fn anything_else_is_a_bad_request_that_says_what_may_be_written() {
        let bad = ["yesterday", "2h", "-1", "-2h ago", "ago", "2025-03-03", "99999999999999999999", "1x ago", "d ago"];
        for text in bad.into_iter().chain(["9999999999999d ago"]) {
            let problem = Asked::parse("as-of", text, NOW).unwrap_err();
            assert_eq!(problem.status(), ::http::StatusCode::BAD_REQUEST, "{text}");
            assert!(problem.message().contains("2h ago"), "{text}");
        }
    }
}
