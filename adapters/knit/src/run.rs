//! `knit run …`.

mod diff;
mod explain;
mod find;
mod lineage;
mod log;
mod notes;
mod retry;
mod rm;
mod show;
mod stop;
mod wait;

use clap::Subcommand;

pub(crate) use self::find::STATUSES;
use crate::error::Error;
use crate::session::{Session, block_on};

/// Find, show, await, stop, retry and remove Runs
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Show(show::Arguments),
    Find(find::Arguments),
    Stop(stop::Arguments),
    Rm(rm::Arguments),
    Retry(retry::Arguments),
    Lineage(lineage::Arguments),
    Explain(explain::Arguments),
    Diff(diff::Arguments),
    Wait(wait::Arguments),
}

impl Command {
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::Show(_) => "run show",
            Self::Find(_) => "run find",
            Self::Stop(_) => "run stop",
            Self::Rm(_) => "run rm",
            Self::Retry(_) => "run retry",
            Self::Lineage(_) => "run lineage",
            Self::Explain(_) => "run explain",
            Self::Diff(_) => "run diff",
            Self::Wait(_) => "run wait",
        }
    }

    pub(crate) fn run(self, session: &Session) -> Result<(), Error> {
        match self {
            Self::Show(arguments) => block_on(show::run(arguments, session)),
            Self::Find(arguments) => block_on(find::run(arguments, session)),
            Self::Stop(arguments) => block_on(stop::run(arguments, session)),
            Self::Rm(arguments) => block_on(rm::run(arguments, session)),
            Self::Retry(arguments) => block_on(retry::run(arguments, session)),
            Self::Lineage(arguments) => block_on(lineage::run(arguments, session)),
            Self::Explain(arguments) => block_on(explain::run(arguments, session)),
            Self::Diff(arguments) => block_on(diff::run(arguments, session)),
            Self::Wait(arguments) => block_on(wait::run(arguments, session)),
        }
    }
}
