//! Commands of administrators about the log itself.

use knit_domain::event::Position;
use knit_domain::journal;

use super::{App, FRESHNESS_WAIT};
use crate::command::{Cause, CommandError, Done};
use crate::streams;
use crate::views::{Name, Reached};

impl App {
    /// Lets a projection pass over the event at which it has stopped.
    ///
    /// # Errors
    /// Refused without a reason, and for any other event.
    pub async fn skip(
        &self,
        cause: &Cause,
        projection: Name,
        position: Position,
        reason: &str,
    ) -> Result<Done, CommandError> {
        let reached = self.views().reached(projection);
        let stopped_at = reached.stopped.is_some().then_some(reached.position + 1);
        self.execute(cause, |source| async move {
            let journal = streams::journal(source).await?;
            Ok(journal::skip(&journal, projection.as_str(), stopped_at, position, reason)?)
        })
        .await
    }

    /// Waits until a projection has come to `position`, or stops again behind it, at most [`FRESHNESS_WAIT`]; answers
    /// where it is.
    pub async fn goes_on_behind(&self, projection: Name, position: Position) -> Reached {
        let mut reached = self.views().watch(projection);
        let gone_on = reached.wait_for(|reached| reached.position >= position);
        // Where it is then is told in any case.
        drop(tokio::time::timeout(FRESHNESS_WAIT, gone_on).await);
        self.shown(self.log().position()).await;
        self.views().reached(projection)
    }
}
