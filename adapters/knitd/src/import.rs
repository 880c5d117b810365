//! Importing a history into the empty log of this server: all of it or nothing.

use std::time::{Duration, Instant};

use axum::body::Body;
use knit_log::{Import, ImportError, ImportPage};
use knit_projections::worklists::Stage;
use knit_schemas::api::ImportEnd;
use knit_schemas::export::Verified;

use crate::app::App;
use crate::command::with_causes;
use crate::sent::{Broken, Sent};

/// How long is waited until the projections show what was imported, for the number of Runs that are not over. A few
/// million events are folded in the time; beyond that, nobody is kept waiting for a number.
const SHOWN_WAIT: Duration = Duration::from_secs(30);

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotImported {
    /// Not what was sent is to blame.
    #[error(transparent)]
    Log(#[from] ImportError),
    /// What was sent is to blame, or how.
    #[error(transparent)]
    Sent(#[from] Broken),
}

/// Takes the history that is sent in `body`.
///
/// # Errors
/// When the log is not empty or does not take it, or it is not whole. The log is as it was.
pub(crate) async fn import(app: &App, body: Body) -> Result<ImportEnd, NotImported> {
    let begun = Instant::now();
    let mut import = app.log().import().await?;
    let verified = match take(app, &mut import, body).await {
        Ok(verified) => verified,
        Err(broken) => {
            import.cancel().await;
            if !matches!(broken, NotImported::Log(ImportError::Fault(_))) {
                tracing::warn!("nothing was imported: {}", with_causes(&broken));
            }
            return Err(broken);
        }
    };
    // To its end, though whoever sent it may be gone: whoever follows the log is told behind it.
    let position = tokio::spawn(import.commit()).await.map_err(|_| Broken::Bug)??;
    let took = begun.elapsed();
    tracing::info!(log.position = position, "a history was imported");
    Ok(ImportEnd::Imported {
        events: verified.events,
        position,
        chain: hex::encode(verified.chain),
        redacted: verified.redacted,
        events_per_second: per_second(verified.events, took),
        unfinished_runs: unfinished_runs(app, position).await,
    })
}

async fn take(app: &App, import: &mut Import, body: Body) -> Result<Verified, NotImported> {
    let log = app.log().clone();
    let mut sent: Sent<Result<Option<ImportPage>, ImportError>> =
        Sent::new(body, move |events| log.import_page(events));
    while let Some(page) = sent.next().await? {
        if let Some(page) = page? {
            import.write(&page).await?;
        }
    }
    Ok(sent.finish()?)
}

/// How many a second, in whole numbers.
pub(crate) fn per_second(count: u64, took: Duration) -> u64 {
    let per_second = u128::from(count) * 1_000_000 / took.as_micros().max(1);
    u64::try_from(per_second).unwrap_or(u64::MAX)
}

/// Runs that a server with roles would go on with, once the projections show all; none if that takes too long.
async fn unfinished_runs(app: &App, position: u64) -> Option<u64> {
    let worklists = &app.views().worklists;
    if !worklists.reaches(position, SHOWN_WAIT).await {
        return None;
    }
    let worklists = worklists.read();
    Some(Stage::ALL.into_iter().map(|stage| worklists.count(stage) as u64).sum())
}
