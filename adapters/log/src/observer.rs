//! What the appender tells of its own work, for whoever keeps figures. The log keeps none itself.

use std::fmt;
use std::time::Duration;

/// Is told of appends as they are done, on the task that does them: what it does takes nanoseconds and never waits.
pub trait Observer: fmt::Debug + Send + Sync {
    /// A batch went to the database in one transaction.
    fn batch_written(&self, batch: &BatchWritten);

    /// Somebody was answered, well or badly, so long after handing in a request.
    fn answered(&self, after: Duration);
}

/// One transaction of the appender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchWritten {
    /// Requests that shared it.
    pub requests: usize,
    /// Events that it recorded; none where every request had lost a race.
    pub events: usize,
    /// From its beginning to its end, without the tries before it that failed.
    pub took: Duration,
}

/// Nobody keeps figures.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Unobserved;

impl Observer for Unobserved {
    fn batch_written(&self, _: &BatchWritten) {}
    fn answered(&self, _: Duration) {}
}
