//! Sending a history to a server: a thread reads it, and nothing but a few pieces of it is in memory.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Frame;
use indicatif::HumanCount;
use knit_schemas::export::{Broken, Flaw, Record, Splitter, Wrong, flaw_of_parts};
use reqwest::{Body, Response, Url};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::history::History;
use super::parallel;
use crate::client::Client;
use crate::error::{Ask, Error};
use crate::output::{self, Progress};
use crate::session::on_thread;

/// Pieces between the thread and the connection: enough to keep both busy, two megabytes in all.
const PIECES_WAITING: usize = 32;
/// How long the thread is waited for when the request broke, to hear whether it was to blame. It may never answer: it is
/// stuck where nothing comes from what it reads.
const BLAME_WAIT: Duration = Duration::from_secs(1);
/// Bytes of a piece.
const PIECE_BYTES: usize = 64 * 1024;

/// Sends the history to `url`, behind what is told `ahead` of it, and answers the server's answer. How far it is is shown
/// in bytes, events and their rate.
pub(super) async fn send(
    client: &Client,
    ask: &Ask,
    url: Url,
    ahead: Bytes,
    history: &History,
    doing: &str,
) -> Result<Response, Error> {
    let progress = history.progress(doing);
    let reader = history.read(progress.clone());
    let (pieces, receiver) = mpsc::channel(PIECES_WAITING);
    let (outcome, read) = oneshot::channel();
    let shown = Shown { progress: progress.clone(), title: history.title(doing), begun: Instant::now() };
    // Nobody waits for the thread at the end of the program: it may be stuck on a connection that stands still.
    std::thread::spawn(move || {
        // That nobody wants to know any more is no error.
        let is_wanted = ahead.is_empty() || pieces.blocking_send(Ok(ahead)).is_ok();
        let _ = outcome.send(if is_wanted { hand_over(reader, &pieces, &shown) } else { Ok(()) });
    });
    let answer = client.send_history(ask, url, Body::wrap(Pieces { pieces: receiver })).await;
    progress.finish();
    // When the files are to blame, the broken request is only the consequence.
    if let Err(Error::ConnectionLost { .. }) = answer
        && let Ok(Ok(Err(Unread { position, error }))) = timeout(BLAME_WAIT, read).await
    {
        let Some(broken) = Broken::of(&error) else { return Err(history.unreadable(error)) };
        let cut_off = Flaw { position: position.saturating_add(1), wrong: Wrong::CutOff };
        let flaw = earlier_flaw(history).await.unwrap_or_else(|| flaw_of_parts(Err(cut_off), broken));
        return Err(history.not_whole(flaw));
    }
    answer
}

/// The first thing that is wrong with a history whose reading has failed, if it can be read again: damage in what is
/// compressed often shows in the records long before it shows in the compression.
async fn earlier_flaw(history: &History) -> Option<Flaw> {
    let input = history.is_in_files().then(|| history.read(Progress::hidden()))?;
    on_thread(move || parallel::verify(input, &BTreeSet::new(), |_| {})).await.ok()?.ok()?.err()
}

/// What a person sees meanwhile.
struct Shown {
    progress: Progress,
    title: String,
    begun: Instant,
}

impl Shown {
    fn reach(&self, position: u64) {
        #[expect(clippy::cast_precision_loss, reason = "it is told with fewer digits than are kept")]
        let rate = output::rate(position as f64 / self.begun.elapsed().as_secs_f64().max(f64::EPSILON));
        // What the line has no room for is the end of a path.
        self.progress.tell(format!("{} events, {rate}: {}", HumanCount(position), self.title));
    }
}

/// The files cannot be read to their end.
struct Unread {
    /// The last position that they told.
    position: u64,
    error: io::Error,
}

/// Reads to the end, or until nobody wants more.
fn hand_over(mut input: impl Read, pieces: &mpsc::Sender<io::Result<Bytes>>, shown: &Shown) -> Result<(), Unread> {
    let (mut splitter, mut piece, mut position) = (Splitter::default(), vec![0; PIECE_BYTES], 0);
    loop {
        let bytes = match input.read(&mut piece) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                // A body that simply ended would be an export that was cut off.
                let _ = pieces.blocking_send(Err(error.kind().into()));
                let position = last_position(&splitter).unwrap_or(position);
                return Err(Unread { position, error });
            }
        };
        if bytes == 0 || pieces.blocking_send(Ok(Bytes::copy_from_slice(&piece[..bytes]))).is_err() {
            return Ok(());
        }
        if splitter.push(&piece[..bytes]).is_some() {
            position = last_position(&splitter).unwrap_or(position);
            shown.reach(position);
        }
    }
}

fn last_position(splitter: &Splitter) -> Option<u64> {
    match splitter.last()? {
        Record::Event(event) => Some(event.position),
        Record::Begin(begin) => Some(begin.after),
        Record::End(end) => Some(end.position),
        Record::Unreadable(_) => None,
    }
}

/// The body as the HTTP library wants it.
struct Pieces {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.pieces.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
