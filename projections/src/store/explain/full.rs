//! When a Plan had as many Runs that had not ended as it may have: what is due then has to wait for its Run.

use knit_domain::event::Position;
use knit_domain::id::PlanId;

use crate::store::column::{PlanRow, RunRow};

use crate::store::steps::StepKind;
use crate::store::{At, Limit, Store};

impl Store {
    /// The parts of the log, as the positions at which they began and ended, in which a Plan had `runs_max` or more
    /// Runs that had not ended. One that has not ended by `at` ends there. Every Run of every Plan is looked at.
    #[must_use]
    pub fn full_spans(&self, plan: PlanId, runs_max: u32, at: At) -> Vec<(Position, Position)> {
        let limit = Limit(at.position(self.position));
        self.plans.row(plan, limit).map(|plan| self.full_until(plan, runs_max, limit)).unwrap_or_default()
    }

    pub(super) fn full_between(
        &self,
        plan: PlanRow,
        runs_max: u32,
        (from, until): (Position, Position),
    ) -> Vec<(Position, Position)> {
        let spans = self.full_until(plan, runs_max, Limit(until));
        let within = spans.into_iter().map(|(since, end)| (since.max(from), end.min(until)));
        within.filter(|(since, end)| since < end).collect()
    }

    fn full_until(&self, plan: PlanRow, runs_max: u32, limit: Limit) -> Vec<(Position, Position)> {
        let runs: Vec<RunRow> = self.runs.ids.rows().filter(|run| self.runs.records[*run].plan == plan).collect();
        if runs.len() < runs_max as usize {
            return Vec::new();
        }
        let mut turns: Vec<(Position, bool)> = runs.iter().flat_map(|run| self.turns(*run, limit)).collect();
        turns.sort_unstable();
        let (mut spans, mut pending, mut since) = (Vec::new(), 0, None);
        for (position, begins) in turns {
            pending = if begins { pending + 1_u32 } else { pending.saturating_sub(1) };
            if pending >= runs_max {
                since.get_or_insert(position);
            } else if let Some(since) = since.take() {
                spans.push((since, position));
            }
        }
        spans.extend(since.map(|since| (since, limit.0)));
        spans
    }

    /// Where a Run began, ended, began again, and so on.
    fn turns(&self, run: RunRow, limit: Limit) -> Vec<(Position, bool)> {
        let mut life: Vec<_> = self.runs.steps.back_from(self.runs.records[run].newest, limit).collect();
        life.reverse();
        let (mut turns, mut lives) = (Vec::new(), false);
        for (_, step) in life {
            let ends = step.kind.ends_attempt() || matches!(step.kind, StepKind::Invalidated | StepKind::Erased);
            if step.kind.begins_attempt() || (ends && lives) {
                lives = !ends;
                turns.push((step.position, lives));
            }
        }
        turns
    }
}
