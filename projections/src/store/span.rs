//! From where to where in the log something existed.

use knit_domain::event::{Entity, Position};
use knit_domain::id::RunId;

use super::data::NEVER;
use super::steps::StepKind;
use super::{Limit, Store};

/// From where to where something existed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The position with which it began.
    pub from: Position,
    /// The position from which on it was gone.
    pub gone: Option<Position>,
}

impl Store {
    /// When something existed; `None` if there never was such a thing. A deleted Run that others refer to still
    /// exists.
    #[must_use]
    pub fn span(&self, of: Entity) -> Option<Span> {
        match of {
            Entity::Plan(id) => {
                let row = self.plans.row(id, Limit::NOW)?;
                self.plans.record(row).attributes.first().map(|(from, _)| Span { from: *from, gone: None })
            }
            Entity::Run(id) => {
                let row = self.runs.ids.row(id.0)?;
                let life =
                    || self.runs.steps.back_from(self.runs.records[row].newest, Limit::NOW).map(|(_, step)| step);
                let gone = life().next().filter(|step| step.kind == StepKind::Erased).map(|step| step.position);
                life().last().map(|step| Span { from: step.position, gone })
            }
            Entity::Data(id) => {
                let record = &self.data.records[self.data.ids.row(id.0)?];
                let gone = Some(record.gone).filter(|gone| *gone != NEVER);
                Some(Span { from: self.runs.steps.steps[record.born].position, gone })
            }
        }
    }

    /// Where a Run was removed, if it was.
    #[must_use]
    pub fn run_removed_at(&self, id: RunId) -> Option<Position> {
        let row = self.runs.ids.row(id.0)?;
        let life = self.runs.steps.back_from(self.runs.records[row].newest, Limit::NOW).map(|(_, step)| step);
        let ends = life.take_while(|step| matches!(step.kind, StepKind::Invalidated | StepKind::Erased));
        ends.last().map(|step| step.position)
    }
}
