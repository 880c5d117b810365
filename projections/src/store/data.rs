//! Data: which Run made them at which point, their tags at any time, and who uses them.

use std::collections::BTreeSet;

use knit_domain::event::Position;
use knit_domain::event::data::DataEvent;
use knit_domain::event::run::OutputData;
use knit_domain::id::{KnitId, RunId, VolumeRef};
use knit_domain::tag::Tag;

use super::chain::Chains;
use super::column::{Column, DataRow, EdgeRow, PlanRow, RetagRow, RunRow, SetRow, StepRow};
use super::intern::Ids;
use super::runs::Edge;
use super::steps::Steps;
use super::{Contradiction, Limit, Moment, Store};
use crate::table::Map;

/// The position at which Data end that have not ended.
pub(super) const NEVER: Position = Position::MAX;

/// Every Data there ever was.
#[derive(Debug, Clone, Default)]
pub(super) struct DataTable {
    pub(super) ids: Ids<DataRow>,
    pub(super) records: Column<DataRow, DataRecord>,
    /// Changes of tags, in the order of the log.
    pub(super) retags: Column<RetagRow, Retag>,
    /// Volumes that are not named as is the custom.
    pub(super) odd_volumes: Map<DataRow, VolumeRef>,
    /// The Data that ever had each set of tags.
    pub(super) ever_with: Chains<SetRow, DataRow>,
}

/// One Data.
#[derive(Debug, Clone, Copy)]
pub(super) struct DataRecord {
    /// The Run that makes it.
    pub(super) run: RunRow,
    /// The step that began the attempt that makes it.
    pub(super) born: StepRow,
    /// Number of the output (or log) in the Run's Plan.
    pub(super) point: u32,
    /// Its tags now.
    pub(super) tags: SetRow,
    /// The last change of its tags.
    pub(super) retagged: Option<RetagRow>,
    /// The Data that was reserved for the same Run just before.
    pub(super) elder: Option<DataRow>,
    pub(super) first_use: Option<EdgeRow>,
    pub(super) last_use: Option<EdgeRow>,
    /// Where it, or its Run with it, was discarded; [`NEVER`] while it exists.
    pub(super) gone: Position,
}

/// A change of a Data's tags.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retag {
    pub(super) position: Position,
    pub(super) data: DataRow,
    /// Its tags before.
    pub(super) before: SetRow,
    /// The change before this one of the same Data.
    pub(super) previous: Option<RetagRow>,
}

impl DataTable {
    /// The row of a Data that existed then.
    pub(super) fn row(&self, id: KnitId, limit: Limit, steps: &Steps) -> Option<DataRow> {
        self.ids.row(id.0).filter(|row| self.exists(*row, limit, steps))
    }

    /// Whether a Data existed then.
    pub(super) fn exists(&self, row: DataRow, limit: Limit, steps: &Steps) -> bool {
        let record = &self.records[row];
        limit.covers(steps.steps[record.born].position) && !limit.covers(record.gone)
    }

    /// The id of a Data.
    pub(super) fn id(&self, row: DataRow) -> KnitId {
        KnitId(self.ids.id(row))
    }

    /// The tags a Data had then.
    pub(super) fn tags(&self, row: DataRow, limit: Limit) -> SetRow {
        let record = &self.records[row];
        let (mut tags, mut next) = (record.tags, record.retagged);
        while let Some(retag) = next.map(|row| self.retags[row]) {
            if limit.covers(retag.position) {
                break;
            }
            (tags, next) = (retag.before, retag.previous);
        }
        tags
    }

    /// The volume of a Data.
    pub(super) fn volume(&self, row: DataRow) -> VolumeRef {
        self.odd_volumes.get(&row).cloned().unwrap_or_else(|| VolumeRef::of(self.id(row)))
    }

    /// The longest of the lists in here.
    pub(super) fn rows_used(&self) -> usize {
        self.ids.len().max(self.retags.len()).max(self.ever_with.len())
    }

    /// Bytes of heap held.
    pub(super) fn heap_bytes(&self) -> usize {
        let columns = self.records.heap_bytes() + self.retags.heap_bytes();
        self.ids.heap_bytes() + columns + self.ever_with.heap_bytes() + self.odd_volumes.heap_bytes()
    }
}

impl Store {
    /// Folds an event of the Data `id`.
    pub(super) fn apply_data(&mut self, id: KnitId, event: &DataEvent, moment: Moment) -> Result<(), Contradiction> {
        let row = self.data.ids.row(id.0).ok_or(Contradiction::UnknownData { id })?;
        match event {
            DataEvent::DataReserved { run_id, .. } => self.check_reserved(row, id, *run_id),
            DataEvent::DataTagsChanged { added, removed } => {
                self.check_exists(row, id)?;
                self.retag(row, removed, added, moment.position);
                Ok(())
            }
            DataEvent::DataDiscarded { .. } | DataEvent::LogRedacted { .. } => {
                if !self.was_let_go(row) {
                    self.check_exists(row, id)?;
                    self.data.records[row].gone = moment.position;
                }
                Ok(())
            }
            DataEvent::VolumeReclaimed { .. } => Ok(()),
        }
    }

    /// The Run's own event has made the Data already; the Data's says the same again.
    fn check_reserved(&self, row: DataRow, id: KnitId, run: RunId) -> Result<(), Contradiction> {
        if self.runs.id(self.data.records[row].run) == run { Ok(()) } else { Err(Contradiction::DataExists { id }) }
    }

    /// The Data of a Run that is retried or deleted are gone with the event of the Run; their own events, later in the
    /// same append, say the same again. Between them they would be Data that no Run has made.
    pub(super) fn let_go(&mut self, run: RunRow, discarded: &[KnitId], position: Position) {
        for row in discarded.iter().filter_map(|id| self.data.ids.row(id.0)) {
            let record = &mut self.data.records[row];
            if record.run == run && record.gone == NEVER {
                record.gone = position;
            }
        }
    }

    /// Whether it went with an event of its Run.
    fn was_let_go(&self, row: DataRow) -> bool {
        let DataRecord { run, gone, .. } = self.data.records[row];
        let mut life = self.runs.steps.back_from(self.runs.records[run].newest, Limit::NOW);
        gone != NEVER && life.any(|(_, step)| step.position == gone)
    }

    fn check_exists(&self, row: DataRow, id: KnitId) -> Result<(), Contradiction> {
        if self.data.records[row].gone == NEVER { Ok(()) } else { Err(Contradiction::UnknownData { id }) }
    }

    fn retag(&mut self, data: DataRow, removed: &BTreeSet<Tag>, added: &BTreeSet<Tag>, position: Position) {
        let DataRecord { tags: before, retagged: previous, .. } = self.data.records[data];
        let after = self.tags.changed_set(before, removed, added);
        if after == before {
            return;
        }
        let retag = self.data.retags.push(Retag { position, data, before, previous });
        let record = &mut self.data.records[data];
        (record.tags, record.retagged) = (after, Some(retag));
        self.data.ever_with.add(after, data);
    }

    /// The number of the point of each output, if all of them can be made.
    pub(super) fn check_outputs(&self, plan: PlanRow, outputs: &[OutputData]) -> Result<Vec<u32>, Contradiction> {
        let record = self.plans.record(plan);
        let check = |output: &OutputData| {
            if self.data.ids.row(output.knit_id.0).is_some() {
                return Err(Contradiction::DataExists { id: output.knit_id });
            }
            let number = record.number_of_output(&output.path, output.log);
            number.ok_or_else(|| Contradiction::NoSuchOutput { path: output.path.clone() })
        };
        let twice = (1..outputs.len()).find(|at| outputs[..*at].iter().any(|o| o.knit_id == outputs[*at].knit_id));
        if let Some(at) = twice {
            return Err(Contradiction::DataExists { id: outputs[at].knit_id });
        }
        outputs.iter().map(check).collect()
    }

    /// Makes the Data of an attempt that begins with the step `born`.
    pub(super) fn make_data(&mut self, run: RunRow, born: StepRow, outputs: &[OutputData], points: &[u32]) {
        for (output, point) in outputs.iter().zip(points) {
            let row = self.data.ids.add(output.knit_id.0);
            let tags = self.tags.intern_set(&output.tags);
            let elder = self.runs.records[run].newest_data.replace(row);
            self.data.records.push(DataRecord {
                run,
                born,
                point: *point,
                tags,
                retagged: None,
                elder,
                first_use: None,
                last_use: None,
                gone: NEVER,
            });
            self.data.ever_with.add(tags, row);
            if output.volume_ref != VolumeRef::of(output.knit_id) {
                self.data.odd_volumes.insert(row, output.volume_ref.clone());
            }
        }
    }

    /// Appends a use to those of a Data.
    pub(super) fn link_use(&mut self, data: DataRow, edge: EdgeRow) {
        let record = &mut self.data.records[data];
        match record.last_use.replace(edge) {
            Some(before) => self.runs.edges[before].next_use = Some(edge),
            None => record.first_use = Some(edge),
        }
    }

    /// The uses of a Data by Runs that existed then and were not deleted, oldest first.
    pub(super) fn live_uses(&self, data: DataRow, limit: Limit) -> impl Iterator<Item = Edge> {
        self.uses(data).filter(move |edge| self.is_live(edge.run, limit))
    }

    /// All uses of a Data there ever were, oldest first.
    pub(super) fn uses(&self, data: DataRow) -> impl Iterator<Item = Edge> {
        let mut next = self.data.records[data].first_use;
        std::iter::from_fn(move || {
            let edge = self.runs.edges[next?];
            next = edge.next_use;
            Some(edge)
        })
    }

    /// The Data of the attempt that a Run was at then, in the order of the event that reserved them.
    pub(super) fn outputs(&self, run: RunRow, limit: Limit) -> Vec<DataRow> {
        let step = |data: &DataRow| self.data.records[*data].born;
        let begun = |data: &DataRow| limit.covers(self.runs.steps.steps[step(data)].position);
        let reserved = std::iter::successors(self.runs.records[run].newest_data, |data| self.data.records[*data].elder);
        let mut reserved = reserved.skip_while(|data| !begun(data)).peekable();
        let Some(attempt) = reserved.peek().map(step) else { return Vec::new() };
        let mut outputs: Vec<DataRow> = reserved.take_while(|data| step(data) == attempt).collect();
        outputs.reverse();
        outputs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_costs_forty_bytes_and_a_change_of_tags_twenty_four() {
        assert_eq!((size_of::<DataRecord>(), size_of::<Retag>()), (40, 24));
    }
}
