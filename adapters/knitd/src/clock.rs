//! The clock of this machine, for what is compared with stamps of the log.

use std::time::{SystemTime, UNIX_EPOCH};

use knit_domain::time::Timestamp;

/// The machine's time, truncated to milliseconds; 1970 if the machine believes to be before that.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
