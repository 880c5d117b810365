//! `knit audit checkpoint`.

use std::path::PathBuf;

use clap::Args;
use knit_schemas::checkpoint::{self, Checkpoint, FIRST};
use knit_schemas::export::Verified;
use knit_schemas::instant::Instant;

use super::signing::{self, SigningError, watched};
use super::verify;
use crate::error::Error;
use crate::output;
use crate::session::Session;

/// Sign the head of the log, so that nobody rewrites the history unnoticed
///
/// Whoever can write to the database can compute every hash anew, but not a signature. So the log is verified, and its
/// position and chain are signed with a key that is kept elsewhere. Keep the checkpoints elsewhere, too. What a file
/// of checkpoints holds already is held against the log first: a log that is not the one that was signed is not
/// signed again. `knit audit verify --checkpoint FILE --key PUBLIC_KEY` verifies them; `schemas/checkpoint.md` says how
/// they are written.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The private key, as `knit audit keygen` writes it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Write the checkpoint behind those of this file, not to standard output
    #[arg(long, value_name = "FILE")]
    append: Option<PathBuf>,
    /// An export or an archive of the whole log, whose end is signed; `-` reads standard input [default: the log of
    /// the server]
    #[arg(value_name = "EXPORT")]
    export: Vec<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let expand = |path: PathBuf| session.environment.expand_home(&path);
    // Nobody waits for the verification of a log to be told that there is no key.
    let key = signing::signing_key(&expand(arguments.key))?;
    let append = arguments.append.map(expand);
    let earlier = match &append {
        Some(path) if path.exists() => signing::checkpoints_of_anybody(path)?,
        Some(_) | None => Vec::new(),
    };
    let verified = verify::verified(&arguments.export, session, watched(&earlier)).await?;
    checkpoint::hold(earlier.iter().map(|signed| &signed.checkpoint), &verified)
        .map_err(verify::mismatch_of(&arguments.export))?;
    let signed = key.sign(head_of(&verified)?);
    match append {
        Some(path) => signing::append(&path, &signed).map_err(Error::file("write", path)),
        None => Ok(output::text(&signed.to_string())?),
    }
}

/// What is signed of a log.
fn head_of(verified: &Verified) -> Result<Checkpoint, SigningError> {
    let &Verified { after, position, chain, .. } = verified;
    if after > 0 {
        return Err(SigningError::NotTheWhole { after });
    }
    let Some(log) = verified.chains.get(&FIRST).copied() else { return Err(SigningError::EmptyLog) };
    // Seconds say enough, and a checkpoint may be copied by hand.
    let time = Instant::from_unix_ms(chrono::Utc::now().timestamp() * 1_000);
    let time = time.expect("the clock of a machine is within the calendar");
    Ok(Checkpoint { log, position, chain, time })
}
