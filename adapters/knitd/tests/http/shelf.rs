//! A runtime that keeps archives in memory as they came, and fails on demand. It has no Workers.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Mutex;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use knit_domain::id::{KnitId, VolumeRef, WorkerName};
use knit_runtime::archive::BadArchive;
use knit_runtime::port::{
    ArchiveBody, ArchivePart, ArchiveStream, CreateError, Created, Fault, Incoming, LogStream, LogTail, Observation,
    ReadError, ReceiveError, Received, Runtime, WorkerSpec,
};
use md5::{Digest as _, Md5};
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;

/// Bytes of a piece of a download.
const PIECE_BYTES: usize = 1_000;

/// What shall go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Trouble {
    /// Unpacking an upload fails after its first bytes.
    DiskFull,
    /// A download breaks after its first piece.
    BreaksOff,
    /// Unpacking an upload panics.
    Bug,
}

/// The runtime.
#[derive(Default)]
pub(crate) struct Shelf {
    volumes: Mutex<HashMap<VolumeRef, Bytes>>,
    troubles: Mutex<HashSet<Trouble>>,
    live: Mutex<Option<LogStream>>,
}

impl Shelf {
    pub(crate) fn trouble(&self, trouble: Trouble) {
        self.troubles.lock().unwrap().insert(trouble);
    }

    pub(crate) fn put(&self, volume: VolumeRef, content: impl Into<Bytes>) {
        self.volumes.lock().unwrap().insert(volume, content.into());
    }

    pub(crate) fn volumes(&self) -> Vec<VolumeRef> {
        self.volumes.lock().unwrap().keys().cloned().collect()
    }

    /// As if somebody had emptied the directory of the volumes.
    pub(crate) fn lose_everything(&self) {
        self.volumes.lock().unwrap().clear();
    }

    /// What the next follower of a log reads.
    pub(crate) fn live_log(&self) -> mpsc::Sender<Result<Bytes, Fault>> {
        let (sender, receiver) = mpsc::channel(1);
        *self.live.lock().unwrap() = Some(Box::pin(ReceiverStream::new(receiver)));
        sender
    }

    fn has(&self, trouble: Trouble) -> bool {
        self.troubles.lock().unwrap().contains(&trouble)
    }

    fn content(&self, volume: &VolumeRef) -> Result<Bytes, ReadError> {
        let found = self.volumes.lock().unwrap().get(volume).cloned();
        found.ok_or_else(|| ReadError::Missing { volume: volume.clone() })
    }
}

/// An upload that the shelf has not taken yet.
struct Parcel {
    shelf: std::sync::Arc<Shelf>,
    volume: VolumeRef,
    content: Bytes,
    received: Received,
}

#[async_trait::async_trait]
impl Incoming for Parcel {
    fn received(&self) -> &Received {
        &self.received
    }
    async fn commit(self: Box<Self>) -> Result<(), ReceiveError> {
        self.shelf.put(self.volume.clone(), self.content.clone());
        Ok(())
    }
    async fn discard(self: Box<Self>) -> Result<(), Fault> {
        Ok(())
    }
}

/// The shelf as a runtime: parcels must find back to it.
#[derive(Clone, Default)]
pub(crate) struct OnShelf(pub(crate) std::sync::Arc<Shelf>);

#[async_trait::async_trait]
impl Runtime for OnShelf {
    async fn prepare_volume(&self, volume: &VolumeRef, _: KnitId) -> Result<(), Fault> {
        self.0.put(volume.clone(), Bytes::new());
        Ok(())
    }
    async fn seal_volume(&self, volume: &VolumeRef) -> Result<(), ReadError> {
        self.0.content(volume).map(|_| ())
    }
    async fn destroy_volume(&self, volume: &VolumeRef) -> Result<(), Fault> {
        self.0.volumes.lock().unwrap().remove(volume);
        Ok(())
    }
    async fn receive(&self, volume: &VolumeRef, mut archive: ArchiveBody) -> Result<Box<dyn Incoming>, ReceiveError> {
        let mut content = Vec::new();
        while let Some(bytes) = archive.next().await {
            content.extend_from_slice(&bytes.map_err(ReceiveError::BrokenOff)?);
            assert!(!self.0.has(Trouble::Bug), "a bug in the unpacking, as the test wants it");
            if self.0.has(Trouble::DiskFull) {
                return Err(Fault::new("write a file", io::Error::from(io::ErrorKind::StorageFull)).into());
            }
            if !content.starts_with(&[0x1f, 0x8b]) {
                return Err(BadArchive::NotGzip.into());
            }
        }
        let received = Received { md5: hex::encode(Md5::digest(&content)), entries: 1, content_bytes: 1 };
        let shelf = std::sync::Arc::clone(&self.0);
        Ok(Box::new(Parcel { shelf, volume: volume.clone(), content: content.into(), received }))
    }
    async fn send(&self, volume: &VolumeRef) -> Result<ArchiveStream, ReadError> {
        let content = self.0.content(volume)?;
        let md5 = hex::encode(Md5::digest(&content));
        let pieces: Vec<Bytes> = content.chunks(PIECE_BYTES).map(Bytes::copy_from_slice).collect();
        let end = match self.0.has(Trouble::BreaksOff) {
            true => Err(Fault::new("read a file", "the disk is gone")),
            false => Ok(ArchivePart::End { md5 }),
        };
        let parts = pieces.into_iter().map(|bytes| Ok(ArchivePart::Bytes(bytes)));
        Ok(Box::pin(stream::iter(parts.chain([end]).collect::<Vec<_>>())))
    }
    async fn create_worker(&self, _: &WorkerSpec) -> Result<Created, CreateError> {
        Err(CreateError::Impossible { reason: "a shelf runs nothing".to_owned() })
    }
    async fn observe_worker(&self, _: &WorkerName) -> Result<Option<Observation>, Fault> {
        Ok(None)
    }
    async fn list_workers(&self) -> Result<Vec<Observation>, Fault> {
        Ok(Vec::new())
    }
    async fn remove_worker(&self, _: &WorkerName) -> Result<(), Fault> {
        Ok(())
    }
    fn changes(&self) -> broadcast::Receiver<WorkerName> {
        broadcast::Sender::new(1).subscribe()
    }
    async fn read_log(&self, volume: &VolumeRef) -> Result<LogStream, ReadError> {
        let content = self.0.content(volume)?;
        Ok(Box::pin(stream::iter([Ok(content)])))
    }
    async fn follow_log(&self, _: &WorkerName, volume: &VolumeRef) -> Result<LogStream, ReadError> {
        let live = self.0.live.lock().unwrap().take();
        live.ok_or_else(|| ReadError::Missing { volume: volume.clone() })
    }
    async fn log_tail(&self, volume: &VolumeRef, bytes_max: usize) -> Result<LogTail, ReadError> {
        let content = self.0.content(volume)?;
        let bytes = content[content.len().saturating_sub(bytes_max)..].to_vec();
        Ok(LogTail { bytes, total_bytes: content.len() as u64 })
    }
    async fn log_sha256(&self, volume: &VolumeRef) -> Result<String, ReadError> {
        use sha2::Digest as _;
        Ok(hex::encode(sha2::Sha256::digest(self.0.content(volume)?)))
    }
    fn describe(&self) -> Vec<String> {
        Vec::new()
    }
}
