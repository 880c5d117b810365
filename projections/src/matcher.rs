//! Which Data fit which inputs, and which combinations of them have no Run yet.
//!
//! The matcher folds the log into three things: the inputs of every Plan; the Data that may be used
//! now, with their tags; and the pairs of these that fit, each with its place in the order in which
//! the pairs of its Plan came to be. A combination is one pair for every input of a Plan. It is *due*
//! when no Run was ever made of it. Combinations are never stored: [`Matcher::due`] walks through
//! them, and because a pair is combined only with pairs older than itself, it meets each exactly once,
//! when the last of its members arrives.
//!
//! The matcher makes no Run. It only tells what is due; whether a Run may be made is decided by the
//! domain, on streams that may be newer than the matcher.

mod due;
mod explain;

pub use due::{Combination, Cursor, Due};
pub use explain::{Held, InputMatches, Nearest, PlanMatches};

use knit_domain::event::{Position, Recorded};
use knit_domain::id::PlanId;
use knit_schemas::proto::matcher::Record;

use crate::projection::{Projection, Unapplicable};
use crate::snapshot::DamagedSnapshot;

/// A Plan with so many Runs that have not ended gets no more until some end. Without it one Plan with
/// two inputs of a thousand Data each would put a million Runs before everybody else's.
pub const PENDING_RUNS_PER_PLAN_MAX: u32 = 10_000;

/// The fold; see the head of the module.
#[derive(Debug, Default)]
pub struct Matcher {
    position: Position,
}

impl Projection for Matcher {
    const NAME: &'static str = "matcher";
    const REVISION: u32 = 1;
    type Record = Record;

    fn apply(&mut self, _event: &Recorded) -> Result<(), Unapplicable> {
        unimplemented!()
    }

    fn skip(&mut self, _position: Position) -> Result<(), Unapplicable> {
        unimplemented!()
    }

    fn position(&self) -> Position {
        self.position
    }

    fn records(&self, _put: &mut dyn FnMut(Record)) {
        unimplemented!()
    }

    fn from_records(
        _position: Position,
        _records: &mut dyn Iterator<Item = Result<Record, DamagedSnapshot>>,
    ) -> Result<Self, DamagedSnapshot> {
        unimplemented!()
    }
}

impl Matcher {
    /// The next combinations that no Run was ever made of, at most `limit`, Plans taking turns.
    ///
    /// `cursor` remembers how far this caller has come. What was handed out is not handed out again,
    /// unless [`Cursor::revisit`] asks for it; a fresh cursor starts from the beginning and finds
    /// exactly the combinations that have no Run. The work of one call is bounded.
    #[must_use]
    pub fn due(&self, _cursor: &mut Cursor, _limit: usize) -> Due {
        unimplemented!()
    }

    /// Why the Plan has the Runs it has: what each input finds or misses. None for unknown Plans and
    /// for built-in ones.
    #[must_use]
    pub fn explain(&self, _plan: PlanId) -> Option<PlanMatches> {
        unimplemented!()
    }
}
