//! A turn at the log for what rests on all of it.
//!
//! A decision that names the end of the log ([`Condition::LogAt`]) loses to every other append, and where somebody
//! appends all the time it would lose for ever. So whoever has lost once asks the appender of this process to write
//! nothing else until the decision was taken again on what is there then. Other processes may still be faster.
//!
//! [`Condition::LogAt`]: knit_domain::decision::Condition::LogAt

use std::time::Duration;

use tokio::sync::oneshot;

use crate::appender::{Pending, Queued};
use crate::error::{AppendError, Fault};
use crate::log::Log;
use crate::request::{Appended, Prepared, Request};

/// How long everybody else waits for one decision at most: many times what it takes to count a million Data, and not
/// so long that whoever waits gives up.
pub(crate) const TURN_MAX: Duration = Duration::from_secs(1);

/// What the appender hands out, and what it waits for.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) begun: oneshot::Sender<()>,
    pub(crate) request: oneshot::Receiver<Pending>,
}

/// The turn to append; nothing else is appended through this process until it is over, or has lasted a second.
#[derive(Debug)]
pub struct Alone {
    log: Log,
    request: oneshot::Sender<Pending>,
}

impl Log {
    /// Waits for a turn at which nothing else is appended through this process. Dropped, it is over.
    ///
    /// # Errors
    /// [`Fault::Closed`] when the log was closed.
    pub async fn alone(&self) -> Result<Alone, Fault> {
        let ((begun, begins), (request, requested)) = (oneshot::channel(), oneshot::channel());
        self.queue(Queued::Turn(Turn { begun, request: requested })).await?;
        begins.await.map_err(|_| Fault::Closed)?;
        Ok(Alone { log: self.clone(), request })
    }
}

impl Alone {
    /// Appends as [`Log::append`] does, and ends the turn. If it is over already, the request waits like any other.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub async fn append(self, request: Request) -> Result<Appended, AppendError> {
        let (pending, verdict) = Pending::new(Prepared::of(request)?);
        if let Err(pending) = self.request.send(pending) {
            self.log.queue(Queued::Request(pending)).await?;
        }
        verdict.await.map_err(|_| Fault::Closed)?
    }
}
