//! Bytes of heap, roughly: what the allocator adds is left out.

use std::collections::BTreeMap;

/// Of a list; what its elements hold besides is counted by whoever knows them.
pub(crate) fn of_list<T>(list: &Vec<T>) -> usize {
    list.capacity() * size_of::<T>()
}

/// Of a tree of so many entries: its nodes are filled to two thirds on average.
pub(crate) fn of_tree<K, V>(tree: &BTreeMap<K, V>) -> usize {
    of_entries::<(K, V)>(tree.len())
}

/// Of a set or tree with so many entries of this kind.
pub(crate) fn of_entries<E>(entries: usize) -> usize {
    entries * size_of::<E>() * 3 / 2
}
