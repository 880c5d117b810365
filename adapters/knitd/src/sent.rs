//! A history that somebody sends: verified on all processors while it comes, and handed on in order.
//!
//! One task reads and cuts; each batch of whole records is checked by itself on a thread for long work, where it is also
//! made into whatever is wanted of it. Whoever takes the parts gets them in the order of their positions, and none
//! behind something that is wrong. What is not taken is not read, so that memory does not grow with the history.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use knit_domain::event::Position;
use knit_schemas::export::{Batch, Checked, Event, Flaw, Splitter, Verification, Verified, check_and_keep};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// How long nothing may come, before whoever sends is taken for gone. Less than the log lets an import stand still.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Batches for each processor that are checked or wait to be taken: one is worked on while another waits.
const BATCHES_PER_PROCESSOR: usize = 2;

/// Why a history that was sent cannot be taken to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// It is not in order.
    #[error("the history is not whole: {0}")]
    Flaw(#[from] Flaw),
    /// It begins in the midst.
    #[error("the export begins behind position {after}: what was before is missing")]
    Part {
        /// The position before its first event.
        after: Position,
    },
    /// The connection broke.
    #[error("the export broke off on its way: {0}")]
    Lost(String),
    /// Nothing came for too long.
    #[error("nothing was sent for {} s", SILENCE_MAX.as_secs())]
    Silent,
    /// Checking panicked.
    #[error("the server made a mistake; its log says where")]
    Bug,
}

/// A history on its way, of whose batches something is made each.
pub(crate) struct Sent<T> {
    coming: mpsc::Receiver<Coming<T>>,
    verification: Verification,
    _reading: AbortOnDropHandle<()>,
}

/// What comes next.
enum Coming<T> {
    Batch(JoinHandle<(Checked, T)>),
    Broken(Broken),
}

impl<T: Send + 'static> Sent<T> {
    /// Begins to read `body`, and to let `make` make something of the events of each batch. What it makes of events
    /// that are not in order is not handed on.
    pub(crate) fn new(body: Body, make: impl Fn(Vec<Event>) -> T + Send + Sync + 'static) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let (sender, coming) = mpsc::channel(BATCHES_PER_PROCESSOR * processors);
        let reading = AbortOnDropHandle::new(tokio::spawn(read(body, Arc::new(make), sender)));
        Self { coming, verification: Verification::default(), _reading: reading }
    }

    /// What was made of the next batch; none at the end, where [`Self::finish`] says whether it is the end.
    ///
    /// # Errors
    /// When something is wrong in it, or nothing more can come.
    pub(crate) async fn next(&mut self) -> Result<Option<T>, Broken> {
        let batch = match self.coming.recv().await {
            Some(Coming::Batch(batch)) => batch,
            Some(Coming::Broken(broken)) => return Err(broken),
            None => return Ok(None),
        };
        let (checked, made) = batch.await.map_err(|_| Broken::Bug)?;
        self.verification.take(checked)?;
        match self.verification.after() {
            Some(after) if after > 0 => Err(Broken::Part { after }),
            _ => Ok(Some(made)),
        }
    }

    /// What is proved of the whole.
    ///
    /// # Errors
    /// When something is missing.
    pub(crate) fn finish(self) -> Result<Verified, Broken> {
        Ok(self.verification.finish()?)
    }
}

async fn read<T: Send + 'static>(
    mut body: Body,
    make: Arc<impl Fn(Vec<Event>) -> T + Send + Sync + 'static>,
    coming: mpsc::Sender<Coming<T>>,
) {
    let mut splitter = Splitter::default();
    let last = loop {
        match piece(&mut body).await {
            Ok(Some(piece)) => {
                let Some(batch) = splitter.push(&piece) else { continue };
                // Room is waited for first: what is being checked is in memory as well.
                let Ok(room) = coming.reserve().await else { return };
                room.send(checking(batch, &make));
            }
            Ok(None) => break checking(splitter.finish(), &make),
            Err(broken) => break Coming::Broken(broken),
        }
    };
    // Whoever takes it may have had enough.
    drop(coming.send(last).await);
}

/// The next bytes of `body`; none at the end.
///
/// # Errors
/// When nothing more can come.
pub(crate) async fn piece(body: &mut Body) -> Result<Option<Bytes>, Broken> {
    loop {
        let frame = timeout(SILENCE_MAX, body.frame()).await.map_err(|_| Broken::Silent)?;
        match frame.transpose().map_err(|error| Broken::Lost(error.to_string()))?.map(http_body::Frame::into_data) {
            Some(Ok(bytes)) => return Ok(Some(bytes)),
            // Trailers say nothing about a history.
            Some(Err(_)) => {}
            None => return Ok(None),
        }
    }
}

fn checking<T: Send + 'static>(
    batch: Batch,
    make: &Arc<impl Fn(Vec<Event>) -> T + Send + Sync + 'static>,
) -> Coming<T> {
    let make = Arc::clone(make);
    Coming::Batch(tokio::task::spawn_blocking(move || {
        let (checked, events) = check_and_keep(&batch, &BTreeSet::new());
        let made = make(events);
        (checked, made)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use knit_schemas::chain::GENESIS;
    use knit_schemas::export::{Begin, End, Format, Record, Wrong};

    async fn taken(body: Body) -> Result<(usize, Verified), Broken> {
        let (mut sent, mut events) = (Sent::new(body, |events| events.len()), 0);
        while let Some(more) = sent.next().await? {
            events += more;
        }
        Ok((events, sent.finish()?))
    }

    fn written(records: &[Record]) -> Vec<u8> {
        let mut bytes = Vec::new();
        records.iter().for_each(|record| Format::JsonLines.encode(record, &mut bytes));
        bytes
    }

    #[tokio::test]
    async fn an_empty_history_is_whole_and_one_that_is_cut_off_is_not() {
        let whole = written(&[Record::Begin(Begin::of_the_log()), Record::End(End { position: 0, chain: GENESIS })]);
        let (events, verified) = taken(Body::from(whole.clone())).await.unwrap();
        assert_eq!((events, verified.position), (0, 0));
        let cut = taken(Body::from(whole[..whole.len() - 1].to_vec())).await.unwrap_err();
        assert!(matches!(cut, Broken::Flaw(Flaw { position: 1, wrong: Wrong::CutOff })), "{cut}");
        let nothing = taken(Body::empty()).await.unwrap_err();
        assert!(matches!(nothing, Broken::Flaw(Flaw { wrong: Wrong::NoBegin, .. })), "{nothing}");
    }

    #[tokio::test]
    async fn a_part_of_a_history_is_refused_before_its_end_comes() {
        let part =
            written(&[Record::Begin(Begin::behind(7, [7; 32])), Record::End(End { position: 7, chain: [7; 32] })]);
        let refused = taken(Body::from(part)).await.unwrap_err();
        assert!(matches!(refused, Broken::Part { after: 7 }), "{refused}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_sends_nothing_is_not_waited_for_for_ever() {
        let silent = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        assert!(matches!(taken(silent).await.unwrap_err(), Broken::Silent));
    }
}
