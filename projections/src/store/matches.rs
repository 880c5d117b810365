//! What a Plan found for its inputs at some time, and how many Runs it had: the matcher knows that only of now.
//!
//! Everything that ever had one of the tags that an input asks for is looked at, as a find does in the past.

use knit_domain::id::PlanId;
use knit_domain::run::Status;
use knit_domain::tag::{KEY_ID, KEY_TIMESTAMP, Tag, TagSet};
use knit_domain::time::Timestamp;

use super::column::{DataRow, PlanRow, TagRow};
use super::plans::{Input, Offer};
use super::{At, Limit, Store};
use crate::matcher::{Held, InputMatches, Nearest, PENDING_RUNS_PER_PLAN_MAX, PlanMatches};

/// How near a Data comes to what an input asks for: how many of its tags it has, and whether it is of the right instant.
type Score = (usize, bool);

impl Store {
    /// Why a Plan had the Runs it had, as the matcher would have told it then; `None` for one that was not registered
    /// by then, and for the built-in ones.
    #[must_use]
    pub fn plan_matches(&self, id: PlanId, at: At) -> Option<PlanMatches> {
        let limit = at.limit();
        let row = self.plans.row(id, limit)?;
        let record = self.plans.record(row);
        let inputs = record.definition()?.inputs.iter().zip(&record.inputs);
        let (runs, pending) = self.runs_and_pending(row, limit);
        let max = PENDING_RUNS_PER_PLAN_MAX;
        Some(PlanMatches {
            plan_id: id,
            inputs: inputs.map(|(point, input)| self.input_matches(&point.path, &point.tags, input, limit)).collect(),
            runs,
            pending,
            held: (pending >= max).then_some(Held { pending, max }),
        })
    }

    /// How many Runs of a Plan had been made by then, whatever became of them, and how many of these had not ended.
    fn runs_and_pending(&self, plan: PlanRow, limit: Limit) -> (u32, u32) {
        let of_plan = self.runs.ids.rows().filter(|run| self.runs.records[*run].plan == plan);
        let made = of_plan.filter(|run| {
            let newest = self.runs.records[*run].newest;
            self.runs.steps.back_from(newest, limit).next().is_some()
        });
        made.fold((0, 0), |(runs, pending), run| {
            let status = self.runs.status(run, limit);
            let lives = status.is_some_and(|status| !status.is_finished() && status != Status::Invalidated);
            (runs + 1, pending + u32::from(lives))
        })
    }

    fn input_matches(&self, path: &str, asks: &TagSet, input: &Input, limit: Limit) -> InputMatches {
        let (mut candidates, mut nearest): (usize, Option<(Score, DataRow)>) = (0, None);
        for row in self.near(input, limit) {
            let offer = self.offer(row, limit);
            candidates += usize::from(input.is_filled_by(offer, &self.tags));
            let had = input.tags.iter().filter(|tag| self.tags.has_all(offer.tags, &[**tag])).count();
            let score = (had, input.instant_pin.is_none_or(|pin| offer.timestamp == Some(pin)));
            // Of a Data that is named by its id nothing is asked beforehand; any other has one of the tags at least.
            let comes_near = had > 0 || input.pinned_to.is_some();
            if comes_near && nearest.is_none_or(|(best, _)| best < score) {
                nearest = Some((score, row));
            }
        }
        let nearest = nearest.map(|(_, row)| row).filter(|_| input.is_satisfiable());
        InputMatches {
            path: path.to_owned(),
            tags: asks.iter().cloned().collect(),
            candidates,
            nearest: (candidates == 0).then(|| self.nearest(asks, nearest, limit)),
        }
    }

    /// The Data that could be used then and may come near to what an input asks for, oldest first.
    fn near(&self, input: &Input, limit: Limit) -> Vec<DataRow> {
        let mut rows: Vec<DataRow> = match input.pinned_to {
            Some(id) => self.data.row(id, limit, &self.runs.steps).into_iter().collect(),
            None if input.tags.is_empty() => self.data.ids.rows().collect(),
            None => input.tags.iter().flat_map(|tag| self.ever_with(*tag)).collect(),
        };
        rows.retain(|row| self.is_usable(*row, limit));
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// The Data that ever had a tag, some of them several times.
    fn ever_with(&self, tag: TagRow) -> impl Iterator<Item = DataRow> {
        self.tags.sets_with(tag).flat_map(move |set| self.data.ever_with.of(set))
    }

    fn is_usable(&self, row: DataRow, limit: Limit) -> bool {
        self.data.exists(row, limit, &self.runs.steps)
            && self.runs.status(self.data.records[row].run, limit) == Some(Status::Done)
    }

    fn offer(&self, row: DataRow, limit: Limit) -> Offer {
        Offer { id: self.data.id(row), tags: self.data.tags(row, limit), timestamp: self.timestamp(row, limit) }
    }

    fn nearest(&self, asks: &TagSet, nearest: Option<DataRow>, limit: Limit) -> Nearest {
        let carries = |row: DataRow, tag: &Tag| self.carries(self.offer(row, limit), tag);
        Nearest {
            knit_id: nearest.map(|row| self.data.id(row)),
            missing: asks.iter().filter(|tag| nearest.is_none_or(|row| !carries(row, tag))).cloned().collect(),
            nowhere: asks.iter().filter(|tag| !self.was_anywhere(tag, limit)).cloned().collect(),
        }
    }

    /// Whether a Data has a tag, which may be a pin.
    fn carries(&self, data: Offer, tag: &Tag) -> bool {
        match tag.key.as_str() {
            KEY_ID => tag.value == data.id.to_string(),
            KEY_TIMESTAMP => data.timestamp.is_some() && Timestamp::parse(&tag.value).ok() == data.timestamp,
            _ => self.tags.row(tag).is_some_and(|tag| self.tags.has_all(data.tags, &[tag])),
        }
    }

    /// Whether any Data that could be used then had a tag, which may be a pin.
    fn was_anywhere(&self, tag: &Tag, limit: Limit) -> bool {
        let has = |row: &DataRow| self.is_usable(*row, limit) && self.carries(self.offer(*row, limit), tag);
        match tag.key.as_str() {
            KEY_ID => {
                let named = tag.value.parse().ok().and_then(|id| self.data.row(id, limit, &self.runs.steps));
                named.is_some_and(|row| has(&row))
            }
            KEY_TIMESTAMP => self.data.ids.rows().any(|row| has(&row)),
            _ => self.tags.row(tag).is_some_and(|tag| self.ever_with(tag).any(|row| has(&row))),
        }
    }
}
