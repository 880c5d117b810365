//! The past: the same questions as of an earlier position, beside the walk of now.
//!
//! Compared are walks that find the same nodes: as of a position at which all that is asked about was long there,
//! with as much history after it as can be. What is further back is only smaller.

use anyhow::Context as _;
use knit_domain::event::Position;
use knit_domain::id::KnitId;
use knit_projections::projection::Projection as _;
use knit_projections::store::{At, Store, Walk};

use super::{CLOSURES, DEPTH, NEAR, STARTS, WHOLE, answered, walked};
use crate::bench::{Bench, Large};
use crate::history::Ids;
use crate::plot::{Group, Plot};
use crate::report::Outcome;
use crate::row::{Row, number, spread};
use crate::statistics::Sample;

/// How much longer the past may take than now (issue of lineage: at most half as long again).
pub(super) const SLOWER_MAX: f64 = 1.5;

/// Seconds of the same questions, now and as of a position.
#[derive(Default)]
struct Pair {
    now: Vec<f64>,
    past: Vec<f64>,
}

pub(super) fn measure(bench: &Bench, large: &Large) -> anyhow::Result<Outcome> {
    let store = &large.store;
    let (mut walks, mut answers) = (Pair::default(), Pair::default());
    for data in large.graph.every(large.graph.data().len() / (STARTS / bench.sizes.shorter)) {
        let id = Ids::data(data);
        let Some(whole_since) = unchanged_since(store, id, &NEAR)? else { continue };
        ask(store, id, &NEAR, whole_since, &mut walks, &mut answers)?;
    }
    let near = Compared::of(format!("lineage, depth {DEPTH}"), walks, answers);
    let (mut walks, mut answers) = (Pair::default(), Pair::default());
    let id = Ids::data(large.graph.landmarks().result.context("a large graph has a pipeline")?);
    let whole_since = unchanged_since(store, id, &WHOLE)?.context("more happened after the pipeline")?;
    for _ in 0..CLOSURES {
        ask(store, id, &WHOLE, whole_since, &mut walks, &mut answers)?;
    }
    let whole = Compared::of("lineage, whole closure of a pipeline".to_owned(), walks, answers);
    let groups = vec![near.group(1e6), whole.group(1e6)];
    let plot = Plot::magnitudes("Lineage now and in the past", "µs", groups);
    let rows = near.rows(store).into_iter().chain(whole.rows(store)).collect();
    Ok(Outcome { rows, plots: vec![plot], remarks: Vec::new() })
}

/// The earliest position found by halving as of which the walk finds what it finds now; nothing where that is now.
fn unchanged_since(store: &Store, id: KnitId, walk: &Walk) -> anyhow::Result<Option<Position>> {
    let end = store.position();
    let (mut different, mut same) = (0, end);
    let now = walked(store, id, walk, At::Now)?.1;
    while same - different > end / HALVINGS {
        let middle = Position::midpoint(different, same);
        let met = store.lineage(id, walk, At::Position(middle)).map(|found| found.data.len() + found.runs.len());
        if met == Some(now) { same = middle } else { different = middle }
    }
    Ok((same < end).then_some(same))
}

/// The position is found to this part of the history.
const HALVINGS: Position = 64;

fn ask(
    store: &Store,
    id: KnitId,
    walk: &Walk,
    since: Position,
    walks: &mut Pair,
    answers: &mut Pair,
) -> anyhow::Result<()> {
    let past = At::Position(since);
    walks.now.push(walked(store, id, walk, At::Now)?.0);
    walks.past.push(walked(store, id, walk, past)?.0);
    answers.now.push(answered(store, id, walk, At::Now)?.0);
    answers.past.push(answered(store, id, walk, past)?.0);
    Ok(())
}

/// Medians of what was asked.
struct Compared {
    what: String,
    questions: usize,
    walks: [Sample; 2],
    answers: [Sample; 2],
}

impl Compared {
    fn of(what: String, walks: Pair, answers: Pair) -> Self {
        let pair = |Pair { now, past }| [Sample::of(now), Sample::of(past)];
        Self { what, questions: walks.now.len(), walks: pair(walks), answers: pair(answers) }
    }

    fn rows(&self, store: &Store) -> [Row; 2] {
        let note = format!(
            "{} questions, each as of a position since which its answer has had the same nodes, of {} events in all",
            number(self.questions as f64),
            number(store.position() as f64)
        );
        let row = |tail: &str, [now, past]: &[Sample; 2]| compared(format!("{}, {tail}", self.what), now, past);
        [row("as of an earlier position, the walk", &self.walks).note(note), row("the same with JSON", &self.answers)]
    }

    fn group(&self, scale: f64) -> Group {
        let ([now, past], [answer_now, answer_past]) = (&self.walks, &self.answers);
        let bars = [("now", now), ("as of", past), ("now, with JSON", answer_now), ("as of, with JSON", answer_past)];
        let bars = bars.map(|(name, sample)| (name.to_owned(), sample.median() * scale)).to_vec();
        Group { name: self.what.clone(), bars, target: None }
    }
}

/// The past beside now.
pub(super) fn compared(what: String, now: &Sample, past: &Sample) -> Row {
    let slower = past.median() / now.median();
    Row::judged(what, format!("≤ {SLOWER_MAX}× of now"), spread(past), slower <= SLOWER_MAX)
        .beside("now", &spread(now), now.median() / past.median())
        .value("measured_s", past.median())
        .value("anchor_s", now.median())
}
