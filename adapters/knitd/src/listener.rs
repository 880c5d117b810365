//! Whoever follows something that takes long, and may end it.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Somebody to whom steps of one kind are told.
pub(crate) struct Listener<S> {
    /// Hears every step, if somebody does; whoever hears no more has ended it.
    pub(crate) steps: Option<mpsc::Sender<S>>,
    /// Ends it.
    pub(crate) cancelled: CancellationToken,
}

impl<S> Listener<S> {
    /// Whether it is to go no further.
    pub(crate) fn has_ended_it(&self) -> bool {
        self.cancelled.is_cancelled() || self.steps.as_ref().is_some_and(mpsc::Sender::is_closed)
    }

    /// Tells a step, and waits until there is room for it.
    pub(crate) async fn tell(&self, step: S) {
        if let Some(steps) = &self.steps {
            // Whoever hears no more is noticed at the next step.
            let _ = steps.send(step).await;
        }
    }

    /// Tells what is only good to see; whoever does not keep up misses it.
    pub(crate) fn mention(&self, step: S) {
        if let Some(steps) = &self.steps {
            let _ = steps.try_send(step);
        }
    }
}
