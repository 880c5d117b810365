//! Many short texts, or slices, end to end, that are copied without copying them.

use std::ops::Range;
use std::sync::Arc;

use crate::blocks::Blocks;

/// Bytes of a block, unless one slice has more. The last one is not shared, but copied.
const BLOCK_BYTES: usize = 16 << 10;

/// What slices are strung together in: a text or a list.
pub(crate) trait Buffer: Default + Clone {
    /// A part of it.
    type Slice: ?Sized;
    /// Bytes of one place in it.
    const PLACE_BYTES: usize;

    fn append(&mut self, slice: &Self::Slice);
    fn whole(&self) -> &Self::Slice;
    fn capacity(&self) -> usize;
    fn seal(self) -> Arc<Self::Slice>;
    fn len_of(slice: &Self::Slice) -> usize;
    fn part_of(slice: &Self::Slice, part: Range<usize>) -> &Self::Slice;
}

/// Slices in blocks that copies share; each lies in one block. None is ever changed.
#[derive(Debug)]
pub(crate) struct Strung<B: Buffer> {
    full: Vec<Arc<B::Slice>>,
    last: B,
    /// Where each ends; it begins where the one before ends, or with its block.
    ends: Blocks<End>,
}

#[derive(Debug, Clone, Copy)]
struct End {
    block: u32,
    within: u32,
}

impl<B: Buffer> Default for Strung<B> {
    fn default() -> Self {
        Self { full: Vec::new(), last: B::default(), ends: Blocks::default() }
    }
}

// Derived, it would ask that slices can be cloned.
impl<B: Buffer> Clone for Strung<B> {
    fn clone(&self) -> Self {
        Self { full: self.full.clone(), last: self.last.clone(), ends: self.ends.clone() }
    }
}

impl<B: Buffer> Strung<B> {
    /// Appends a slice.
    pub(crate) fn push(&mut self, slice: &B::Slice) {
        if self.is_full(B::len_of(slice)) {
            self.seal();
        }
        let block = self.full.len();
        self.last.append(slice);
        self.ends.push(End { block: counted(block), within: counted(B::len_of(self.last.whole())) });
        if self.is_full(0) {
            self.seal();
        }
    }

    /// The slice at a place counted from 0.
    pub(crate) fn get(&self, place: usize) -> &B::Slice {
        let End { block, within } = self.ends[place];
        let before = place.checked_sub(1).map(|before| self.ends[before]);
        let begin = before.filter(|before| before.block == block).map_or(0, |before| before.within);
        let slices = self.full.get(block as usize).map_or(self.last.whole(), |block| &**block);
        B::part_of(slices, begin as usize..within as usize)
    }

    /// Number of slices.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of heap held. Blocks that a copy shares count for both.
    pub(crate) fn heap_bytes(&self) -> usize {
        let full: usize = self.full.iter().map(|block| B::len_of(block)).sum();
        let blocks = self.full.capacity() * size_of::<Arc<B::Slice>>();
        blocks + (full + self.last.capacity()) * B::PLACE_BYTES + self.ends.heap_bytes()
    }

    /// Whether the last block has no room for so much more.
    fn is_full(&self, more: usize) -> bool {
        let held = B::len_of(self.last.whole());
        held > 0 && (held + more) * B::PLACE_BYTES > BLOCK_BYTES
    }

    fn seal(&mut self) {
        self.full.push(std::mem::take(&mut self.last).seal());
    }
}

fn counted(places: usize) -> u32 {
    u32::try_from(places).expect("a text is part of an event, and no event has four billion bytes")
}

impl Buffer for String {
    type Slice = str;
    const PLACE_BYTES: usize = 1;

    fn append(&mut self, slice: &str) {
        self.push_str(slice);
    }

    fn whole(&self) -> &str {
        self
    }

    fn capacity(&self) -> usize {
        self.capacity()
    }

    fn seal(self) -> Arc<str> {
        self.into()
    }

    fn len_of(slice: &str) -> usize {
        slice.len()
    }

    fn part_of(slice: &str, part: Range<usize>) -> &str {
        &slice[part]
    }
}

impl<T: Copy> Buffer for Vec<T> {
    type Slice = [T];
    const PLACE_BYTES: usize = size_of::<T>();

    fn append(&mut self, slice: &[T]) {
        self.extend_from_slice(slice);
    }

    fn whole(&self) -> &[T] {
        self
    }

    fn capacity(&self) -> usize {
        self.capacity()
    }

    fn seal(self) -> Arc<[T]> {
        self.into()
    }

    fn len_of(slice: &[T]) -> usize {
        slice.len()
    }

    fn part_of(slice: &[T], part: Range<usize>) -> &[T] {
        &slice[part]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of every length around that of a block, with short and empty ones in between.
    fn texts() -> Vec<String> {
        let lengths =
            [0, 1, BLOCK_BYTES - 1, 0, 1, 1, BLOCK_BYTES, 0, BLOCK_BYTES + 1, 5, 0, 3 * BLOCK_BYTES, 9_000, 9_000];
        let texts =
            lengths.into_iter().zip(b'a'..).map(|(length, letter)| char::from(letter).to_string().repeat(length));
        texts.collect()
    }

    #[test]
    fn texts_are_found_on_both_sides_of_every_border() {
        let mut strung: Strung<String> = Strung::default();
        texts().iter().for_each(|text| strung.push(text));
        assert_eq!(strung.len(), texts().len());
        assert!(texts().iter().enumerate().all(|(place, text)| strung.get(place) == text));
        assert!(strung.full.iter().all(|block| !block.is_empty()) && strung.last.len() <= BLOCK_BYTES);
    }

    #[test]
    fn short_texts_fill_a_block() {
        let mut strung: Strung<String> = Strung::default();
        (0..BLOCK_BYTES).for_each(|_| strung.push("0123456789"));
        assert!((0..BLOCK_BYTES).all(|place| strung.get(place) == "0123456789"));
        assert!(strung.full.iter().all(|block| (BLOCK_BYTES - 9..=BLOCK_BYTES).contains(&block.len())));
    }

    #[test]
    fn a_copy_stays_as_it_was_and_shares_what_is_full() {
        let mut strung: Strung<Vec<u32>> = Strung::default();
        (0..10_000).for_each(|number| strung.push(&[number, number]));
        let copy = strung.clone();
        strung.push(&[7]);
        assert_eq!((copy.len(), strung.len(), strung.get(10_000)), (10_000, 10_001, &[7][..]));
        assert!((0..10_000_u32).all(|number| copy.get(number as usize) == [number, number]));
        assert!(
            !copy.full.is_empty() && strung.full.iter().zip(&copy.full).all(|(one, other)| Arc::ptr_eq(one, other))
        );
    }
}
