//! The tags: their numbers, which usable Data have each, and which inputs ask for each.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use knit_domain::tag::Tag;

use super::numbers::{DataNo, InputNo, TagNo};

/// Every tag that was ever met. None is forgotten, because numbers must not depend on whether a
/// snapshot was taken in between.
#[derive(Debug, Default)]
pub(super) struct Tags {
    numbers: HashMap<Arc<Tag>, TagNo>,
    uses: Vec<TagUse>,
}

#[derive(Debug)]
pub(super) struct TagUse {
    pub(super) tag: Arc<Tag>,
    /// Usable Data that have it.
    pub(super) data: BTreeSet<DataNo>,
    /// Inputs that ask for it.
    pub(super) inputs: Vec<InputNo>,
}

impl Tags {
    /// The number of `tag`, a new one if it was never met.
    pub(super) fn number(&mut self, tag: &Tag) -> TagNo {
        if let Some(number) = self.numbers.get(tag) {
            return *number;
        }
        let number = TagNo::at(self.uses.len());
        let tag = Arc::new(tag.clone());
        self.numbers.insert(Arc::clone(&tag), number);
        self.uses.push(TagUse { tag, data: BTreeSet::new(), inputs: Vec::new() });
        number
    }

    /// The numbers of `tags`, sorted.
    pub(super) fn numbers<'a>(&mut self, tags: impl IntoIterator<Item = &'a Tag>) -> Box<[TagNo]> {
        let mut numbers: Vec<TagNo> = tags.into_iter().map(|tag| self.number(tag)).collect();
        numbers.sort_unstable();
        numbers.into()
    }

    /// The number of `tag`, if it was ever met.
    pub(super) fn find(&self, tag: &Tag) -> Option<TagNo> {
        self.numbers.get(tag).copied()
    }

    pub(super) fn of(&self, number: TagNo) -> &TagUse {
        &self.uses[number.place()]
    }

    pub(super) fn of_mut(&mut self, number: TagNo) -> &mut TagUse {
        &mut self.uses[number.place()]
    }

    pub(super) fn len(&self) -> usize {
        self.uses.len()
    }

    /// All, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Tag> {
        self.uses.iter().map(|tag_use| &*tag_use.tag)
    }
}
