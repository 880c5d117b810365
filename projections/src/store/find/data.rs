//! Finding Data by tags and time (web-api 2.1).

use knit_domain::id::KnitId;
use knit_domain::run::Status;
use knit_domain::tag::{KEY_ID, KEY_TIMESTAMP, KEY_TRANSIENT, Tag};
use knit_domain::time::Timestamp;

use super::super::column::{DataRow, TagRow};
use super::super::tags::Tags;
use super::super::{At, Limit, Store};
use super::within;

/// Which Data to find; the default is all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DataFilter {
    /// The Data have all of these, user and system tags; already trimmed.
    pub tags: Vec<Tag>,
    /// The timestamp (or, before there is one, the last change of the Run) is at or after this.
    pub since: Option<Timestamp>,
    /// It is before this.
    pub until: Option<Timestamp>,
}

/// Why a Data cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Transient {
    /// Its Run has not ended.
    Processing,
    /// Its Run has failed or was deleted.
    Failed,
}

impl Transient {
    /// What the status of the Run that makes a Data says about the Data.
    pub(in crate::store) const fn of(run: Status) -> Option<Self> {
        match run {
            Status::Deactivated
            | Status::Waiting
            | Status::Ready
            | Status::Starting
            | Status::Running
            | Status::Completing
            | Status::Aborting => Some(Self::Processing),
            Status::Failed | Status::Invalidated => Some(Self::Failed),
            Status::Done => None,
        }
    }

    /// The value of the tag.
    pub(in crate::store) const fn as_str(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Failed => "failed",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Processing, Self::Failed].into_iter().find(|transient| transient.as_str() == text)
    }
}

/// The tags of a filter, taken apart.
#[derive(Debug, Default)]
pub(in crate::store) struct Wanted {
    tags: Vec<TagRow>,
    id: Option<KnitId>,
    timestamp: Option<Timestamp>,
    transient: Option<Transient>,
}

impl Wanted {
    /// `None` if no Data can have all of `given`: a tag nobody ever used, two ids, an unknown system tag.
    pub(in crate::store) fn of(given: &[Tag], tags: &Tags) -> Option<Self> {
        let mut wanted = Self::default();
        for tag in given {
            match tag.key.as_str() {
                KEY_ID => set_once(&mut wanted.id, tag.value.parse().ok()?)?,
                KEY_TIMESTAMP => set_once(&mut wanted.timestamp, Timestamp::parse(&tag.value).ok()?)?,
                KEY_TRANSIENT => set_once(&mut wanted.transient, Transient::parse(&tag.value)?)?,
                _ if tag.is_system() => return None,
                _ => wanted.tags.push(tags.row(tag)?),
            }
        }
        Some(wanted)
    }
}

/// `None` if something else is wanted already.
fn set_once<T: PartialEq + Copy>(place: &mut Option<T>, wanted: T) -> Option<()> {
    (*place.get_or_insert(wanted) == wanted).then_some(())
}

impl Store {
    /// The Data that fit, by timestamp, those without one last, then by id.
    #[must_use]
    pub fn find_data(&self, filter: &DataFilter, at: At) -> Vec<KnitId> {
        let limit = at.limit();
        let Some(wanted) = Wanted::of(&filter.tags, &self.tags) else { return Vec::new() };
        let fits = |row: &DataRow| self.data.exists(*row, limit, &self.runs.steps) && self.fits(*row, &wanted, limit);
        let keyed = self.candidates(&wanted, limit).into_iter().filter(fits).filter_map(|row| {
            let timestamp = self.timestamp(row, limit);
            let in_time = (filter.since.is_none() && filter.until.is_none())
                || within(timestamp.or_else(|| self.changed_at(row, limit))?, filter.since, filter.until);
            in_time.then(|| (timestamp.is_none(), timestamp, self.data.id(row)))
        });
        let mut found: Vec<_> = keyed.collect();
        found.sort_unstable();
        found.into_iter().map(|(_, _, id)| id).collect()
    }

    /// At least all Data that fit, each once.
    fn candidates(&self, wanted: &Wanted, limit: Limit) -> Vec<DataRow> {
        if let Some(id) = wanted.id {
            return self.data.row(id, limit, &self.runs.steps).into_iter().collect();
        }
        if wanted.tags.is_empty() {
            return self.data.ids.rows().collect();
        }
        let sets = self.tags.sets_with_all(&wanted.tags).into_iter();
        let mut rows: Vec<DataRow> = sets.flat_map(|set| self.data.ever_with.of(set)).collect();
        // A Data is listed again when it comes back to a set, and once for each set it has had.
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// Whether an existing Data is wanted.
    pub(in crate::store) fn fits(&self, row: DataRow, wanted: &Wanted, limit: Limit) -> bool {
        let tags = wanted.tags.is_empty() || self.tags.has_all(self.data.tags(row, limit), &wanted.tags);
        let transient = || wanted.transient.is_none() || self.transient(row, limit) == wanted.transient;
        let timestamp = || wanted.timestamp.is_none() || self.timestamp(row, limit) == wanted.timestamp;
        tags && transient() && timestamp()
    }

    /// When the attempt that makes a Data ended.
    pub(in crate::store) fn timestamp(&self, row: DataRow, limit: Limit) -> Option<Timestamp> {
        let record = &self.data.records[row];
        self.runs.steps.ended_at(self.runs.records[record.run].newest, record.born, limit)
    }

    /// The value of the tag `knit#transient` of a Data now; none if the Data is finished, or not there.
    #[must_use]
    pub fn transient_value(&self, id: KnitId) -> Option<&'static str> {
        let row = self.data.row(id, Limit::NOW, &self.runs.steps)?;
        self.transient(row, Limit::NOW).map(Transient::as_str)
    }

    /// Why a Data cannot be used, if it cannot.
    pub(in crate::store) fn transient(&self, row: DataRow, limit: Limit) -> Option<Transient> {
        self.runs.status(self.data.records[row].run, limit).and_then(Transient::of)
    }

    fn changed_at(&self, row: DataRow, limit: Limit) -> Option<Timestamp> {
        self.runs.standing(self.data.records[row].run, limit).map(|standing| standing.updated_at)
    }
}
