//! The HTTP API on a catalog of the size on which the original was measured, and on one a tenth as large,
//! since ours must not slow down in between.

mod commands;
mod questions;
mod runs;

use knit_tests::server::Server;

use crate::bench::{Bench, Content, Filled, Kind};
use crate::plot::{Group, Plot};
use crate::report::Outcome;
use crate::row::{Row, Verdict};

/// Tenths of 10⁵ Data in the smaller catalog.
const SMALLER_TENTHS: u32 = 1;

/// A server on a filled log.
pub(crate) struct Catalog<'b> {
    pub(crate) bench: &'b Bench,
    pub(crate) filled: &'b Filled,
    pub(crate) server: Server,
}

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Outcome> {
    let mut outcome = on(bench, Kind::Postgres, bench.sizes.tenths)?;
    let embedded = on(bench, Kind::Sqlite, bench.sizes.tenths)?;
    outcome.remarks.extend(embedded.remarks);
    outcome.rows.extend(embedded.rows.into_iter().map(|row| Row { what: format!("{}, SQLite", row.what), ..row }));
    outcome.plots.push(plot(&outcome.rows));
    Ok(outcome)
}

fn on(bench: &Bench, kind: Kind, tenths: u32) -> anyhow::Result<Outcome> {
    let filled = bench.filled(kind, Content::Catalog(tenths))?;
    let catalog = Catalog { bench, filled: &filled, server: filled.place.server() };
    let mut rows = questions::measure(&catalog)?;
    if tenths != SMALLER_TENTHS {
        let filled = bench.filled(kind, Content::Catalog(SMALLER_TENTHS))?;
        let smaller = Catalog { bench, filled: &filled, server: filled.place.server() };
        rows.extend(questions::flat(&catalog, &smaller)?);
    }
    rows.extend(commands::measure(&catalog)?);
    // These fill the catalog with Runs, so they come last.
    rows.extend(runs::measure(&catalog)?);
    Ok(Outcome { rows, plots: Vec::new(), remarks: vec![filled.story.clone()] })
}

fn plot(rows: &[Row]) -> Plot {
    let rated = rows.iter().filter_map(|row| {
        let measured = *row.values.get("measured_per_s")?;
        let others = [("the original", "original_per_s"), ("target", "target_per_s")];
        let others = others.into_iter().filter_map(|(name, value)| Some((name.to_owned(), *row.values.get(value)?)));
        let bars = [("ours".to_owned(), measured)].into_iter().chain(others).collect();
        (row.verdict != Verdict::Information).then(|| Group { name: row.what.clone(), bars, target: None })
    });
    Plot::magnitudes("Requests through the HTTP API", "per second", rated.collect())
}
