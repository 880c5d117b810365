//! Times of the wire as numbers.

/// Milliseconds since 1970 of a time as the server writes it.
///
/// # Panics
/// When it is not written so.
pub(crate) fn milliseconds(text: &str) -> i64 {
    let time = text.strip_suffix("+00:00").unwrap_or_else(|| panic!("{text} is written in UTC"));
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let number = |from: usize, to: usize| time[from..to].parse::<i64>().expect("times are digits");
    assert!(time.len() == 19 && (1..=3).contains(&fraction.len()), "{text} has at most milliseconds");
    let fraction: i64 = format!("{fraction:0<3}").parse().expect("fractions are digits");
    let days = days_since_1970(number(0, 4), number(5, 7), number(8, 10));
    let seconds = (days * 24 + number(11, 13)) * 3_600 + number(14, 16) * 60 + number(17, 19);
    seconds * 1_000 + fraction
}

/// The calendar, counted in years that begin in March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[test]
fn times_are_counted_from_1970() {
    for (text, expected) in [
        ("1970-01-01T00:00:00+00:00", 0),
        ("2000-03-01T00:00:00.5+00:00", 951_868_800_500),
        ("2024-02-29T23:59:59.999+00:00", 1_709_251_199_999),
    ] {
        assert_eq!(milliseconds(text), expected, "{text}");
    }
}
