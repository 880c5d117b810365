//! What is kept sorted, and is copied without copying it.

use std::sync::Arc;

/// Bytes of a block, at most: copying one on its first change, or making room in its midst, takes less than a
/// microsecond. Lists are not walked through by place, so that small blocks cost nothing.
const BLOCK_BYTES: usize = 4 << 10;

/// Values in their order, each once. Most are added at the end; it may be anywhere.
#[derive(Debug, Clone)]
pub(crate) struct Sorted<T> {
    /// Shared by copies. None is empty.
    blocks: Vec<Arc<Vec<T>>>,
    /// What comes after them, fewer than a block has. Most lists have no more.
    last: Vec<T>,
    len: usize,
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self { blocks: Vec::new(), last: Vec::new(), len: 0 }
    }
}

impl<T> Sorted<T> {
    /// Values in a block, at most: a power of two, as lists grow by doubling.
    const BLOCK_VALUES: usize = {
        let values = BLOCK_BYTES / size_of::<T>();
        if values < 16 { 16 } else { 1 << values.ilog2() }
    };

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flat_map(|block| block.iter()).chain(&self.last)
    }

    /// Those for which `is_before` is false, in order; none of them comes before one for which it is true.
    pub(crate) fn from(&self, is_before: impl Fn(&T) -> bool) -> impl Iterator<Item = &T> {
        let at = self.blocks.partition_point(|block| block.last().is_some_and(&is_before));
        let (later, last) = match self.blocks.get(at) {
            Some(_) => (&self.blocks[at + 1..], self.last.as_slice()),
            None => (&[][..], &[][..]),
        };
        let block = self.blocks.get(at).map_or(self.last.as_slice(), |block| block.as_slice());
        let first = &block[block.partition_point(is_before)..];
        first.iter().chain(later.iter().flat_map(|block| block.iter())).chain(last)
    }

    /// Bytes of heap held, without what the values themselves point to. Blocks that a copy shares count for both.
    pub(crate) fn heap_bytes(&self) -> usize {
        let values: usize = self.blocks.iter().map(|block| block.capacity()).sum();
        let blocks = self.blocks.capacity() * size_of::<Arc<Vec<T>>>() + self.blocks.len() * size_of::<Vec<T>>();
        blocks + (values + self.last.capacity()) * size_of::<T>()
    }
}

impl<T: Ord + Clone> Sorted<T> {
    /// Adds a value; answers whether it was not there yet.
    pub(crate) fn insert(&mut self, value: T) -> bool {
        let block = self.block_of(&value);
        let added = if block < self.blocks.len() { self.insert_into(block, value) } else { self.insert_last(value) };
        self.len += usize::from(added);
        added
    }

    /// Removes a value; answers whether it was there.
    pub(crate) fn remove(&mut self, value: &T) -> bool {
        let at = self.block_of(value);
        let block = self.blocks.get(at).map_or(self.last.as_slice(), |block| block.as_slice());
        let Ok(place) = block.binary_search(value) else { return false };
        match self.blocks.get_mut(at) {
            Some(block) => drop(Arc::make_mut(block).remove(place)),
            None => drop(self.last.remove(place)),
        }
        self.close_gap(at);
        self.len -= 1;
        true
    }

    /// The block that a value is in, if it is anywhere; the number of blocks if it is among the last.
    fn block_of(&self, value: &T) -> usize {
        // Of most values this tells it at once.
        if self.last.first().is_some_and(|first| first <= value) {
            return self.blocks.len();
        }
        self.blocks.partition_point(|block| block.last() < Some(value))
    }

    fn insert_last(&mut self, value: T) -> bool {
        if self.last.last().is_none_or(|last| *last < value) {
            self.last.push(value);
        } else {
            let Err(place) = self.last.binary_search(&value) else { return false };
            self.last.insert(place, value);
        }
        if self.last.len() == Self::BLOCK_VALUES {
            self.blocks.push(Arc::new(std::mem::take(&mut self.last)));
        }
        true
    }

    fn insert_into(&mut self, at: usize, value: T) -> bool {
        let Err(place) = self.blocks[at].binary_search(&value) else { return false };
        let block = Arc::make_mut(&mut self.blocks[at]);
        if block.len() < Self::BLOCK_VALUES {
            block.insert(place, value);
            return true;
        }
        let mut upper = block.split_off(Self::BLOCK_VALUES / 2);
        match place.checked_sub(block.len()) {
            Some(place) => upper.insert(place, value),
            None => block.insert(place, value),
        }
        self.blocks.insert(at + 1, Arc::new(upper));
        true
    }

    /// Lets neighbours of which little is left become one, lest a list that has shrunk keeps as many blocks as it once
    /// had.
    fn close_gap(&mut self, at: usize) {
        let Some(block) = self.blocks.get(at) else { return };
        if block.is_empty() {
            self.blocks.remove(at);
        } else if block.len() <= Self::BLOCK_VALUES / 4 {
            self.join(at);
            at.checked_sub(1).into_iter().for_each(|before| self.join(before));
        }
    }

    /// Joins a block with the next, if that leaves room for as many as both have.
    fn join(&mut self, at: usize) {
        let [block, next, ..] = &self.blocks[at..] else { return };
        if block.len() + next.len() <= Self::BLOCK_VALUES / 2 {
            let next = self.blocks.remove(at + 1);
            Arc::make_mut(&mut self.blocks[at]).extend_from_slice(&next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const MOST: u64 = Sorted::<u64>::BLOCK_VALUES as u64;

    fn sorted(values: impl IntoIterator<Item = u64>) -> Sorted<u64> {
        let mut sorted = Sorted::default();
        values.into_iter().for_each(|value| assert!(sorted.insert(value)));
        sorted
    }

    /// Numbers below `count`, each once, in no order; `count` is not a multiple of 11.
    fn mixed(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(move |number| number * 11 % count)
    }

    #[test]
    fn values_come_in_order_whatever_the_order_of_insertion() {
        for count in [0, 1, MOST - 1, MOST, MOST + 1, 5 * MOST] {
            for list in [sorted(0..count), sorted((0..count).rev()), sorted(mixed(count))] {
                assert!(list.iter().copied().eq(0..count), "{count} values");
                assert_eq!((list.len() as u64, list.is_empty()), (count, count == 0));
                assert!(list.blocks.iter().all(|block| (1..=MOST).contains(&(block.len() as u64))));
            }
        }
    }

    #[test]
    fn values_are_found_from_every_place_on() {
        let list = sorted(mixed(3 * MOST + 2).map(|value| 2 * value));
        for from in 0..=6 * MOST + 6 {
            let rest = list.from(|value| *value < from).copied();
            assert!(rest.eq((from.next_multiple_of(2)..6 * MOST + 4).step_by(2)), "from {from} on");
        }
    }

    #[test]
    fn it_holds_what_the_plainest_set_holds() {
        let (mut list, mut plain) = (Sorted::default(), BTreeSet::new());
        for step in 0..20_000_u64 {
            let value = step * step % 4_099;
            if step % 3 == 2 {
                assert_eq!(list.remove(&value), plain.remove(&value));
            } else {
                assert_eq!(list.insert(value), plain.insert(value));
            }
            assert_eq!(list.len(), plain.len());
        }
        assert!(!plain.is_empty() && list.iter().eq(&plain));
    }

    #[test]
    fn little_is_left_of_a_list_of_which_little_is_left() {
        let mut list = sorted(0..50 * MOST);
        (0..50 * MOST).filter(|value| value % 50 != 0).for_each(|value| assert!(list.remove(&value)));
        assert!(list.iter().copied().eq((0..50 * MOST).step_by(50)));
        assert!(list.blocks.len() <= 8, "{} blocks for what fits into one", list.blocks.len());
        (0..50 * MOST).step_by(50).for_each(|value| assert!(list.remove(&value)));
        assert!(list.is_empty() && list.blocks.is_empty());
    }

    #[test]
    fn a_copy_stays_as_it_was_and_so_does_the_other() {
        let mut list = sorted(0..3 * MOST);
        let copy = list.clone();
        assert!(list.remove(&1) && list.insert(3 * MOST) && !list.remove(&1));
        assert!(copy.iter().copied().eq(0..3 * MOST));
        assert!(list.iter().copied().eq((0..=3 * MOST).filter(|value| *value != 1)));
        let shared: Vec<bool> =
            list.blocks.iter().zip(&copy.blocks).map(|(one, other)| Arc::ptr_eq(one, other)).collect();
        assert_eq!(shared, [false, true, true], "only the block that was changed is another");
    }
}
