//! Looking at a projection for long, without anybody noticing.

use std::sync::Arc;
use std::time::Instant;

use knit_projections::projection::Projection;
use tokio::task::JoinError;

use super::{Followed, Reached, View, Views};

/// Where one of the projections is among those of a process.
pub(crate) type ViewOf<P> = fn(&Views) -> &View<P>;

/// What was seen of a projection at one moment.
#[derive(Debug)]
pub(crate) struct Look<T> {
    /// How far the log was followed then.
    pub(crate) at: Followed,
    /// How far this projection had come: as far, unless it has stopped or has yet to catch up.
    pub(crate) reached: Reached,
    /// What was seen.
    pub(crate) seen: T,
}

/// Looks at a projection on a thread for long work, while nothing is folded: so whoever waits for an event to be shown
/// waits as well, and `question` is to be short.
///
/// # Errors
/// When `question` panics.
pub(crate) async fn look<P, T>(
    views: &Arc<Views>,
    view: ViewOf<P>,
    question: impl FnOnce(&P) -> T + Send + 'static,
) -> Result<Look<T>, JoinError>
where
    P: Projection + Send + Sync + 'static,
    T: Send + 'static,
{
    let standstill = views.stand_still().await;
    let since = Instant::now();
    let (at, reached, looked_at) = (standstill.at, view(views).reached(), Arc::clone(views));
    let seen = tokio::task::spawn_blocking(move || question(&view(&looked_at).read())).await?;
    drop(standstill);
    tracing::debug!(projection = P::NAME, held_us = since.elapsed().as_micros(), "looked at while all stood still");
    Ok(Look { at, reached, seen })
}

/// A copy of a projection as it is at one moment. It may be looked at for as long as one likes.
///
/// # Errors
/// As [`look`].
pub(crate) async fn image<P>(views: &Arc<Views>, view: ViewOf<P>) -> Result<Look<P>, JoinError>
where
    P: Projection + Send + Sync + 'static,
{
    look(views, view, P::clone).await
}
