//! The matcher as records of a snapshot, and back.
//!
//! Discarded Data leave no record, so Data are numbered anew; nothing in a record depends on their
//! numbers, only on their order.

use knit_domain::event::Position;
use knit_domain::id::{KnitId, PlanId, RunId};
use knit_domain::tag::{Tag, TagSet};
use knit_domain::time::Timestamp;
use knit_schemas::proto::matcher as proto;
use knit_schemas::proto::matcher::Record;
use knit_schemas::proto::matcher::record::Content;
use uuid::Uuid;

use super::Matcher;
use super::data::Usable;
use super::numbers::{InputNo, PlanNo, TagNo};
use super::plans::{Input, Plan};
use super::runs::Unfinished;
use crate::snapshot::DamagedSnapshot;

/// Runs in one record: enough to make the overhead vanish, few enough for small records.
const RUNS_PER_RECORD: usize = 4_096;

type Damage = DamagedSnapshot;

impl Matcher {
    pub(super) fn put_records(&self, put: &mut dyn FnMut(Record)) {
        let mut put = |content| put(Record { content: Some(content) });
        for tag in self.tags.iter() {
            put(Content::Tag(tag_record(tag)));
        }
        for plan in self.plans.iter() {
            put(Content::Plan(self.plan_record(plan)));
        }
        for (_, data) in self.data.iter() {
            put(Content::Data(data_record(data)));
        }
        for runs in self.runs.projected.sorted().chunks(RUNS_PER_RECORD) {
            let run_ids = runs.iter().flat_map(|(run, _)| run.0.into_bytes()).collect();
            let plans = runs.iter().map(|(_, plan)| plan.0).collect();
            put(Content::Runs(proto::Runs { run_ids, plans }));
        }
        for (run, unfinished) in self.runs.unfinished.sorted() {
            put(Content::Unfinished(self.unfinished_record(*run, unfinished)));
        }
    }

    fn plan_record(&self, plan: &Plan) -> proto::Plan {
        let tags = |input: &Input| input.asks.iter().map(tag_record).collect();
        let inputs = self.plans.inputs_of(plan);
        let inputs = inputs.map(|input| proto::Input { path: input.path.to_string(), tags: tags(input) });
        proto::Plan { plan_id: bytes(plan.plan_id.0), inputs: inputs.collect(), arrivals: plan.arrivals }
    }

    fn unfinished_record(&self, run: RunId, unfinished: &Unfinished) -> proto::Unfinished {
        let outputs = unfinished.outputs.iter().filter_map(|knit_id| {
            let expected = self.runs.expected.get(knit_id)?;
            Some(proto::Expected { knit_id: bytes(knit_id.0), tags: expected.tags.iter().map(|tag| tag.0).collect() })
        });
        let plan = unfinished.plan.map(|plan| plan.0);
        proto::Unfinished { run_id: bytes(run.0), plan, outputs: outputs.collect() }
    }

    pub(super) fn rebuild(
        position: Position,
        records: &mut dyn Iterator<Item = Result<Record, Damage>>,
    ) -> Result<Self, Damage> {
        let mut matcher = Self { position, ..Self::default() };
        for record in records {
            match record?.content {
                Some(Content::Tag(tag)) => matcher.take_tag(tag)?,
                Some(Content::Plan(plan)) => matcher.take_plan(plan)?,
                Some(Content::Data(data)) => matcher.take_data(&data)?,
                Some(Content::Runs(runs)) => matcher.take_runs(&runs)?,
                Some(Content::Unfinished(unfinished)) => matcher.take_unfinished(&unfinished)?,
                None => return Err(Damage::contradiction("a record is empty")),
            }
        }
        Ok(matcher)
    }

    fn take_tag(&mut self, tag: proto::Tag) -> Result<(), Damage> {
        let expected = TagNo::at(self.tags.len());
        let number = self.tags.number(&Tag::new(tag.key, tag.value));
        if number == expected { Ok(()) } else { Err(Damage::contradiction("a tag occurs twice")) }
    }

    fn take_plan(&mut self, plan: proto::Plan) -> Result<(), Damage> {
        let plan_id = PlanId(uuid(&plan.plan_id)?);
        if self.plans.find(plan_id).is_some() {
            return Err(Damage::contradiction("a Plan occurs twice"));
        }
        let inputs: Vec<(String, TagSet)> =
            plan.inputs.into_iter().map(|input| (input.path, tag_set(input.tags))).collect();
        let tags_before = self.tags.len();
        let number = PlanNo::at(self.plans.len());
        self.plans.add(plan_id, inputs.iter().map(|(path, tags)| (path.as_str(), tags)), &mut self.tags);
        self.plans.of_mut(number).arrivals = plan.arrivals;
        if self.tags.len() == tags_before { Ok(()) } else { Err(Damage::contradiction("a Plan's tag is missing")) }
    }

    fn take_data(&mut self, record: &proto::Data) -> Result<(), Damage> {
        let knit_id = KnitId(uuid(&record.knit_id)?);
        if self.data.find(knit_id).is_some() || record.inputs.len() != record.arrivals.len() {
            return Err(Damage::contradiction("a Data occurs twice, or lacks a pair"));
        }
        let tags = self.known_tags(&record.tags)?;
        let pairs: Vec<_> =
            record.inputs.iter().map(|input| InputNo(*input)).zip(record.arrivals.iter().copied()).collect();
        let data = Usable { knit_id, timestamp: Timestamp(record.timestamp_ms), tags, pairs: pairs.clone() };
        let number = self.add_usable(data);
        for (input, arrival) in pairs {
            if input.place() >= self.plans.inputs_len() {
                return Err(Damage::contradiction("a pair is of an unknown input"));
            }
            let plan = self.plans.input(input).plan;
            let in_time = arrival < self.plans.of(plan).arrivals;
            let pairs = &mut self.plans.input_mut(input).pairs;
            let is_taken = pairs.from(|(other, _)| *other < arrival).next().is_some_and(|(other, _)| *other == arrival);
            if !in_time || is_taken || !pairs.insert((arrival, number)) {
                return Err(Damage::contradiction("two pairs have one place, or one comes after the last"));
            }
        }
        Ok(())
    }

    fn take_runs(&mut self, runs: &proto::Runs) -> Result<(), Damage> {
        let (ids, rest) = runs.run_ids.as_chunks::<16>();
        if !rest.is_empty() || ids.len() != runs.plans.len() {
            return Err(Damage::contradiction("a list of Runs is cut off"));
        }
        for (id, plan) in ids.iter().zip(&runs.plans) {
            let plan = self.known_plan(*plan)?;
            self.plans.of_mut(plan).runs += 1;
            self.runs.projected.insert(RunId(Uuid::from_bytes(*id)), plan);
        }
        Ok(())
    }

    fn take_unfinished(&mut self, record: &proto::Unfinished) -> Result<(), Damage> {
        let run = RunId(uuid(&record.run_id)?);
        let plan = record.plan.map(|plan| self.known_plan(plan)).transpose()?;
        if let Some(plan) = plan {
            self.plans.of_mut(plan).pending += 1;
        }
        if self.runs.unfinished.insert(run, Unfinished { plan, outputs: Vec::new() }).is_some() {
            return Err(Damage::contradiction("a Run occurs twice"));
        }
        for output in &record.outputs {
            let tags = self.known_tags(&output.tags)?;
            self.runs.expect(run, KnitId(uuid(&output.knit_id)?), tags);
        }
        Ok(())
    }

    fn known_plan(&self, plan: u32) -> Result<PlanNo, Damage> {
        let known = (plan as usize) < self.plans.len();
        known.then_some(PlanNo(plan)).ok_or_else(|| Damage::contradiction("a Run is of an unknown Plan"))
    }

    fn known_tags(&self, tags: &[u32]) -> Result<Box<[TagNo]>, Damage> {
        let sorted = tags.is_sorted_by(|tag, next| tag < next);
        if !sorted || tags.last().is_some_and(|tag| *tag as usize >= self.tags.len()) {
            return Err(Damage::contradiction("a Data has unknown or repeated tags"));
        }
        Ok(tags.iter().map(|tag| TagNo(*tag)).collect())
    }
}

fn data_record(data: &Usable) -> proto::Data {
    proto::Data {
        knit_id: bytes(data.knit_id.0),
        timestamp_ms: data.timestamp.0,
        tags: data.tags.iter().map(|tag| tag.0).collect(),
        inputs: data.pairs.iter().map(|(input, _)| input.0).collect(),
        arrivals: data.pairs.iter().map(|(_, arrival)| *arrival).collect(),
    }
}

fn tag_record(tag: &Tag) -> proto::Tag {
    proto::Tag { key: tag.key.clone(), value: tag.value.clone() }
}

fn tag_set(tags: Vec<proto::Tag>) -> TagSet {
    tags.into_iter().map(|tag| Tag::new(tag.key, tag.value)).collect()
}

fn bytes(id: Uuid) -> Vec<u8> {
    id.into_bytes().to_vec()
}

fn uuid(bytes: &[u8]) -> Result<Uuid, Damage> {
    Uuid::from_slice(bytes).map_err(|_| Damage::contradiction("an id has not sixteen bytes"))
}
