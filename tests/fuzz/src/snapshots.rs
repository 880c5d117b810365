//! Snapshots: whatever they hold, they are refused or restored, and what was restored answers and goes on.

use knit_domain::event::{Event, Metadata, Recorded, StreamId, StreamType};
use knit_domain::id::{EventId, KnitId};
use knit_domain::time::Timestamp;
use knit_projections::matcher::{Cursor, Matcher};
use knit_projections::projection::Projection;
use knit_projections::snapshot::{Header, Writer};
use knit_projections::store::{At, DataFilter, PlanFilter, RunFilter, Store, Walk};
use knit_projections::worklists::{Stage, Worklists};
use prost::Message as _;
use uuid::Uuid;

use crate::events::id;

/// The position that snapshots of records say to be of.
const POSITION: u64 = 1_000;
/// Combinations asked of a matcher at once.
const COMBINATIONS_MAX: usize = 100;
/// What happens after a snapshot, on each of so many ids.
const IDS_AFTER: u8 = 4;

/// The first byte chooses projection and depth; the others are a chunk, the inside of one, or bare records.
pub(crate) fn snapshots(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let depth = choice / 3;
    match choice % 3 {
        0 => restore::<Store>(depth, bytes),
        1 => restore::<Matcher>(depth, bytes),
        _ => restore::<Worklists>(depth, bytes),
    }
}

fn restore<P: Projection + Answers>(depth: u8, bytes: &[u8]) {
    let restored = match depth % 3 {
        0 => P::restore(&[bytes.to_vec()]),
        1 => P::restore(&[zstd::bulk::compress(bytes, 1).unwrap()]),
        _ => P::restore(&of_records::<P>(bytes)),
    };
    let Ok(mut projection) = restored else { return };
    projection.answer_everything();
    let again = P::restore(&projection.snapshot()).unwrap_or_else(|error| panic!("its own snapshot: {error}"));
    assert_eq!(again.digest(), projection.digest(), "{} comes back from its snapshot", P::NAME);
    for event in &golden_events() {
        for number in 0..IDS_AFTER {
            go_on(&mut projection, event, number);
        }
    }
    projection.answer_everything();
}

/// A snapshot of the records that `bytes` hold, as far as they hold any.
fn of_records<P: Projection>(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let header = Header { name: P::NAME.to_owned(), revision: P::REVISION, position: POSITION };
    let mut writer = Writer::new(&header);
    while let (false, Ok(record)) = (bytes.is_empty(), P::Record::decode_length_delimited(&mut bytes)) {
        writer.put(&record);
    }
    writer.finish()
}

/// The event happens to one of the things that there may be.
fn go_on<P: Projection>(projection: &mut P, event: &Event, number: u8) {
    // Near the end of all positions there is no next one, and no log gets there.
    let Some(position) = projection.position().checked_add(1).filter(|position| *position < u64::MAX / 2) else {
        return;
    };
    let recorded = Recorded {
        position,
        event_id: EventId(Uuid::nil()),
        stream: StreamId { kind: event.stream_type(), id: id(number).to_string() },
        sequence: 1,
        recorded_at: Timestamp(1_800_000_000_000),
        event: event.clone(),
        metadata: Metadata::default(),
        leaf: [0; 32],
        chain: [0; 32],
    };
    if projection.apply(&recorded).is_err() {
        projection.skip(position).unwrap();
    }
}

/// One event of each name.
fn golden_events() -> Vec<Event> {
    static GOLDEN: std::sync::OnceLock<Vec<Event>> = std::sync::OnceLock::new();
    GOLDEN.get_or_init(read_golden_events).clone()
}

fn read_golden_events() -> Vec<Event> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/events");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    let event = |path: &std::path::Path| {
        let (name, version) = path.file_stem()?.to_str()?.split_once(".v")?;
        let payload = std::fs::read_to_string(path).ok()?;
        StreamType::ALL.into_iter().find_map(|kind| Event::decode(kind, name, version, payload.trim()).ok())
    };
    files.iter().map(|path| event(path).unwrap()).collect()
}

/// Answers everything that can be asked, or panics.
pub(crate) trait Answers {
    /// Asks it.
    fn answer_everything(&self);
}

impl Answers for Store {
    fn answer_everything(&self) {
        for at in [At::Now, At::Position(POSITION / 2), At::Position(0)] {
            let data = self.find_data(&DataFilter::default(), at);
            let runs = self.find_runs(&RunFilter::default(), at);
            let plans = self.find_plans(&PlanFilter::default(), at);
            for id in data {
                let _ = (self.data(id, at), self.volume_of(id), self.producer_of(id));
                let graph = self.lineage_graph(id, &Walk::default(), at);
                assert!(graph.is_some(), "{id} was found and has a lineage");
            }
            for id in runs {
                assert!(self.run(id, at).is_some(), "{id} was found");
                let _ = (self.attempts(id, at), self.outputs_of(id), self.log_of(id), self.run_status(id));
                let _ = self.explain_run(id, at);
            }
            for id in plans {
                assert!(self.plan(id, at).is_some(), "{id} was found");
                let _ = self.full_spans(id, 1, at);
            }
        }
        let _ = (self.nodes(), self.heap_bytes());
    }
}

impl Answers for Matcher {
    fn answer_everything(&self) {
        let due = self.due(&mut Cursor::default(), COMBINATIONS_MAX);
        assert!(due.combinations.len() <= COMBINATIONS_MAX);
        for combination in &due.combinations {
            assert!(combination.inputs.contains(&combination.trigger));
            let _ = self.explain(combination.plan_id);
        }
        for number in 0..=u8::MAX {
            let _ = (self.done_at(KnitId(id(number))), self.inputs_fitted_by(KnitId(id(number))));
        }
    }
}

impl Answers for Worklists {
    fn answer_everything(&self) {
        for stage in Stage::ALL {
            assert_eq!(self.runs(stage, 0).count(), self.count(stage), "every Run of a list can be told");
        }
        for garbage in self.garbage(0) {
            let _ = self.volume(garbage.knit_id);
        }
        assert!(self.agents(0).all(|agent| agent.entered <= self.position()));
    }
}
