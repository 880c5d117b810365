//! Finding Tags by how they begin: what a shell completes where a Tag is typed.

use std::collections::{BTreeSet, HashSet};

use knit_domain::tag::{KEY_ID, KEY_TIMESTAMP, Tag};
use knit_schemas::slip::is_slip_of;

use crate::store::column::{Row as _, TagRow, TextRow};
use crate::store::{Limit, Store};

/// Keys of the system that are asked for. Their values are not listed: ids and times are as many as there are Data.
const SYSTEM_KEYS: [&str; 2] = [KEY_ID, KEY_TIMESTAMP];

/// Stands between key and value.
const COLON: char = ':';

impl Store {
    /// At most `count_max` texts that begin with `typed`, sorted: as long as there is no colon in it, keys with
    /// their colon, and from the colon on whole Tags. Offered is what some Data has or some Plan asks for or gives
    /// now. Every Tag there ever was is looked at: a hundred thousand in five milliseconds.
    #[must_use]
    pub fn tags_beginning(&self, typed: &str, count_max: usize) -> Vec<String> {
        match typed.split_once(COLON) {
            Some((key, value)) => {
                let values = self.values_beginning(key, value, count_max).into_iter();
                values.map(|value| format!("{key}{COLON}{value}")).collect()
            }
            None => {
                let keys = self.keys_beginning(typed, count_max).into_iter();
                keys.map(|key| format!("{key}{COLON}")).collect()
            }
        }
    }

    /// The Tag that `written` was probably meant to be, if it is nearly one that some Data has or some Plan gives now.
    #[must_use]
    pub fn tag_meant(&self, written: &Tag) -> Option<Tag> {
        let given = self.tags_given();
        let texts = self.tags.texts();
        let is_there = |tag: &TagRow| given.contains(tag) || self.is_on_data(*tag);
        if self.tags.row(written).is_some_and(|tag| is_there(&tag)) {
            return None;
        }
        let near = self.tags_ever().filter(|(_, key, value)| is_nearly(written, texts.get(*key), texts.get(*value)));
        let near = near.filter(|(tag, ..)| is_there(tag));
        let (key, value) = near.map(|(_, key, value)| (texts.get(key), texts.get(value))).min()?;
        Some(Tag::new(key, value))
    }

    fn keys_beginning(&self, typed: &str, count_max: usize) -> BTreeSet<&str> {
        let in_plans = self.tags_in_plans();
        let mut first = First::new(count_max);
        SYSTEM_KEYS.iter().filter(|key| key.starts_with(typed)).for_each(|key| first.add(key));
        // Many Tags have the same key, and comparing rows costs less than comparing texts.
        let mut found = HashSet::new();
        for (tag, row, _) in self.tags_ever() {
            if found.contains(&row) {
                continue;
            }
            let key = self.tags.texts().get(row);
            if key.starts_with(typed) && first.has_room_for(key) && self.is_in_use(tag, &in_plans) {
                first.add(key);
                found.insert(row);
            }
        }
        first.texts
    }

    fn values_beginning(&self, key: &str, typed: &str, count_max: usize) -> BTreeSet<&str> {
        let Some(key) = self.tags.texts().row(key) else { return BTreeSet::new() };
        let in_plans = self.tags_in_plans();
        let mut first = First::new(count_max);
        for (tag, _, value) in self.tags_ever().filter(|(_, of, _)| *of == key) {
            let value = self.tags.texts().get(value);
            if value.starts_with(typed) && first.has_room_for(value) && self.is_in_use(tag, &in_plans) {
                first.add(value);
            }
        }
        first.texts
    }

    fn tags_ever(&self) -> impl Iterator<Item = (TagRow, TextRow, TextRow)> {
        let rows = (0..).map_while(TagRow::at);
        rows.zip(self.tags.all()).map(|(row, (key, value))| (row, *key, *value))
    }

    /// Plans are never removed, so what they speak of stays of use.
    fn tags_in_plans(&self) -> HashSet<TagRow> {
        let records = self.plans.rows().map(|row| self.plans.record(row));
        let mut tags = self.tags_given();
        tags.extend(records.flat_map(|record| &record.inputs).flat_map(|input| &input.tags));
        tags
    }

    fn tags_given(&self) -> HashSet<TagRow> {
        let outputs = self.plans.rows().flat_map(|row| &self.plans.record(row).outputs);
        outputs.flat_map(|output| self.tags.members(*output)).copied().collect()
    }

    /// Whether a Plan speaks of a Tag, or a Data has it that is there.
    fn is_in_use(&self, tag: TagRow, in_plans: &HashSet<TagRow>) -> bool {
        in_plans.contains(&tag) || self.is_on_data(tag)
    }

    fn is_on_data(&self, tag: TagRow) -> bool {
        let has_it = |row| {
            self.data.exists(row, Limit::NOW, &self.runs.steps)
                && self.tags.has_all(self.data.records[row].tags, &[tag])
        };
        self.tags.sets_with(tag).any(|set| self.data.ever_with.of(set).any(has_it))
    }
}

/// Fewer letters differ by one slip from too many others.
const LETTERS_MIN: usize = 3;

/// Whether `written` is nearly the Tag of `key` and `value`. Numbers are told from one another by single digits, which
/// nobody mistook, and so are the shortest words.
fn is_nearly(written: &Tag, key: &str, value: &str) -> bool {
    let tells = |written: &str, known: &str| {
        written == known || written.chars().count().min(known.chars().count()) >= LETTERS_MIN
    };
    let letters = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let (text, known) = (written.to_string(), format!("{key}{COLON}{value}"));
    text.len().abs_diff(known.len()) <= SLIP_BYTES_MAX
        && tells(&written.key, key)
        && tells(&written.value, value)
        && is_slip_of(&text, &known)
        && letters(&text) != letters(&known)
}

/// Bytes by which what was meant may be longer or shorter; looked at first, since there may be many Tags.
const SLIP_BYTES_MAX: usize = 8;

/// The first texts in their order, so many at most.
struct First<'a> {
    texts: BTreeSet<&'a str>,
    count_max: usize,
}

impl<'a> First<'a> {
    fn new(count_max: usize) -> Self {
        Self { texts: BTreeSet::new(), count_max }
    }

    /// Whether `text` would be among them, and is not yet.
    fn has_room_for(&self, text: &str) -> bool {
        let is_early = self.texts.len() < self.count_max || self.texts.last().is_some_and(|last| text < *last);
        is_early && !self.texts.contains(text)
    }

    fn add(&mut self, text: &'a str) {
        self.texts.insert(text);
        if self.texts.len() > self.count_max {
            self.texts.pop_last();
        }
    }
}
