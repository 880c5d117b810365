//! Hash tables that are copied without copying what is in them.
//!
//! A table is cut into parts of some kilobytes, which its copies share as lists share their blocks. A part that is full
//! is split in two, so that a table also grows without a moment at which all of it is moved. (This is known as
//! extendible hashing.)

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

/// Bytes of a part, at most: copying one on its first change takes some microseconds. With parts of a quarter of that,
/// what leads to them is too much for the nearest cache, and lookups were a quarter slower.
const PART_BYTES: usize = 32 << 10;
/// Where the bits of a hash begin that tell the part: within a part its lowest and its highest are looked at.
const PART_SHIFT: u32 = 32;
/// Bits that may tell the part; a part that only further ones could split grows.
const DEPTH_MAX: u32 = 24;

/// Entries that are found by their hash. The hashes are given by whoever keeps it.
#[derive(Debug, Clone)]
struct Table<T> {
    /// Which part an entry is in, by the bits that tell the part; a power of two of them.
    directory: Vec<u32>,
    parts: Vec<Part<T>>,
    len: usize,
}

#[derive(Debug, Clone)]
struct Part<T> {
    /// How many of the bits are the same in all its entries.
    depth: u32,
    entries: Arc<HashTable<T>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { directory: vec![0], parts: vec![Part { depth: 0, entries: Arc::new(HashTable::new()) }], len: 0 }
    }
}

impl<T> Table<T> {
    /// Entries that fit into a part: a power of two of places, an eighth of them free, and a byte of control for each.
    const PART_ENTRIES: usize = {
        let places = PART_BYTES / (size_of::<T>() + 1);
        let places = if places < 32 { 32 } else { 1 << places.ilog2() };
        places / 8 * 7
    };

    fn part_of(&self, hash: u64) -> usize {
        self.directory[bits(hash) & (self.directory.len() - 1)] as usize
    }

    fn find(&self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<&T> {
        self.parts[self.part_of(hash)].entries.find(hash, is_it)
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.parts.iter().flat_map(|part| part.entries.iter())
    }

    /// Bytes of heap held. Parts that a copy shares count for both.
    fn heap_bytes(&self) -> usize {
        let entries: usize = self.parts.iter().map(|part| part.entries.allocation_size()).sum();
        let beside = size_of::<Part<T>>() + size_of::<HashTable<T>>();
        entries + self.parts.len() * beside + self.directory.capacity() * size_of::<u32>()
    }
}

impl<T: Clone> Table<T> {
    /// An entry to be changed in what does not change its hash.
    fn find_mut(&mut self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<&mut T> {
        let part = self.part_of(hash);
        let entries = &mut self.parts[part].entries;
        // What is not there must not cost a copy.
        entries.find(hash, &is_it)?;
        Arc::make_mut(entries).find_mut(hash, is_it)
    }

    /// Adds an entry that is not there yet; answers it.
    fn insert(&mut self, hash: u64, entry: T, hash_of: impl Fn(&T) -> u64) -> &mut T {
        let mut part = self.part_of(hash);
        if self.parts[part].entries.len() >= Self::PART_ENTRIES && self.parts[part].depth < DEPTH_MAX {
            self.split(part, bits(hash), &hash_of);
            part = self.part_of(hash);
        }
        self.len += 1;
        Arc::make_mut(&mut self.parts[part].entries).insert_unique(hash, entry, hash_of).into_mut()
    }

    fn remove(&mut self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<T> {
        let part = self.part_of(hash);
        let entries = &mut self.parts[part].entries;
        entries.find(hash, &is_it)?;
        let found = Arc::make_mut(entries).find_entry(hash, is_it).ok()?;
        self.len -= 1;
        Some(found.remove().0)
    }

    /// Moves those out of a part of which the next bit is 1; `within` are the bits of any hash of the part.
    fn split(&mut self, part: usize, within: usize, hash_of: impl Fn(&T) -> u64) {
        let depth = self.parts[part].depth;
        if 1 << depth == self.directory.len() {
            self.directory.extend_from_within(..);
        }
        let emptied = std::mem::replace(&mut self.parts[part].entries, Arc::new(HashTable::new()));
        let [mut staying, mut moving] = [(); 2].map(|()| HashTable::with_capacity(Self::PART_ENTRIES));
        for entry in Arc::unwrap_or_clone(emptied) {
            let hash = hash_of(&entry);
            let to = if (bits(hash) >> depth) & 1 == 0 { &mut staying } else { &mut moving };
            to.insert_unique(hash, entry, &hash_of);
        }
        self.parts[part] = Part { depth: depth + 1, entries: Arc::new(staying) };
        let number = u32::try_from(self.parts.len()).expect("there are no more parts than bits tell apart");
        self.parts.push(Part { depth: depth + 1, entries: Arc::new(moving) });
        let first = (within & ((1 << depth) - 1)) | (1 << depth);
        self.directory.iter_mut().skip(first).step_by(2 << depth).for_each(|place| *place = number);
    }
}

/// The bits that tell the part, the first of them lowest.
fn bits(hash: u64) -> usize {
    usize::try_from(hash >> PART_SHIFT).expect("half of the bits fit")
}

/// Finds rows by the value they hold. It keeps the rows only, so the values are not held twice.
#[derive(Debug, Clone)]
pub(crate) struct RowIndex<R> {
    table: Table<R>,
    hasher: RandomState,
}

impl<R> Default for RowIndex<R> {
    fn default() -> Self {
        Self { table: Table::default(), hasher: RandomState::new() }
    }
}

impl<R: Copy> RowIndex<R> {
    /// The row that holds `key`, as `holds` tells.
    pub(crate) fn find(&self, key: impl Hash, holds: impl Fn(R) -> bool) -> Option<R> {
        self.table.find(self.hasher.hash_one(key), |row| holds(*row)).copied()
    }

    /// Adds the row of a key that is not there yet; `key_of` gives the key of any row.
    pub(crate) fn insert<K: Hash>(&mut self, row: R, key_of: impl Fn(R) -> K) {
        let hash = |row: &R| self.hasher.hash_one(key_of(*row));
        self.table.insert(hash(&row), row, hash);
    }

    /// Removes the row that holds `key`, as `holds` tells.
    pub(crate) fn remove(&mut self, key: impl Hash, holds: impl Fn(R) -> bool) {
        self.table.remove(self.hasher.hash_one(key), |row| holds(*row));
    }

    /// Bytes of heap held.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.table.heap_bytes()
    }
}

/// Values by key, in no order.
#[derive(Debug, Clone)]
pub(crate) struct Map<K, V> {
    table: Table<(K, V)>,
    hasher: RandomState,
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self { table: Table::default(), hasher: RandomState::new() }
    }
}

impl<K: Hash + Eq, V> Map<K, V> {
    /// The value of a key.
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        // Many a map has nothing in most histories.
        if self.table.len == 0 {
            return None;
        }
        let found = self.table.find(self.hasher.hash_one(key), |(known, _)| known.borrow() == key);
        found.map(|(_, value)| value)
    }

    /// Whether a key has a value.
    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// All, in no order: what depends on it must not be seen.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.table.iter().map(|(key, value)| (key, value))
    }

    /// All, sorted by key.
    pub(crate) fn sorted(&self) -> Vec<(&K, &V)>
    where
        K: Ord,
    {
        let mut all: Vec<(&K, &V)> = self.iter().collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }

    /// Bytes of heap held, without what keys and values themselves point to.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.table.heap_bytes()
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Map<K, V> {
    /// The value of a key, to be changed.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let found = self.table.find_mut(self.hasher.hash_one(key), |(known, _)| known == key);
        found.map(|(_, value)| value)
    }

    /// Gives a key a value; answers the one it had.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let hash = self.hasher.hash_one(&key);
        if let Some((_, known)) = self.table.find_mut(hash, |(known, _)| *known == key) {
            return Some(std::mem::replace(known, value));
        }
        self.table.insert(hash, (key, value), |(key, _)| self.hasher.hash_one(key));
        None
    }

    /// The value of a key, the default one if it had none, to be changed.
    pub(crate) fn or_default(&mut self, key: &K) -> &mut V
    where
        V: Default,
    {
        let hash = self.hasher.hash_one(key);
        let entry = if self.table.find(hash, |(known, _)| known == key).is_some() {
            self.table.find_mut(hash, |(known, _)| known == key).expect("it is there")
        } else {
            let entry = (key.clone(), V::default());
            self.table.insert(hash, entry, |(key, _)| self.hasher.hash_one(key))
        };
        &mut entry.1
    }

    /// Takes the value of a key away.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let removed = self.table.remove(self.hasher.hash_one(key), |(known, _)| known == key);
        removed.map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Enough for parts to be split several times.
    const MANY: u64 = 20_000;

    fn map(numbers: impl IntoIterator<Item = u64>) -> Map<u64, u64> {
        let mut map = Map::default();
        numbers.into_iter().for_each(|number| assert_eq!(map.insert(number, 10 * number), None));
        map
    }

    #[test]
    fn keys_are_found_after_the_table_has_grown_and_others_are_not() {
        let mut map = map(0..MANY);
        assert!((0..MANY).all(|key| map.get(&key) == Some(&(10 * key))));
        assert!((MANY..2 * MANY).all(|key| map.get(&key).is_none()));
        assert_eq!((map.insert(7, 1), map.get(&7)), (Some(70), Some(&1)));
        *map.or_default(&8) += 1;
        *map.or_default(&MANY) += 1;
        assert_eq!((map.get(&8), map.get(&MANY)), (Some(&81), Some(&1)));
        assert!(map.sorted().into_iter().map(|(key, _)| *key).eq(0..=MANY));
    }

    #[test]
    fn it_holds_what_the_plainest_map_holds() {
        let (mut map, mut plain) = (Map::default(), BTreeMap::new());
        for step in 0..MANY {
            let key = step * step % 4_099;
            if step % 3 == 2 {
                assert_eq!(map.remove(&key), plain.remove(&key));
            } else {
                assert_eq!(map.insert(key, step), plain.insert(key, step));
            }
        }
        assert!(!plain.is_empty() && map.sorted().into_iter().eq(&plain));
    }

    #[test]
    fn no_part_has_more_than_fit() {
        let map = map(0..MANY);
        let most = Table::<(u64, u64)>::PART_ENTRIES;
        assert!(map.table.parts.len() > usize::try_from(MANY).unwrap() / most);
        assert!(map.table.parts.iter().all(|part| part.entries.len() <= most));
        assert!(map.table.parts.iter().all(|part| part.entries.allocation_size() <= PART_BYTES + 64));
    }

    #[test]
    fn entries_of_one_hash_are_kept_together() {
        let mut table = Table::default();
        let count = 2 * Table::<u64>::PART_ENTRIES as u64;
        for number in 0..count {
            table.insert(u64::MAX, number, |_| u64::MAX);
        }
        assert!((0..count).all(|number| table.find(u64::MAX, |other| *other == number) == Some(&number)));
    }

    #[test]
    fn a_copy_stays_as_it_was_and_so_does_the_other() {
        let mut all = map(0..MANY);
        let copy = all.clone();
        (0..MANY).step_by(2).for_each(|key| assert_eq!(all.remove(&key), Some(10 * key)));
        all.get_mut(&1).into_iter().for_each(|value| *value = 0);
        (MANY..2 * MANY).for_each(|key| assert_eq!(all.insert(key, key), None));
        assert!(copy.sorted().into_iter().map(|(key, value)| (*key, *value)).eq((0..MANY).map(|key| (key, 10 * key))));
        let odd = (1..MANY).step_by(2);
        assert!(all.sorted().into_iter().map(|(key, _)| *key).eq(odd.chain(MANY..2 * MANY)));
        assert_eq!((copy.get(&1), all.get(&1)), (Some(&10), Some(&0)));
    }

    #[test]
    fn only_the_part_that_was_changed_is_another() {
        let mut all = map(0..MANY);
        let copy = all.clone();
        assert_eq!((all.remove(&MANY), all.get_mut(&MANY)), (None, None));
        all.get_mut(&1).into_iter().for_each(|value| *value = 0);
        let parts = all.table.parts.iter().zip(&copy.table.parts);
        assert_eq!(parts.filter(|(part, other)| !Arc::ptr_eq(&part.entries, &other.entries)).count(), 1);
    }

    #[test]
    fn rows_are_found_by_what_they_hold_until_they_are_removed() {
        let texts: Vec<String> = (0..5_000).map(|row| format!("text {row}")).collect();
        let mut index = RowIndex::default();
        (0..texts.len()).for_each(|row| index.insert(row, |row| texts[row].as_str()));
        let find = |index: &RowIndex<usize>, text: &str| index.find(text, |row| texts[row] == text);
        assert!((0..texts.len()).all(|row| find(&index, &texts[row]) == Some(row)));
        index.remove("text 7", |row| texts[row] == "text 7");
        assert_eq!((find(&index, "text 7"), find(&index, "text 8"), find(&index, "text")), (None, Some(8), None));
    }
}
