//! Instants as the wire writes them (web-api 1.5).

use std::fmt;

use chrono::{DateTime, Datelike, FixedOffset, Timelike};
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
        // Near the ends of the calendar an offset leads to a year of UTC that this notation cannot write.
        if (0..=9_999).contains(&instant.to_utc().year()) { Ok(Self(instant)) } else { Err(malformed()) }
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
        write!(f, "{}", self.0.format("%Y-%m-%dT%H:%M:%S"))?;
        match (self.0.nanosecond() / 1_000_000) % 1_000 {
            0 => {}
            ms => f.write_str(format!(".{ms:03}").trim_end_matches('0'))?,
        }
        write!(f, "{}", self.0.format("%:z"))
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
            ("2024-03-06T09:25:16.12345678901234Z", "2024-03-06T09:25:16.123+00:00"),
            ("2024-03-06T09:25:16.400+09:00", "2024-03-06T09:25:16.4+09:00"),
            ("2021-10-22T12:34:56.000+07:00", "2021-10-22T12:34:56+07:00"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
        ] {
            assert_eq!(Instant::parse(given).unwrap().to_string(), written);
        }
    }

    #[test]
    fn loose_forms_are_refused() {
        for bad in [
            "9999-12-31T23:59:59-00:01",
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
