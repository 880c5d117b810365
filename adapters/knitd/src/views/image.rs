//! Looking at a projection for long, without anybody noticing.

use std::time::Instant;

use knit_projections::projection::Projection;

use super::{Followed, Reached, View, Views};

/// Where one of the projections is among those of a process.
pub(crate) type ViewOf<P> = fn(&Views) -> &View<P>;

/// A projection as it was at one moment.
#[derive(Debug)]
pub(crate) struct Look<P> {
    /// How far the log was followed then.
    pub(crate) at: Followed,
    /// How far this projection had come: as far, unless it has stopped or has yet to catch up.
    pub(crate) reached: Reached,
    /// The copy.
    pub(crate) seen: P,
}

/// A copy of a projection as it is at one moment. It may be looked at for as long as one likes.
///
/// While it is taken nothing is folded, and whoever waits for an event to be shown waits as well. That is less than a
/// millisecond where a million events were folded; so it is done at once, and not on a thread for long work, which on a
/// busy machine would have to wait for its turn first.
pub(crate) async fn image<P: Projection>(views: &Views, view: ViewOf<P>) -> Look<P> {
    let standstill = views.stand_still().await;
    let since = Instant::now();
    let (at, reached) = (standstill.at, view(views).reached());
    let seen = view(views).read().clone();
    drop(standstill);
    tracing::debug!(projection = P::NAME, held_us = since.elapsed().as_micros(), "copied while all stood still");
    Look { at, reached, seen }
}
