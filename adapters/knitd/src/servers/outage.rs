//! A database that is away ends all leases of this server at once, and every role asks for its own again and again.
//! That is one failure, and told as one: when it begins and when it is over.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use knit_log::Fault;

/// The roles whose leases the database does not keep at the moment.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<BTreeSet<String>>);

impl Outage {
    /// The lease of `role` was not renewed until it ended, or cannot be asked for.
    pub(super) fn goes_on(&self, role: &str, why: &Fault) {
        let mut roles = self.roles();
        if roles.is_empty() {
            tracing::warn!(
                "the database keeps no leases, so this server does nothing that needs one; trying on: {why}"
            );
        }
        if roles.insert(role.to_owned()) {
            tracing::debug!(role, "no lease: {why}");
        }
    }

    /// The lease of `role` can be asked for.
    pub(super) fn is_over(&self, role: &str) {
        let mut roles = self.roles();
        if roles.remove(role) && roles.is_empty() {
            tracing::info!("the database keeps leases again");
        }
    }

    fn roles(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
