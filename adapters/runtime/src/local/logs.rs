//! Logs of Workers: the file `log` of a volume, read whole, from its end, or as it grows.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read, Seek, SeekFrom};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use knit_domain::id::WorkerName;
use rustix::fs::{Mode, OFlags, inotify};
use sha2::{Digest, Sha256};
use tokio::io::unix::AsyncFd;
use tokio::sync::broadcast::Receiver;

use super::readable;
use super::volumes::open_dir;
use crate::port::{Fault, LogStream, LogTail};

/// The name of the file in the volume of a log.
const LOG_FILE: &std::ffi::CStr = c"log";

/// Bytes of a log in one item of a stream.
const CHUNK_BYTES: usize = 64 * 1024;

/// A follower looks again after this long even if nothing woke it: on some network file systems nobody
/// tells that a file grew.
const FOLLOW_NET: Duration = Duration::from_secs(1);

/// Room for some dozens of notices; more only make another round.
const NOTICES_BYTES: usize = 4_096;

/// The log of a volume, which may not exist yet.
pub(super) struct Log {
    volume: OwnedFd,
}

impl Log {
    pub(super) fn of(volume: &Path) -> Result<Self, Fault> {
        Ok(Self { volume: open_dir(volume)? })
    }

    /// `None` while nobody has written.
    fn open(&self) -> Result<Option<File>, Fault> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.volume, LOG_FILE, flags, Mode::empty()) {
            Ok(file) => Ok(Some(File::from(file))),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(broken(error)),
        }
    }

    pub(super) fn tail(&self, bytes_max: usize) -> Result<LogTail, Fault> {
        let Some(mut file) = self.open()? else { return Ok(LogTail { bytes: Vec::new(), total_bytes: 0 }) };
        let total_bytes = file.metadata().map_err(broken)?.len();
        let skipped = total_bytes.saturating_sub(bytes_max as u64);
        file.seek(SeekFrom::Start(skipped)).map_err(broken)?;
        let mut bytes = Vec::new();
        file.take(bytes_max as u64).read_to_end(&mut bytes).map_err(broken)?;
        Ok(LogTail { bytes, total_bytes })
    }

    pub(super) fn sha256(&self) -> Result<String, Fault> {
        let mut hash = Sha256::new();
        if let Some(mut file) = self.open()? {
            io::copy(&mut file, &mut hash).map_err(broken)?;
        }
        Ok(hex::encode(hash.finalize()))
    }

    /// The log as it is now.
    pub(super) fn read(self) -> Result<LogStream, Fault> {
        let file = self.open()?;
        Ok(Box::pin(stream::unfold(file, |file| async move {
            let (chunk, file) = match next_chunk(file?).await {
                Ok(read) => read,
                Err(fault) => return Some((Err(fault), None)),
            };
            (!chunk.is_empty()).then_some((Ok(chunk), Some(file)))
        })))
    }

    /// The log from its beginning until `ended` says that nobody writes any more and the end is reached.
    /// `changes` wakes it when a Worker ends.
    pub(super) fn follow<F, E>(self, changes: Receiver<WorkerName>, ended: F) -> Result<LogStream, Fault>
    where
        F: Fn() -> E + Send + 'static,
        E: Future<Output = Result<bool, Fault>> + Send,
    {
        let follower = Follower { growth: Growth::of(&self)?, changes, log: self, file: None, ended, at_end: false };
        Ok(Box::pin(stream::unfold(Some(follower), |follower| async move {
            let mut follower = follower?;
            match follower.next().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(follower))),
                Ok(None) => None,
                Err(fault) => Some((Err(fault), None)),
            }
        })))
    }
}

struct Follower<F> {
    log: Log,
    growth: Growth,
    changes: Receiver<WorkerName>,
    file: Option<File>,
    ended: F,
    /// Nobody wrote any more before the last read.
    at_end: bool,
}

impl<F, E> Follower<F>
where
    F: Fn() -> E,
    E: Future<Output = Result<bool, Fault>>,
{
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            if self.file.is_none() {
                self.file = self.log.open()?;
            }
            if let Some(file) = self.file.take() {
                let (chunk, file) = next_chunk(file).await?;
                self.file = Some(file);
                if !chunk.is_empty() {
                    return Ok(Some(chunk));
                }
            }
            if self.at_end {
                return Ok(None);
            }
            // Asked before the next read: what was written before the end is read after it.
            self.at_end = (self.ended)().await?;
            if !self.at_end {
                self.wait().await?;
            }
        }
    }
}

impl<F> Follower<F> {
    /// Waits until there may be more, or may never be more.
    async fn wait(&mut self) -> Result<(), Fault> {
        tokio::select! {
            grown = self.growth.wait() => grown,
            // A receiver that lagged missed something, and looks as well.
            _changed = self.changes.recv() => Ok(()),
            () = tokio::time::sleep(FOLLOW_NET) => Ok(()),
        }
    }
}

/// Wakes when something happens to the files of a directory.
struct Growth(AsyncFd<OwnedFd>);

impl Growth {
    fn of(log: &Log) -> Result<Self, Fault> {
        let notices = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).map_err(broken)?;
        // By the descriptor, since sealing moves the volume.
        let volume = format!("/proc/self/fd/{}", log.volume.as_raw_fd());
        let events = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE;
        inotify::add_watch(&notices, volume, events).map_err(broken)?;
        readable::register(notices).map(Self).map_err(broken)
    }

    async fn wait(&self) -> Result<(), Fault> {
        let mut ready = self.0.readable().await.map_err(broken)?;
        let mut buffer = [MaybeUninit::uninit(); NOTICES_BYTES];
        let mut notices = inotify::Reader::new(self.0.get_ref(), &mut buffer);
        while notices.next().is_ok() {}
        ready.clear_ready();
        Ok(())
    }
}

/// Reads on a blocking thread: a disk may be slow.
async fn next_chunk(mut file: File) -> Result<(Bytes, File), Fault> {
    super::blocking("read a log", move || {
        let mut chunk = vec![0; CHUNK_BYTES];
        let count = file.read(&mut chunk).map_err(broken)?;
        chunk.truncate(count);
        Ok((Bytes::from(chunk), file))
    })
    .await
}

fn broken(error: impl Into<io::Error>) -> Fault {
    Fault::new("read a log", error.into())
}
