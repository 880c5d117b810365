//! Reading a snapshot of the store back.
//!
//! Blocks refer to blocks before them, with two exceptions that are settled at the end: Runs say how
//! many inputs they have before the edges come, and the tags that Data had in between are indexed when
//! all changes are known.

use knit_domain::event::Position;
use knit_domain::id::{PlanId, VolumeRef};
use knit_domain::plan::{Plan, PlanKind};
use knit_domain::time::Timestamp;
use knit_schemas::proto::store as message;
use knit_schemas::proto::store::record::Block;
use uuid::Uuid;

use super::super::column::{Column, DataRow, EdgeRow, PlanRow, Row, RunRow, StepRow};
use super::super::data::{DataRecord, NEVER, Retag};
use super::super::intern::{Ids, Texts};
use super::super::runs::{Edge, RunRecord};
use super::super::steps::{Beside, Decided, KeptLog, Spawned, Step, StepKind};
use super::super::{Moment, Store, plans};
use super::CAUSES;
use crate::snapshot::DamagedSnapshot;

type Outcome<T = ()> = Result<T, DamagedSnapshot>;

/// Builds the store at `position` from its blocks.
pub(in crate::store) fn read(
    position: Position,
    records: &mut dyn Iterator<Item = Result<message::Record, DamagedSnapshot>>,
) -> Outcome<Store> {
    let mut store = Store { position, ..Store::default() };
    for record in records {
        let block = record?.block.ok_or_else(|| damaged("a record without a block"))?;
        store.take(block)?;
    }
    store.settle_edges()?;
    store.settle_tags();
    Ok(store)
}

fn damaged(reason: &str) -> DamagedSnapshot {
    DamagedSnapshot::contradiction(reason)
}

/// The row with a number, if it is one of `rows` rows.
fn row<R: Row>(number: u32, rows: usize) -> Outcome<R> {
    let at = (number as usize).checked_sub(1).filter(|at| *at < rows);
    at.and_then(R::at).ok_or_else(|| damaged("a number without a row"))
}

fn optional_row<R: Row>(number: u32, rows: usize) -> Outcome<Option<R>> {
    if number == 0 { Ok(None) } else { row(number, rows).map(Some) }
}

/// What has `number` in a list, counted from 1.
fn numbered<T: Copy>(all: &[T], number: u32) -> Outcome<T> {
    let at = (number as usize).checked_sub(1);
    at.and_then(|at| all.get(at)).copied().ok_or_else(|| damaged("a number without a meaning"))
}

fn check_lengths<const N: usize>(lengths: [usize; N]) -> Outcome<usize> {
    let first = lengths.first().copied().unwrap_or(0);
    if lengths.iter().all(|length| *length == first) { Ok(first) } else { Err(damaged("lists of unequal length")) }
}

fn uuids(bytes: &[u8]) -> Outcome<Vec<Uuid>> {
    let (ids, rest) = bytes.as_chunks::<16>();
    if rest.is_empty() { Ok(ids.iter().map(|id| Uuid::from_bytes(*id)).collect()) } else { Err(damaged("half an id")) }
}

fn add_ids<R: Row>(ids: &mut Ids<R>, added: &[Uuid]) -> Outcome {
    for id in added {
        if ids.row(*id).is_some() {
            return Err(damaged("an id twice"));
        }
        ids.add(*id);
    }
    Ok(())
}

fn add_texts(texts: &mut Texts, added: &[String]) -> Outcome {
    for text in added {
        let before = texts.len();
        texts.intern(text);
        if texts.len() == before {
            return Err(damaged("a text twice"));
        }
    }
    Ok(())
}

fn add_beside<T>(beside: &mut Beside<T>, steps: usize, step: u32, value: T) -> Outcome {
    let step: StepRow = row(step, steps)?;
    if beside.last().is_some_and(|last| last >= step) {
        return Err(damaged("steps out of order"));
    }
    beside.add(step, value);
    Ok(())
}

impl Store {
    fn take(&mut self, block: Block) -> Outcome {
        match block {
            Block::TagTexts(block) => add_texts(self.tags.texts_mut(), &block.text),
            Block::Tags(block) => self.take_tags(&block),
            Block::TagSets(block) => self.take_tag_sets(&block),
            Block::Texts(block) => add_texts(&mut self.texts, &block.text),
            Block::Plan(block) => self.take_plan(&block),
            Block::PlanAttributes(block) => self.take_attributes(&block),
            Block::Steps(block) => self.take_steps(&block),
            Block::Decisions(block) => self.take_decisions(&block),
            Block::Workers(block) => self.take_workers(&block),
            Block::LogTails(block) => self.take_log_tails(&block),
            Block::Runs(block) => self.take_runs(&block),
            Block::Data(block) => self.take_data(&block),
            Block::Edges(block) => self.take_edges(&block),
            Block::Retags(block) => self.take_retags(&block),
            Block::OddVolumes(block) => self.take_odd_volumes(block),
        }
    }

    fn take_tags(&mut self, block: &message::Tags) -> Outcome {
        check_lengths([block.key.len(), block.value.len()])?;
        let texts = self.tags.texts().len();
        for (key, value) in block.key.iter().zip(&block.value) {
            let before = self.tags.len();
            self.tags.intern_pair((row(*key, texts)?, row(*value, texts)?));
            if self.tags.len() == before {
                return Err(damaged("a tag twice"));
            }
        }
        Ok(())
    }

    fn take_tag_sets(&mut self, block: &message::TagSets) -> Outcome {
        let mut rest = block.tag.as_slice();
        for size in &block.size {
            let (members, after) =
                rest.split_at_checked(*size as usize).ok_or_else(|| damaged("half a set of tags"))?;
            rest = after;
            let members = members.iter().map(|tag| row(*tag, self.tags.len())).collect::<Outcome<Vec<_>>>()?;
            let before = self.tags.sets_len();
            self.tags.intern_members(members);
            if self.tags.sets_len() == before {
                return Err(damaged("a set of tags twice"));
            }
        }
        if rest.is_empty() { Ok(()) } else { Err(damaged("tags without a set")) }
    }

    fn take_plan(&mut self, block: &message::Plan) -> Outcome {
        let id = Uuid::from_slice(&block.id).map_err(|_| damaged("half an id"))?;
        let kind: PlanKind = serde_json::from_str(&block.kind).map_err(|_| damaged("a Plan that does not read"))?;
        let attributes = read_attributes(&block.attributes)?;
        if self.plans.row(PlanId(id), super::super::Limit::NOW).is_some() {
            return Err(damaged("a Plan twice"));
        }
        self.plans.add(PlanId(id), kind, vec![(block.position, attributes)], &mut self.tags);
        Ok(())
    }

    fn take_attributes(&mut self, block: &message::PlanAttributes) -> Outcome {
        let plan: PlanRow = row(block.plan, self.plans.len())?;
        let attributes = read_attributes(&block.attributes)?;
        self.plans.add_attributes(plan, block.position, attributes).ok_or_else(|| damaged("attributes out of order"))
    }

    fn take_steps(&mut self, block: &message::Steps) -> Outcome {
        let message::Steps { position, recorded_at, previous, kind } = block;
        let rows = check_lengths([position.len(), recorded_at.len(), previous.len(), kind.len()])?;
        for at in 0..rows {
            // Only a step that is there already can come before: so no life runs in a circle.
            let previous = optional_row(previous[at], self.runs.steps.steps.len())?;
            let moment =
                Moment::new(position[at], Timestamp(recorded_at[at])).map_err(|why| damaged(&why.to_string()))?;
            let kind = numbered(&StepKind::ALL, kind[at])?;
            let Moment { position, recorded_at } = moment;
            self.runs.steps.steps.push(Step { position, recorded_at, previous, kind });
        }
        Ok(())
    }

    fn take_decisions(&mut self, block: &message::Decisions) -> Outcome {
        let message::Decisions { step, code, message, cause } = block;
        let rows = check_lengths([step.len(), code.len(), message.len(), cause.len()])?;
        let steps = self.runs.steps.steps.len();
        for at in 0..rows {
            let code = code[at].checked_sub(1).map(u8::try_from).transpose();
            let code = code.map_err(|_| damaged("an exit code beyond 255"))?;
            let reason = row(message[at], self.texts.len())?;
            let decided = Decided { code, reason, cause: numbered(&CAUSES, cause[at])? };
            add_beside(&mut self.runs.steps.decisions, steps, step[at], decided)?;
        }
        Ok(())
    }

    fn take_workers(&mut self, block: &message::Workers) -> Outcome {
        let message::Workers { step, uid, image_digest, notes, note } = block;
        let rows = check_lengths([step.len(), uid.len(), image_digest.len(), notes.len()])?;
        let (steps, texts) = (self.runs.steps.steps.len(), self.texts.len());
        let mut rest = note.as_slice();
        for at in 0..rows {
            let (own, after) = rest.split_at_checked(notes[at] as usize).ok_or_else(|| damaged("half the notes"))?;
            rest = after;
            let worker = Spawned {
                uid: row(uid[at], texts)?,
                image_digest: optional_row(image_digest[at], texts)?,
                notes: own.iter().map(|note| row(*note, texts)).collect::<Outcome<_>>()?,
            };
            add_beside(&mut self.runs.steps.workers, steps, step[at], worker)?;
        }
        if rest.is_empty() { Ok(()) } else { Err(damaged("notes without a Worker")) }
    }

    fn take_log_tails(&mut self, block: &message::LogTails) -> Outcome {
        let message::LogTails { step, sha256, bytes, total_bytes } = block;
        let rows = check_lengths([step.len(), sha256.len(), bytes.len(), total_bytes.len()])?;
        let steps = self.runs.steps.steps.len();
        for at in 0..rows {
            let sha256 = row(sha256[at], self.texts.len())?;
            let kept = KeptLog { sha256, bytes: bytes[at], total_bytes: total_bytes[at] };
            add_beside(&mut self.runs.steps.log_tails, steps, step[at], kept)?;
        }
        Ok(())
    }

    fn take_runs(&mut self, block: &message::Runs) -> Outcome {
        let message::Runs { id, plan, newest, attempt, inputs } = block;
        let ids = uuids(id)?;
        let rows = check_lengths([ids.len(), plan.len(), newest.len(), attempt.len(), inputs.len()])?;
        add_ids(&mut self.runs.ids, &ids)?;
        let mut edges_end = self.runs.records.last().map_or(0, |last| self.runs.records[last].edges_end);
        for at in 0..rows {
            edges_end = edges_end.checked_add(inputs[at]).ok_or_else(|| damaged("more edges than rows"))?;
            self.runs.records.push(RunRecord {
                plan: row(plan[at], self.plans.len())?,
                newest: row(newest[at], self.runs.steps.steps.len())?,
                attempt: attempt[at],
                edges_end,
                newest_data: None,
            });
        }
        Ok(())
    }

    fn take_data(&mut self, block: &message::Data) -> Outcome {
        let message::Data { id, run, born, point, tags, gone } = block;
        let ids = uuids(id)?;
        let rows = check_lengths([ids.len(), run.len(), born.len(), point.len(), tags.len(), gone.len()])?;
        let first = self.data.ids.len();
        add_ids(&mut self.data.ids, &ids)?;
        for at in 0..rows {
            let run: RunRow = row(run[at], self.runs.records.len())?;
            let own = DataRow::at(first + at).ok_or_else(|| damaged("more Data than rows"))?;
            self.data.records.push(DataRecord {
                run,
                born: row(born[at], self.runs.steps.steps.len())?,
                point: point[at],
                tags: row(tags[at], self.tags.sets_len())?,
                retagged: None,
                elder: self.runs.records[run].newest_data.replace(own),
                first_use: None,
                last_use: None,
                gone: if gone[at] == 0 { NEVER } else { gone[at] },
            });
        }
        Ok(())
    }

    fn take_edges(&mut self, block: &message::Edges) -> Outcome {
        check_lengths([block.data.len(), block.input.len()])?;
        let first_run = RunRow::at(0).ok_or_else(|| damaged("no rows at all"))?;
        for (data, input) in block.data.iter().zip(&block.input) {
            let data = row(*data, self.data.records.len())?;
            self.runs.edges.push(Edge { data, run: first_run, input: *input, next_use: None });
        }
        Ok(())
    }

    fn take_retags(&mut self, block: &message::Retags) -> Outcome {
        let message::Retags { position, data, before } = block;
        let rows = check_lengths([position.len(), data.len(), before.len()])?;
        for at in 0..rows {
            let data: DataRow = row(data[at], self.data.records.len())?;
            let before = row(before[at], self.tags.sets_len())?;
            let previous = self.data.records[data].retagged;
            let retag = self.data.retags.push(Retag { position: position[at], data, before, previous });
            self.data.records[data].retagged = Some(retag);
        }
        Ok(())
    }

    fn take_odd_volumes(&mut self, block: message::OddVolumes) -> Outcome {
        check_lengths([block.data.len(), block.volume.len()])?;
        for (data, volume) in block.data.into_iter().zip(block.volume) {
            let data: DataRow = row(data, self.data.records.len())?;
            self.data.odd_volumes.insert(data, VolumeRef(volume));
        }
        Ok(())
    }

    /// Gives every edge its Run and links the uses of every Data, as folding would have done.
    fn settle_edges(&mut self) -> Outcome {
        let claimed = self.runs.records.last().map_or(0, |last| self.runs.records[last].edges_end);
        if claimed as usize != self.runs.edges.len() {
            return Err(damaged("edges without a Run, or inputs without an edge"));
        }
        let runs: Vec<RunRow> = self.runs.ids.rows().collect();
        for run in runs {
            let own: Vec<EdgeRow> = self.runs.inputs(run).map(|(row, _)| row).collect();
            for edge in own {
                self.runs.edges[edge].run = run;
                self.link_use(self.runs.edges[edge].data, edge);
            }
        }
        Ok(())
    }

    /// Lists every Data under every set of tags that it ever had.
    fn settle_tags(&mut self) {
        let retags: &Column<_, Retag> = &self.data.retags;
        let before = retags.cells().map(|retag| (retag.before, retag.data));
        let now = self.data.records.rows().map(|row| (self.data.records[row].tags, row));
        let all: Vec<_> = before.chain(now).collect();
        for (tags, data) in all {
            self.data.ever_with.add(tags, data);
        }
    }
}

fn read_attributes(text: &str) -> Outcome<plans::Attributes> {
    let plan: Plan = serde_json::from_str(text).map_err(|_| damaged("attributes that do not read"))?;
    plans::check_quantities(&plan).map_err(|why| damaged(&why.to_string()))?;
    Ok(plan)
}
