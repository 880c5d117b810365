//! Our loop: the log loads, the domain decides, the log appends.

use std::collections::BTreeSet;

use knit_domain::data::{Data, DataCommand, TagChange, change_tags};
use knit_domain::decision::{Decision, Versioned};
use knit_domain::event::data::DataEvent;
use knit_domain::event::{Event, Metadata, StreamId};
use knit_domain::id::{KnitId, RunId, VolumeRef};
use knit_domain::plan::Builtin;
use knit_domain::tag::{Tag, TagSet};
use knit_log::{Log, Request};
use uuid::Uuid;

use super::{COMMANDS_PER_STREAM, Round, race};

/// Events of one append that makes Data to write to.
const RESERVED_AT_ONCE: usize = 1_000;

pub(super) async fn round(log: &Log, clients: usize, each: usize) -> anyhow::Result<Round> {
    let data = reserve(log, clients * each.div_ceil(COMMANDS_PER_STREAM)).await?;
    race(clients, each, |client| {
        let (log, own) = (log.clone(), share(&data, client, each));
        move |at| {
            let (log, id) = (log.clone(), own[at / COMMANDS_PER_STREAM]);
            async move { command(&log, id, at).await }
        }
    })
    .await
}

/// The same events without loading: what the log itself does.
pub(super) async fn append_only(log: &Log, clients: usize, each: usize) -> anyhow::Result<Round> {
    let data = reserve(log, clients * each.div_ceil(COMMANDS_PER_STREAM)).await?;
    race(clients, each, |client| {
        let (log, own) = (log.clone(), share(&data, client, each));
        move |at| {
            let (log, id) = (log.clone(), own[at / COMMANDS_PER_STREAM]);
            let version = (at % COMMANDS_PER_STREAM) as u64 + 1;
            async move { append(&log, Decision::write(StreamId::data(id), version, [tagged(at)])).await }
        }
    })
    .await
}

async fn command(log: &Log, id: KnitId, at: usize) -> anyhow::Result<()> {
    // As the server does: what it remembers is good enough to decide on, since the log checks the version.
    let events = log.recall(&StreamId::data(id)).await?;
    let data = Versioned::fold(&events, |data: &mut Data, recorded| {
        if let Event::Data(event) = &recorded.event {
            data.apply(event);
        }
    });
    append(log, change_tags(&data, &change(at))?).await
}

async fn append(log: &Log, decision: Decision) -> anyhow::Result<()> {
    log.append(Request::new(decision, metadata())).await?;
    Ok(())
}

async fn reserve(log: &Log, count: usize) -> anyhow::Result<Vec<KnitId>> {
    let ids: Vec<KnitId> = (0..count).map(|_| KnitId(Uuid::new_v4())).collect();
    for some in ids.chunks(RESERVED_AT_ONCE) {
        let write = |decision: Decision, id: &KnitId| decision.and_write(StreamId::data(*id), 0, [reserved(*id)]);
        append(log, some.iter().fold(Decision::nothing(), write)).await?;
    }
    Ok(ids)
}

/// The Data of one client.
pub(super) fn share<T: Clone>(data: &[T], client: usize, each: usize) -> Vec<T> {
    let own = each.div_ceil(COMMANDS_PER_STREAM);
    data[client * own..(client + 1) * own].to_vec()
}

pub(super) fn metadata() -> Metadata {
    Metadata { actor: "anonymous".to_owned(), ..Metadata::default() }
}

pub(super) fn reserved(knit_id: KnitId) -> DataEvent {
    DataEvent::DataReserved {
        knit_id,
        volume_ref: VolumeRef::of(knit_id),
        run_id: RunId(knit_id.0),
        attempt: 1,
        plan_id: Builtin::Uploaded.id(),
        path: Builtin::Uploaded.output_path().to_owned(),
        log: false,
        tags: TagSet::default(),
    }
}

/// What a command comes to.
pub(super) fn tagged(at: usize) -> DataEvent {
    DataEvent::DataTagsChanged { added: BTreeSet::from([tag(at)]), removed: BTreeSet::new() }
}

pub(super) fn change(at: usize) -> TagChange {
    TagChange { add: BTreeSet::from([tag(at)]), ..TagChange::default() }
}

pub(super) fn as_command(at: usize) -> DataCommand {
    DataCommand::ChangeTags(change(at))
}

fn tag(at: usize) -> Tag {
    Tag::new(format!("number-{at}"), "one of the tags that somebody put on this Data")
}
