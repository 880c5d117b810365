//! Durations in Go's notation, such as `1h30m0s` or `1.5s` (web-api 1.5).

use std::fmt;

/// A span of time in nanoseconds; may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration {
    /// Nanoseconds.
    pub ns: i64,
}

/// The text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration: write numbers with units ns, us, ms, s, m or h, like 1h30m or 1.5s")]
pub struct MalformedDuration {
    /// What was given.
    pub text: String,
}

impl GoDuration {
    /// Parses an optional sign and then one or more decimal numbers, each with a unit; `0` alone is valid.
    ///
    /// # Errors
    /// Anything else, or more than about 292 years.
    pub fn parse(text: &str) -> Result<Self, MalformedDuration> {
        parse_ns(text).map(|ns| Self { ns }).ok_or_else(|| MalformedDuration { text: text.to_owned() })
    }

    /// Milliseconds, truncated towards zero.
    #[must_use]
    pub const fn as_ms(self) -> i64 {
        self.ns / 1_000_000
    }
}

/// How many milliseconds ago a `text` like `2h ago` means: a duration that is not negative, or whole days or weeks, as in
/// `3d ago` and `1w ago`. Blanks in it do no harm.
#[must_use]
pub fn ago_ms(text: &str) -> Option<i64> {
    let span: String = text.trim().strip_suffix("ago")?.split_whitespace().collect();
    let hours = match span.as_bytes().last()? {
        b'd' => Some(DAY_HOURS),
        b'w' => Some(7 * DAY_HOURS),
        _ => None,
    };
    let span = match hours {
        Some(hours) => format!("{}h", span[..span.len() - 1].parse::<i64>().ok()?.checked_mul(hours)?),
        None => span,
    };
    GoDuration::parse(&span).ok().map(GoDuration::as_ms).filter(|ms| *ms >= 0)
}

/// Hours of a day, which Go's notation of durations lacks.
const DAY_HOURS: i64 = 24;

fn parse_ns(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (ns, after) = leading_part(rest)?;
        total = total.checked_add(ns)?;
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// The first number with its unit, in nanoseconds (fractions below one are dropped), and what follows.
fn leading_part(text: &str) -> Option<(i128, &str)> {
    let (whole, after) = split_digits(text);
    let (fraction, after) = match after.strip_prefix('.') {
        Some(after_point) => split_digits(after_point),
        None => ("", after),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let unit_end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
    let (unit, after) = after.split_at(unit_end);
    let unit_ns = unit_ns(unit)?;
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    Some((whole.checked_mul(unit_ns)?.checked_add(fraction_ns(fraction, unit_ns))?, after))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn unit_ns(unit: &str) -> Option<i128> {
    match unit {
        "ns" => Some(1),
        // Both the micro sign and the Greek letter are in use.
        "us" | "\u{b5}s" | "\u{3bc}s" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" => Some(1_000_000_000),
        "m" => Some(60_000_000_000),
        "h" => Some(3_600_000_000_000),
        _ => None,
    }
}

/// The fraction `0.digits` of a unit, truncated to whole nanoseconds.
fn fraction_ns(digits: &str, unit_ns: i128) -> i128 {
    // Eighteen digits are finer than a nanosecond of an hour; later ones change nothing.
    let (numerator, denominator) = digits
        .bytes()
        .take(18)
        .fold((0, 1), |(numerator, denominator), digit| (numerator * 10 + i128::from(digit - b'0'), denominator * 10));
    numerator * unit_ns / denominator
}

impl fmt::Display for GoDuration {
    /// The canonical form: `1h30m0s`, `1.5s`, `300ms`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.ns.unsigned_abs();
        if self.ns < 0 {
            f.write_str("-")?;
        }
        match ns {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{ns}ns"),
            1_000..1_000_000 => decimal(f, ns, 1_000, "\u{b5}s"),
            1_000_000..1_000_000_000 => decimal(f, ns, 1_000_000, "ms"),
            _ => hours_minutes_seconds(f, ns),
        }
    }
}

fn hours_minutes_seconds(f: &mut fmt::Formatter<'_>, ns: u64) -> fmt::Result {
    const MINUTE_NS: u64 = 60_000_000_000;
    let minutes = ns / MINUTE_NS;
    if minutes >= 60 {
        write!(f, "{}h", minutes / 60)?;
    }
    if minutes > 0 {
        write!(f, "{}m", minutes % 60)?;
    }
    decimal(f, ns % MINUTE_NS, 1_000_000_000, "s")
}

fn decimal(f: &mut fmt::Formatter<'_>, ns: u64, unit_ns: u64, unit: &str) -> fmt::Result {
    write!(f, "{}", ns / unit_ns)?;
    if !ns.is_multiple_of(unit_ns) {
        let digits = unit_ns.ilog10() as usize;
        let fraction = format!("{:0digits$}", ns % unit_ns);
        write!(f, ".{}", fraction.trim_end_matches('0'))?;
    }
    f.write_str(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_long_ago_may_be_written_in_days_and_weeks_and_with_blanks() {
        let hour = 3_600_000;
        for (text, ms) in [
            ("2h ago", 2 * hour),
            ("2 h ago", 2 * hour),
            ("1h30m ago", hour + hour / 2),
            ("1m ago", 60_000),
            ("3d ago", 72 * hour),
            ("3dago", 72 * hour),
            (" 1 w  ago ", 7 * 24 * hour),
        ] {
            assert_eq!(ago_ms(text), Some(ms), "{text}");
        }
        for bad in ["2h", "ago", "-2h ago", "d ago", "1x ago", "-1d ago", "9999999999999d ago", "yesterday"] {
            assert_eq!(ago_ms(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_form_in_use_is_read_and_written_canonically() {
        for (given, ns, written) in [
            ("1h30m0s", 5_400_000_000_000, "1h30m0s"),
            ("1h30m", 5_400_000_000_000, "1h30m0s"),
            ("1m30s", 90_000_000_000, "1m30s"),
            ("300ms", 300_000_000, "300ms"),
            ("1.5s", 1_500_000_000, "1.5s"),
            ("1h2m3s", 3_723_000_000_000, "1h2m3s"),
            ("5m", 300_000_000_000, "5m0s"),
            ("24h", 86_400_000_000_000, "24h0m0s"),
            ("0", 0, "0s"),
            ("-1.5h", -5_400_000_000_000, "-1h30m0s"),
            ("+.5us", 500, "500ns"),
            ("1\u{b5}s500ns", 1_500, "1.5\u{b5}s"),
            ("1.1\u{3bc}s", 1_100, "1.1\u{b5}s"),
        ] {
            let duration = GoDuration::parse(given).unwrap();
            assert_eq!((duration.ns, duration.to_string().as_str()), (ns, written), "{given}");
        }
    }

    #[test]
    fn what_has_no_unit_or_no_number_is_refused() {
        for bad in ["", "-", "1", "1d", "h", ".s", "1 h", "1h ", "1e3s", "300000h0", "9999999999999h", "é"] {
            assert!(GoDuration::parse(bad).is_err(), "{bad}");
        }
    }
}
