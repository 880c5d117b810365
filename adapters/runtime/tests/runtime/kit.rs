//! A runtime in a scratch directory, and the words to talk about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use knit_domain::event::plan::Image;
use knit_domain::event::run::WorkerOrder;
use knit_domain::id::{KnitId, RunId, VolumeRef, WorkerName};
use knit_runtime::Runtime;
use knit_runtime::local::{LocalRuntime, OpenError, Options};
use knit_runtime::port::{ArchiveBody, ArchivePart, LogStream, Mount, ReceiveError, Received, WorkerSpec, WorkerState};
use tempfile::TempDir;
use uuid::Uuid;

/// Nothing in these tests takes this long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A runtime and where it lives.
pub(crate) struct House {
    pub(crate) runtime: LocalRuntime,
    pub(crate) options: Options,
    _dir: Option<Scratch>,
}

/// A directory that goes away although sealed volumes are in it.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::process::Command::new("chmod").args(["-R", "u+w"]).arg(self.0.path()).status();
    }
}

/// The program that the runtime starts as a shim.
pub(crate) fn shim() -> PathBuf {
    std::env::var_os("KNIT_TEST_SHIM").map_or_else(|| env!("CARGO_BIN_EXE_knit-worker-shim").into(), PathBuf::from)
}

/// Copies a program to where it is then run. A process of its own does, and has ended: a file that this process has open
/// to write may still be open in a shim that another test is just starting, and then cannot be executed.
pub(crate) fn copy_program(from: &Path, to: &Path) {
    let status = std::process::Command::new("install").args(["-m", "755"]).arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub(crate) async fn open_with(change: impl FnOnce(&mut Options)) -> Self {
        let dir = Scratch::new();
        let mut options = Options::new(dir.path().join("state"));
        options.shim = shim();
        change(&mut options);
        let runtime = LocalRuntime::open(options.clone()).await.unwrap();
        Self { runtime, options, _dir: Some(dir) }
    }

    pub(crate) async fn open_at(state_dir: &Path) -> Self {
        let mut options = Options::new(state_dir);
        options.shim = shim();
        let runtime = LocalRuntime::open(options.clone()).await.unwrap();
        Self { runtime, options, _dir: None }
    }

    /// Ends this server and starts the next one on the same directory.
    pub(crate) async fn restart(self) -> Self {
        let Self { runtime, options, _dir } = self;
        drop(runtime);
        // A thread of the old one may still be closing a file.
        let reopened = tokio::time::timeout(PATIENCE, async {
            loop {
                match LocalRuntime::open(options.clone()).await {
                    Err(OpenError::InUse { .. }) => tokio::task::yield_now().await,
                    opened => return opened.unwrap(),
                }
            }
        });
        let runtime = reopened.await.expect("the directory is free again");
        Self { runtime, options, _dir }
    }

    pub(crate) fn state(&self) -> &Path {
        &self.options.state_dir
    }

    /// Stores an archive as a Data.
    pub(crate) async fn push(&self, volume: &str, archive: Vec<u8>) -> Result<Received, ReceiveError> {
        let incoming = self.runtime.receive(&VolumeRef(volume.into()), body(&archive)).await?;
        let received = incoming.received().clone();
        incoming.commit().await?;
        Ok(received)
    }

    pub(crate) async fn pull(&self, volume: &str) -> Vec<u8> {
        let mut stream = self.runtime.send(&VolumeRef(volume.into())).await.unwrap();
        let (mut archive, mut checksum) = (Vec::new(), None);
        while let Some(part) = stream.next().await {
            match part.unwrap() {
                ArchivePart::Bytes(bytes) => archive.extend_from_slice(&bytes),
                ArchivePart::End { md5 } => checksum = Some(md5),
            }
        }
        assert_eq!(checksum, Some(md5_of(&archive)));
        archive
    }

    pub(crate) async fn prepare(&self, volume: &str) {
        self.runtime.prepare_volume(&VolumeRef(volume.into()), KnitId(Uuid::nil())).await.unwrap();
    }

    /// Creates a Worker with what it writes to prepared.
    pub(crate) async fn create(&self, worker: &Worker) {
        for volume in worker.spec.outputs.iter().map(|output| &output.volume).chain(&worker.spec.log) {
            self.prepare(&volume.0).await;
        }
        self.runtime.create_worker(&worker.spec).await.unwrap();
    }

    /// Creates a Worker and waits for its end.
    pub(crate) async fn run(&self, worker: &Worker) -> WorkerState {
        let mut changes = self.runtime.changes();
        self.create(worker).await;
        self.wait_from(&mut changes, &worker.name(), is_over).await
    }

    /// Waits until the state of a Worker is as wanted.
    pub(crate) async fn wait(&self, name: &WorkerName, wanted: impl Fn(&WorkerState) -> bool) -> WorkerState {
        self.wait_from(&mut self.runtime.changes(), name, wanted).await
    }

    async fn wait_from(
        &self,
        changes: &mut tokio::sync::broadcast::Receiver<WorkerName>,
        name: &WorkerName,
        wanted: impl Fn(&WorkerState) -> bool,
    ) -> WorkerState {
        let seen = tokio::time::timeout(PATIENCE, async {
            loop {
                let seen = self.runtime.observe_worker(name).await.unwrap().expect("it exists");
                if wanted(&seen.state) {
                    return seen.state;
                }
                changes.recv().await.unwrap();
            }
        });
        match seen.await {
            Ok(state) => state,
            Err(_) => panic!("{:?}", self.runtime.observe_worker(name).await),
        }
    }

    pub(crate) async fn log_of(&self, worker: &Worker) -> String {
        text(self.runtime.read_log(worker.spec.log.as_ref().unwrap()).await.unwrap()).await
    }

    /// Runs a shell script that must succeed, and returns what it said.
    pub(crate) async fn say(&self, script: &str) -> String {
        let worker = Worker::shell(script);
        let state = self.run(&worker).await;
        let said = self.log_of(&worker).await;
        assert_eq!(state, WorkerState::Succeeded, "{said}");
        said
    }

    /// Whether nothing is left of uploads.
    pub(crate) fn nothing_incoming(&self) -> bool {
        std::fs::read_dir(self.state().join("incoming")).unwrap().next().is_none()
    }
}

pub(crate) fn is_over(state: &WorkerState) -> bool {
    !matches!(state, WorkerState::Pending { .. } | WorkerState::Running)
}

/// A Worker to be.
#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) spec: WorkerSpec,
}

impl Worker {
    /// One that runs a shell script and keeps its log.
    pub(crate) fn shell(script: &str) -> Self {
        let run = RunId(Uuid::new_v4());
        let order = WorkerOrder {
            name: WorkerName::of(run, 1),
            image: Image { repository: "host".into(), tag: "latest".into() },
            entrypoint: vec!["sh".into(), "-c".into()],
            args: vec![script.into()],
            env: BTreeMap::new(),
            resources: BTreeMap::new(),
            on_node: Vec::new(),
            service_account: None,
        };
        let log = Some(VolumeRef(format!("log-{run}")));
        Self { spec: WorkerSpec { order, run, attempt: 1, inputs: Vec::new(), outputs: Vec::new(), log } }
    }

    pub(crate) fn input(mut self, path: &str, volume: &str) -> Self {
        self.spec.inputs.push(Mount { path: path.into(), volume: VolumeRef(volume.into()) });
        self
    }

    pub(crate) fn output(mut self, path: &str, volume: &str) -> Self {
        self.spec.outputs.push(Mount { path: path.into(), volume: VolumeRef(volume.into()) });
        self
    }

    pub(crate) fn resource(mut self, name: &str, quantity: &str) -> Self {
        self.spec.order.resources.insert(name.into(), quantity.into());
        self
    }

    pub(crate) fn name(&self) -> WorkerName {
        self.spec.order.name.clone()
    }
}

/// An archive as it comes from the network, in small pieces.
pub(crate) fn body(archive: &[u8]) -> ArchiveBody {
    let pieces: Vec<_> = archive.chunks(1_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Box::pin(stream::iter(pieces))
}

pub(crate) async fn text(mut log: LogStream) -> String {
    let mut bytes = Vec::new();
    while let Some(chunk) = log.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

pub(crate) fn md5_of(bytes: &[u8]) -> String {
    use md5::Digest;
    hex::encode(md5::Md5::digest(bytes))
}

/// An archive made by hand, entry by entry, good or bad.
#[derive(Default, Clone)]
pub(crate) struct Archive {
    pub(crate) tar: Vec<u8>,
}

impl Archive {
    pub(crate) fn file(self, name: &[u8], content: &[u8]) -> Self {
        self.entry(b'0', name, b"", 0o644, content)
    }

    pub(crate) fn directory(self, name: &[u8]) -> Self {
        self.entry(b'5', name, b"", 0o755, b"")
    }

    pub(crate) fn symlink(self, name: &[u8], target: &[u8]) -> Self {
        self.entry(b'2', name, target, 0o777, b"")
    }

    pub(crate) fn hard_link(self, name: &[u8], target: &[u8]) -> Self {
        self.entry(b'1', name, target, 0o644, b"")
    }

    pub(crate) fn entry(mut self, kind: u8, name: &[u8], target: &[u8], mode: u32, content: &[u8]) -> Self {
        self.tar.extend_from_slice(header(kind, name, target, mode, content.len() as u64).as_bytes());
        self.tar.extend_from_slice(content);
        self.tar.resize(self.tar.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.tar.resize(self.tar.len() + 1_024, 0);
        self.gzip()
    }

    pub(crate) fn gzip(self) -> Vec<u8> {
        gzip(&self.tar)
    }
}

pub(crate) fn header(kind: u8, name: &[u8], target: &[u8], mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name);
    header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target);
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_mode(mode);
    header.set_mtime(1_700_000_000);
    header.set_size(size);
    header.set_cksum();
    header
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}
