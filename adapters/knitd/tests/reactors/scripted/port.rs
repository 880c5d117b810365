//! How the calls of the port go.

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use knit_domain::id::{KnitId, VolumeRef, WorkerName};
use knit_runtime::port::{
    ArchiveBody, ArchivePart, ArchiveStream, CreateError, Created, Fault, Incoming, LogStream, LogTail, Observation,
    ReadError, ReceiveError, Received, Runtime, WorkerSpec, WorkerState,
};
use md5::{Digest as _, Md5};
use tokio::sync::broadcast;

use super::{Held, Op, Scripted, Volume, Worker};

/// Bytes of a piece of a download.
const PIECE_BYTES: usize = 1_000;

/// The end of a call under way, also when the call is cut off.
struct UnderWay<'a> {
    runtime: &'a Scripted,
    thing: String,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut tables = self.runtime.tables();
        *tables.under_way.get_mut(&self.thing).expect("it has begun") -= 1;
    }
}

/// The end of waiting, also when the waiting is cut off.
struct Waiting<'a> {
    runtime: &'a Scripted,
    at: (Op, Held),
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        *self.runtime.tables().waiting.get_mut(&self.at).expect("it waits") -= 1;
    }
}

impl Scripted {
    /// A call begins: it is counted, held, and fails, as the script says.
    async fn begin(&self, op: Op, thing: impl ToString) -> Result<UnderWay<'_>, Fault> {
        let thing = thing.to_string();
        {
            let mut tables = self.tables();
            tables.calls.push((op, thing.clone()));
            let now = tables.under_way.get(&thing).copied().unwrap_or_default() + 1;
            tables.under_way.insert(thing.clone(), now);
            tables.at_once_max = tables.at_once_max.max(now);
        }
        let under_way = UnderWay { runtime: self, thing: thing.clone() };
        self.wait(op, Held::Before).await;
        let tables = self.tables();
        if tables.broken.contains(&(op, None)) || tables.broken.contains(&(op, Some(thing.clone()))) {
            return Err(Fault::new(format!("do {op:?} upon {thing}"), "the test breaks it"));
        }
        drop(tables);
        Ok(under_way)
    }

    /// A call has had its effect.
    async fn end(&self, op: Op, under_way: UnderWay<'_>) {
        self.wait(op, Held::After).await;
        drop(under_way);
    }

    async fn wait(&self, op: Op, held: Held) {
        let mut script = self.script.subscribe();
        if !self.tables().held.contains(&(op, held)) {
            return;
        }
        *self.tables().waiting.entry((op, held)).or_default() += 1;
        let _waiting = Waiting { runtime: self, at: (op, held) };
        let _ = script.wait_for(|_| !self.tables().held.contains(&(op, held))).await;
    }

    fn content(&self, volume: &VolumeRef) -> Result<Bytes, ReadError> {
        let found = self.tables().volumes.get(volume).map(|volume| volume.content.clone());
        found.ok_or_else(|| ReadError::Missing { volume: volume.clone() })
    }
}

fn observation((name, worker): (&WorkerName, &Worker)) -> Observation {
    Observation {
        name: name.clone(),
        uid: worker.uid.clone(),
        run: worker.spec.run,
        attempt: worker.spec.attempt,
        state: worker.state.clone(),
    }
}

#[async_trait::async_trait]
impl Runtime for Scripted {
    async fn prepare_volume(&self, volume: &VolumeRef, _: KnitId) -> Result<(), Fault> {
        let call = self.begin(Op::Prepare, volume).await?;
        self.tables().volumes.entry(volume.clone()).or_default();
        self.end(Op::Prepare, call).await;
        Ok(())
    }

    async fn seal_volume(&self, volume: &VolumeRef) -> Result<(), ReadError> {
        let call = self.begin(Op::Seal, volume).await?;
        {
            let mut tables = self.tables();
            let writes = |worker: &Worker| worker.spec.outputs.iter().any(|output| output.volume == *volume);
            assert!(!tables.workers.values().any(writes), "a volume is sealed while a Worker may write to it");
            let found = tables.volumes.get_mut(volume);
            found.ok_or_else(|| ReadError::Missing { volume: volume.clone() })?.sealed = true;
        }
        self.end(Op::Seal, call).await;
        Ok(())
    }

    async fn destroy_volume(&self, volume: &VolumeRef) -> Result<(), Fault> {
        let call = self.begin(Op::Destroy, volume).await?;
        self.tables().volumes.remove(volume);
        self.end(Op::Destroy, call).await;
        Ok(())
    }

    async fn receive(&self, volume: &VolumeRef, mut archive: ArchiveBody) -> Result<Box<dyn Incoming>, ReceiveError> {
        let call = self.begin(Op::Receive, volume).await?;
        let mut content = Vec::new();
        while let Some(bytes) = archive.next().await {
            content.extend_from_slice(&bytes.map_err(ReceiveError::BrokenOff)?);
        }
        self.end(Op::Receive, call).await;
        let received = Received { md5: hex::encode(Md5::digest(&content)), entries: 0, content_bytes: 0 };
        Ok(Box::new(Parcel { runtime: self.clone(), volume: volume.clone(), content: content.into(), received }))
    }

    async fn send(&self, volume: &VolumeRef) -> Result<ArchiveStream, ReadError> {
        let content = self.content(volume)?;
        let md5 = hex::encode(Md5::digest(&content));
        let pieces = content.chunks(PIECE_BYTES).map(|piece| ArchivePart::Bytes(Bytes::copy_from_slice(piece)));
        let parts: Vec<ArchivePart> = pieces.chain([ArchivePart::End { md5 }]).collect();
        let (runtime, volume) = (self.clone(), volume.clone());
        Ok(Box::pin(stream::iter(parts).enumerate().then(move |(number, part)| {
            let (runtime, volume) = (runtime.clone(), volume.clone());
            async move {
                if number > 0 {
                    runtime.begin(Op::Send, &volume).await?;
                }
                Ok(part)
            }
        })))
    }

    async fn create_worker(&self, spec: &WorkerSpec) -> Result<Created, CreateError> {
        let name = &spec.order.name;
        let call = self.begin(Op::Create, name).await?;
        let created = {
            let mut tables = self.tables();
            if let Some(reason) = &tables.impossible {
                return Err(CreateError::Impossible { reason: reason.clone() });
            }
            if !tables.workers.contains_key(name) {
                tables.workers_made += 1;
                let uid = format!("uid-{}", tables.workers_made);
                let state = tables.fate.clone().unwrap_or(WorkerState::Pending { reason: None });
                tables.workers.insert(name.clone(), Worker { spec: spec.clone(), uid, state });
            }
            let (worker, notes) = (&tables.workers[name], tables.notes.clone());
            Created { uid: worker.uid.clone(), image_digest: None, notes }
        };
        self.end(Op::Create, call).await;
        Ok(created)
    }

    async fn observe_worker(&self, name: &WorkerName) -> Result<Option<Observation>, Fault> {
        let call = self.begin(Op::Observe, name).await?;
        let seen = self.tables().workers.get_key_value(name).map(observation);
        self.end(Op::Observe, call).await;
        Ok(seen)
    }

    async fn list_workers(&self) -> Result<Vec<Observation>, Fault> {
        let call = self.begin(Op::List, "workers").await?;
        let all = self.tables().workers.iter().map(observation).collect();
        self.end(Op::List, call).await;
        Ok(all)
    }

    async fn remove_worker(&self, name: &WorkerName) -> Result<(), Fault> {
        let call = self.begin(Op::Remove, name).await?;
        self.tables().workers.remove(name);
        self.end(Op::Remove, call).await;
        Ok(())
    }

    fn changes(&self) -> broadcast::Receiver<WorkerName> {
        self.changes.subscribe()
    }

    async fn read_log(&self, volume: &VolumeRef) -> Result<LogStream, ReadError> {
        let call = self.begin(Op::ReadLog, volume).await?;
        let content = self.content(volume)?;
        self.end(Op::ReadLog, call).await;
        Ok(Box::pin(stream::iter([Ok(content)])))
    }

    async fn follow_log(&self, _: &WorkerName, volume: &VolumeRef) -> Result<LogStream, ReadError> {
        self.read_log(volume).await
    }

    async fn log_tail(&self, volume: &VolumeRef, bytes_max: usize) -> Result<LogTail, ReadError> {
        let content = self.content(volume)?;
        let bytes = content[content.len().saturating_sub(bytes_max)..].to_vec();
        Ok(LogTail { bytes, total_bytes: content.len() as u64 })
    }

    async fn log_sha256(&self, volume: &VolumeRef) -> Result<String, ReadError> {
        let call = self.begin(Op::LogSha256, volume).await?;
        let sha256 = hex::encode(sha2::Sha256::digest(self.content(volume)?));
        self.end(Op::LogSha256, call).await;
        Ok(sha256)
    }

    fn place(&self) -> Option<&str> {
        self.place
    }

    fn describe(&self) -> Vec<String> {
        Vec::new()
    }
}

/// An upload that is not a volume yet.
struct Parcel {
    runtime: Scripted,
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
        let volume = Volume { sealed: true, content: self.content.clone() };
        self.runtime.tables().volumes.insert(self.volume.clone(), volume);
        Ok(())
    }

    async fn discard(self: Box<Self>) -> Result<(), Fault> {
        Ok(())
    }
}
