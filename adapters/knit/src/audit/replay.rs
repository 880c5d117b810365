//! `knit audit replay`.

use std::path::PathBuf;

use clap::Args;
use knit_schemas::api::{ReplayStep, ReplayedProjection};
use reqwest::Response;

use super::ahead::{Ahead, redactions};
use super::history::History;
use super::sending;
use crate::admin::{self, lines};
use crate::as_of;
use crate::client::Client;
use crate::error::{Ask, Error, Subject};
use crate::output::Progress;
use crate::session::Session;
use crate::telling::{Telling, time};

/// How often a history is sent at most: without what has to be told ahead of it, and with each of the two things that may.
const SENT_MAX: usize = 3;
/// What is said where they are too many.
const TOO_MUCH_REDACTED: &str = "more was redacted in it than can be told ahead of it: import it into an empty log \
    (`knit audit import`, of a `knitd --look-only`), and replay that";

/// Fold the history again up to a place, and tell what it comes to
///
/// The server folds it into projections that nobody else sees, and answers the position, the chain there, and the digest
/// of each projection: those of `knit admin projections --digest` at the same position are equal, on this server and on
/// any other of the same version. Without a file its own log is folded, and every event held against its leaf and the
/// chain; an export is verified on the way, and nothing of it is kept. While it lasts, the server needs memory for another copy of all projections.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Ask through this socket [default: KNITD_ADMIN_SOCKET, or else admin.sock in KNITD_STATE_DIR or ~/.local/share/knitfab]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// End there: at a position, a time such as 2025-03-03T10:15, or `2h ago` [default: the end of the history]
    #[arg(long, value_name = "TIME", value_parser = as_of::parse)]
    until: Option<String>,
    #[command(flatten)]
    telling: Telling,
    /// An export or the segments of an archive, which together are one history, or the directory of an archive; `-`
    /// reads standard input [default: the log of the server]
    #[arg(value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { socket, until, telling, files } = arguments;
    let client = admin::client(socket, session)?;
    let replay = Replay { client, ask: Ask::question("replay", Subject::History), until };
    let replayed = if files.is_empty() {
        replay.of_the_log().await?
    } else {
        replay.of_files(&History::at(&files, session)?).await?
    };
    telling.tell(&replayed, told)?;
    let ReplayStep::Replayed { projections, .. } = &replayed else { return Ok(()) };
    match projections.iter().find_map(|projection| projection.why.as_ref()) {
        Some(why) => Err(Error::NotTaken { ask: replay.ask, why: why.clone() }),
        None => Ok(()),
    }
}

/// What is asked, and of whom.
struct Replay {
    client: Client,
    ask: Ask,
    until: Option<String>,
}

impl Replay {
    async fn of_the_log(&self) -> Result<ReplayStep, Error> {
        let mut url = self.client.url(&["admin", "replay"])?;
        url.query_pairs_mut().extend_pairs(self.until.iter().map(|until| ("until", until)));
        let response = self.client.order_at(&self.ask, url).await?;
        let progress = Progress::of_events("Replaying the log".to_owned());
        let end = self.end(response, &progress).await;
        progress.finish();
        end.map_err(|error| {
            let Error::FoundBroken { why, .. } = error else { return error };
            Error::LogNotWhole { ask: self.ask.clone(), why }
        })
    }

    /// Sends it again where something has to be told ahead of it, which is said only behind what it is about.
    async fn of_files(&self, history: &History) -> Result<ReplayStep, Error> {
        let mut ahead = Ahead::default();
        for _ in 0..SENT_MAX {
            match self.send(history, &ahead).await? {
                ReplayStep::SkipsAhead { skips } if ahead.skips.is_empty() => {
                    self.can_be_read_again(
                        history,
                        "it lets projections pass over events, which is said only behind them",
                    )?;
                    ahead.skips = skips;
                }
                ReplayStep::RedactedAhead { position } if ahead.redactions.is_none() => {
                    self.can_be_read_again(
                        history,
                        &format!("what remains of event {position}, which was redacted, is said only behind it"),
                    )?;
                    let found = redactions(history).await?;
                    ahead.redactions = Some(found.ok_or_else(|| self.not_taken(TOO_MUCH_REDACTED))?);
                }
                ReplayStep::SkipsAhead { .. } | ReplayStep::RedactedAhead { .. } => break,
                end @ (ReplayStep::Folding { .. }
                | ReplayStep::Replayed { .. }
                | ReplayStep::Flawed { .. }
                | ReplayStep::Failed { .. }) => return Ok(end),
            }
        }
        Err(self.not_taken("the file has changed meanwhile"))
    }

    fn can_be_read_again(&self, history: &History, why: &str) -> Result<(), Error> {
        if history.is_in_files() {
            return Ok(());
        }
        Err(self.not_taken(&format!("{why}: replay it from a file")))
    }

    async fn send(&self, history: &History, ahead: &Ahead) -> Result<ReplayStep, Error> {
        let mut url = self.client.url(&["admin", "replay", "sent"])?;
        let skips = ahead.skips.iter().map(|skip| ("skip", format!("{}:{}", skip.projection, skip.position)));
        let until = self.until.iter().map(|until| ("until", until.clone()));
        let redactions = ahead.redactions.iter().map(|told| ("ahead", told.len().to_string()));
        url.query_pairs_mut().extend_pairs(until.chain(skips).chain(redactions));
        let told = ahead.redactions.clone().unwrap_or_default();
        let response = sending::send(&self.client, &self.ask, url, told, history, "Replaying").await?;
        self.end(response, &Progress::hidden()).await
    }

    async fn end(&self, response: Response, progress: &Progress) -> Result<ReplayStep, Error> {
        let end = lines::until_the_end(&self.ask, response, |step| match step {
            ReplayStep::Folding { position, head, .. } => {
                progress.reach(position, head);
                None
            }
            end @ (ReplayStep::Replayed { .. }
            | ReplayStep::SkipsAhead { .. }
            | ReplayStep::RedactedAhead { .. }
            | ReplayStep::Flawed { .. }
            | ReplayStep::Failed { .. }) => Some(end),
        });
        match end.await? {
            ReplayStep::Flawed { position, why } => Err(Error::FoundBroken { position, why }),
            ReplayStep::Failed { why } => Err(self.not_taken(&why)),
            end @ (ReplayStep::Folding { .. }
            | ReplayStep::Replayed { .. }
            | ReplayStep::SkipsAhead { .. }
            | ReplayStep::RedactedAhead { .. }) => Ok(end),
        }
    }

    fn not_taken(&self, why: &str) -> Error {
        Error::NotTaken { ask: self.ask.clone(), why: why.to_owned() }
    }
}

fn told(end: &ReplayStep) -> Vec<String> {
    let ReplayStep::Replayed { position, chain, at, events_per_second, projections } = end else {
        return Vec::new();
    };
    let at = at.map(|at| format!(", recorded at {}", time(at))).unwrap_or_default();
    let mut lines = vec![format!("replayed: up to position {position}{at}"), format!("chain: {chain}")];
    lines.extend(projections.iter().map(projection));
    lines.push(format!("rate: {events_per_second} events per second"));
    lines
}

fn projection(projection: &ReplayedProjection) -> String {
    let ReplayedProjection { name, position, digest, why, .. } = projection;
    match why {
        None => format!("{name}: digest {digest}"),
        Some(why) => format!("{name}: stopped at position {position}, digest {digest}: {why}"),
    }
}
