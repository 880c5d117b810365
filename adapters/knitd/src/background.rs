//! Threads for work that takes long and that nobody waits for at each moment, such as folding a whole log again: they
//! yield to all others, so that requests are answered meanwhile as if nothing went on.
//!
//! On a machine whose processors are all busy, the system would else share them out evenly, and a request that passes
//! from thread to thread would wait for its turn each time. Nothing is done here while others are kept waiting for
//! it, such as what is done while the projections stand still: on a busy machine it would take ten times as long.

use std::sync::LazyLock;

use rustix::process::{getpriority_process, setpriority_process};
use tokio::runtime::{Builder, Handle, Runtime};

/// How far these threads stand back: of a processor that others want as well they get about a tenth, so that what they
/// do comes to an end on a machine that is always busy.
const NICENESS: i32 = 10;

/// How far a thread can stand back at all.
const NICENESS_MAX: i32 = 19;

static THREADS: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    let niceness = getpriority_process(None).unwrap_or(0).saturating_add(NICENESS).min(NICENESS_MAX);
    let mut builder = Builder::new_multi_thread();
    let begun = builder.thread_name("background").on_thread_start(move || stand_back(niceness)).enable_all().build();
    begun.inspect_err(|error| tracing::warn!(%error, "no threads in the background: requests may wait for others")).ok()
});

/// Where such work is spawned; among all other work where threads cannot be made.
///
/// # Panics
/// Outside of a runtime, in that last case.
pub(crate) fn background() -> Handle {
    THREADS.as_ref().map_or_else(Handle::current, |threads| threads.handle().clone())
}

/// Linux keeps a priority for each thread, and takes none for the one that calls.
fn stand_back(niceness: i32) {
    if let Err(error) = setpriority_process(None, niceness) {
        tracing::debug!(%error, "a thread of the background is as important as others");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_done_in_the_background_stands_back_and_nothing_else_does() {
        let niceness = || getpriority_process(None).unwrap();
        let here = niceness();
        let behind = (here + NICENESS).min(NICENESS_MAX);
        assert_eq!(background().spawn_blocking(niceness).await.unwrap(), behind);
        assert_eq!(background().spawn(async move { niceness() }).await.unwrap(), behind);
        assert_eq!(tokio::task::spawn_blocking(niceness).await.unwrap(), here);
    }
}
