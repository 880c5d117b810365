//! Writing a snapshot of the store, in an order in which every number refers to what came before,
//! except where `read` says otherwise.

use knit_schemas::proto::store::record::Block;
use knit_schemas::proto::store::{
    Data, Decisions, Edges, LogTails, OddVolumes, Plan, PlanAttributes, Record, Retags, Runs, Steps, TagSets, Tags,
    Texts, Workers,
};

use super::super::column::{Row as _, RunRow, number_of};
use super::super::data::NEVER;
use super::super::plans::PlanRecord;
use super::super::steps::StepKind;
use super::super::{Store, intern};
use super::{BLOCK_ROWS, BLOCK_TEXT_BYTES, CAUSES, number_in};

type Put<'a> = &'a mut dyn FnMut(Record);

/// Gives every block of the store.
pub(in crate::store) fn write(store: &Store, put: Put<'_>) {
    texts(store.tags.texts(), put, Block::TagTexts);
    tags(store, put);
    texts(&store.texts, put, Block::Texts);
    plans(store, put);
    steps(store, put);
    beside_steps(store, put);
    runs(store, put);
    data(store, put);
    edges(store, put);
    retags(store, put);
    odd_volumes(store, put);
}

fn record(block: Block) -> Record {
    Record { block: Some(block) }
}

fn texts(texts: &intern::Texts, put: Put<'_>, block: fn(Texts) -> Block) {
    let (mut text, mut bytes) = (Vec::new(), 0);
    for each in texts.all() {
        bytes += each.len();
        text.push(each.to_owned());
        if bytes >= BLOCK_TEXT_BYTES || text.len() >= BLOCK_ROWS {
            put(record(block(Texts { text: std::mem::take(&mut text) })));
            bytes = 0;
        }
    }
    if !text.is_empty() {
        put(record(block(Texts { text })));
    }
}

fn tags(store: &Store, put: Put<'_>) {
    for rows in store.tags.stretches() {
        let (key, value) = rows.iter().map(|(key, value)| (key.number(), value.number())).unzip();
        put(record(Block::Tags(Tags { key, value })));
    }
    let mut block = TagSets::default();
    for set in store.tags.sets() {
        let members = store.tags.members(set);
        block.size.push(u32::try_from(members.len()).expect("a set has fewer tags than there are rows"));
        block.tag.extend(members.iter().map(|tag| tag.number()));
        if block.size.len() + block.tag.len() >= BLOCK_ROWS {
            put(record(Block::TagSets(std::mem::take(&mut block))));
        }
    }
    if !block.size.is_empty() {
        put(record(Block::TagSets(block)));
    }
}

fn plans(store: &Store, put: Put<'_>) {
    const WRITABLE: &str = "a Plan is strings, lists and string-keyed maps";
    for row in store.plans.rows() {
        let PlanRecord { kind, attributes: history, .. } = store.plans.record(row);
        for (at, (position, plan)) in history.iter().enumerate() {
            let attributes = serde_json::to_string(plan).expect(WRITABLE);
            put(record(if at == 0 {
                let id = store.plans.id(row).0.as_bytes().to_vec();
                let kind = serde_json::to_string(kind).expect(WRITABLE);
                Block::Plan(Plan { id, kind, position: *position, attributes })
            } else {
                Block::PlanAttributes(PlanAttributes { plan: row.number(), position: *position, attributes })
            }));
        }
    }
}

fn steps(store: &Store, put: Put<'_>) {
    for rows in store.runs.steps.steps.stretches() {
        put(record(Block::Steps(Steps {
            position: rows.iter().map(|step| step.position).collect(),
            recorded_at: rows.iter().map(|step| step.recorded_at.0).collect(),
            previous: rows.iter().map(|step| number_of(step.previous)).collect(),
            kind: rows.iter().map(|step| number_in(&StepKind::ALL, &step.kind)).collect(),
        })));
    }
}

fn beside_steps(store: &Store, put: Put<'_>) {
    for rows in store.runs.steps.decisions.stretches() {
        put(record(Block::Decisions(Decisions {
            step: rows.iter().map(|(step, _)| step.number()).collect(),
            code: rows.iter().map(|(_, decided)| decided.code.map_or(0, |code| u32::from(code) + 1)).collect(),
            message: rows.iter().map(|(_, decided)| decided.reason.number()).collect(),
            cause: rows.iter().map(|(_, decided)| number_in(&CAUSES, &decided.cause)).collect(),
        })));
    }
    for rows in store.runs.steps.workers.stretches() {
        let notes = |count: usize| u32::try_from(count).expect("an event has fewer notes than there are rows");
        put(record(Block::Workers(Workers {
            step: rows.iter().map(|(step, _)| step.number()).collect(),
            uid: rows.iter().map(|(_, worker)| worker.uid.number()).collect(),
            image_digest: rows.iter().map(|(_, worker)| number_of(worker.image_digest)).collect(),
            notes: rows.iter().map(|(_, worker)| notes(worker.notes.len())).collect(),
            note: rows.iter().flat_map(|(_, worker)| worker.notes.iter().map(|note| note.number())).collect(),
        })));
    }
    for rows in store.runs.steps.log_tails.stretches() {
        put(record(Block::LogTails(LogTails {
            step: rows.iter().map(|(step, _)| step.number()).collect(),
            sha256: rows.iter().map(|(_, kept)| kept.sha256.number()).collect(),
            bytes: rows.iter().map(|(_, kept)| kept.bytes).collect(),
            total_bytes: rows.iter().map(|(_, kept)| kept.total_bytes).collect(),
        })));
    }
}

fn runs(store: &Store, put: Put<'_>) {
    let all: Vec<RunRow> = store.runs.ids.rows().collect();
    for (ids, rows) in store.runs.ids.stretches().zip(all.chunks(BLOCK_ROWS)) {
        let records = || rows.iter().map(|row| &store.runs.records[*row]);
        let inputs = |row: &RunRow| u32::try_from(store.runs.inputs(*row).count()).expect("edges are counted in u32");
        put(record(Block::Runs(Runs {
            id: ids.iter().flat_map(|id| *id.as_bytes()).collect(),
            plan: records().map(|run| run.plan.number()).collect(),
            newest: records().map(|run| run.newest.number()).collect(),
            attempt: records().map(|run| run.attempt).collect(),
            inputs: rows.iter().map(inputs).collect(),
        })));
    }
}

fn data(store: &Store, put: Put<'_>) {
    for (ids, rows) in store.data.ids.stretches().zip(store.data.records.stretches()) {
        put(record(Block::Data(Data {
            id: ids.iter().flat_map(|id| *id.as_bytes()).collect(),
            run: rows.iter().map(|data| data.run.number()).collect(),
            born: rows.iter().map(|data| data.born.number()).collect(),
            point: rows.iter().map(|data| data.point).collect(),
            tags: rows.iter().map(|data| data.tags.number()).collect(),
            gone: rows.iter().map(|data| if data.gone == NEVER { 0 } else { data.gone }).collect(),
        })));
    }
}

fn edges(store: &Store, put: Put<'_>) {
    for rows in store.runs.edges.stretches() {
        put(record(Block::Edges(Edges {
            data: rows.iter().map(|edge| edge.data.number()).collect(),
            input: rows.iter().map(|edge| edge.input).collect(),
        })));
    }
}

fn retags(store: &Store, put: Put<'_>) {
    for rows in store.data.retags.stretches() {
        put(record(Block::Retags(Retags {
            position: rows.iter().map(|retag| retag.position).collect(),
            data: rows.iter().map(|retag| retag.data.number()).collect(),
            before: rows.iter().map(|retag| retag.before.number()).collect(),
        })));
    }
}

fn odd_volumes(store: &Store, put: Put<'_>) {
    for rows in store.data.odd_volumes.sorted().chunks(BLOCK_ROWS) {
        put(record(Block::OddVolumes(OddVolumes {
            data: rows.iter().map(|(data, _)| data.number()).collect(),
            volume: rows.iter().map(|(_, volume)| volume.0.clone()).collect(),
        })));
    }
}
