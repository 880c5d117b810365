//! Matching: which Data may fill which input, which output feeds which input, and which Run a
//! combination of Data is.
//!
//! An input asks for user tags, and may be pinned to one Data by `knit#id` or to one instant by
//! `knit#timestamp`. A Data fits when the Run that made it is done and it has all that is asked for;
//! what it has besides does not matter. A combination, one Data for every input of a Plan, *is* its
//! Run: the id of the Run is computed from it, so the same combination cannot run twice (X3).

use uuid::Uuid;

use crate::event::run::Assignment;
use crate::id::{KnitId, PlanId, RunId};
use crate::tag::{KEY_ID, KEY_TIMESTAMP, Tag, TagSet};
use crate::time::Timestamp;

/// Name space of the ids of Runs. It is part of every such id and never changes.
const RUN_NAMESPACE: Uuid = Uuid::from_u128(0x6b6e_6974_0000_8000_8000_0000_0000_0003);

/// What an input asks for, taken apart once so that it can be asked often.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requirement {
    tags: Vec<Tag>,
    id_pin: Option<String>,
    instant_pin: Option<Timestamp>,
    /// It asks for what no Data can have, such as two ids. Validation admits no such input, but an
    /// imported history may hold one; it must match nothing rather than too much.
    absurd: bool,
}

/// What matters of a Data when it is a candidate for an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'data> {
    /// Its identity.
    pub knit_id: KnitId,
    /// Its user tags.
    pub tags: &'data TagSet,
    /// When the Run that made it ended.
    pub timestamp: Option<Timestamp>,
    /// Whether that Run is `done`.
    pub done: bool,
}

impl Requirement {
    /// What an input with these tags asks for.
    #[must_use]
    pub fn of(input: &TagSet) -> Self {
        let mut required = Self::default();
        for tag in input {
            match tag.key.as_str() {
                KEY_ID if required.id_pin.is_none() => required.id_pin = Some(tag.value.clone()),
                KEY_TIMESTAMP if required.instant_pin.is_none() && tag.instant().is_some() => {
                    required.instant_pin = tag.instant();
                }
                _ if tag.is_system() => required.absurd = true,
                _ => required.tags.push(tag.clone()),
            }
        }
        required
    }

    /// The user tags it asks for, sorted.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// The one Data it is pinned to; a text that is no id pins it to none.
    #[must_use]
    pub fn id_pin(&self) -> Option<&str> {
        self.id_pin.as_deref()
    }

    /// The one instant it is pinned to.
    #[must_use]
    pub fn instant_pin(&self) -> Option<Timestamp> {
        self.instant_pin
    }

    /// Whether it is pinned, by id or by instant.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.id_pin.is_some() || self.instant_pin.is_some()
    }

    /// Whether `data` fits: its Run is done, and it has every tag and is what the pins say.
    #[must_use]
    pub fn admits(&self, data: &Candidate<'_>) -> bool {
        let asks_for_something = self.is_pinned() || !self.tags.is_empty();
        asks_for_something && !self.absurd && data.done && self.pins_admit(data) && self.has_all_tags(data.tags)
    }

    /// Whether everything that is made with the tags `output` feeds this input: it has every user tag
    /// asked for. A pinned input is fed by nobody in particular.
    #[must_use]
    pub fn fed_by(&self, output: &TagSet) -> bool {
        let follows_tags = !self.tags.is_empty() && !self.is_pinned() && !self.absurd;
        follows_tags && self.has_all_tags(output)
    }

    fn pins_admit(&self, data: &Candidate<'_>) -> bool {
        let id_fits = self.id_pin.as_ref().is_none_or(|pin| *pin == data.knit_id.to_string());
        id_fits && self.instant_pin.is_none_or(|pin| data.timestamp == Some(pin))
    }

    fn has_all_tags(&self, tags: &TagSet) -> bool {
        self.tags.iter().all(|tag| tags.contains(tag))
    }
}

impl RunId {
    /// The Run that this combination is: a name-based UUID (version 5) over the Plan and the
    /// assignments, in whatever order they are given.
    ///
    /// The name is the Plan's sixteen bytes, then for every assignment, sorted by path, the length of
    /// the path, the path, and the sixteen bytes of the Data. Each part has a known length, so no two
    /// combinations have one name.
    #[must_use]
    pub fn of_combination(plan: PlanId, inputs: &[Assignment]) -> Self {
        let mut sorted: Vec<&Assignment> = inputs.iter().collect();
        sorted.sort();
        let mut name = plan.0.as_bytes().to_vec();
        for Assignment { path, knit_id } in sorted {
            name.extend((path.len() as u64).to_be_bytes());
            name.extend(path.as_bytes());
            name.extend(knit_id.0.as_bytes());
        }
        Self(Uuid::new_v5(&RUN_NAMESPACE, &name))
    }
}

#[cfg(test)]
mod tests;
