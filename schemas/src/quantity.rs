//! Quantities of resources in Kubernetes' notation and its canonical form (web-api 4.4).

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::api::text_schema;

/// Nano-units in a unit: quantities are no finer.
const NANO: i128 = 1_000_000_000;
/// The largest quantity, in units; larger ones become this one, as in Kubernetes.
const UNITS_MAX: i128 = i64::MAX as i128;
/// Significant digits of a number: those of the largest quantity in nano-units. With fewer, some quantities could
/// not be read again as they are written.
const DIGITS_MAX: usize = 28;
/// Powers of ten beyond which every number is the largest quantity, or the smallest.
const POWER_MAX: u64 = 40;

/// An amount of a resource, such as `500m` or `12Gi`. Compares by how it is written canonically.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quantity {
    nano: i128,
    family: Family,
}

/// Which suffixes a quantity was written with, and is written back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Family {
    /// `n u m`, none, `k M G T P E`.
    Decimal,
    /// `Ki Mi Gi Ti Pi Ei`.
    Binary,
    /// `e` and an exponent.
    Exponent,
}

/// The text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a quantity: write a number with a suffix of n u m k M G T P E, Ki Mi Gi Ti Pi Ei, or an exponent like e3"
)]
pub struct MalformedQuantity {
    /// What was given.
    pub text: String,
}

impl Quantity {
    /// Parses a decimal number, optionally signed, with an optional suffix.
    ///
    /// # Errors
    /// Anything else; `K` among it, and more than 28 significant digits, or fewer if they have a binary suffix
    /// and do not fit in 128 bits with it.
    pub fn parse(text: &str) -> Result<Self, MalformedQuantity> {
        parse(text).ok_or_else(|| MalformedQuantity { text: text.to_owned() })
    }

    /// The amount in thousandths of a unit, rounded up: what schedulers count in.
    #[must_use]
    pub fn milli(&self) -> i128 {
        div_away_from_zero(self.nano, NANO / 1_000)
    }

    /// The amount in whole units (bytes, devices), rounded up.
    #[must_use]
    pub fn units(&self) -> i128 {
        div_away_from_zero(self.nano, NANO)
    }
}

fn parse(text: &str) -> Option<Quantity> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let number_end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(number_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let (factor, exponent, family) = scale(suffix)?;
    let magnitude = magnitude_nano(whole, fraction, factor, exponent)?;
    Some(Quantity { nano: if text.starts_with('-') { -magnitude } else { magnitude }, family })
}

/// The factor and the power of ten that a suffix stands for.
fn scale(suffix: &str) -> Option<(i128, i32, Family)> {
    let decimal = |exponent| Some((1, exponent, Family::Decimal));
    let binary = |power: u32| Some((1_i128 << (10 * power), 0, Family::Binary));
    match suffix {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            Some((1, exponent, Family::Exponent))
        }
    }
}

/// `whole.fraction × factor × 10^exponent` in nano-units, rounded up, at most the largest quantity.
fn magnitude_nano(whole: &str, fraction: &str, factor: i128, exponent: i32) -> Option<i128> {
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    if significant.len() > DIGITS_MAX {
        return None;
    }
    let mut value: i128 = if significant.is_empty() { 0 } else { significant.parse().ok()? };
    value = value.checked_mul(factor)?;
    let power = 9 + i64::from(exponent) - i64::try_from(fraction.len()).ok()?;
    for _ in 0..power.unsigned_abs().min(POWER_MAX) {
        value = if power > 0 { value.saturating_mul(10) } else { div_away_from_zero(value, 10) };
    }
    Some(value.min(UNITS_MAX * NANO))
}

fn div_away_from_zero(value: i128, divisor: i128) -> i128 {
    let remainder = value % divisor;
    value / divisor + if remainder == 0 { 0 } else { value.signum() }
}

impl fmt::Display for Quantity {
    /// The canonical form: no fraction, the largest suffix of the family that keeps an integer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Below a Ki, and where bytes would be split, binary suffixes cannot say it exactly.
        let binary = self.family == Family::Binary && self.nano % NANO == 0 && self.nano.abs() >= 1_024 * NANO;
        if self.nano == 0 {
            f.write_str("0")
        } else if binary {
            write_binary(f, self.nano / NANO)
        } else {
            write_decimal(f, self.nano, self.family == Family::Exponent)
        }
    }
}

fn write_binary(f: &mut fmt::Formatter<'_>, units: i128) -> fmt::Result {
    const SUFFIXES: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let (mut amount, mut power) = (units, 0);
    while amount % 1_024 == 0 && power + 1 < SUFFIXES.len() {
        amount /= 1_024;
        power += 1;
    }
    write!(f, "{amount}{}", SUFFIXES[power])
}

fn write_decimal(f: &mut fmt::Formatter<'_>, nano: i128, exponent_notation: bool) -> fmt::Result {
    const SUFFIXES: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
    const EXPONENTS: [&str; 10] = ["e-9", "e-6", "e-3", "", "e3", "e6", "e9", "e12", "e15", "e18"];
    let (mut amount, mut power) = (nano, 0);
    while amount % 1_000 == 0 && power + 1 < SUFFIXES.len() {
        amount /= 1_000;
        power += 1;
    }
    let suffixes = if exponent_notation { EXPONENTS } else { SUFFIXES };
    write!(f, "{amount}{}", suffixes[power])
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QuantityVisitor)
    }
}

struct QuantityVisitor;

impl Visitor<'_> for QuantityVisitor {
    type Value = Quantity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a quantity: text such as \"500m\" or a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Quantity, E> {
        Quantity::parse(text.trim()).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Quantity, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Quantity, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Quantity, E> {
        self.visit_str(&number.to_string())
    }
}

text_schema!(
    Quantity,
    "4Gi",
    r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?$",
    "A quantity in Kubernetes' notation; requests may also give a number"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn canonical(text: &str) -> String {
        Quantity::parse(text).unwrap().to_string()
    }

    #[test]
    fn quantities_are_returned_canonical() {
        for (given, returned) in [
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("1500Mi", "1500Mi"),
            ("0.5Gi", "512Mi"),
            ("1.5Gi", "1536Mi"),
            ("1000M", "1G"),
            ("512", "512"),
            ("1e3", "1e3"),
            ("0.1Ki", "102400m"),
            ("0.5Ki", "512"),
            ("0", "0"),
            ("0Gi", "0"),
            ("-1.5", "-1500m"),
            ("+2k", "2k"),
            ("1500", "1500"),
            ("1E", "1E"),
            ("1E3", "1e3"),
            ("1.", "1"),
            (".5", "500m"),
            ("1e-3", "1e-3"),
            ("0.3n", "1n"),
            ("100Ei", "9223372036854775807"),
            ("1e99", "9223372036854775807"),
        ] {
            assert_eq!(canonical(given), returned, "{given}");
        }
    }

    #[test]
    fn what_is_written_in_smaller_units_has_more_digits_and_is_read_again() {
        for given in ["27932256582.5858077", "9223372036854775806.999999999", "9223372036.854775807Gi"] {
            let written = canonical(given);
            assert_eq!(canonical(&written), written, "{given}");
        }
        assert_eq!(canonical("27932256582.5858077"), "27932256582585807700n");
    }

    #[test]
    fn a_number_that_is_longer_than_any_quantity_is_refused() {
        for bad in ["12345678901234567890123456789", "9999999999999999999999999999Ei"] {
            assert!(Quantity::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_of_json_are_quantities_too() {
        let parse = |json: &str| serde_json::from_str::<Quantity>(json).map(|quantity| quantity.to_string());
        assert_eq!(parse("0.5").unwrap(), "500m");
        assert_eq!(parse("4").unwrap(), "4");
        assert_eq!(parse("-4").unwrap(), "-4");
        assert!(parse("true").is_err());
        assert!(parse("\"2 Gi\"").is_err());
    }

    #[test]
    fn what_kubernetes_refuses_is_refused() {
        for bad in ["", "K", "1K", "1KiB", "Gi", "1.2.3", "--1", "1e", "1e1.5", "one", "1 "] {
            assert!(Quantity::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn amounts_round_up() {
        assert_eq!(Quantity::parse("1500u").unwrap().milli(), 2);
        assert_eq!(Quantity::parse("2Ki").unwrap().units(), 2_048);
        assert_eq!(Quantity::parse("2500m").unwrap().units(), 3);
    }
}
