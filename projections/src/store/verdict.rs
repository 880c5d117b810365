//! Whether one Data fits the inputs of a Plan, and what it lacks where it does not.

use knit_domain::event::Position;
use knit_domain::id::{KnitId, PlanId, RunId};
use knit_domain::matching::{Candidate, Requirement};
use knit_domain::run::Status;
use knit_domain::tag::{KEY_ID, KEY_TIMESTAMP, Tag, TagSet};

use super::column::{DataRow, PlanRow, RunRow};
use super::steps::StepKind;
use super::{At, Limit, Store};

/// How one Data does for one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Path of the input.
    pub path: String,
    /// Whether the Data fits.
    pub fits: bool,
    /// What the input asks for and the Data has not.
    pub lacks: Vec<Tag>,
    /// Status of the Run that makes the Data, unless it is `done`.
    pub unusable: Option<Status>,
    /// The Run that makes the Data.
    pub made_by: RunId,
    /// Runs of the Plan that take the Data on this input, oldest first, removed ones included.
    pub runs: Vec<RunId>,
    /// Those of them that were removed, and where in the log: what they ran on is not run again.
    pub removed: Vec<(RunId, Position)>,
}

impl Store {
    /// How a Data does for every input of a Plan, in the order of the Plan's; `None` if the Data or the Plan did not
    /// exist then.
    #[must_use]
    pub fn verdicts(&self, plan: PlanId, data: KnitId, at: At) -> Option<Vec<Verdict>> {
        let limit = at.limit();
        let plan = self.plans.row(plan, limit)?;
        let data = self.data.row(data, limit, &self.runs.steps)?;
        let inputs = self.plans.record(plan).definition().map_or(&[][..], |definition| &definition.inputs);
        let numbered = (0..).zip(inputs);
        Some(
            numbered
                .map(|(number, input)| self.verdict(&input.path, &input.tags, (plan, number), data, limit))
                .collect(),
        )
    }

    fn verdict(
        &self,
        path: &str,
        asks: &TagSet,
        (plan, number): (PlanRow, u32),
        data: DataRow,
        limit: Limit,
    ) -> Verdict {
        let maker = self.data.records[data].run;
        let status = self.seen_status(maker, limit);
        let tags = self.data_tags(data, limit);
        let timestamp = self.timestamp(data, limit);
        let done = status == Some(Status::Done);
        let knit_id = self.data.id(data);
        let lacks = |tag: &&Tag| match tag.key.as_str() {
            KEY_ID => tag.value != knit_id.to_string(),
            KEY_TIMESTAMP => timestamp.is_none() || tag.instant() != timestamp,
            // No other tag of the system is on any Data that may be used.
            _ => tag.is_system() || !tags.contains(tag),
        };
        let takes = self.uses(data).filter(|edge| self.runs.records[edge.run].plan == plan && edge.input == number);
        let runs: Vec<RunRow> =
            takes.map(|edge| edge.run).filter(|run| self.runs.status(*run, limit).is_some()).collect();
        let removed = runs.iter().filter_map(|run| Some((self.runs.id(*run), self.removed_at(*run, limit)?)));
        Verdict {
            path: path.to_owned(),
            fits: Requirement::of(asks).admits(&Candidate { knit_id, tags: &tags, timestamp, done }),
            lacks: asks.iter().filter(lacks).cloned().collect(),
            unusable: status.filter(|status| *status != Status::Done),
            made_by: self.runs.id(maker),
            removed: removed.collect(),
            runs: runs.iter().map(|run| self.runs.id(*run)).collect(),
        }
    }

    /// Where a Run was removed, if it is there as one that was.
    fn removed_at(&self, run: RunRow, limit: Limit) -> Option<Position> {
        let newest = self.runs.steps.back_from(self.runs.records[run].newest, limit).next();
        newest.filter(|(_, step)| step.kind == StepKind::Invalidated).map(|(_, step)| step.position)
    }

    /// The user tags of a Data.
    pub(super) fn data_tags(&self, data: DataRow, limit: Limit) -> TagSet {
        let pairs = self.tags.sorted_pairs(self.data.tags(data, limit)).into_iter();
        TagSet::new(pairs.map(|(key, value)| Tag::new(key, value)))
    }
}
