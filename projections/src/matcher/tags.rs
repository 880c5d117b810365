//! The tags: their numbers, which usable Data have each, and which inputs ask for each.

use std::sync::Arc;

use knit_domain::tag::Tag;

use super::numbers::{DataNo, InputNo, TagNo};
use crate::blocks::Blocks;
use crate::heap;
use crate::sorted::Sorted;
use crate::table::Map;

/// Tags in a block: each has a list of its own, which costs more to copy than the rest of it.
const TAGS_TOGETHER: usize = 64;

/// Every tag that was ever met. None is forgotten, because numbers must not depend on whether a
/// snapshot was taken in between.
#[derive(Debug, Clone, Default)]
pub(super) struct Tags {
    numbers: Map<Arc<Tag>, TagNo>,
    tags: Blocks<Tagged, TAGS_TOGETHER>,
    /// Which inputs ask for a tag; most tags are asked for by none.
    asked_for: Map<TagNo, Vec<InputNo>>,
}

#[derive(Debug, Clone)]
struct Tagged {
    tag: Arc<Tag>,
    /// The usable Data that have it. Most of them are put at the end, because the youngest Data has the
    /// highest number.
    data: Sorted<DataNo>,
}

impl Tags {
    /// The number of `tag`, a new one if it was never met.
    pub(super) fn number(&mut self, tag: &Tag) -> TagNo {
        if let Some(number) = self.find(tag) {
            return number;
        }
        let number = TagNo::at(self.tags.len());
        let tag = Arc::new(tag.clone());
        self.numbers.insert(Arc::clone(&tag), number);
        self.tags.push(Tagged { tag, data: Sorted::default() });
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

    /// The usable Data that have a tag, ascending.
    pub(super) fn data(&self, tag: TagNo) -> &Sorted<DataNo> {
        &self.tags[tag.place()].data
    }

    /// The inputs that ask for a tag.
    pub(super) fn inputs(&self, tag: TagNo) -> &[InputNo] {
        self.asked_for.get(&tag).map_or(&[], Vec::as_slice)
    }

    /// An input asks for a tag.
    pub(super) fn ask(&mut self, tag: TagNo, input: InputNo) {
        self.asked_for.or_default(&tag).push(input);
    }

    /// A usable Data has a tag.
    pub(super) fn give(&mut self, tag: TagNo, to: DataNo) {
        self.tags[tag.place()].data.insert(to);
    }

    /// A Data has a tag no more, or is not usable any more.
    pub(super) fn take(&mut self, tag: TagNo, from: DataNo) {
        self.tags[tag.place()].data.remove(&from);
    }

    pub(super) fn len(&self) -> usize {
        self.tags.len()
    }

    /// Bytes of heap held, roughly.
    pub(super) fn heap_bytes(&self) -> usize {
        let of_tag = |tagged: &Tagged| {
            size_of::<Tag>() + tagged.tag.key.capacity() + tagged.tag.value.capacity() + tagged.data.heap_bytes()
        };
        let inputs: usize = self.asked_for.iter().map(|(_, inputs)| heap::of_list(inputs)).sum();
        let tables = self.numbers.heap_bytes() + self.asked_for.heap_bytes();
        tables + self.tags.heap_bytes() + self.tags.iter().map(of_tag).sum::<usize>() + inputs
    }

    /// All, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Tag> {
        self.tags.iter().map(|tagged| &*tagged.tag)
    }
}
