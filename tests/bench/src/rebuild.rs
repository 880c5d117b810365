//! Rebuilding the projections of a long log, and saving and digesting them: how fast it is, and what others notice.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use knit_domain::id::KnitId;
use knit_tests::server::Server;
use serde_json::{Value, json};

use crate::bench::{Bench, Content, Filled, Kind};
use crate::graph::DataRow;
use crate::history::Ids;
use crate::plot::{Group, Plot};
use crate::read::decoded;
use crate::report::Outcome;
use crate::row::{Row, latency, number, time};
use crate::statistics::Sample;
use crate::wire::Wire;

/// Others who are at work: each changes tags and looks at what it has changed, by turns.
const OTHERS: DataRow = 4;
/// What each of them does between two requests. Those who wait for nothing would take every processor by themselves,
/// and the longest request would tell how long the system lets a thread wait.
const BETWEEN: Duration = Duration::from_millis(2);
/// What a request may take meanwhile.
const LONGEST_SECONDS: f64 = 0.050;
/// What stands in the way of that.
const BESIDE: &str = "Neither the switch nor the copy that is compared or saved takes that long: copies share what is \
    long with the projection, and those of a log of a million events take less than a millisecond each. Reading, folding \
    and digesting go on beside the requests, on threads that run when no others want to, but with the same memory, disk \
    and database.";
/// For how long the same is done while nothing is rebuilt.
const QUIET: Duration = Duration::from_secs(5);

/// Seconds, of one log.
#[derive(Default)]
struct Times {
    read: Vec<f64>,
    /// One rebuild of the store, while nobody else is at work.
    alone: Vec<f64>,
    /// Requests while all projections are rebuilt, one after another.
    rebuilding: Vec<f64>,
    /// Requests while all are saved and digested.
    saving: Vec<f64>,
    /// Requests while nothing of that goes on.
    quiet: Vec<f64>,
    /// For how long the projections stood still at each switch.
    held: Vec<f64>,
}

/// What is appended meanwhile stays in the log, so that no family after this one should read that.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Outcome> {
    let (mut outcome, mut speeds, mut waits) = (Outcome::default(), Vec::new(), Vec::new());
    for kind in Kind::BOTH {
        let filled = bench.filled(kind, Content::Events)?;
        let times = rounds(bench, &filled)?;
        outcome.rows.extend(rows(&filled, &times));
        speeds.push(speed(&filled, &times));
        waits.push(waited(&filled, &times));
    }
    outcome.plots.push(Plot::bars("Rebuilding catalog and lineage", "events per second", speeds));
    outcome.plots.push(Plot::magnitudes("Requests while projections are rebuilt and saved", "ms", waits));
    outcome.remarks.push(format!(
        "Rebuilding: {OTHERS} connections change tags and look at them by turns, with {} between two requests; a change \
         is answered once it is durable and shown. The longest of all requests counts, beside the longest of {} in \
         which nothing else goes on. A rebuild is timed from calling `knit admin rebuild-projection` to its end: it \
         reads and folds the log, digests both projections, and switches.",
        time(BETWEEN.as_secs_f64()),
        time(QUIET.as_secs_f64())
    ));
    Ok(outcome)
}

fn rounds(bench: &Bench, filled: &Filled) -> anyhow::Result<Times> {
    let mut times = Times::default();
    for round in 0..bench.sizes.rounds {
        times.read.push(bench.tokio.block_on(async {
            let log = filled.place.open().await?;
            let seconds = decoded(&log).await?;
            log.close().await;
            anyhow::Ok(seconds)
        })?);
        let server = filled.place.server();
        times.alone.push(rebuilt(&server, "store", &mut times.held)?);
        let others = Others { address: server.address(), filled, round };
        let (_, quiet) = others.at_work("quiet", || thread::sleep(QUIET))?;
        times.quiet.extend(quiet);
        let (done, rebuilding) = others.at_work("rebuilding", || rebuilt(&server, "all", &mut times.held))?;
        done?;
        times.rebuilding.extend(rebuilding);
        let (_, saving) = others.at_work("saving", || {
            let _ = server.knit().run(["admin", "snapshot"]).ok();
            let _ = server.knit().run(["admin", "projections", "--digest"]).ok();
        })?;
        times.saving.extend(saving);
    }
    Ok(times)
}

/// Seconds that it takes to rebuild and switch; for how long each switch held others up goes to `held`.
fn rebuilt(server: &Server, projection: &str, held: &mut Vec<f64>) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let told = server.knit().run(["admin", "rebuild-projection", projection]).ok().json();
    let seconds = begun.elapsed().as_secs_f64();
    let switched = told.as_array().into_iter().flatten().map(|outcome| outcome["end"]["heldUs"].as_f64());
    let switched: Option<Vec<f64>> = switched.map(|held| held.map(|us| us / 1e6)).collect();
    held.extend(switched.context("every projection was switched")?);
    Ok(seconds)
}

/// People who go on with their work.
struct Others<'a> {
    address: SocketAddr,
    filled: &'a Filled,
    round: usize,
}

impl Others<'_> {
    /// Lets them work while something is done; answers what came of that, and the seconds of each of their requests.
    fn at_work<T>(&self, why: &str, work: impl FnOnce() -> T) -> anyhow::Result<(T, Vec<f64>)> {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let (over, others) = (&over, 0..OTHERS);
            let others: Vec<_> = others.map(|other| scope.spawn(move || self.one_at_work(why, other, over))).collect();
            let done = work();
            over.store(true, Ordering::SeqCst);
            let mut seconds = Vec::new();
            for other in others {
                seconds.extend(other.join().map_err(|_| anyhow::anyhow!("somebody at work panicked"))??);
            }
            Ok((done, seconds))
        })
    }

    fn one_at_work(&self, why: &str, other: DataRow, over: &AtomicBool) -> anyhow::Result<Vec<f64>> {
        let mut wire = Wire::to(self.address)?;
        let mut seconds = Vec::new();
        // Each has Data of its own: nobody is refused because somebody was faster.
        let own: Vec<KnitId> =
            self.filled.graph.every(OTHERS as usize).skip(1).map(|data| Ids::data(data - other)).collect();
        let mut own = own.iter().cycle();
        while !over.load(Ordering::SeqCst) {
            let data = own.next().context("there are Data")?;
            let tag = format!("{why}:{}-{other}-{}", self.round, seconds.len());
            let change: Value = json!({"add": [tag]});
            seconds.push(timed(|| wire.send("PUT", &format!("/api/data/{data}"), &change).map(drop))?);
            thread::sleep(BETWEEN);
            seconds.push(timed(|| wire.fetch(&format!("/api/data?tag=knit%23id%3A{data}")).map(drop))?);
            thread::sleep(BETWEEN);
        }
        Ok(seconds)
    }
}

fn timed(request: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let begun = Instant::now();
    request()?;
    Ok(begun.elapsed().as_secs_f64())
}

fn rows(filled: &Filled, times: &Times) -> Vec<Row> {
    let (events, kind) = (filled.events as f64, filled.place.kind.word());
    let quiet = of(&times.quiet);
    let longest = |what: &str, sample: &Sample| {
        let what = format!("{what}, of {} events under load, {kind}: the longest request", number(events));
        let row = Row::judged(what, "≤ 50 ms", time(sample.max()), sample.max() <= LONGEST_SECONDS);
        row.beside("the longest while nothing else goes on", &time(quiet.max()), quiet.max() / sample.max())
            .value("measured_s", sample.max())
            .value("anchor_s", quiet.max())
            .note(format!("{} requests: {}; beside: {}", sample.len(), latency(sample), latency(&quiet)))
            .limit(BESIDE)
    };
    let held = of(&times.held);
    let per_second = |seconds: &[f64]| per_second(filled, seconds);
    let what = format!("a rebuild of catalog and lineage, digested, compared and switched, {kind}");
    vec![
        Row::rates(what, 0.5, &per_second(&times.alone), "the ordered read", &per_second(&times.read)),
        longest("a rebuild of all projections", &of(&times.rebuilding)),
        Row::judged(
            format!("a switch under load, {kind}: the longest for which it holds up requests"),
            "≤ 50 ms",
            time(held.max()),
            held.max() <= LONGEST_SECONDS,
        )
        .note(format!("{} switches, half of them within {}", held.len(), time(held.median())))
        .value("measured_s", held.max())
        .value("p50_s", held.median()),
        longest("saving and digesting all projections", &of(&times.saving)),
    ]
}

fn of(seconds: &[f64]) -> Sample {
    Sample::of(seconds.iter().copied())
}

fn per_second(filled: &Filled, seconds: &[f64]) -> Sample {
    Sample::of(seconds.iter().map(|seconds| filled.events as f64 / seconds))
}

fn speed(filled: &Filled, times: &Times) -> Group {
    let bar = |name: &str, seconds: &[f64]| (name.to_owned(), per_second(filled, seconds).median());
    let bars = vec![bar("rebuild, digest, compare, switch", &times.alone), bar("the ordered read", &times.read)];
    Group { name: filled.place.kind.word().to_owned(), bars, target: None }
}

fn waited(filled: &Filled, times: &Times) -> Group {
    let bars = |name: &str, seconds: &[f64]| {
        let sample = of(seconds);
        let figures = [("p50", sample.median()), ("p99", sample.p99()), ("longest", sample.max())];
        figures.map(|(figure, seconds)| (format!("{name}, {figure}"), seconds * 1e3))
    };
    let all = [("quiet", &times.quiet), ("saving", &times.saving), ("rebuilding", &times.rebuilding)];
    let bars = all.into_iter().flat_map(|(name, seconds)| bars(name, seconds)).collect();
    let target = Some(LONGEST_SECONDS * 1e3);
    Group { name: filled.place.kind.word().to_owned(), bars, target }
}
