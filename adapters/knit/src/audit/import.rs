//! `knit audit import`.

use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use knit_schemas::api::ImportEnd;

use super::history::History;
use super::sending;
use crate::admin;
use crate::client::understood;
use crate::error::{Ask, Error, Subject};
use crate::session::Session;
use crate::telling::{Telling, counted};

/// Take over a history that was exported elsewhere, into a log that has none
///
/// The server must have been started with `knitd --look-only` on an empty database or state directory, and is asked
/// through its administration socket. Everything is verified while it is read, and is there at once or not at all:
/// positions, ids, stamps, hashes and the chain are those of the export. Ends with 8 and the first position that is not
/// in order, if one is not, and with 5 if the log is not empty; then nothing has changed. The content of Data is not in
/// an export: carry `volumes/` of the state directory as well, before a server without --look-only is started.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Ask through this socket [default: KNITD_ADMIN_SOCKET, or else admin.sock in KNITD_STATE_DIR or ~/.local/share/knitfab]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    telling: Telling,
    /// An export or the segments of an archive, which together are one history, or the directory of an archive; `-`
    /// reads standard input
    #[arg(value_name = "FILE|DIR", required = true)]
    files: Vec<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { socket, telling, files } = arguments;
    let client = admin::client(socket, session)?;
    let history = History::at(&files, session)?;
    let ask = Ask::order("import", Subject::History);
    let url = client.url(&["admin", "import"])?;
    let answer = sending::send(&client, &ask, url, Bytes::new(), &history, "Importing").await?;
    match understood(&ask, answer).await? {
        ImportEnd::Flawed { position, why } => Err(Error::FoundBroken { position, why }),
        ImportEnd::Failed { why } => Err(Error::NotTaken { ask, why }),
        imported @ ImportEnd::Imported { .. } => telling.tell(&imported, lines),
    }
}

fn lines(end: &ImportEnd) -> Vec<String> {
    let ImportEnd::Imported { events, position, chain, redacted, events_per_second, unfinished_runs } = end else {
        return Vec::new();
    };
    let mut lines = vec![format!("imported: {}", counted(*events, "event", "events"))];
    if *redacted > 0 {
        lines.push(format!("redacted, and admitted: {}", counted(*redacted, "event", "events")));
    }
    lines.push(format!("head: position {position}, chain {chain}"));
    if let Some(runs) = unfinished_runs.filter(|runs| *runs > 0) {
        let runs = counted(runs, "Run is not over", "Runs are not over");
        lines.push(format!("{runs}: a server without --look-only goes on with what is due"));
    }
    lines.push(format!("rate: {events_per_second} events per second"));
    lines
}
