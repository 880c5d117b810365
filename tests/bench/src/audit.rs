//! Carrying the log elsewhere: verifying an export, and importing one, beside what the machine needs for the same rows.

mod copied;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use knit_tests::program;
use serde_json::Value;

use crate::bench::{Bench, Content, Kind, Place};
use crate::plot::{Group, Plot};
use crate::process::{processor_seconds, seconds_of, silent};
use crate::read::decoded;
use crate::report::Outcome;
use crate::row::{Row, rate};
use crate::statistics::Sample;

/// Which part of the long log is imported: each round fills a database of its own twice.
const IMPORTED_PART: usize = 5;

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Outcome> {
    let mut outcome = verifying(bench)?;
    for kind in Kind::BOTH {
        outcome.add(importing(bench, kind)?);
    }
    outcome.remarks.push(format!(
        "Importing: 1/{IMPORTED_PART} of the long log. Ours is `knit audit import` into a server of its own: sent, \
         verified, decoded, written with the reservations and the index of entities, and committed. The anchor is the \
         table of events of an empty log alone, by rows that are ready in memory: one `COPY` on PostgreSQL, one prepared \
         INSERT for each row within one transaction on SQLite."
    ));
    Ok(outcome)
}

/// An export of the long log up to `until`.
fn export(bench: &Bench, until: Option<usize>) -> anyhow::Result<PathBuf> {
    let filled = bench.filled(Kind::Sqlite, Content::Events)?;
    let file = bench.new_dir("export-")?.join("history.pb");
    let server = filled.place.server();
    let url = format!("http://{}/api", server.address());
    let mut words = vec!["audit".to_owned(), "export".to_owned(), "--format".to_owned(), "proto".to_owned()];
    words.extend(["-o".to_owned(), path(&file)?.to_owned()]);
    words.extend(until.map(|until| format!("--until={until}")));
    let mut command = Command::new(program::path("knit"));
    seconds_of(command.args(words).env("KNIT_SERVER", url))?;
    Ok(file)
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("scratch directories have plain names")
}

fn verifying(bench: &Bench) -> anyhow::Result<Outcome> {
    let file = export(bench, None)?;
    let filled = bench.filled(Kind::Sqlite, Content::Events)?;
    let (events, processors) = (filled.events as f64, std::thread::available_parallelism()?.get() as f64);
    let knit = program::path("knit");
    let (mut verified, mut read, mut busy) = (Vec::new(), Vec::new(), Vec::new());
    let log = bench.tokio.block_on(filled.place.open())?;
    bench.tokio.block_on(decoded(&log))?;
    for _ in 0..bench.sizes.rounds {
        let worked = processor_seconds()?;
        bench.tokio.block_on(decoded(&log))?;
        // Reading and decoding of SQLite happens in this process, on as many processors as it takes.
        read.push(events / (processor_seconds()? - worked));
        let worked = processor_seconds()?;
        let seconds = seconds_of(&mut silent(&knit, &["audit", "verify", path(&file)?]))?;
        busy.push((processor_seconds()? - worked) / seconds / processors);
        verified.push(events / seconds / processors);
    }
    bench.tokio.block_on(log.close());
    std::fs::remove_file(&file)?;
    let (verified, read, busy) = (Sample::of(verified), Sample::of(read), Sample::of(busy));
    let row = Row::rates(
        "`knit audit verify` of an export, per processor",
        0.5,
        &verified,
        "ordered read, per processor",
        &read,
    )
    .note(format!(
        "{} on all {processors} processors, which were busy for {:.0} % of the time",
        rate(verified.median() * processors),
        busy.median() * 100.0
    ))
    .value("all_processors_per_s", verified.median() * processors);
    let bars =
        vec![("audit verify".to_owned(), verified.median()), ("ordered read and decode".to_owned(), read.median())];
    let groups = vec![Group { name: "per processor".to_owned(), bars, target: None }];
    Ok(Outcome { rows: vec![row], plots: vec![Plot::bars("Verifying", "events per second", groups)], remarks: vec![] })
}

fn importing(bench: &Bench, kind: Kind) -> anyhow::Result<Outcome> {
    let events = bench.sizes.events / IMPORTED_PART;
    let file = export(bench, Some(events))?;
    let filled = bench.filled(kind, Content::Events)?;
    let rows = bench.tokio.block_on(copied::rows(&filled, events))?;
    let (mut ours, mut theirs, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.sizes.rounds {
        let anchor = bench.place(kind)?;
        theirs.push(events as f64 / bench.tokio.block_on(rows.copy_into(&anchor))?);
        drop(anchor);
        let place = bench.place(kind)?;
        ours.push(imported_per_second(&place, &file)?);
        if let Kind::Postgres = kind {
            let again = bench.place(kind)?;
            whole.push(events as f64 / bench.tokio.block_on(copied::whole(&place, &again))?);
        }
    }
    std::fs::remove_file(&file)?;
    let (ours, theirs) = (Sample::of(ours), Sample::of(theirs));
    let anchor = match kind {
        Kind::Postgres => "COPY in, the events alone",
        Kind::Sqlite => "prepared INSERTs, the events alone",
    };
    let mut row = Row::rates(format!("`knit audit import`, {}", kind.word()), 0.5, &ours, anchor, &theirs);
    if let Kind::Postgres = kind {
        let whole = Sample::of(whole);
        row = row.value("all_tables_per_s", whole.median()).limit(format!(
            "A log has an index of entities and reservations beside its events. By `COPY` of all three, in one \
             transaction, of rows that are ready and in order, PostgreSQL takes {}, {:.2} of what it takes of events \
             alone, on one processor; an import is {:.2} of that, and verifies and decodes every event on the other.",
            rate(whole.median()),
            whole.median() / theirs.median(),
            ours.median() / whole.median()
        ));
    }
    let bars = vec![("audit import".to_owned(), ours.median()), (anchor.to_owned(), theirs.median())];
    let groups = vec![Group { name: kind.word().to_owned(), bars, target: None }];
    let plot = Plot::bars(format!("Importing into {}", kind.word()), "events per second", groups);
    Ok(Outcome { rows: vec![row], plots: vec![plot], remarks: vec![] })
}

/// As the server reckons it, from the first byte to the commit.
fn imported_per_second(place: &Place, file: &Path) -> anyhow::Result<f64> {
    let server = place.setup().flag("--look-only").start();
    let told = server.knit().run(["audit", "import", path(file)?]);
    anyhow::ensure!(told.code == 0, "nothing was imported: {told}");
    let told: Value = serde_json::from_str(&told.stdout)?;
    told["eventsPerSecond"].as_f64().context("an import tells its rate")
}
