//! `knit audit …`: what an auditor asks of the log.

mod ahead;
mod chain;
mod checkpoint;
mod export;
mod history;
mod import;
mod keygen;
mod parallel;
mod replay;
mod sending;
mod show;
mod signing;
mod verify;
mod why;

use clap::Subcommand;
use knit_schemas::export::{Flaw, Wrong};

pub(crate) use self::signing::SigningError;
use crate::error::Error;
use crate::events::print;
use crate::session::{Session, block_on};

/// Look into the log, prove that it is whole and untouched, and carry it elsewhere
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print events in order, as `knit events` does
    Log(print::Arguments),
    Show(show::Arguments),
    Why(why::Arguments),
    Verify(verify::Arguments),
    Export(export::Arguments),
    Import(import::Arguments),
    Replay(replay::Arguments),
    Checkpoint(checkpoint::Arguments),
    Keygen(keygen::Arguments),
}

impl Command {
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::Log(_) => "audit log",
            Self::Show(_) => "audit show",
            Self::Why(_) => "audit why",
            Self::Verify(_) => "audit verify",
            Self::Export(_) => "audit export",
            Self::Import(_) => "audit import",
            Self::Replay(_) => "audit replay",
            Self::Checkpoint(_) => "audit checkpoint",
            Self::Keygen(_) => "audit keygen",
        }
    }

    pub(crate) fn run(self, session: &Session) -> Result<(), Error> {
        match self {
            Self::Log(arguments) => block_on(print::run(arguments, session)),
            Self::Show(arguments) => block_on(show::run(arguments, session)),
            Self::Why(arguments) => block_on(why::run(arguments, session)),
            Self::Verify(arguments) => block_on(verify::run(arguments, session)),
            Self::Export(arguments) => block_on(export::run(arguments, session)),
            Self::Import(arguments) => block_on(import::run(arguments, session)),
            Self::Replay(arguments) => block_on(replay::run(arguments, session)),
            Self::Checkpoint(arguments) => block_on(checkpoint::run(arguments, session)),
            Self::Keygen(arguments) => keygen::run(&arguments, session),
        }
    }
}

/// Where a history was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Server,
    Files,
}

/// What still stands, and what to do about the rest.
pub(crate) fn hint(flaw: &Flaw, source: Source) -> String {
    let keep = match source {
        Source::Server => "keep the database as it is, and compare it with a backup",
        Source::Files => {
            "keep the file as it is, and compare it with a copy, or with the server's log: `knit audit verify`"
        }
    };
    match (&flaw.wrong, flaw.position.checked_sub(1)) {
        (Wrong::Broken(broken), _) => history::hint(broken),
        (Wrong::NoBegin | Wrong::OtherFormat { .. } | Wrong::OtherBeginning, _) | (_, None) => {
            "`knit audit export -o FILE` writes what can be verified".to_owned()
        }
        (Wrong::CutOff | Wrong::NoRecord { .. } | Wrong::SecondBeginning | Wrong::MoreBehindTheEnd, Some(_)) => {
            "the file is damaged, and not necessarily the log: export it again, or verify the server's: `knit audit verify`"
                .to_owned()
        }
        (Wrong::NotAdmitted, _) if source == Source::Files => {
            "if what is verified ends before the log does, the admission may lie behind it: verify it together with what \
             follows"
                .to_owned()
        }
        (_, Some(0)) => keep.to_owned(),
        (_, Some(last)) => format!("everything up to position {last} is in order; {keep}"),
    }
}
