//! Many events in one value: how a page comes out of SQLite.
//!
//! sqlx hands each row from thread to thread and copies each of its values by itself, which costs several times as
//! much as finding the row. So [`sql::PAGE`](super::sql::PAGE) writes a whole page into one value, and here it is
//! taken apart again without copying. An event begins with its numbers, each with a blank behind it, and goes on with
//! its byte strings in hexadecimal, of which only the salt, the last, has no fixed length and so a blank behind it. Its
//! texts follow; they may hold anything, so before each stands its length in bytes.

use knit_domain::id::EventId;
use knit_domain::time::Timestamp;
use uuid::Uuid;

use crate::chain::Hash;
use crate::columns::unsigned;
use crate::reader::EventRow;

/// Bytes of an id, and half of those of a hash.
const SIXTEEN: usize = 16;

/// What is left of a page.
pub(super) struct Page<'p> {
    rest: &'p [u8],
    /// Of the event that was handed out last.
    salt: Vec<u8>,
}

impl<'p> Page<'p> {
    pub(super) fn of(text: &'p [u8]) -> Self {
        Self { rest: text, salt: Vec::new() }
    }

    /// The next event, if there is one.
    pub(super) fn next(&mut self) -> Result<Option<EventRow<'_>>, sqlx::Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (position, sequence) = (unsigned(self.number()?)?, unsigned(self.number()?)?);
        let recorded_at = Timestamp(self.number()?);
        let event_id = EventId(Uuid::from_bytes(self.sixteen()?));
        let (leaf, chain) = (self.hash()?, self.hash()?);
        self.salt = hex::decode(self.word()?).map_err(|_| damaged())?;
        Ok(Some(EventRow {
            position,
            event_id,
            stream_type: self.text()?,
            stream_id: self.text()?,
            sequence,
            event_type: self.text()?,
            event_version: self.text()?,
            payload: self.text()?,
            metadata: self.text()?,
            recorded_at,
            leaf,
            chain,
            salt: &self.salt,
        }))
    }

    fn word(&mut self) -> Result<&'p [u8], sqlx::Error> {
        let end = self.rest.iter().position(|byte| *byte == b' ').ok_or_else(damaged)?;
        let word = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(word)
    }

    fn number(&mut self) -> Result<i64, sqlx::Error> {
        str::from_utf8(self.word()?).ok().and_then(|word| word.parse().ok()).ok_or_else(damaged)
    }

    fn hash(&mut self) -> Result<Hash, sqlx::Error> {
        let (start, end) = (self.sixteen()?, self.sixteen()?);
        let mut hash = Hash::default();
        hash[..SIXTEEN].copy_from_slice(&start);
        hash[SIXTEEN..].copy_from_slice(&end);
        Ok(hash)
    }

    /// Sixteen bytes that `hex()` wrote. An id without hyphens is written so too, and the crate of ids reads it many
    /// times faster than the crate of that name does, which would take as long as decoding the event.
    fn sixteen(&mut self) -> Result<[u8; SIXTEEN], sqlx::Error> {
        let digits = self.take(2 * SIXTEEN)?;
        Uuid::try_parse_ascii(digits).map(Uuid::into_bytes).map_err(|_| damaged())
    }

    fn take(&mut self, length: usize) -> Result<&'p [u8], sqlx::Error> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(damaged)?;
        self.rest = rest;
        Ok(taken)
    }

    fn text(&mut self) -> Result<&'p str, sqlx::Error> {
        let length = usize::try_from(self.number()?).map_err(|_| damaged())?;
        str::from_utf8(self.take(length)?).map_err(|_| damaged())
    }
}

fn damaged() -> sqlx::Error {
    sqlx::Error::Decode("the event log holds a value that this program did not write".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(texts: &[&str]) -> String {
        let (leaf, chain) = ("Ab".repeat(32), "0F".repeat(32));
        let numbers = format!("7 3 -5 {}{leaf}{chain} ", "10".repeat(16));
        texts.iter().fold(numbers, |page, text| format!("{page}{} {text}", text.len()))
    }

    #[test]
    fn texts_may_hold_blanks_and_numbers_and_nothing() {
        let page = page(&["data", "", "4 日本 2", "1", " ", "{}"]).repeat(2);
        let mut page = Page::of(page.as_bytes());
        for _ in 0..2 {
            let event = page.next().unwrap().expect("two events");
            assert_eq!((event.position, event.sequence, event.recorded_at), (7, 3, Timestamp(-5)));
            assert_eq!((event.event_id.0.as_bytes(), event.leaf, event.chain), (&[0x10; 16], [0xab; 32], [0x0f; 32]));
            assert_eq!((event.stream_type, event.stream_id, event.event_type), ("data", "", "4 日本 2"));
            assert_eq!((event.event_version, event.payload, event.metadata), ("1", " ", "{}"));
            assert_eq!(event.salt, [0_u8; 0], "a redacted event has none");
        }
        assert!(page.next().unwrap().is_none());
    }

    #[test]
    fn what_ends_too_early_or_is_no_number_is_damage() {
        let whole = page(&["data", "d", "DataDiscarded", "1", "{}", "{}"]);
        for end in 1..whole.len() {
            assert!(Page::of(&whole.as_bytes()[..end]).next().is_err(), "cut off at {end}");
        }
        for (right, wrong) in
            [("7 ", "-7 "), ("7 ", "x "), ("Ab", "Ag"), ("AbAb", "AbA"), ("4 data", "-4 data"), ("4 data", "400 data")]
        {
            assert!(Page::of(whole.replacen(right, wrong, 1).as_bytes()).next().is_err(), "{wrong}");
        }
    }
}
