//! Times as people write them after `--since`; the wire gets strict ones.

use chrono::{DateTime, FixedOffset, Local, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeDelta, TimeZone};
use knit_schemas::duration::{GoDuration, ago_ms};
use knit_schemas::instant::Instant;

use crate::client::Query;
use crate::error::Error;

/// The half-open range from `since` on, `duration` long, as the wire wants it.
pub(crate) fn range_query(since: Option<DateTime<FixedOffset>>, duration: Option<GoDuration>) -> Result<Query, Error> {
    let strict = |time: DateTime<FixedOffset>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    match (since, duration) {
        (None, None) => Ok(Query::new()),
        (None, Some(_)) => Err(Error::Usage("`--duration` needs `--since`: from when on?".to_owned())),
        (Some(since), None) => Ok(vec![("since", strict(since))]),
        (Some(since), Some(duration)) => Ok(vec![("since", strict(since)), ("duration", duration.to_string())]),
    }
}

/// The text is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a time: write it like 2025-03-03, 2025-03-03T10:15 or 2025-03-03T10:15:30.25+09:00, or like `2h ago`"
)]
pub(crate) struct MalformedTime {
    text: String,
}

/// Parses a date, optionally followed by `T` or a space and a time whose parts may be left out from
/// the right, optionally followed by `Z` or an offset. Without an offset local time is meant.
///
/// So may how long ago it was, like `2h ago`.
///
/// Whatever the wire has may be given too, leap seconds among it: people copy times from answers.
pub(crate) fn parse(text: &str) -> Result<DateTime<FixedOffset>, MalformedTime> {
    let malformed = || MalformedTime { text: text.to_owned() };
    if let Some(ms) = ago_ms(text) {
        let ago = TimeDelta::try_milliseconds(ms).and_then(|ago| Local::now().checked_sub_signed(ago));
        return ago.map(|time| time.fixed_offset()).ok_or_else(malformed);
    }
    if let Ok(instant) = Instant::parse(text) {
        return Ok(*instant.as_date_time());
    }
    let local = |naive: &NaiveDateTime| Local.from_local_datetime(naive).earliest().map(|time| time.fixed_offset());
    // What the wire cannot say would only be refused by the server.
    let time = parse_in(text, local).filter(|time| Instant::parse(&time.to_rfc3339()).is_ok());
    time.ok_or_else(malformed)
}

fn parse_in(
    text: &str,
    local: impl Fn(&NaiveDateTime) -> Option<DateTime<FixedOffset>>,
) -> Option<DateTime<FixedOffset>> {
    let (date, rest) = text.split_at_checked(10)?;
    let date = strict_date(date)?;
    let (time, offset) = split_offset(rest)?;
    let time = match time {
        "" => NaiveTime::MIN,
        time => partial_time(time.strip_prefix(['T', ' '])?)?,
    };
    let naive = date.and_time(time);
    match offset {
        Some(offset) => offset.from_local_datetime(&naive).single(),
        None => local(&naive),
    }
}

/// Chrono alone would take `2025-3-3`.
fn strict_date(text: &str) -> Option<NaiveDate> {
    let shape =
        text.bytes().enumerate().all(|(i, byte)| if i == 4 || i == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    shape.then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()).flatten()
}

/// Cuts `Z` or `±HH:MM` off the end.
fn split_offset(text: &str) -> Option<(&str, Option<FixedOffset>)> {
    if let Some(time) = text.strip_suffix('Z') {
        return Some((time, FixedOffset::east_opt(0)));
    }
    let Some(sign) = text.rfind(['+', '-']) else {
        return Some((text, None));
    };
    let (time, offset) = text.split_at(sign);
    let (hours, minutes) = offset[1..].split_once(':')?;
    let seconds = (two_digits(hours, 23)? * 60 + two_digits(minutes, 59)?) * 60;
    let seconds = i32::try_from(seconds).ok()?;
    Some((time, Some(FixedOffset::east_opt(if offset.starts_with('-') { -seconds } else { seconds })?)))
}

/// `HH[:MM[:SS[.fraction]]]`.
fn partial_time(text: &str) -> Option<NaiveTime> {
    let (clock, fraction) = text.split_once('.').map_or((text, None), |(clock, fraction)| (clock, Some(fraction)));
    let parts: Vec<&str> = clock.split(':').collect();
    let part = |i: usize, max| parts.get(i).map_or(Some(0), |part| two_digits(part, max));
    if parts.len() > 3 || (fraction.is_some() && parts.len() < 3) {
        return None;
    }
    NaiveTime::from_hms_nano_opt(part(0, 23)?, part(1, 59)?, part(2, 59)?, nanoseconds(fraction)?)
}

fn two_digits(text: &str, max: u32) -> Option<u32> {
    let is_two_digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_two_digits.then(|| text.parse().ok()).flatten().filter(|value| *value <= max)
}

/// Digits beyond nanoseconds are dropped.
fn nanoseconds(fraction: Option<&str>) -> Option<u32> {
    let Some(digits) = fraction else { return Some(0) };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{digits:0<9}")[..9].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokyo(naive: &NaiveDateTime) -> Option<DateTime<FixedOffset>> {
        FixedOffset::east_opt(9 * 3600)?.from_local_datetime(naive).single()
    }

    #[test]
    fn parts_may_be_left_out_from_the_right() {
        for (given, meant) in [
            ("2025-03-03", "2025-03-03T00:00:00+09:00"),
            ("2025-03-03Z", "2025-03-03T00:00:00+00:00"),
            ("2025-03-03+09:00", "2025-03-03T00:00:00+09:00"),
            ("2025-03-03T10", "2025-03-03T10:00:00+09:00"),
            ("2025-03-03 10:15", "2025-03-03T10:15:00+09:00"),
            ("2025-03-03T10:15:30.25+01:00", "2025-03-03T10:15:30.250+01:00"),
            ("2025-03-03T10:15:30.1234567891-01:30", "2025-03-03T10:15:30.123456789-01:30"),
        ] {
            assert_eq!(parse_in(given, tokyo).map(|time| time.to_rfc3339()).as_deref(), Some(meant), "{given}");
        }
    }

    #[test]
    fn what_the_wire_has_may_be_given() {
        for text in ["2016-12-31T23:59:60.5+00:00", "2025-03-03T10:15:30.25+09:00", "0001-01-01T00:00:00Z"] {
            assert_eq!(parse(text), Ok(*Instant::parse(text).unwrap().as_date_time()), "{text}");
        }
        assert!(parse("0000-01-01T00:00+00:01").is_err(), "a year of UTC before 0");
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in [
            "",
            "today",
            "2025/03/03",
            "2025-3-3",
            "2025-02-30",
            "2025-03-03T",
            "2025-03-03T1",
            "2025-03-03T24",
            "2025-03-03T10:15+0900",
            "2025-03-03T10:15.5",
            "2025-03-03T10:15:30.",
            "2025-03-03T10:15:30.x",
            "2025-03-03x10",
            "2025-03-03T10:15:30:00",
            "２０２５-03-03",
        ] {
            assert_eq!(parse_in(bad, tokyo), None, "{bad}");
        }
    }
}
