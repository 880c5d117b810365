//! Quantities of resources, as Plans write them: `500m`, `1.5`, `1Gi`, `2e3`.

/// Thousandths; exact for every suffix but `n` and `u`, which are rounded up as Kubernetes does.
pub(super) fn millis(text: &str) -> Option<u64> {
    nanos(text).and_then(|nanos| u64::try_from(nanos.div_ceil(1_000_000)).ok())
}

/// Whole units, rounded up.
pub(super) fn units(text: &str) -> Option<u64> {
    nanos(text).and_then(|nanos| u64::try_from(nanos.div_ceil(1_000_000_000)).ok())
}

fn nanos(text: &str) -> Option<u128> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') || number.len() > 18 {
        return None;
    }
    let mantissa: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scaled = mantissa.checked_mul(nanos_of(suffix)?)?;
    Some(scaled.div_ceil(10u128.pow(u32::try_from(fraction.len()).ok()?)))
}

/// How many thousand-millionths one of this suffix is.
fn nanos_of(suffix: &str) -> Option<u128> {
    let decimal = |exponent: u32| Some(10u128.pow(exponent));
    let binary = |exponent: u32| Some(1_000_000_000u128 << exponent);
    match suffix {
        "n" => decimal(0),
        "u" => decimal(3),
        "m" => decimal(6),
        "" => decimal(9),
        "k" => decimal(12),
        "M" => decimal(15),
        "G" => decimal(18),
        "T" => decimal(21),
        "P" => decimal(24),
        "E" => decimal(27),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            u32::try_from(exponent.checked_add(9)?).ok().filter(|exponent| *exponent <= 27).and_then(decimal)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_counted_in_thousandths() {
        for (text, expected) in [("1", 1_000), ("500m", 500), ("1.5", 1_500), ("0.1", 100), ("1n", 1), ("2e0", 2_000)] {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn memory_is_counted_in_bytes() {
        for (text, expected) in [("1Gi", 1 << 30), ("1.5Ki", 1_536), ("1k", 1_000), ("128974848", 128_974_848)] {
            assert_eq!(units(text), Some(expected), "{text}");
        }
        assert_eq!(units("1E3"), Some(1_000));
        assert_eq!(units("100m"), Some(1));
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for bad in ["", ".", "x", "1x", "-1", "1.2.3", "1e99", "9999999999999999999"] {
            assert_eq!(units(bad), None, "{bad}");
        }
    }
}
