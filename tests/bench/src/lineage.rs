//! Lineage: the walk in memory beside a recursive query over the same graph, and beside fetching node by
//! node as the original's client does.

mod query;

use std::fs::File;
use std::process::Command;
use std::time::Instant;

use anyhow::Context as _;
use knit_domain::id::KnitId;
use knit_projections::store::{At, Store, Walk};
use knit_tests::program;

use crate::bench::{Bench, Content, Kind, Large};
use crate::graph::{DataRow, Graph};
use crate::history::Ids;
use crate::plot::{Group, Plot};
use crate::process;
use crate::report::Outcome;
use crate::row::{Row, bytes, latency, number, time};
use crate::statistics::Sample;
use crate::wire::Wire;
use query::Edges;

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
/// Nodes that are fetched one by one; the time of all is in proportion.
const FETCHED: usize = 4_000;

const NEAR: Walk = Walk { upstream: true, downstream: true, depth: Some(DEPTH) };
const WHOLE: Walk = Walk { upstream: true, downstream: false, depth: None };

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Outcome> {
    let large = bench.large()?;
    let edges = bench.tokio.block_on(Edges::of(bench, &large.graph))?;
    let mut outcome = near(bench, large, &edges)?;
    let whole = whole(bench, large, &edges)?;
    outcome.rows.extend(whole.rows());
    outcome.plots.push(whole.plot());
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
    let answer = |data: &DataRow| answered(&large.store, Ids::data(*data), &NEAR).map(|(seconds, _)| seconds);
    let ours = Sample::of(starts.iter().map(answer).collect::<anyhow::Result<Vec<_>>>()?);
    let walk = |data: &DataRow| walked(&large.store, Ids::data(*data), &NEAR).map(|(seconds, _)| seconds);
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

/// The whole closure, measured in every way. Times are in seconds.
struct Whole {
    nodes: usize,
    json_bytes: usize,
    answers: Sample,
    walks: Sample,
    queried: Sample,
    outside: Outside,
}

fn whole(bench: &Bench, large: &Large, edges: &Edges) -> anyhow::Result<Whole> {
    let start = large.graph.landmarks().result.context("a large graph has a pipeline")?;
    let (mut answers, mut walks, mut nodes, mut json_bytes) = (Vec::new(), Vec::new(), 0, 0);
    for _ in 0..CLOSURES {
        let (seconds, bytes) = answered(&large.store, Ids::data(start), &WHOLE)?;
        answers.push(seconds);
        json_bytes = bytes;
        let (seconds, met) = walked(&large.store, Ids::data(start), &WHOLE)?;
        walks.push(seconds);
        nodes = met;
    }
    let queried = bench.tokio.block_on(edges.whole(start, bench.sizes.rounds))?;
    let (answers, walks) = (Sample::of(answers), Sample::of(walks));
    Ok(Whole { nodes, json_bytes, answers, walks, queried, outside: outside(bench)? })
}

impl Whole {
    fn rows(&self) -> Vec<Row> {
        let (answer, walk, query) = (self.answers.median(), self.walks.median(), self.queried.median());
        let what = |tail: &str| format!("lineage, whole closure of {} nodes, {tail}", number(self.nodes as f64));
        let note = format!("{} of JSON; the walk alone: {}", bytes(self.json_bytes as f64), time(walk));
        let mut rows = vec![
            Row::judged(what("in the server"), "≤ 50 ms", time(answer), answer <= 0.05)
                .value("measured_s", answer)
                .value("walk_s", walk)
                .note(note),
            Row::judged(what("beside the recursive query"), "≥ 50×", time(walk), query / walk >= 50.0)
                .beside("recursive CTE", &time(query), query / walk)
                .note("both find the ids of the nodes; the query finds only the Data, the walk the Runs as well"),
        ];
        rows.extend(self.rows_from_outside());
        rows
    }

    fn rows_from_outside(&self) -> [Row; 2] {
        let (answer, outside) = (self.answers.median(), &self.outside);
        let by_node = outside.node_by_node / answer;
        let note = format!(
            "{} of the {} nodes of a closure were fetched from our own server through one connection, each Data and \
             each Run by its id; the time of all is in proportion",
            number(outside.fetched as f64),
            number(outside.nodes as f64)
        );
        let fetched = Row::judged(
            "lineage, whole closure, beside fetching node by node",
            "≥ 500×",
            time(answer),
            by_node >= 500.0,
        )
        .beside("node by node over HTTP", &time(outside.node_by_node), by_node)
        .note(note);
        let cli = outside.cli.median();
        let what = format!("lineage, whole closure of {} nodes, at the CLI with output", number(outside.nodes as f64));
        let shown = Row::judged(what, "≤ 300 ms", time(cli), cli <= 0.3).value("measured_s", cli).note(format!(
            "`knit data lineage -u -n all`, DOT into a file; the same request without the program: {} for {}",
            time(outside.http.median()),
            bytes(outside.http_bytes as f64)
        ));
        [fetched, shown]
    }

    fn plot(&self) -> Plot {
        let bars = [
            ("ours, the walk", self.walks.median()),
            ("ours, with JSON", self.answers.median()),
            ("ours, over HTTP", self.outside.http.median()),
            ("ours, knit data lineage", self.outside.cli.median()),
            ("recursive CTE", self.queried.median()),
            ("node by node", self.outside.node_by_node),
        ];
        let bars = bars.map(|(name, seconds)| (name.to_owned(), seconds * 1e3)).to_vec();
        let group = Group { name: format!("{} nodes", number(self.nodes as f64)), bars, target: Some(50.0) };
        Plot::magnitudes("Whole closure", "ms", vec![group])
    }
}

/// Seconds to find the answer and write its JSON, and how long that is.
fn answered(store: &Store, start: KnitId, walk: &Walk) -> anyhow::Result<(f64, usize)> {
    let begun = Instant::now();
    let mut json = store.lineage_json(start, walk, At::Now).context("the Data exists")?;
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
fn walked(store: &Store, start: KnitId, walk: &Walk) -> anyhow::Result<(f64, usize)> {
    let begun = Instant::now();
    let lineage = store.lineage(start, walk, At::Now).context("the Data exists")?;
    Ok((begun.elapsed().as_secs_f64(), lineage.data.len() + lineage.runs.len()))
}

/// The whole closure as clients of a server get it.
struct Outside {
    nodes: usize,
    http: Sample,
    http_bytes: u64,
    cli: Sample,
    fetched: usize,
    /// Seconds for all nodes.
    node_by_node: f64,
}

fn outside(bench: &Bench) -> anyhow::Result<Outside> {
    let filled = bench.filled(Kind::Postgres, Content::Catalog(bench.sizes.tenths))?;
    let result = filled.graph.landmarks().result.context("a catalog has a pipeline")?;
    let server = filled.place.server();
    let id = Ids::data(result);
    let target = format!("/api/data/{id}/lineage?direction=up&depth=all");
    let mut wire = Wire::to(server.address())?;
    let (mut http, mut http_bytes) = (Vec::new(), 0);
    for _ in 0..CLOSURES {
        let begun = Instant::now();
        http_bytes = wire.fetch(&target)?.body_bytes;
        http.push(begun.elapsed().as_secs_f64());
    }
    let cli = process::wall(CLOSURES, || {
        let mut command = Command::new(program::path("knit"));
        command.args(["data", "lineage", "-u", "-n", "all", &id.to_string()]);
        command.env_clear().env("HOME", bench.scratch()).env("KNIT_SERVER", format!("http://{}/api", server.address()));
        command.current_dir(bench.scratch()).stdout(File::create(bench.scratch().join("lineage.dot"))?);
        Ok(command)
    })?;
    let targets = nodes_above(&filled.graph, &filled.ids, result);
    let step = (targets.len() / (FETCHED / bench.sizes.shorter)).max(1);
    let some: Vec<&String> = targets.iter().step_by(step).collect();
    let begun = Instant::now();
    for target in &some {
        wire.fetch(target)?;
    }
    let node_by_node = begun.elapsed().as_secs_f64() * targets.len() as f64 / some.len() as f64;
    Ok(Outside { nodes: targets.len(), http: Sample::of(http), http_bytes, cli, fetched: some.len(), node_by_node })
}

/// What a client asks that fetches every node above `start` by itself.
fn nodes_above(graph: &Graph, ids: &Ids, start: DataRow) -> Vec<String> {
    let (mut open, mut targets) = (vec![start], Vec::new());
    let (mut data_seen, mut runs_seen) = (vec![false; graph.data().len()], vec![false; graph.runs().len()]);
    while let Some(data) = open.pop() {
        let run = graph.maker(data);
        if std::mem::replace(&mut runs_seen[run as usize], true) {
            continue;
        }
        targets.push(format!("/api/runs/{}", ids.run(run)));
        open.extend(graph.taken(run));
        for data in graph.made(run).chain(graph.taken(run).iter().copied()) {
            if !std::mem::replace(&mut data_seen[data as usize], true) {
                targets.push(data_target(Ids::data(data)));
            }
        }
    }
    targets
}

/// One Data by its id, as the original's client asks for it.
pub(crate) fn data_target(id: KnitId) -> String {
    format!("/api/data?tag=knit%23id%3A{id}")
}
