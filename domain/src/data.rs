//! Data: a directory that somebody uploaded or a Run made, and the tags by which it is found.
//!
//! A Data is reserved together with the Run (or the attempt) that will make it. Its content is never
//! changed; its tags may be, at any time. It ends when its Run is retried or deleted: it is discarded,
//! its volume is garbage, and its id is never used again. Whether it is usable is not written here: it
//! follows from the Run that made it. Who uses it is not written here either: see
//! [`crate::reservation`].

use std::collections::BTreeSet;

use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::decision::{Decision, Versioned};
use crate::event::data::DataEvent;
use crate::event::{StreamId, StreamType};
use crate::id::{KnitId, PlanId, RunId, VolumeRef};
use crate::tag::{MalformedTag, Tag, TagSet, is_system_key};

/// A Data as its stream tells it.
#[derive(Default, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Data {
    /// Absent before the Data is reserved.
    pub record: Option<DataRecord>,
}

/// What there is to know about a Data, be it discarded.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct DataRecord {
    /// Its identity.
    pub knit_id: KnitId,
    /// Its volume.
    pub volume_ref: VolumeRef,
    /// The Run that makes it.
    pub run_id: RunId,
    /// Which attempt of that Run.
    pub attempt: u32,
    /// The Plan of that Run.
    pub plan_id: PlanId,
    /// Path of the output; `/log` for the log.
    pub path: String,
    /// Whether it is the log.
    pub log: bool,
    /// Its user tags.
    pub tags: TagSet,
    /// Whether it still is.
    pub standing: Standing,
}

/// How far a Data has come to its end.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It exists, made or to be made.
    Living,
    /// It is gone; its volume is still to be destroyed.
    Discarded,
    /// Its volume is gone as well.
    Reclaimed,
}

/// Tags to change: what is removed goes first, then what is added comes, so that a tag in both is there
/// afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagChange {
    /// Exactly these tags go.
    pub remove: BTreeSet<Tag>,
    /// Every tag with such a key goes.
    pub remove_key: BTreeSet<String>,
    /// These tags come.
    pub add: BTreeSet<Tag>,
}

/// A command to a Data that a rule forbids. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataRefused {
    /// There is no such Data, or it was discarded.
    #[error("there is no such Data: it never was, or its Run has been retried or deleted")]
    Missing,
    /// System tags are derived; nobody sets them.
    #[error("`{key}` is a key of the system (`knit#…`): such tags cannot be added or removed")]
    SystemKey {
        /// The first such key.
        key: String,
    },
    /// A tag to be added would poison the wire or is too long.
    #[error(transparent)]
    Unwritable(#[from] MalformedTag),
    /// The volume of a Data that is not discarded must not be destroyed.
    #[error("the Data {knit_id} is not discarded: its volume is no garbage")]
    StillLiving {
        /// The Data.
        knit_id: KnitId,
    },
}

impl Data {
    /// Takes one more event of the stream into account. It never fails; see [`crate::run::Run::apply`].
    pub fn apply(&mut self, event: &DataEvent) {
        match event {
            DataEvent::DataReserved { knit_id, volume_ref, run_id, attempt, plan_id, path, log, tags } => {
                self.record = Some(DataRecord {
                    knit_id: *knit_id,
                    volume_ref: volume_ref.clone(),
                    run_id: *run_id,
                    attempt: *attempt,
                    plan_id: *plan_id,
                    path: path.clone(),
                    log: *log,
                    tags: tags.clone(),
                    standing: Standing::Living,
                });
            }
            DataEvent::DataTagsChanged { added, removed } => {
                if let Some(record) = &mut self.record {
                    let kept = record.tags.iter().filter(|tag| !removed.contains(tag));
                    record.tags = kept.chain(added).cloned().collect();
                }
            }
            DataEvent::DataDiscarded { .. } | DataEvent::LogRedacted { .. } => self.come_to(Standing::Discarded),
            DataEvent::VolumeReclaimed { .. } => self.come_to(Standing::Reclaimed),
        }
    }

    fn come_to(&mut self, standing: Standing) {
        if let Some(record) = &mut self.record {
            record.standing = standing;
        }
    }

    /// The Data, unless it is unknown or discarded.
    ///
    /// # Errors
    /// [`DataRefused::Missing`].
    pub fn living(&self) -> Result<&DataRecord, DataRefused> {
        let living = self.record.as_ref().filter(|record| record.standing == Standing::Living);
        living.ok_or(DataRefused::Missing)
    }
}

impl TagChange {
    fn check(&self) -> Result<(), DataRefused> {
        let tag_keys = self.add.iter().chain(&self.remove).map(|tag| &tag.key);
        if let Some(key) = tag_keys.chain(&self.remove_key).find(|key| is_system_key(key)) {
            return Err(DataRefused::SystemKey { key: key.clone() });
        }
        // What is removed may be unwritable: an imported history can hold such tags.
        Ok(self.add.iter().try_for_each(Tag::check_writable)?)
    }

    /// What really changes in `tags`; nothing if they are as wanted already.
    fn effect_on(&self, tags: &TagSet) -> Option<DataEvent> {
        let goes =
            |tag: &Tag| (self.remove.contains(tag) || self.remove_key.contains(&tag.key)) && !self.add.contains(tag);
        let removed: BTreeSet<Tag> = tags.iter().filter(|tag| goes(tag)).cloned().collect();
        let added: BTreeSet<Tag> = self.add.iter().filter(|tag| !tags.contains(tag)).cloned().collect();
        let effective = !(added.is_empty() && removed.is_empty());
        effective.then_some(DataEvent::DataTagsChanged { added, removed })
    }
}

/// Changes the user tags of a Data, whatever its Run is doing. Removing what is absent and adding what
/// is present change nothing and are no errors.
///
/// # Errors
/// [`DataRefused`]: unknown Data, a system key anywhere, an unwritable tag to be added.
pub fn change_tags(data: &Versioned<Data>, change: &TagChange) -> Result<Decision, DataRefused> {
    change.check()?;
    let record = data.state.living()?;
    Ok(happens(data, record, change.effect_on(&record.tags)))
}

/// The volume of a discarded Data is destroyed; nothing if that is on record already.
///
/// # Errors
/// [`DataRefused`]: unknown Data, or one that is not discarded.
pub fn reclaim_volume(data: &Versioned<Data>) -> Result<Decision, DataRefused> {
    let record = data.state.record.as_ref().ok_or(DataRefused::Missing)?;
    match record.standing {
        Standing::Living => Err(DataRefused::StillLiving { knit_id: record.knit_id }),
        Standing::Discarded => {
            let event = DataEvent::VolumeReclaimed { volume_ref: record.volume_ref.clone() };
            Ok(happens(data, record, Some(event)))
        }
        Standing::Reclaimed => Ok(Decision::nothing()),
    }
}

fn happens(data: &Versioned<Data>, record: &DataRecord, event: Option<DataEvent>) -> Decision {
    Decision::write(StreamId::data(record.knit_id), data.version, event)
}

/// What may be asked of the stream of one Data. It begins and ends with its Run, in [`crate::run`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataCommand {
    /// See [`change_tags`].
    ChangeTags(TagChange),
    /// See [`reclaim_volume`].
    ReclaimVolume,
}

impl cqrs_es::Aggregate for Data {
    const TYPE: &'static str = StreamType::Data.as_str();
    type Command = DataCommand;
    type Event = DataEvent;
    type Error = DataRefused;
    type Services = ();

    async fn handle(&mut self, command: DataCommand, (): &(), sink: &EventSink<Self>) -> Result<(), DataRefused> {
        let data = Versioned::new(self.clone(), 0);
        let decision = match command {
            DataCommand::ChangeTags(change) => change_tags(&data, &change)?,
            DataCommand::ReclaimVolume => reclaim_volume(&data)?,
        };
        for event in decision.writes.into_iter().flat_map(|write| write.events) {
            if let crate::event::Event::Data(event) = event {
                sink.write(event, self).await;
            }
        }
        Ok(())
    }

    fn apply(&mut self, event: DataEvent) {
        Self::apply(self, &event);
    }
}

#[cfg(test)]
mod tests;
