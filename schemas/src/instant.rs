//! Instants as the wire writes them (web-api 1.5).

use std::fmt;

use chrono::{DateTime, Datelike, FixedOffset, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::api::text_schema;

/// A date and time with the offset it was written in.
///
/// Read: strict RFC 3339 with any number of fraction digits. Written: at most milliseconds
/// (truncated, trailing zeros dropped) and a numeric offset, never `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(DateTime<FixedOffset>);

/// The text is not an RFC 3339 date and time with `T` and an offset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a time: write it like 2025-03-03T09:15:02.4+00:00")]
pub struct MalformedInstant {
    /// What was given.
    pub text: String,
}

impl Instant {
    /// Parses strict RFC 3339: `T`, then `Z` or an offset with a colon.
    ///
    /// # Errors
    /// Date only, a space for `T`, or a missing or colon-less offset is refused, and so is what is not within
    /// the years 0 to 9999 of UTC.
    pub fn parse(text: &str) -> Result<Self, MalformedInstant> {
        let malformed = || MalformedInstant { text: text.to_owned() };
        if text.as_bytes().get(10) != Some(&b'T') || text.ends_with('z') {
            return Err(malformed());
        }
        let instant = DateTime::parse_from_rfc3339(text).map_err(|_| malformed())?;
        // Near the ends of the calendar an offset, or a leap second, leads to a year of UTC that this notation cannot
        // write.
        let in_ms = DateTime::<Utc>::from_timestamp_millis(instant.timestamp_millis());
        let is_writable = in_ms.is_some_and(|in_ms| (0..=9_999).contains(&in_ms.year()));
        if is_writable { Ok(Self(instant)) } else { Err(malformed()) }
    }

    /// The instant `ms` milliseconds after 1970-01-01T00:00:00Z, in UTC; `None` beyond the calendar.
    #[must_use]
    pub fn from_unix_ms(ms: i64) -> Option<Self> {
        DateTime::from_timestamp_millis(ms).map(|utc| Self(utc.fixed_offset()))
    }

    /// Milliseconds after 1970-01-01T00:00:00Z, truncated.
    #[must_use]
    pub fn unix_ms(&self) -> i64 {
        self.0.timestamp_millis()
    }

    /// The calendar's own type.
    #[must_use]
    pub fn as_date_time(&self) -> &DateTime<FixedOffset> {
        &self.0
    }
}

impl From<DateTime<FixedOffset>> for Instant {
    fn from(exact: DateTime<FixedOffset>) -> Self {
        Self(exact)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.0.naive_local();
        let Some(year) = u32::try_from(local.year()).ok().filter(|year| *year <= 9_999) else {
            // No event and no request has such a year; the calendar's own notation signs it.
            return f.write_str(&self.0.to_rfc3339());
        };
        // The calendar tells a leap second as the second before it with more than a second of nanoseconds.
        let second = local.second() + local.nanosecond() / 1_000_000_000;
        let mut text = Text::default();
        text.number(year, 4).mark(b'-').number(local.month(), 2).mark(b'-').number(local.day(), 2).mark(b'T');
        text.number(local.hour(), 2).mark(b':').number(local.minute(), 2).mark(b':').number(second, 2);
        text.fraction((local.nanosecond() / 1_000_000) % 1_000);
        let minutes = self.0.offset().local_minus_utc() / 60;
        text.mark(if minutes < 0 { b'-' } else { b'+' });
        text.number(minutes.unsigned_abs() / 60, 2).mark(b':').number(minutes.unsigned_abs() % 60, 2);
        f.write_str(text.as_str())
    }
}

/// A time being written. Answers are full of times, and the general formatting of the calendar's library
/// takes longer than everything else about a node of a lineage.
#[derive(Default)]
struct Text {
    bytes: [u8; Self::LONGEST],
    length: usize,
}

impl Text {
    /// `2025-03-03T09:15:02.418+00:00`.
    const LONGEST: usize = 29;

    fn mark(&mut self, mark: u8) -> &mut Self {
        self.bytes[self.length] = mark;
        self.length += 1;
        self
    }

    /// A number with leading zeros.
    fn number(&mut self, number: u32, digits: u32) -> &mut Self {
        for place in (0..digits).rev() {
            let digit = u8::try_from(number / 10_u32.pow(place) % 10).expect("a remainder of ten is below ten");
            self.mark(b'0' + digit);
        }
        self
    }

    /// Milliseconds without trailing zeros.
    fn fraction(&mut self, ms: u32) {
        match ms {
            0 => return,
            tenths if tenths % 100 == 0 => self.mark(b'.').number(tenths / 100, 1),
            hundredths if hundredths % 10 == 0 => self.mark(b'.').number(hundredths / 10, 2),
            _ => self.mark(b'.').number(ms, 3),
        };
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.length]).expect("digits and marks are ASCII")
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

text_schema!(
    Instant,
    "2025-03-03T09:15:02.418+00:00",
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,3})?[+-][0-9]{2}:[0-9]{2}$",
    "RFC 3339, at most milliseconds, numeric offset"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_with_at_most_milliseconds_and_a_numeric_offset() {
        for (given, written) in [
            ("2024-03-06T09:25:16.5869Z", "2024-03-06T09:25:16.586+00:00"),
            ("2016-12-31T23:59:60.5Z", "2016-12-31T23:59:60.5+00:00"),
            ("2024-03-06T09:25:16.12345678901234Z", "2024-03-06T09:25:16.123+00:00"),
            ("2024-03-06T09:25:16.400+09:00", "2024-03-06T09:25:16.4+09:00"),
            ("2021-10-22T12:34:56.000+07:00", "2021-10-22T12:34:56+07:00"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
        ] {
            assert_eq!(Instant::parse(given).unwrap().to_string(), written);
        }
    }

    #[test]
    fn written_as_the_calendar_writes_it() {
        for ms in (0..4_000_000_000_000).step_by(7_654_321_987) {
            let instant = Instant::from_unix_ms(ms).unwrap();
            let (text, exact) = (instant.to_string(), instant.as_date_time());
            assert_eq!(text[..19], exact.format("%Y-%m-%dT%H:%M:%S").to_string());
            assert_eq!(Instant::parse(&text), Ok(instant), "{text}");
        }
        for (ms, text) in [(1, "1970-01-01T00:00:00.001+00:00"), (10, "1970-01-01T00:00:00.01+00:00")] {
            assert_eq!(Instant::from_unix_ms(ms).unwrap().to_string(), text);
        }
    }

    #[test]
    fn loose_forms_are_refused() {
        for bad in [
            "9999-12-31T23:59:59-00:01",
            "9999-12-31T23:59:60Z",
            "0000-01-01T00:00:00+00:01",
            "2024-03-06",
            "2024-03-06 09:25:16Z",
            "2024-03-06T09:25:16",
            "2024-03-06T09:25:16+0900",
            "soon",
        ] {
            assert!(Instant::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn milliseconds_come_back() {
        let instant = Instant::from_unix_ms(1_741_000_502_418).unwrap();
        assert_eq!(instant.to_string(), "2025-03-03T11:15:02.418+00:00");
        assert_eq!(instant.unix_ms(), 1_741_000_502_418);
        assert_eq!(Instant::from_unix_ms(i64::MAX), None);
    }
}
