//! Where two folds of the same events differ, although they must not.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hasher as _};

use prost::Message;

use crate::projection::Projection;

/// Letters of a record that are told: enough to see what it is, and a Plan may be very long.
const TOLD_CHARS_MAX: usize = 2_000;

/// The first record that two projections do not share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its place among the records: 1, 2, ….
    pub record: u64,
    /// What the one has there; none if it has fewer records.
    pub left: Option<String>,
    /// What the other has there.
    pub right: Option<String>,
}

/// The first difference between the contents of two projections; none if they are equal.
///
/// It walks through both of them twice and keeps eight bytes for each record, not the records.
pub fn first_difference<P: Projection>(left: &P, right: &P) -> Option<Difference> {
    let prints = prints_of(left);
    let (mut place, mut differs_at) = (0, None);
    right.records(&mut |record| {
        if differs_at.is_none() && prints.get(place) != Some(&print_of(&record)) {
            differs_at = Some(place);
        }
        place += 1;
    });
    let place = differs_at.or((place < prints.len()).then_some(place))?;
    Some(Difference { record: place as u64 + 1, left: told(left, place), right: told(right, place) })
}

fn prints_of<P: Projection>(projection: &P) -> Vec<u64> {
    let mut prints = Vec::new();
    projection.records(&mut |record| prints.push(print_of(&record)));
    prints
}

fn print_of(record: &impl Message) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(&record.encode_to_vec());
    hasher.finish()
}

/// The record at `place`, as text.
fn told<P: Projection>(projection: &P, place: usize) -> Option<String> {
    let (mut at, mut text) = (0, None);
    projection.records(&mut |record| {
        if at == place {
            text = Some(shortened(&record));
        }
        at += 1;
    });
    text
}

fn shortened(record: &impl Debug) -> String {
    let text = format!("{record:?}");
    match text.char_indices().nth(TOLD_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
