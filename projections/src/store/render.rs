//! Rendering: Data, Runs and Plans in the shapes of the wire (web-api 4).

pub(super) mod drawing;
pub(super) mod json;
mod plans;

use knit_domain::id::{KnitId, RunId};
use knit_domain::run::Status;
use knit_domain::tag::{KEY_ID, KEY_TIMESTAMP, KEY_TRANSIENT, TagSet};
use knit_domain::time::Timestamp;
use knit_schemas::api;
use knit_schemas::instant::Instant;

use super::column::{DataRow, RunRow};
use super::plans::{Offer, Point};
use super::runs::Edge;
use super::steps::{Decided, Standing};
use super::{At, Limit, Store};

/// An instant of the log as the wire has it.
pub(super) fn instant(timestamp: Timestamp) -> Instant {
    Instant::from_unix_ms(timestamp.0).expect("instants beyond the calendar are refused when they are folded")
}

/// Tags of a Plan; they are sorted already.
pub(super) fn tags_of(tags: &TagSet) -> Vec<api::Tag> {
    tags.iter().map(|tag| api::Tag::new(&tag.key, &tag.value)).collect()
}

impl Store {
    /// A Data and its neighbours; `None` if it did not exist then.
    #[must_use]
    pub fn data(&self, id: KnitId, at: At) -> Option<api::DataDetail> {
        let limit = at.limit();
        let row = self.data.row(id, limit, &self.runs.steps)?;
        Some(api::DataDetail {
            knit_id: id.to_string(),
            tags: self.all_tags(row, limit),
            upstream: self.upstream(row, limit)?,
            downstreams: self.live_uses(row, limit).filter_map(|edge| self.downstream(edge, limit)).collect(),
            nomination: self.nomination(row, limit),
        })
    }

    /// A Run with its Data; `None` if it did not exist then. Deleted ones are tombstones.
    #[must_use]
    pub fn run(&self, id: RunId, at: At) -> Option<api::RunDetail> {
        let limit = at.limit();
        let row = self.runs.row(id, limit)?;
        let api::RunSummary { run_id, status, updated_at, exit, plan } = self.run_summary(row, limit)?;
        let (outputs, log) = self.products(row, limit);
        let inputs = self.runs.inputs(row).map(|(_, edge)| self.input_of(edge)).collect();
        Some(api::RunDetail { run_id, status, updated_at, exit, plan, inputs, outputs, log })
    }

    /// A Data as a node of a lineage.
    pub(super) fn lineage_data(&self, row: DataRow, limit: Limit) -> api::LineageData {
        api::LineageData { knit_id: self.data.id(row).to_string(), tags: self.all_tags(row, limit) }
    }

    /// A Run as a node of a lineage.
    pub(super) fn lineage_run(&self, row: RunRow, limit: Limit) -> Option<api::LineageRun> {
        let Standing { status, updated_at, decided } = self.runs.standing(row, limit)?;
        let record = &self.runs.records[row];
        let plan = self.plans.record(record.plan);
        let edge =
            |mountpoint: api::RunMountpoint| api::LineageEdge { path: mountpoint.path, knit_id: mountpoint.knit_id };
        let (outputs, log) = self.products(row, limit);
        let there = |id: &String| !id.is_empty();
        Some(api::LineageRun {
            run_id: self.runs.id(row).to_string(),
            status: status.under(plan.at(limit).active).to_string(),
            updated_at: instant(updated_at),
            started_at: self.runs.started_at(row, limit).map(instant),
            exit: decided.and_then(Decided::exit).map(|exit| self.rendered_exit(exit)),
            plan_id: self.plans.id(record.plan).to_string(),
            inputs: self.runs.inputs(row).map(|(_, input)| edge(self.input_of(input))).collect(),
            outputs: outputs.into_iter().filter(|output| there(&output.knit_id)).map(edge).collect(),
            log: log.map(|log| log.knit_id).filter(there),
        })
    }

    /// User tags and derived system tags, sorted.
    fn all_tags(&self, row: DataRow, limit: Limit) -> Vec<api::Tag> {
        let user = self.tags.sorted_pairs(self.data.tags(row, limit)).into_iter();
        let mut tags: Vec<api::Tag> = user.map(|(key, value)| api::Tag::new(key, value)).collect();
        tags.push(api::Tag::new(KEY_ID, self.data.id(row).to_string()));
        tags.extend(self.timestamp(row, limit).map(|at| api::Tag::new(KEY_TIMESTAMP, instant(at).to_string())));
        tags.extend(self.transient(row, limit).map(|why| api::Tag::new(KEY_TRANSIENT, why.as_str())));
        tags.sort_unstable();
        tags
    }

    fn upstream(&self, row: DataRow, limit: Limit) -> Option<api::DataUpstream> {
        let record = &self.data.records[row];
        let run = self.run_summary(record.run, limit)?;
        let point = self.plans.record(self.runs.records[record.run].plan).point(record.point)?;
        let tags = point.tags.map(tags_of).unwrap_or_default();
        Some(if point.log {
            api::DataUpstream { mountpoint: None, log: Some(api::LogPoint { tags }), run }
        } else {
            let path = point.path.to_owned();
            api::DataUpstream { mountpoint: Some(api::Mountpoint { path, tags }), log: None, run }
        })
    }

    fn downstream(&self, edge: Edge, limit: Limit) -> Option<api::DataDownstream> {
        let run = self.run_summary(edge.run, limit)?;
        let api::RunMountpoint { path, tags, .. } = self.input_of(edge);
        Some(api::DataDownstream { mountpoint: api::Mountpoint { path, tags }, run })
    }

    /// Every input that the Data fits now: all of them, not an arbitrary one (Q17).
    fn nomination(&self, row: DataRow, limit: Limit) -> Vec<api::Nomination> {
        let nominate = |point: Point| {
            let api::Mountpoint { path, tags } = self.plan_input(point)?;
            Some(api::Nomination { path, tags, plan: self.plan_summary(point.plan, limit) })
        };
        self.nominating(row, limit).into_iter().filter_map(nominate).collect()
    }

    fn nominating(&self, row: DataRow, limit: Limit) -> Vec<Point> {
        if self.runs.status(self.data.records[row].run, limit) != Some(Status::Done) {
            return Vec::new();
        }
        let offer =
            Offer { id: self.data.id(row), tags: self.data.tags(row, limit), timestamp: self.timestamp(row, limit) };
        self.plans.inputs_for(offer, &self.tags, limit)
    }

    fn run_summary(&self, row: RunRow, limit: Limit) -> Option<api::RunSummary> {
        let Standing { status, updated_at, decided } = self.runs.standing(row, limit)?;
        let plan = self.runs.records[row].plan;
        Some(api::RunSummary {
            run_id: self.runs.id(row).to_string(),
            status: status.under(self.plans.record(plan).at(limit).active).to_string(),
            updated_at: instant(updated_at),
            exit: decided.and_then(Decided::exit).map(|exit| self.rendered_exit(exit)),
            plan: self.plan_summary(plan, limit),
        })
    }

    fn rendered_exit(&self, exit: (u8, super::column::TextRow)) -> api::Exit {
        let exit = self.exit(exit);
        api::Exit { code: exit.code, message: exit.message }
    }

    fn input_of(&self, edge: Edge) -> api::RunMountpoint {
        let plan = self.runs.records[edge.run].plan;
        let input = self.plan_input(Point { plan, number: edge.input });
        let (path, tags) = input.map(|input| (input.path, input.tags)).unwrap_or_default();
        api::RunMountpoint { path, tags, knit_id: self.data.id(edge.data).to_string() }
    }

    /// What a Run makes: outputs and log. Those of a tombstone are gone and shown without id, as is a log that was redacted.
    fn products(&self, row: RunRow, limit: Limit) -> (Vec<api::RunMountpoint>, Option<api::RunLog>) {
        let plan = self.plans.record(self.runs.records[row].plan);
        let gone = self.runs.status(row, limit) == Some(Status::Invalidated);
        let steps = &self.runs.steps;
        let made: Vec<(u32, String)> = if gone {
            (0..).map_while(|number| plan.point(number).map(|_| (number, String::new()))).collect()
        } else {
            let outputs = self.outputs(row, limit).into_iter();
            let id = |data| {
                if self.data.exists(data, limit, steps) { self.data.id(data).to_string() } else { String::new() }
            };
            outputs.map(|data| (self.data.records[data].point, id(data))).collect()
        };
        let (mut outputs, mut log) = (Vec::new(), None);
        for (number, knit_id) in made {
            let Some(point) = plan.point(number) else { continue };
            let tags = point.tags.map(tags_of).unwrap_or_default();
            if point.log {
                log = Some(api::RunLog { tags, knit_id });
            } else {
                outputs.push(api::RunMountpoint { path: point.path.to_owned(), tags, knit_id });
            }
        }
        (outputs, log)
    }
}
