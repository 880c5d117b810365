//! Instants as Knitfab writes them: milliseconds of UTC inside, RFC 3339 with an offset outside.
//!
//! The log stamps every event with whole milliseconds (Q3 is mended: nothing finer is kept anywhere,
//! so a timestamp copied from an answer matches). Parsing accepts any number of fraction digits.

use std::fmt;

use chrono::{DateTime, Datelike, FixedOffset, Timelike, Utc};
use serde::{Deserialize, Serialize};

/// An instant in milliseconds since 1970-01-01T00:00:00Z; negative before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// The text is not an RFC 3339 date and time with `T` and an offset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a time: write it like 2025-03-03T09:15:02.4+00:00")]
pub struct MalformedTimestamp {
    /// What was given.
    pub text: String,
}

impl Timestamp {
    /// Parses strict RFC 3339 and truncates to milliseconds.
    pub fn parse(text: &str) -> Result<Self, MalformedTimestamp> {
        parse_exact(text).map(|exact| Self(exact.timestamp_millis()))
    }

    /// This instant later by `ms` milliseconds (earlier if negative), saturating.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

impl fmt::Display for Timestamp {
    /// UTC, at most three fraction digits, trailing zeros dropped, `+00:00` and never `Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(instant) => f.write_str(&render(&instant.fixed_offset())),
            None => write!(f, "out-of-range({} ms)", self.0),
        }
    }
}

/// Parses strict RFC 3339 (`T`, then `Z` or an offset with a colon) and keeps every digit.
///
/// # Errors
/// Date only, a space for `T`, or a missing or colon-less offset is refused, and so is what is not within the
/// years 0 to 9999 of UTC.
pub fn parse_exact(text: &str) -> Result<DateTime<FixedOffset>, MalformedTimestamp> {
    let malformed = || MalformedTimestamp { text: text.to_owned() };
    if text.as_bytes().get(10) != Some(&b'T') || text.ends_with('z') {
        return Err(malformed());
    }
    let instant = DateTime::parse_from_rfc3339(text).map_err(|_| malformed())?;
    if is_writable(&instant) { Ok(instant) } else { Err(malformed()) }
}

/// Near the ends of the calendar an offset, or a leap second, leads to a year of UTC that this notation cannot write.
fn is_writable(instant: &DateTime<FixedOffset>) -> bool {
    let in_ms = DateTime::<Utc>::from_timestamp_millis(instant.timestamp_millis());
    in_ms.is_some_and(|in_ms| (0..=9_999).contains(&in_ms.year()))
}

/// Renders at most milliseconds (truncated, trailing zeros dropped) with a numeric offset.
#[must_use]
pub fn render(instant: &DateTime<FixedOffset>) -> String {
    let ms = (instant.nanosecond() / 1_000_000) % 1_000;
    let seconds = instant.format("%Y-%m-%dT%H:%M:%S");
    let fraction = match ms {
        0 => String::new(),
        ms => format!(".{ms:03}").trim_end_matches('0').to_owned(),
    };
    format!("{seconds}{fraction}{}", instant.format("%:z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_09_parsing_is_exact_to_the_nanosecond() {
        let exact = parse_exact("2021-10-22T12:34:56.987654321+07:00").unwrap();
        assert_eq!(exact.timestamp_nanos_opt(), Some(1_634_880_896_987_654_321));
    }

    #[test]
    fn tag_10_whole_seconds_render_without_fraction_and_with_a_numeric_offset() {
        let exact = parse_exact("2021-10-22T12:34:56.000+07:00").unwrap();
        assert_eq!(render(&exact), "2021-10-22T12:34:56+07:00");
    }

    #[test]
    fn rendering_truncates_to_milliseconds_and_drops_trailing_zeros() {
        for (given, rendered) in [
            ("2024-03-06T09:25:16.5869Z", "2024-03-06T09:25:16.586+00:00"),
            ("2024-03-06T09:25:16.5Z", "2024-03-06T09:25:16.5+00:00"),
            ("2024-03-06T09:25:16.050Z", "2024-03-06T09:25:16.05+00:00"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
        ] {
            assert_eq!(Timestamp::parse(given).unwrap().to_string(), rendered);
        }
    }

    #[test]
    fn what_is_read_can_be_written_and_read_again() {
        for (text, there) in [
            ("9999-12-31T23:59:59.999Z", true),
            ("9999-12-31T23:59:59-00:01", false),
            ("9999-12-31T23:59:60Z", false),
            ("9999-12-31T00:59:60-23:00", false),
            ("9998-12-31T23:59:60Z", true),
            ("0000-01-01T00:00:00Z", true),
            ("0000-01-01T00:00:00+00:01", false),
        ] {
            let read = Timestamp::parse(text);
            assert_eq!(read.is_ok(), there, "{text}");
            assert!(read.is_err() || Timestamp::parse(&read.clone().unwrap().to_string()) == read, "{text}");
        }
    }

    #[test]
    fn loose_forms_are_refused() {
        for bad in ["2024-03-06", "2024-03-06 09:25:16Z", "2024-03-06T09:25:16", "2024-03-06T09:25:16+0900", "soon", ""]
        {
            assert!(Timestamp::parse(bad).is_err(), "{bad}");
        }
    }
}
