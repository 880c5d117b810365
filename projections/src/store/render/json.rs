//! Long answers as JSON, written straight from the rows, piece by piece.
//!
//! All Data, or a whole closure, are 10⁵ things and more, each with its neighbours. Building the types of the
//! wire first, text by text, takes many times as long as finding them, and holding all of their JSON at once
//! costs up to a hundred megabytes; so they are written thing by thing into pieces of a bounded size, and what
//! many of them share (the tags of a set, a Plan and its mountpoints) is put into JSON once. To whoever reads
//! it the result is the same.

mod data;
mod lineage;
mod list;
mod plans;
mod reused;
mod runs;

use std::io::Write as _;
use std::sync::Arc;

use knit_domain::time::Timestamp;
use serde::Serialize;
use uuid::Uuid;

pub use self::lineage::LineageJson;
pub use self::list::ListJson;
use self::reused::{PlanJson, Reused, SetJson};
use super::super::column::{PlanRow, SetRow};
use super::super::{Limit, Store};
use super::instant;

/// Why nothing goes wrong while JSON is written.
const TAKEN: &str = "memory takes whatever is written to it, and the types of the wire have string keys only";
/// Sets of tags that are kept for later. The kinds of Data that share their tags are fewer; and where each Data
/// has its own, keeping them all would let the memory of an answer grow with its length.
const SETS_MAX: usize = 4_096;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// Bytes of a day as instants begin with it, the `T` included: `2025-03-03T`.
const DAY_BYTES: usize = 11;

/// A piece of JSON being written.
struct Writer<'a> {
    store: &'a Store,
    limit: Limit,
    out: &'a mut Vec<u8>,
    reused: &'a mut Reused,
}

impl Writer<'_> {
    fn list<I: IntoIterator>(&mut self, items: I, mut write: impl FnMut(&mut Self, I::Item)) {
        self.text("[");
        for (number, item) in items.into_iter().enumerate() {
            if number > 0 {
                self.text(",");
            }
            write(self, item);
        }
        self.text("]");
    }

    fn quoted_id(&mut self, id: Uuid) {
        self.text("\"");
        self.id(id);
        self.text("\"");
    }

    fn id(&mut self, id: Uuid) {
        let mut text = Uuid::encode_buffer();
        self.out.extend_from_slice(id.as_hyphenated().encode_lower(&mut text).as_bytes());
    }

    /// The calendar is asked once for each day, not for each instant: it takes longer than the rest of a node.
    fn instant(&mut self, at: Timestamp) {
        let (day, ms) = (at.0.div_euclid(DAY_MS), at.0.rem_euclid(DAY_MS));
        let text = self.reused.day(day);
        if text.len() != DAY_BYTES {
            // A year that the notation of the wire cannot hold.
            return write!(self.out, "{}", instant(at)).expect(TAKEN);
        }
        self.out.extend_from_slice(text.as_bytes());
        let digit = |place: i64| b'0' + u8::try_from(ms / place % 10).expect("a remainder of ten is below ten");
        let two = |unit: i64, of: i64| {
            let number = u8::try_from(ms / unit % of).expect("hours, minutes and seconds are below sixty");
            [b'0' + number / 10, b'0' + number % 10]
        };
        let ([h, i], [m, n], [s, t]) = (two(3_600_000, 24), two(60_000, 60), two(1_000, 60));
        self.out.extend_from_slice(&[h, i, b':', m, n, b':', s, t]);
        let fraction = [b'.', digit(100), digit(10), digit(1)];
        // Trailing zeros are dropped, and the point with the last of them.
        let length = fraction.iter().rposition(|digit| (b'1'..=b'9').contains(digit)).map_or(0, |last| last + 1);
        self.out.extend_from_slice(&fraction[..length]);
        self.text("+00:00");
    }

    /// Text that is JSON already, or needs no escapes.
    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// JSON that was written before.
    fn bytes(&mut self, json: &[u8]) {
        self.out.extend_from_slice(json);
    }

    fn value(&mut self, value: &impl Serialize) {
        serde_json::to_writer(&mut *self.out, value).expect(TAKEN);
    }

    fn set(&mut self, set: SetRow) -> Arc<SetJson> {
        let store = self.store;
        if let Some(known) = self.reused.sets.get(&set) {
            return Arc::clone(known);
        }
        let json = Arc::new(SetJson::of(store, set));
        if self.reused.sets.len() < SETS_MAX && store.data.ever_with.count(set) > 1 {
            self.reused.sets.insert(set, Arc::clone(&json));
        }
        json
    }

    fn plan(&mut self, plan: PlanRow) -> Arc<PlanJson> {
        let (store, limit) = (self.store, self.limit);
        Arc::clone(self.reused.plans.entry(plan).or_insert_with(|| Arc::new(PlanJson::of(store, plan, limit))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_the_calendar_writes_them() {
        let (store, mut reused) = (Store::default(), Reused::default());
        let days = (-70_000_000_000_000..300_000_000_000_000).step_by(7_654_321_987_654);
        let odd = [0, -1, 1, 10, 100, 999, 1_000, DAY_MS - 1, DAY_MS, -DAY_MS, 1_741_000_502_418, 253_402_300_800_000];
        for ms in days.chain(odd) {
            let mut out = Vec::new();
            let mut json = Writer { store: &store, limit: Limit::NOW, out: &mut out, reused: &mut reused };
            json.instant(Timestamp(ms));
            assert_eq!(String::from_utf8(out).unwrap(), instant(Timestamp(ms)).to_string());
        }
    }
}
