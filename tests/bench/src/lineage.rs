//! Lineage: the walk in memory beside a recursive query over the same graph, and beside fetching node by
//! node as the original's client does.

mod outside;
mod past;
mod query;

use std::time::Instant;

use anyhow::Context as _;
use knit_domain::id::KnitId;
use knit_projections::store::{At, Store, Walk};

use crate::bench::{Bench, Large};
use crate::graph::DataRow;
use crate::history::Ids;
use crate::plot::{Group, Plot};
use crate::report::Outcome;
use crate::row::{Row, bytes, latency, number, spread, time};
use crate::statistics::Sample;
use query::Edges;

pub(crate) use outside::data_target;

/// Depth of a lineage when nothing is said.
const DEPTH: u32 = 3;
/// Data from which the near lineage is walked.
const STARTS: usize = 5_000;
/// Of these, those from which the query is asked.
const STARTS_OF_QUERY: usize = 200;
/// Times that the whole closure is walked; the query is asked as often as there are rounds.
const CLOSURES: usize = 11;
/// JSON written at once, as the server does.
const PIECE_BYTES: usize = 64 << 10;

const NEAR: Walk = Walk { upstream: true, downstream: true, depth: Some(DEPTH) };
const WHOLE: Walk = Walk { upstream: true, downstream: false, depth: None };

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Outcome> {
    let large = bench.large()?;
    let edges = bench.tokio.block_on(Edges::of(bench, &large.graph))?;
    let mut outcome = near(bench, large, &edges)?;
    let landmarks = large.graph.landmarks();
    let result = landmarks.result.context("a large graph has a pipeline")?;
    let pipeline = whole(bench, large, &edges, Closure { of: "a pipeline", start: result })?;
    outcome.add(pipeline.outcome());
    let end = landmarks.end.context("a large graph has a chain")?;
    outcome.add(whole(bench, large, &edges, Closure { of: "a chain", start: end })?.outcome());
    outcome.add(past::measure(bench, large)?);
    outcome.add(outside::measure(bench, &edges, pipeline.answers.median())?);
    outcome.remarks.push(format!(
        "Lineage: the graph of {} nodes and {} edges was folded into the projection without a log, and copied into \
         two tables with an index for each direction, which the recursive query walks. A time in the server is that \
         of finding the answer and writing its JSON, in this process, with the server's own code.",
        number(large.graph.nodes() as f64),
        number(large.graph.edges() as f64)
    ));
    Ok(outcome)
}

fn near(bench: &Bench, large: &Large, edges: &Edges) -> anyhow::Result<Outcome> {
    let graph = &large.graph;
    let starts: Vec<DataRow> = graph.every(graph.data().len() / (STARTS / bench.sizes.shorter)).collect();
    let answer = |data: &DataRow| answered(&large.store, Ids::data(*data), &NEAR, At::Now).map(|(seconds, _)| seconds);
    let ours = Sample::of(starts.iter().map(answer).collect::<anyhow::Result<Vec<_>>>()?);
    let walk = |data: &DataRow| walked(&large.store, Ids::data(*data), &NEAR, At::Now).map(|(seconds, _)| seconds);
    let walks = Sample::of(starts.iter().map(walk).collect::<anyhow::Result<Vec<_>>>()?);
    let some: Vec<DataRow> = starts.iter().step_by((starts.len() / STARTS_OF_QUERY).max(1)).copied().collect();
    let queried = bench.tokio.block_on(edges.near(&some, DEPTH))?;
    let nodes = number(graph.nodes() as f64);
    let ratio = queried.median() / walks.median();
    let rows = vec![
        Row::judged(
            format!("lineage, depth {DEPTH}, both directions, {nodes} nodes, in the server"),
            "p99 ≤ 1 ms",
            latency(&ours),
            ours.p99() <= 1e-3,
        )
        .value("p50_s", ours.median())
        .value("p99_s", ours.p99())
        .value("max_s", ours.max())
        .note(format!(
            "from {} Data spread over the whole graph, JSON included; the walk alone: {}; the worst of all, which met \
             a Data that thousands of Runs take: {}",
            number(starts.len() as f64),
            latency(&walks),
            time(ours.max())
        )),
        Row::judged(
            format!("lineage, depth {DEPTH}, beside the recursive query"),
            "≥ 20×",
            latency(&walks),
            ratio >= 20.0,
        )
        .beside("recursive CTE", &latency(&queried), ratio)
        .note("both find the ids of the nodes; the medians are compared"),
    ];
    let bars = vec![
        ("ours, the walk".to_owned(), walks.median() * 1e3),
        ("ours, with JSON".to_owned(), ours.median() * 1e3),
        ("ours, with JSON, p99".to_owned(), ours.p99() * 1e3),
        ("recursive CTE".to_owned(), queried.median() * 1e3),
        ("recursive CTE, p99".to_owned(), queried.p99() * 1e3),
    ];
    let group = Group { name: format!("depth {DEPTH}"), bars, target: Some(1.0) };
    Ok(Outcome { rows, plots: vec![Plot::magnitudes("Near lineage", "ms", vec![group])], remarks: Vec::new() })
}

/// Everything that one Data was made from.
#[derive(Clone, Copy)]
struct Closure {
    /// The shape of the graph above it.
    of: &'static str,
    start: DataRow,
}

/// The whole closure, measured in the server's own code. Times are in seconds.
struct Whole {
    closure: Closure,
    nodes: usize,
    json_bytes: usize,
    answers: Sample,
    walks: Sample,
    queried: Sample,
}

fn whole(bench: &Bench, large: &Large, edges: &Edges, closure: Closure) -> anyhow::Result<Whole> {
    let start = Ids::data(closure.start);
    let (mut answers, mut walks, mut nodes, mut json_bytes) = (Vec::new(), Vec::new(), 0, 0);
    for _ in 0..CLOSURES {
        let (seconds, bytes) = answered(&large.store, start, &WHOLE, At::Now)?;
        answers.push(seconds);
        json_bytes = bytes;
        let (seconds, met) = walked(&large.store, start, &WHOLE, At::Now)?;
        walks.push(seconds);
        nodes = met;
    }
    let queried = bench.tokio.block_on(edges.whole(closure.start, bench.sizes.rounds))?;
    let (answers, walks) = (Sample::of(answers), Sample::of(walks));
    Ok(Whole { closure, nodes, json_bytes, answers, walks, queried })
}

impl Whole {
    fn outcome(&self) -> Outcome {
        Outcome { rows: self.rows().into(), plots: vec![self.plot()], remarks: Vec::new() }
    }

    fn rows(&self) -> [Row; 2] {
        let (answer, walk, query) = (self.answers.median(), self.walks.median(), self.queried.median());
        let what = |tail: &str| {
            format!("lineage, whole closure of {} nodes of {}, {tail}", number(self.nodes as f64), self.closure.of)
        };
        let note = format!("{} of JSON; the walk alone: {}", bytes(self.json_bytes as f64), spread(&self.walks));
        [
            Row::judged(what("in the server"), "≤ 50 ms", spread(&self.answers), answer <= 0.05)
                .value("measured_s", answer)
                .value("walk_s", walk)
                .note(note),
            Row::judged(what("beside the recursive query"), "≥ 50×", spread(&self.walks), query / walk >= 50.0)
                .beside("recursive CTE", &spread(&self.queried), query / walk)
                .note("both find the ids of the nodes; the query finds only the Data, the walk the Runs as well"),
        ]
    }

    fn plot(&self) -> Plot {
        let bars = [
            ("ours, the walk", self.walks.median()),
            ("ours, with JSON", self.answers.median()),
            ("recursive CTE", self.queried.median()),
        ];
        let bars = bars.map(|(name, seconds)| (name.to_owned(), seconds * 1e3)).to_vec();
        let group = Group { name: format!("{} nodes", number(self.nodes as f64)), bars, target: Some(50.0) };
        Plot::magnitudes(format!("Whole closure of {}, in the server", self.closure.of), "ms", vec![group])
    }
}

/// Seconds to find the answer and write its JSON, and how long that is.
fn answered(store: &Store, start: KnitId, walk: &Walk, at: At) -> anyhow::Result<(f64, usize)> {
    let begun = Instant::now();
    let mut json = store.lineage_json(start, walk, at).context("the Data exists")?;
    let (mut piece, mut bytes, mut more) = (Vec::with_capacity(2 * PIECE_BYTES), 0, true);
    while more {
        piece.clear();
        more = json.write(store, &mut piece, PIECE_BYTES);
        bytes += piece.len();
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok((seconds, bytes))
}

/// Seconds of the walk alone, and how many nodes it met.
fn walked(store: &Store, start: KnitId, walk: &Walk, at: At) -> anyhow::Result<(f64, usize)> {
    let begun = Instant::now();
    let lineage = store.lineage(start, walk, at).context("the Data exists")?;
    Ok((begun.elapsed().as_secs_f64(), lineage.data.len() + lineage.runs.len()))
}
