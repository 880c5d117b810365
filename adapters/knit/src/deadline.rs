//! How long a person is willing to wait.

use std::time::Duration;

use knit_schemas::duration::GoDuration;

use crate::error::Error;

/// Does `work`, but for no longer than `limit`; `what` did not happen, if it takes longer.
pub(crate) async fn within<T>(
    limit: Option<GoDuration>,
    what: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let Some(limit) = limit else { return work.await };
    let for_so_long = Duration::from_nanos(u64::try_from(limit.ns).unwrap_or(0));
    let not_in_time =
        || Error::NotInTime { what: what.to_owned(), limit: limit.to_string(), longer: longer(limit).to_string() };
    // What is asked first is answered, however short the time: zero means to look once.
    let asked_once = for_so_long.max(LOOK_ONCE);
    tokio::time::timeout(asked_once, work).await.unwrap_or_else(|_| Err(not_in_time()))
}

/// What is suggested to whom `limit` was too short.
fn longer(limit: GoDuration) -> GoDuration {
    GoDuration { ns: limit.ns.saturating_mul(10).max(MINUTE_NS) }
}

/// The shortest wait that is suggested.
const MINUTE_NS: i64 = 60_000_000_000;

/// The time for one question, which a person who does not want to wait at all grants too.
const LOOK_ONCE: Duration = Duration::from_secs(1);
