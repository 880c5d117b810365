//! The port: what Knitfab asks of the place where Data and Workers live.

mod error;
mod worker;

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use knit_domain::event::plan::Image;
use knit_domain::id::{KnitId, VolumeRef, WorkerName};
use tokio::sync::broadcast;

pub use error::{CreateError, Fault, ReadError, ReceiveError, Unfit};
pub use worker::{Created, Mount, Observation, Room, Share, WorkerSpec, WorkerState};

/// An archive on its way in: the bytes of the wire, as they arrive. An error item means that the
/// sender is gone.
pub type ArchiveBody = Pin<Box<dyn Stream<Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>> + Send>>;

/// An archive on its way out. Unless an error item ends it, the last item is [`ArchivePart::End`].
pub type ArchiveStream = Pin<Box<dyn Stream<Item = Result<ArchivePart, Fault>> + Send>>;

/// The text of a log, as it grows if it is followed.
pub type LogStream = Pin<Box<dyn Stream<Item = Result<Bytes, Fault>> + Send>>;

/// Where Data and Workers live.
///
/// Whatever is asked twice succeeds twice: "exists already" is success if it is ours, "is gone
/// already" is success when it should go. Errors are faults (the world broke: ask again) unless the
/// type says otherwise.
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// Makes the empty, writable volume that a Worker fills with `data`.
    ///
    /// # Errors
    /// The volume could not be made.
    async fn prepare_volume(&self, volume: &VolumeRef, data: KnitId) -> Result<(), Fault>;

    /// Makes what is in the volume durable, visible under its final name, and read-only.
    /// Nothing may be writing to it any more.
    ///
    /// # Errors
    /// [`ReadError::Missing`] if there is no such volume.
    async fn seal_volume(&self, volume: &VolumeRef) -> Result<(), ReadError>;

    /// Removes the volume and all it holds; it is gone when this returns.
    ///
    /// # Errors
    /// Something of it could not be removed.
    async fn destroy_volume(&self, volume: &VolumeRef) -> Result<(), Fault>;

    /// Unpacks an archive where nobody sees it yet. Its checksum is known then, and the caller
    /// compares it before it calls [`Incoming::commit`]. Memory is bounded whatever arrives.
    ///
    /// # Errors
    /// The archive is refused, the sender vanished, the volume exists already, or a fault; in each
    /// case nothing of it stays behind.
    async fn receive(&self, volume: &VolumeRef, archive: ArchiveBody) -> Result<Box<dyn Incoming>, ReceiveError>;

    /// Packs the volume, sealed or still being written. Memory is bounded whatever it holds.
    ///
    /// # Errors
    /// [`ReadError::Missing`] if there is no such volume. What breaks later is an item of the stream.
    async fn send(&self, volume: &VolumeRef) -> Result<ArchiveStream, ReadError>;

    /// Creates the Worker, which starts as soon as there is room for it.
    ///
    /// # Errors
    /// [`CreateError::Impossible`] if it can never run here, with the reason for the user.
    async fn create_worker(&self, spec: &WorkerSpec) -> Result<Created, CreateError>;

    /// What is known of a Worker; its end stays readable until it is removed.
    ///
    /// # Errors
    /// The Worker could not be looked at, which says nothing about its existence.
    async fn observe_worker(&self, name: &WorkerName) -> Result<Option<Observation>, Fault>;

    /// Every Worker that was created and not removed.
    ///
    /// # Errors
    /// They could not be listed.
    async fn list_workers(&self) -> Result<Vec<Observation>, Fault>;

    /// Kills whatever of the Worker still lives and forgets it. When this returns, nothing of it
    /// writes to a volume any more.
    ///
    /// # Errors
    /// It could not be killed or forgotten.
    async fn remove_worker(&self, name: &WorkerName) -> Result<(), Fault>;

    /// Names of Workers that started, ended or were lost, as it happens. A receiver that lagged
    /// looks at [`Runtime::list_workers`].
    fn changes(&self) -> broadcast::Receiver<WorkerName>;

    /// The log kept in `volume` as it is now.
    ///
    /// # Errors
    /// [`ReadError::Missing`] if there is no such volume.
    async fn read_log(&self, volume: &VolumeRef) -> Result<LogStream, ReadError>;

    /// The log of a Worker from its beginning until the Worker ends. `volume` keeps it.
    ///
    /// # Errors
    /// [`ReadError::Missing`] if there is no such volume.
    async fn follow_log(&self, worker: &WorkerName, volume: &VolumeRef) -> Result<LogStream, ReadError>;

    /// The last `bytes_max` bytes of a log, and how long it is.
    ///
    /// # Errors
    /// [`ReadError::Missing`] if there is no such volume.
    async fn log_tail(&self, volume: &VolumeRef, bytes_max: usize) -> Result<LogTail, ReadError>;

    /// SHA-256 of the whole log's text, lower-case hex. A log that nobody wrote is the empty text.
    ///
    /// # Errors
    /// [`ReadError::Missing`] if there is no such volume.
    async fn log_sha256(&self, volume: &VolumeRef) -> Result<String, ReadError>;

    /// Why no Worker can be made from an image here, for people; `None` if one can, or that is seen only when it is tried.
    fn lacks_image(&self, _: &Image) -> Option<String> {
        None
    }

    /// Why a Worker that was created has no room yet; `None` if it does not wait for room, or nobody knows.
    async fn room_for(&self, _: &WorkerName) -> Option<Room> {
        None
    }

    /// The name of the place that this is, if only one server at a time can reach what is kept there: the same
    /// for whoever comes back to it, and no other place has it. `None` = every server reaches everything.
    fn place(&self) -> Option<&str> {
        None
    }

    /// Tries whether Workers could run now, without starting one.
    ///
    /// # Errors
    /// [`Unfit`]: why they could not, and what to do about it.
    async fn try_out(&self) -> Result<(), Unfit> {
        Ok(())
    }

    /// What this runtime is and how it bounds Workers, a line for each fact, for the administrator.
    fn describe(&self) -> Vec<String>;
}

/// An upload that is unpacked and not yet visible. Dropping it discards it.
#[async_trait]
pub trait Incoming: Send {
    /// What arrived.
    fn received(&self) -> &Received;

    /// Makes it durable, visible under the volume's name, and read-only.
    ///
    /// # Errors
    /// [`ReceiveError::Exists`] if the volume appeared meanwhile, or a fault; it is discarded then.
    async fn commit(self: Box<Self>) -> Result<(), ReceiveError>;

    /// Removes it; nothing stays behind when this returns.
    ///
    /// # Errors
    /// Something of it could not be removed.
    async fn discard(self: Box<Self>) -> Result<(), Fault>;
}

/// What an upload brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// MD5 of the compressed bytes, lower-case hex: the checksum of the wire.
    pub md5: String,
    /// Files, links and directories that the archive names.
    pub entries: u64,
    /// Bytes of the files.
    pub content_bytes: u64,
}

/// A piece of an archive on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchivePart {
    /// The next bytes.
    Bytes(Bytes),
    /// All bytes were given; this is their checksum.
    End {
        /// MD5 of the compressed bytes, lower-case hex: the checksum of the wire.
        md5: String,
    },
}

/// What stands in a message for people where the id of the Plan belongs, as in a command to paste: whoever orders a Worker
/// knows it, and puts it there.
pub const PLAN_PLACEHOLDER: &str = "PLAN_ID";

/// The end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTail {
    /// Its last bytes.
    pub bytes: Vec<u8>,
    /// How many bytes the whole log has.
    pub total_bytes: u64,
}
