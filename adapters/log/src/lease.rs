//! Leases: at most one active instance of a role, for as long as it keeps saying so.
//!
//! A lease only saves work. Two instances that both believe to be active, because one of them slept,
//! do no harm: every append checks versions. The fencing number grows with every new holder, and
//! tells an old holder's acts from a new one's.

use std::time::Duration;

/// The right to act in a role until it expires, by the clock of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The role.
    pub role: String,
    /// Who holds it; unique among those that live at the same time.
    pub holder: String,
    /// Grows with every new holder of the role.
    pub fence: u64,
    /// How long it lasts after each renewal.
    pub ttl: Duration,
}

impl Lease {
    /// The time to live as the databases count it.
    pub(crate) fn ttl_ms(ttl: Duration) -> i64 {
        i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX / 2)
    }
}
