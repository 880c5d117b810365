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

mod data;
mod due;
mod explain;
mod fold;
mod forecast;
mod numbers;
mod plans;
mod product;
mod records;
mod runs;
mod tags;

pub use due::{Combination, Cursor, Due};
pub use explain::{Held, InputMatches, Nearest, PlanMatches};
pub use forecast::Forecast;

use knit_domain::event::{Position, Recorded};
use knit_domain::id::{KnitId, PlanId};
use knit_domain::time::Timestamp;
use knit_schemas::proto::matcher::Record;

use self::data::DataTable;
use self::plans::Plans;
use self::runs::Runs;
use self::tags::Tags;
use crate::projection::{Projection, Unapplicable, check_follows};
use crate::snapshot::DamagedSnapshot;

/// A Plan with so many Runs that have not ended gets no more until some end. Without it one Plan with
/// two inputs of a thousand Data each would put a million Runs before everybody else's.
pub const PENDING_RUNS_PER_PLAN_MAX: u32 = 10_000;

/// The fold; see the head of the module.
#[derive(Debug, Clone, Default)]
pub struct Matcher {
    position: Position,
    tags: Tags,
    data: DataTable,
    plans: Plans,
    runs: Runs,
}

impl Projection for Matcher {
    const NAME: &'static str = "matcher";
    const REVISION: u32 = 1;
    type Record = Record;

    fn apply(&mut self, event: &Recorded) -> Result<(), Unapplicable> {
        check_follows(self.position, event.position)?;
        self.fold(event)?;
        self.position = event.position;
        Ok(())
    }

    fn skip(&mut self, position: Position) -> Result<(), Unapplicable> {
        check_follows(self.position, position)?;
        self.position = position;
        Ok(())
    }

    fn position(&self) -> Position {
        self.position
    }

    fn heap_bytes(&self) -> usize {
        self.tags.heap_bytes() + self.data.heap_bytes() + self.plans.heap_bytes() + self.runs.heap_bytes()
    }

    fn records(&self, put: &mut dyn FnMut(Record)) {
        self.put_records(put);
    }

    fn from_records(
        position: Position,
        records: &mut dyn Iterator<Item = Result<Record, DamagedSnapshot>>,
    ) -> Result<Self, DamagedSnapshot> {
        Self::rebuild(position, records)
    }
}

impl Matcher {
    /// When the Run that made this Data was done; none if the Data may not be used.
    #[must_use]
    pub fn done_at(&self, data: KnitId) -> Option<Timestamp> {
        self.data.find(data).map(|number| self.data.of(number).timestamp)
    }

    /// The inputs that this Data fits, as (Plan, path), in the order of registration and then by path.
    #[must_use]
    pub fn inputs_fitted_by(&self, data: KnitId) -> Vec<(PlanId, &str)> {
        let Some(number) = self.data.find(data) else { return Vec::new() };
        let mut inputs: Vec<_> = self.data.of(number).pairs.iter().map(|(input, _)| *input).collect();
        inputs.sort_unstable();
        let named = inputs.into_iter().map(|input| self.plans.input(input));
        named.map(|input| (self.plans.of(input.plan).plan_id, &*input.path)).collect()
    }
}
