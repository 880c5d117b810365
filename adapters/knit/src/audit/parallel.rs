//! Verifying on all processors: one thread cuts the export into batches, the others check them, and what they find
//! is put together in order.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use knit_schemas::export::{
    BATCH_BYTES, Batch, Broken, Checked, Flaw, Splitter, Verification, Verified, check, flaw_of_parts,
};

/// Batches under way for each processor: one that is checked and one that waits, so that nobody idles while the
/// next is cut. Each has a megabyte, or as much as the longest event.
const BATCHES_PER_PROCESSOR: usize = 2;
/// Bytes that are read at once.
const PIECE_BYTES: usize = BATCH_BYTES / 4;

/// A batch, and where to say what was found in it.
type Job = (Batch, SyncSender<Checked>);

/// How many threads check.
pub(super) fn processors() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

/// Verifies what `input` holds, and notes the chain at the `watched` positions. `advance` is told how many events more are in order, whenever some are.
///
/// # Errors
/// When it cannot be read; inside, what is wrong with it.
pub(super) fn verify(
    input: impl Read + Send,
    watched: &BTreeSet<u64>,
    mut advance: impl FnMut(u64),
) -> io::Result<Result<Verified, Flaw>> {
    let processors = processors();
    let (jobs, waiting) = mpsc::sync_channel::<Job>(processors);
    let (coming, found) = mpsc::sync_channel(BATCHES_PER_PROCESSOR * processors);
    let waiting = Arc::new(Mutex::new(waiting));
    thread::scope(|scope| {
        let cutting = scope.spawn(move || cut(input, &jobs, &coming));
        for _ in 0..processors {
            let waiting = Arc::clone(&waiting);
            scope.spawn(move || work(&waiting, watched));
        }
        // Only who works keeps it: should all of them panic, nobody waits for them.
        drop(waiting);
        let verified = put_together(found, &mut advance);
        let read = cutting.join().unwrap_or_else(|_| Err(io::Error::other("the thread that reads has panicked")));
        match read {
            Ok(()) => Ok(verified),
            Err(error) => match Broken::of(&error) {
                Some(broken) => Ok(Err(flaw_of_parts(verified, broken))),
                None => Err(error),
            },
        }
    })
}

/// Cuts until the end, or until nobody wants more.
fn cut(mut input: impl Read, jobs: &SyncSender<Job>, coming: &SyncSender<Receiver<Checked>>) -> io::Result<()> {
    let hand_over = |batch: Batch| {
        let (say, hear) = mpsc::sync_channel(1);
        coming.send(hear).is_ok() && jobs.send((batch, say)).is_ok()
    };
    let (mut splitter, mut piece) = (Splitter::default(), vec![0; PIECE_BYTES]);
    loop {
        let bytes = match input.read(&mut piece) {
            Ok(0) => break,
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                // What came before is verified all the same.
                hand_over(splitter.finish());
                return Err(error);
            }
        };
        if let Some(batch) = splitter.push(&piece[..bytes])
            && !hand_over(batch)
        {
            return Ok(());
        }
    }
    hand_over(splitter.finish());
    Ok(())
}

fn work(waiting: &Mutex<Receiver<Job>>, watched: &BTreeSet<u64>) {
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((batch, say)) = job else { return };
        // Whoever wanted to know may have heard enough.
        let _ = say.send(check(&batch, watched));
    }
}

fn put_together(found: Receiver<Receiver<Checked>>, advance: &mut impl FnMut(u64)) -> Result<Verified, Flaw> {
    let mut verification = Verification::default();
    for checked in found {
        let before = verification.events();
        // Nothing is heard from a thread that has panicked, which ends all of this together with the threads.
        if let Ok(checked) = checked.recv() {
            verification.take(checked)?;
        }
        advance(verification.events() - before);
    }
    verification.finish()
}
