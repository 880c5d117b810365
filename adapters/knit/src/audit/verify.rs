//! `knit audit verify`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use knit_schemas::checkpoint::{self, Held, Mismatch, Signed};
use knit_schemas::export::{Flaw, Verified, Wrong};
use knit_schemas::instant;
use reqwest::Response;
use serde::Serialize;
use tokio::sync::mpsc;

use super::export::{self, Notation, Range};
use super::history::History;
use super::parallel;
use super::signing::{SigningError, checkpoints_signed_by, public_keys, watched};
use crate::archive::incoming;
use crate::client::{connection_lost, position_of};
use crate::error::{Ask, Error};
use crate::output::Progress;
use crate::session::{Session, on_thread};
use crate::telling::{Telling, counted, time};

/// Prove that the history is whole and untouched
///
/// Computes every hash of the log anew, on all processors, and trusts nothing that the server or the file says about
/// them. Without a file the log of the server is fetched and verified; an export needs no server. Ends with 8 and the
/// first position that is not in order, if one is not. With checkpoints, that `knit audit checkpoint` has signed, also a
/// history is found out whose hashes were all computed anew.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// An export or the segments of an archive, which together are one history, or the directory of an archive; `-`
    /// reads standard input [default: the log of the server]
    #[arg(value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// Hold the history against the checkpoints of this file, too; may be repeated
    #[arg(long, value_name = "FILE", requires = "key")]
    checkpoint: Vec<PathBuf>,
    /// The public key of somebody whose checkpoints are trusted; may be repeated, and a file may hold several
    #[arg(long, value_name = "FILE", requires = "checkpoint")]
    key: Vec<PathBuf>,
    #[command(flatten)]
    telling: Telling,
}

/// That the history is whole.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    /// Events that were verified.
    events: u64,
    /// The position before the first of them.
    after: u64,
    /// The last position.
    position: u64,
    /// The chain there, in hexadecimal: whoever writes it down elsewhere can compare it later.
    chain: String,
    /// Events whose content was taken out, each admitted by another event.
    redacted: u64,
    /// How many of those an older program redacted, which took no hash of what stays of them: who caused them and in
    /// which stream they are is not proved.
    without_envelope: u64,
    /// What was signed of it, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<AsSigned>,
    events_per_second: u64,
    processors: usize,
}

/// That the history is the one that was signed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AsSigned {
    /// Checkpoints that lie in it.
    checkpoints: u64,
    /// Nothing up to this position is other than it was …
    position: u64,
    /// … when it was signed.
    at: instant::Instant,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let began = Instant::now();
    let Arguments { files, checkpoint, key, telling } = arguments;
    let signed = signed(&checkpoint, &key, session)?;
    let verified = verified(&files, session, watched(&signed)).await?;
    let held = checkpoint::hold(signed.iter().map(|signed| &signed.checkpoint), &verified);
    let held = held.map_err(mismatch_of(&files))?;
    let as_signed = as_signed(&held, !signed.is_empty(), verified.after)?;
    telling.tell(&answer(&verified, as_signed, began.elapsed()), lines)
}

/// What it is that does not fit a checkpoint: files, or without any the log of the server.
pub(super) fn mismatch_of(files: &[PathBuf]) -> fn(Mismatch) -> SigningError {
    if files.is_empty() { SigningError::Mismatch } else { SigningError::MismatchInFiles }
}

/// The checkpoints of all files, each signed by somebody who is trusted.
fn signed(files: &[PathBuf], keys: &[PathBuf], session: &Session) -> Result<Vec<Signed>, Error> {
    let expand = |path: &PathBuf| session.environment.expand_home(path);
    let keys: Result<Vec<_>, Error> = keys.iter().map(|path| public_keys(&expand(path))).collect();
    let keys = keys?.concat();
    let all: Result<Vec<_>, Error> = files.iter().map(|path| checkpoints_signed_by(&keys, &expand(path))).collect();
    Ok(all?.concat())
}

/// Verifies the history in `files`, or without any the log of the server, and notes the chain at the `watched`
/// positions.
pub(super) async fn verified(files: &[PathBuf], session: &Session, watched: BTreeSet<u64>) -> Result<Verified, Error> {
    if files.is_empty() {
        return of_server(session, watched).await?.map_err(Error::NotWhole);
    }
    of_history(History::at(files, session)?, watched).await
}

/// What checkpoints have proved, if there are any.
fn as_signed(held: &Held, are_wanted: bool, after: u64) -> Result<Option<AsSigned>, SigningError> {
    match held.last {
        None if are_wanted => Err(SigningError::NoneWithin { after }),
        None => Ok(None),
        Some(last) => Ok(Some(AsSigned { checkpoints: held.count, position: last.position, at: last.time })),
    }
}

fn answer(verified: &Verified, signed: Option<AsSigned>, took: Duration) -> Answer {
    let per_second = u128::from(verified.events) * 1_000_000 / took.as_micros().max(1);
    Answer {
        events: verified.events,
        after: verified.after,
        position: verified.position,
        chain: hex::encode(verified.chain),
        redacted: verified.redacted,
        without_envelope: verified.without_envelope,
        signed,
        events_per_second: u64::try_from(per_second).unwrap_or(u64::MAX),
        processors: parallel::processors(),
    }
}

fn lines(answer: &Answer) -> Vec<String> {
    let mut lines = vec![format!("whole: {}", counted(answer.events, "event", "events"))];
    if answer.after > 0 {
        lines.push(format!("not looked at: positions 1 to {}", answer.after));
    }
    if answer.redacted > 0 {
        lines.push(format!("redacted, and admitted: {}", counted(answer.redacted, "event", "events")));
    }
    if answer.without_envelope > 0 {
        let events = counted(answer.without_envelope, "event", "events");
        lines.push(format!(
            "not proved: who caused {events} of those, in which stream, and of which kind; an older program redacted them"
        ));
    }
    let processors = counted(answer.processors as u64, "processor", "processors");
    lines.push(format!("head: position {}, chain {}", answer.position, answer.chain));
    if let Some(AsSigned { checkpoints, position, at }) = &answer.signed {
        let checkpoints = counted(*checkpoints, "checkpoint", "checkpoints");
        lines.push(format!("as signed: {checkpoints}, up to position {position} at {}", time(*at)));
    }
    lines.push(format!("rate: {} events per second on {processors}", answer.events_per_second));
    lines
}

async fn of_history(history: History, watched: BTreeSet<u64>) -> Result<Verified, Error> {
    let progress = history.progress("Verifying");
    let input = history.read(progress.clone());
    let verified = on_thread(move || parallel::verify(input, &watched, |_| {})).await?;
    progress.finish();
    verified.map_err(|error| history.unreadable(error))?.map_err(|flaw| history.not_whole(flaw))
}

async fn of_server(session: &Session, watched: BTreeSet<u64>) -> Result<Result<Verified, Flaw>, Error> {
    let (ask, response) = export::ask_for(&session.client()?, Notation::Proto, Range::default()).await?;
    let progress = Progress::of_events("Verifying the log".to_owned());
    progress.expect(position_of(&response).unwrap_or_default());
    let (sender, reader) = incoming::channel();
    let advancing = progress.clone();
    let verifying = on_thread(move || parallel::verify(reader, &watched, |events| advancing.advance(events)));
    let (received, verified) = tokio::join!(receive(&ask, response, sender), verifying);
    progress.finish();
    match (received, verified??) {
        // The log is not to blame for a connection that broke.
        (Err(lost), Err(Flaw { wrong: Wrong::CutOff | Wrong::NoBegin, .. })) => Err(lost),
        (_, verified) => Ok(verified),
    }
}

/// Passes the answer on, until nobody wants more of it.
async fn receive(ask: &Ask, mut response: Response, reader: mpsc::Sender<Bytes>) -> Result<(), Error> {
    while let Some(piece) = response.chunk().await.map_err(connection_lost(ask))? {
        if reader.send(piece).await.is_err() {
            break;
        }
    }
    Ok(())
}
