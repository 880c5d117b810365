//! Uploads and downloads under way: how many at once, and whether each has recorded its end.
//!
//! A transfer runs on a task of its own. When a client goes away, its request is dropped and nobody asks
//! it anything any more; the transfer must still end its Run or close its Data Agent. If the log cannot be
//! reached just then, that is tried again for as long as the process lives.

use std::sync::Arc;
use std::time::Duration;

use knit_domain::event::agent::AgentClosure;
use knit_domain::id::{KnitId, VolumeRef};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::problem::Problem;
use crate::app::{App, FRESHNESS_WAIT, OpenTransfer};
use crate::command::{Cause, CommandError, Done};

/// Transfers at once; further ones are asked to come again. Each unpacks or packs an archive on a thread
/// of its own and holds some buffers, so this bounds both threads and memory (a few MiB each).
const TRANSFERS_MAX: usize = 64;
/// How long the end of an answer waits until the end of its transfer is recorded: the client has
/// everything already, so no longer than any reply waits for the projections.
const CLOSE_WAIT: Duration = FRESHNESS_WAIT;
/// First pause before an end is tried to be recorded again; it doubles up to [`RECORD_PAUSE_MAX`].
const RECORD_PAUSE: Duration = Duration::from_millis(500);
/// Longest such pause: how long after a database came back an orphaned Run or agent may linger.
const RECORD_PAUSE_MAX: Duration = Duration::from_secs(30);

/// What a server says that has volumes, but not those of this installation.
const ELSEWHERE: &str = "this server does not have the role `backend`, so it neither takes nor gives files and logs; \
                         ask one that has it";

/// The transfers of this process; clones are the same ones.
#[derive(Clone)]
pub(super) struct Transfers {
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    offered: bool,
}

impl Transfers {
    /// No transfers yet; if they are not `offered`, there will be none.
    pub(super) fn new(offered: bool) -> Self {
        Self { places: Arc::new(Semaphore::new(TRANSFERS_MAX)), tasks: TaskTracker::new(), offered }
    }

    /// Whether volumes can be asked for here at all.
    ///
    /// # Errors
    /// 503 when another server has them.
    pub(super) fn offered(&self) -> Result<(), Problem> {
        if self.offered { Ok(()) } else { Err(Problem::unavailable(ELSEWHERE)) }
    }

    /// A place for one more transfer; it is given back when dropped.
    ///
    /// # Errors
    /// 503 when all are taken, or none are offered.
    pub(super) fn begin(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.offered()?;
        Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Problem::unavailable(format!("{TRANSFERS_MAX} transfers are under way already")))
    }

    /// How many are under way.
    pub(super) fn open(&self) -> usize {
        TRANSFERS_MAX.saturating_sub(self.places.available_permits())
    }

    /// Runs a transfer to its end, whoever listens.
    pub(super) fn spawn<T: Send + 'static>(&self, transfer: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.tasks.spawn(transfer)
    }

    /// Opens a reading Data Agent that is closed when the reader is dropped.
    ///
    /// # Errors
    /// 404 when there is no such Data; 500 when the log cannot be reached.
    pub(super) async fn open_reader(&self, app: &App, cause: &Cause, id: KnitId) -> Result<Reader, Problem> {
        let open = app.open_reader(cause, id).await?;
        Ok(Reader { open, cause: cause.going_on(), app: app.clone(), transfers: self.clone(), closing: None })
    }

    /// Waits until no transfer is under way, at most `limit`.
    pub(super) async fn ended(&self, limit: Duration) {
        self.tasks.close();
        if tokio::time::timeout(limit, self.tasks.wait()).await.is_err() {
            tracing::warn!(transfers = self.tasks.len(), "stopping before every transfer has recorded its end");
        }
    }
}

/// A Data Agent that is open for as long as this lives.
pub(super) struct Reader {
    open: OpenTransfer,
    cause: Cause,
    app: App,
    transfers: Transfers,
    closing: Option<JoinHandle<()>>,
}

impl Reader {
    /// What is read.
    pub(super) fn volume(&self) -> &VolumeRef {
        &self.open.volume
    }

    /// Closes the agent and waits, for a bounded time, until that is recorded. Whoever then reads the end of
    /// the answer may delete the Data at once.
    pub(super) async fn close(mut self) {
        let mut closing = self.begin_closing();
        if tokio::time::timeout(CLOSE_WAIT, &mut closing).await.is_err() {
            tracing::warn!(agent = %self.open.agent, "a transfer has ended, but that is not recorded yet");
        }
        self.closing = Some(closing);
    }

    fn begin_closing(&self) -> JoinHandle<()> {
        let (app, cause, agent) = (self.app.clone(), self.cause.clone(), self.open.agent.clone());
        self.transfers.spawn(async move {
            until_recorded(|| app.close_agent(&cause, &agent, AgentClosure::Finished)).await;
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Closing twice is harmless: a client may vanish while it is waited for.
        if self.closing.is_none() {
            self.begin_closing();
        }
    }
}

/// Tries to record something until it is recorded or refused, with pauses that double.
pub(super) async fn until_recorded<F>(mut record: impl FnMut() -> F)
where
    F: Future<Output = Result<Done, CommandError>>,
{
    let mut pause = RECORD_PAUSE;
    loop {
        match record().await {
            Ok(_) | Err(CommandError::Refused(_)) => return,
            Err(error) => tracing::warn!("the end of a transfer is not recorded yet: {error}"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RECORD_PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_transfer_too_many_is_asked_to_come_again() {
        let transfers = Transfers::new(true);
        let mut places: Vec<_> = (0..TRANSFERS_MAX).map(|_| transfers.begin().unwrap()).collect();
        let refused = transfers.begin().unwrap_err();
        assert_eq!(refused.status(), ::http::StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.message().contains("please retry later"));
        places.pop();
        assert!(transfers.begin().is_ok());
    }

    #[test]
    fn a_server_without_the_volumes_says_who_has_them() {
        let refused = Transfers::new(false).begin().unwrap_err();
        assert_eq!(refused.status(), ::http::StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.message().contains("`backend`"), "{}", refused.message());
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_is_tried_to_be_recorded_until_the_log_can_be_reached() {
        let mut tries = 0;
        until_recorded(|| {
            tries += 1;
            let gone = Err(CommandError::Fault("gone".to_owned()));
            std::future::ready(if tries < 20 { gone } else { Ok(Done { position: 1 }) })
        })
        .await;
        assert_eq!(tries, 20);
    }
}
