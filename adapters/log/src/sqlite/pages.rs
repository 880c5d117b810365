//! Many events in one value: how a page comes out of SQLite.
//!
//! sqlx hands each row from thread to thread and copies each of its values by itself, which costs several times as
//! much as finding the row. So [`sql::PAGE`](super::sql::PAGE) writes a whole page into one value, and here it is
//! taken apart again without copying. An event begins with its numbers and, in hexadecimal, its byte strings,
//! each with a blank behind it. Its texts follow; they may hold anything, so before each stands its length in bytes.

use knit_domain::id::EventId;
use knit_domain::time::Timestamp;
use uuid::Uuid;

use crate::columns::unsigned;
use crate::reader::EventRow;

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
        let event_id = EventId(Uuid::from_bytes(self.bytes()?));
        let (leaf, chain) = (self.bytes()?, self.bytes()?);
        self.salt = octets(self.word()?)?.collect();
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

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], sqlx::Error> {
        let mut bytes = [0; N];
        let octets = octets(self.word()?)?;
        if octets.len() != N {
            return Err(damaged());
        }
        bytes.iter_mut().zip(octets).for_each(|(byte, octet)| *byte = octet);
        Ok(bytes)
    }

    fn text(&mut self) -> Result<&'p str, sqlx::Error> {
        let length = usize::try_from(self.number()?).map_err(|_| damaged())?;
        let (text, rest) = self.rest.split_at_checked(length).ok_or_else(damaged)?;
        self.rest = rest;
        str::from_utf8(text).map_err(|_| damaged())
    }
}

/// The bytes that SQLite's `hex()` wrote, for which the crate of that name takes as long as the decoder does for the
/// event.
fn octets(digits: &[u8]) -> Result<impl ExactSizeIterator<Item = u8>, sqlx::Error> {
    let (pairs, odd) = digits.as_chunks::<2>();
    let are_digits = odd.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    let octet = |[high, low]: &[u8; 2]| digit(*high) << 4 | digit(*low);
    if are_digits { Ok(pairs.iter().map(octet)) } else { Err(damaged()) }
}

/// The value of a hexadecimal digit: of a letter, whatever its case, the low four bits count from one.
fn digit(ascii: u8) -> u8 {
    (ascii & 0xf) + 9 * (ascii >> 6)
}

fn damaged() -> sqlx::Error {
    sqlx::Error::Decode("the event log holds a value that this program did not write".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(texts: &[&str]) -> String {
        let (leaf, chain) = ("Ab".repeat(32), "0F".repeat(32));
        let numbers = format!("7 3 -5 {} {leaf} {chain}  ", "10".repeat(16));
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
        for (right, wrong) in [("7 ", "-7 "), ("7 ", "x "), ("Ab", "Ag"), ("AbAb", "AbA"), ("1 d", "-1 d")] {
            assert!(Page::of(whole.replacen(right, wrong, 1).as_bytes()).next().is_err(), "{wrong}");
        }
    }
}
