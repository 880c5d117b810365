//! Finding: which Data, Runs and Plans fit a filter, in the order of the wire.
//!
//! Answers are ids. Whoever asked renders them one by one, so that an answer of a hundred thousand
//! details is never in memory at once.

mod data;
mod ids;
mod plans;
mod runs;
mod tags;

use knit_domain::time::Timestamp;

pub use self::data::DataFilter;
pub(super) use self::data::Wanted;
pub use self::ids::{IdKind, IdPrefix};
pub use self::plans::PlanFilter;
pub use self::runs::RunFilter;

/// Whether `instant` is at or after `since` and before `until`; what is not given does not bound.
fn within(instant: Timestamp, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
    since.is_none_or(|since| since <= instant) && until.is_none_or(|until| instant < until)
}
