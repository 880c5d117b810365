//! Tags and sets of tags, each kept once, and which sets have a given tag.
//!
//! Most Data are born with the tags of an output, so a few sets serve very many Data. A Data refers
//! to its set; finding Data by tags is finding sets by tags, then the Data that have these sets.

use knit_domain::tag::{Tag, TagSet};
use std::collections::BTreeSet;

use super::chain::Chains;
use super::column::{self, Column, Row, SetRow, TagRow, TextRow};
use super::intern::Texts;
use crate::blocks::Stretch;
use crate::strung::Strung;
use crate::table::RowIndex;

/// Every tag and set of tags that was ever on a Data or in a Plan.
#[derive(Debug, Clone, Default)]
pub(super) struct Tags {
    texts: Texts,
    tags: Column<TagRow, (TextRow, TextRow)>,
    tag_index: RowIndex<TagRow>,
    /// The members of each set, sorted by row.
    sets: Strung<Vec<TagRow>>,
    set_index: RowIndex<SetRow>,
    sets_with: Chains<TagRow, SetRow>,
}

impl Tags {
    /// The row of a tag, if any Data or Plan ever had it.
    pub(super) fn row(&self, tag: &Tag) -> Option<TagRow> {
        let pair = (self.texts.row(&tag.key)?, self.texts.row(&tag.value)?);
        self.tag_index.find(pair, |row| self.tags[row] == pair)
    }

    /// The row of a tag, added if it is new.
    pub(super) fn intern(&mut self, tag: &Tag) -> TagRow {
        let (key, value) = (self.texts.intern(&tag.key), self.texts.intern(&tag.value));
        self.intern_pair((key, value))
    }

    /// The row of the tag of two known texts, added if it is new.
    pub(super) fn intern_pair(&mut self, pair: (TextRow, TextRow)) -> TagRow {
        if let Some(row) = self.tag_index.find(pair, |row| self.tags[row] == pair) {
            return row;
        }
        let row = self.tags.push(pair);
        self.tag_index.insert(row, |row| self.tags[row]);
        row
    }

    /// Key and value of a tag.
    pub(super) fn pair(&self, row: TagRow) -> (&str, &str) {
        let (key, value) = self.tags[row];
        (self.texts.get(key), self.texts.get(value))
    }

    /// The row of a set, added if it is new.
    pub(super) fn intern_set(&mut self, tags: &TagSet) -> SetRow {
        let members = tags.iter().map(|tag| self.intern(tag)).collect();
        self.intern_members(members)
    }

    /// The set that `set` becomes when tags are removed, then others added.
    pub(super) fn changed_set(&mut self, set: SetRow, removed: &BTreeSet<Tag>, added: &BTreeSet<Tag>) -> SetRow {
        let removed: Vec<TagRow> = removed.iter().filter_map(|tag| self.row(tag)).collect();
        let mut members = self.members(set).to_vec();
        members.retain(|tag| !removed.contains(tag));
        members.extend(added.iter().map(|tag| self.intern(tag)));
        self.intern_members(members)
    }

    /// The row of the set of known tags, added if it is new.
    pub(super) fn intern_members(&mut self, mut members: Vec<TagRow>) -> SetRow {
        members.sort_unstable();
        members.dedup();
        if let Some(row) = self.set_index.find(members.as_slice(), |row| self.members(row) == members) {
            return row;
        }
        let row = column::next(self.sets.len());
        self.sets.push(&members);
        self.set_index.insert(row, |row: SetRow| self.sets.get(row.index()));
        for tag in members {
            self.sets_with.add(tag, row);
        }
        row
    }

    /// The tags of a set, sorted by row.
    pub(super) fn members(&self, set: SetRow) -> &[TagRow] {
        self.sets.get(set.index())
    }

    /// The tags of a set, sorted by key, then value.
    pub(super) fn sorted_pairs(&self, set: SetRow) -> Vec<(&str, &str)> {
        let mut pairs: Vec<_> = self.members(set).iter().map(|tag| self.pair(*tag)).collect();
        pairs.sort_unstable();
        pairs
    }

    /// Whether `set` has every tag of `wanted`.
    pub(super) fn has_all(&self, set: SetRow, wanted: &[TagRow]) -> bool {
        let members = self.members(set);
        wanted.iter().all(|tag| members.binary_search(tag).is_ok())
    }

    /// The sets that have every tag of `wanted`, each once; every set if nothing is wanted.
    pub(super) fn sets_with_all(&self, wanted: &[TagRow]) -> Vec<SetRow> {
        match wanted.iter().copied().min_by_key(|tag| self.sets_with.count(*tag)) {
            None => self.sets().collect(),
            Some(rarest) => self.sets_with.of(rarest).filter(|set| self.has_all(*set, wanted)).collect(),
        }
    }

    /// The sets that have a tag.
    pub(super) fn sets_with(&self, tag: TagRow) -> impl Iterator<Item = SetRow> {
        self.sets_with.of(tag)
    }

    /// The texts that tags are made of.
    pub(super) fn texts(&self) -> &Texts {
        &self.texts
    }

    /// The texts that tags are made of, to add to.
    pub(super) fn texts_mut(&mut self) -> &mut Texts {
        &mut self.texts
    }

    /// Every tag, as its two texts.
    pub(super) fn all(&self) -> impl Iterator<Item = &(TextRow, TextRow)> {
        self.tags.cells()
    }

    /// The same, as many at a time as snapshots have in a record.
    pub(super) fn stretches(&self) -> impl Iterator<Item = Stretch<'_, (TextRow, TextRow)>> {
        self.tags.stretches()
    }

    /// Every set.
    pub(super) fn sets(&self) -> impl Iterator<Item = SetRow> + use<> {
        (0..self.sets.len()).filter_map(SetRow::at)
    }

    /// Number of tags.
    pub(super) fn len(&self) -> usize {
        self.tags.len()
    }

    /// Number of sets.
    pub(super) fn sets_len(&self) -> usize {
        self.sets.len()
    }

    /// The longest of the lists in here, which rows are counted in.
    pub(super) fn rows_used(&self) -> usize {
        self.texts.len().max(self.tags.len()).max(self.sets.len()).max(self.sets_with.len())
    }

    /// Bytes of heap held.
    pub(super) fn heap_bytes(&self) -> usize {
        let lists = self.tags.heap_bytes() + self.sets.heap_bytes() + self.sets_with.heap_bytes();
        self.texts.heap_bytes() + self.tag_index.heap_bytes() + self.set_index.heap_bytes() + lists
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(tags: &mut Tags, texts: &[&str]) -> SetRow {
        tags.intern_set(&texts.iter().map(|text| Tag::parse(text).unwrap()).collect())
    }

    #[test]
    fn equal_sets_are_one_whatever_the_order_of_interning() {
        let mut tags = Tags::default();
        let first = set(&mut tags, &["b:2", "a:1"]);
        assert_eq!(set(&mut tags, &["a:1", "b:2"]), first);
        assert_eq!(tags.sorted_pairs(first), [("a", "1"), ("b", "2")]);
        assert_eq!(tags.sets_len(), 1);
    }

    #[test]
    fn sets_are_found_by_any_of_their_tags_together() {
        let mut tags = Tags::default();
        let both = set(&mut tags, &["a:1", "b:2"]);
        let one = set(&mut tags, &["a:1"]);
        let none = set(&mut tags, &[]);
        let (a, b) = (tags.row(&Tag::new("a", "1")).unwrap(), tags.row(&Tag::new("b", "2")).unwrap());
        assert_eq!(tags.sets_with_all(&[a, b]), [both]);
        assert_eq!(tags.sets_with_all(&[a]), [one, both]);
        assert_eq!(tags.sets_with_all(&[]), [both, one, none]);
        assert_eq!(tags.row(&Tag::new("a", "2")), None);
    }

    #[test]
    fn a_tag_that_is_removed_and_added_at_once_stays() {
        let mut tags = Tags::default();
        let before = set(&mut tags, &["a:1", "b:2"]);
        let tag = |text: &str| BTreeSet::from([Tag::parse(text).unwrap()]);
        let after = tags.changed_set(before, &tag("a:1"), &tag("c:3"));
        assert_eq!(tags.sorted_pairs(after), [("b", "2"), ("c", "3")]);
        assert_eq!(tags.changed_set(before, &tag("a:1"), &tag("a:1")), before);
    }
}
