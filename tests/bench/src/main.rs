//! `make bench`: every target of the design, measured beside its anchor in one run.
//!
//! A figure alone says little: machines differ, and a busy one differs from itself. So each target is
//! measured beside something that everybody knows (an `INSERT` with its commit, `tar | gzip`, `true`), in
//! the same run, in alternating rounds of which the median counts. The programs under test are the
//! ordinary release builds, run from outside through the test kit; what goes on inside a server is measured
//! by calling the same crates on the same histories.
//!
//! The modules, in reading order: [`args`], [`bench`] with what the families share, [`graph`] and
//! [`history`] that make up the past; then one module for each family of rows; then [`row`], [`plot`] and
//! [`report`], which say what came of it.

mod args;
mod bench;
mod graph;
mod history;

mod api;
mod append;
mod audit;
mod cli;
mod fold;
mod hop;
mod lineage;
mod memory;
mod read;
mod rebuild;
mod start;
mod transfer;

mod machine;
mod plot;
mod process;
mod report;
mod row;
mod statistics;
mod wire;

mod soak;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser as _;

use crate::args::{Args, Family, Instead};
use crate::bench::{Bench, Sizes, tell};
use crate::graph::wfformat;
use crate::machine::Machine;
use crate::report::{Outcome, Report, Results};
use crate::row::Verdict;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(failed) if failed => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Measures what is asked for; answers whether something could not be measured.
#[expect(clippy::print_stdout, reason = "the table is what the harness is for")]
fn run(args: &Args) -> anyhow::Result<bool> {
    if !args.peak_of.is_empty() {
        println!("{}", process::measure_peak(&args.peak_of)?);
        return Ok(false);
    }
    if let Some(Instead::Soak(soak)) = &args.instead {
        return soak::run(soak);
    }
    let earlier =
        args.within.as_deref().map(Results::of).transpose().context("there are no earlier results to read")?;
    let begun = Instant::now();
    let workflows = args.workflows.as_deref().map(wfformat::folder).transpose()?.unwrap_or_default();
    let bench = Bench::new(if args.quick { Sizes::QUICK } else { Sizes::FULL }, workflows)?;
    let machine = Machine::here(bench.scratch(), bench.postgres()?);
    let outcomes: Vec<(Family, Outcome)> =
        args.families().into_iter().map(|family| (family, measure(&bench, family))).collect();
    let mut report = Report::new(machine, args.quick, begun.elapsed().as_secs_f64(), outcomes);
    if let Some(earlier) = earlier {
        report = report.within(earlier);
    }
    println!("{}", report.markdown());
    let otherwise = if args.is_whole() { "docs" } else { "target/bench" };
    let out = args.within.clone().or_else(|| args.out.clone()).unwrap_or_else(|| PathBuf::from(otherwise));
    report.write(&out).with_context(|| format!("cannot write the results to {}", out.display()))?;
    Ok(report.rows().any(|row| row.verdict == Verdict::Failed))
}

/// One family. What goes wrong in it, a panic of the kit included, costs its own rows and no others.
fn measure(bench: &Bench, family: Family) -> Outcome {
    tell(&format!("measuring: {}", family.word()));
    let begun = Instant::now();
    let measured = std::panic::catch_unwind(AssertUnwindSafe(|| match family {
        Family::Append => append::measure(bench),
        Family::Read => read::measure(bench),
        Family::Fold => fold::measure(bench),
        Family::Audit => audit::measure(bench),
        Family::Lineage => lineage::measure(bench),
        Family::Memory => memory::measure(bench),
        Family::Start => start::measure(bench),
        Family::Rebuild => rebuild::measure(bench),
        Family::Hop => hop::measure(bench),
        Family::Transfer => transfer::measure(bench),
        Family::Api => api::measure(bench),
        Family::Cli => cli::measure(bench),
    }));
    let outcome = match measured {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Outcome::failed(family, &format!("{error:#}")),
        Err(_) => Outcome::failed(family, "it panicked; the reason is above"),
    };
    outcome.rows.iter().for_each(|row| tell(&row.line()));
    tell(&format!("{} took {} s", family.word(), row::number(begun.elapsed().as_secs_f64())));
    outcome
}
