//! Starting a server on a long log: with a snapshot of its projections, and without.

use std::time::Instant;

use knit_tests::server::Server;
use knit_tests::wait::wait_until;

use crate::bench::{Bench, Content, Filled, Kind};
use crate::plot::{Group, Plot};
use crate::process::processor_seconds;
use crate::read::decoded;
use crate::report::Outcome;
use crate::row::{Row, number, spread, time};
use crate::statistics::Sample;

/// What a server says when its projections are saved.
const SAVED: &str = "saved snapshots";

/// Seconds, round by round.
#[derive(Default)]
struct Times {
    without: Vec<f64>,
    /// Of all processors together, while the server started without a snapshot.
    busy: Vec<f64>,
    with: Vec<f64>,
    read: Vec<f64>,
}

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut groups = Vec::new();
    for kind in Kind::BOTH {
        let filled = bench.filled(kind, Content::Events)?;
        let times = rounds(bench, &filled)?;
        let of = |times: &[f64]| Sample::of(times.iter().copied());
        let (without, with, read) = (of(&times.without), of(&times.with), of(&times.read));
        let what = |tail| format!("start with {} events {tail}, {}", number(filled.events as f64), kind.word());
        let row = |tail, seconds: f64, ours: &Sample| {
            let target = format!("≤ {seconds} s");
            let row = Row::judged(what(tail), target, spread(ours), ours.median() <= seconds);
            row.beside("ordered read", &spread(&read), read.median() / ours.median())
                .value("measured_s", ours.median())
                .value("anchor_s", read.median())
        };
        outcome.rows.push(row("and a snapshot", 1.0, &with));
        outcome.rows.push(row("and no snapshot", 3.0, &without).limit(limit(of(&times.busy).median())));
        let bars = vec![
            ("with a snapshot".to_owned(), with.median()),
            ("without".to_owned(), without.median()),
            ("ordered read".to_owned(), read.median()),
        ];
        groups.push(Group { name: kind.word().to_owned(), bars, target: None });
    }
    outcome.plots.push(Plot::bars("From starting the server until it is ready", "seconds", groups));
    outcome.remarks.push(
        "Starting: from calling the program until `/readyz` answers 200, asked every 15 ms. The snapshot is the one \
         that the server saved itself, at the end of the log."
            .to_owned(),
    );
    Ok(outcome)
}

/// What stands in the way without a snapshot, where every event is read, decoded and folded three times.
fn limit(busy_s: f64) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "Finding, sending, decoding, checking and folding the events takes {} of processor time, the database's \
         included: {cores} processors cannot do it in less than {}, and at the start and the end not all of them have \
         something to do.",
        time(busy_s),
        time(busy_s / cores as f64)
    )
}

fn rounds(bench: &Bench, filled: &Filled) -> anyhow::Result<Times> {
    let mut times = Times::default();
    for _ in 0..bench.sizes.rounds {
        times.read.push(bench.tokio.block_on(async {
            let log = filled.place.open().await?;
            let seconds = decoded(&log).await?;
            log.close().await;
            anyhow::Ok(seconds)
        })?);
        bench.tokio.block_on(filled.place.sql("DELETE FROM log_snapshots"))?;
        let before = processor_seconds()?;
        let (seconds, mut server) = started(filled);
        times.busy.push(processor_seconds()? - before);
        times.without.push(seconds);
        wait_until("the server to save its projections", || server.log().contains(SAVED));
        server.stop();
        let (seconds, mut server) = started(filled);
        times.with.push(seconds);
        server.stop();
    }
    Ok(times)
}

fn started(filled: &Filled) -> (f64, Server) {
    let begun = Instant::now();
    let server = filled.place.server();
    (begun.elapsed().as_secs_f64(), server)
}
