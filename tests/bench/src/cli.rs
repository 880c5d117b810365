//! The programs by themselves: how long `knit` takes to say something, and what a server costs that does
//! nothing.

use std::time::Duration;

use knit_tests::program;
use knit_tests::server::Setup;

use crate::bench::Bench;
use crate::plot::{Group, Plot};
use crate::process::{self, peak_bytes, resident_bytes, silent};
use crate::report::Outcome;
use crate::row::{Row, bytes, latency};

/// Calls of each program.
const CALLS: usize = 101;
/// What a server that just started is given to come to rest.
const REST: Duration = Duration::from_secs(3);

pub(crate) fn measure(_bench: &Bench) -> anyhow::Result<Outcome> {
    let knit = program::path("knit");
    let help = process::wall(CALLS, || Ok(silent(&knit, &["--help"])))?;
    let nothing = process::wall(CALLS, || Ok(silent("true", &[])))?;
    let peak = peak_bytes(&[&knit.to_string_lossy(), "--help"])?;
    let peak_of_nothing = peak_bytes(&["true"])?;
    let server = Setup::new().logging("info").start();
    // Nothing says when it is at rest; its memory does not depend on the moment much.
    std::thread::sleep(REST);
    let idle = resident_bytes(server.pid())?;
    let rows = vec![
        Row::judged("`knit --help`, wall", "≤ 10 ms", latency(&help), help.median() <= 0.01)
            .beside("`true`", &latency(&nothing), nothing.median() / help.median())
            .value("p50_s", help.median())
            .value("p99_s", help.p99()),
        Row::judged("`knit --help`, resident", "≤ 15 MB", bytes(peak), peak <= 15e6)
            .beside("`true`", &bytes(peak_of_nothing), peak_of_nothing / peak)
            .value("measured_bytes", peak)
            .note("the most that the process had; what the process that called it had before counts as well"),
        Row::judged("idle `knitd`, empty log, resident", "≤ 40 MB", bytes(idle), idle <= 40e6)
            .value("measured_bytes", idle)
            .note("the embedded default, three seconds after it was ready"),
    ];
    let times = vec![("knit --help".to_owned(), help.median() * 1e3), ("true".to_owned(), nothing.median() * 1e3)];
    let sizes = vec![("knit --help".to_owned(), peak / 1e6), ("idle knitd".to_owned(), idle / 1e6)];
    let plots = vec![
        Plot::bars("A short program", "ms", vec![Group { name: "wall".to_owned(), bars: times, target: Some(10.0) }]),
        Plot::bars("Memory", "MB", vec![Group { name: "resident".to_owned(), bars: sizes, target: None }]),
    ];
    Ok(Outcome { rows, plots, remarks: Vec::new() })
}
