//! Clients that keep a server busy until they are told that it is enough.

use std::sync::atomic::{AtomicBool, Ordering};

/// Ends a load when it is dropped: also when whoever began it fails, since its clients would hold up the failure for
/// ever.
#[derive(Debug)]
pub struct End<'a>(&'a AtomicBool);

impl<'a> End<'a> {
    /// Sets `over` when it is dropped.
    #[must_use]
    pub fn of(over: &'a AtomicBool) -> Self {
        Self(over)
    }
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
