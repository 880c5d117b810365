//! A row of the table: what was wanted, what was measured, and beside what.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::statistics::Sample;

/// One line of the results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What was done.
    pub(crate) what: String,
    /// What the design asks for.
    pub(crate) target: String,
    /// What came of it.
    pub(crate) measured: String,
    /// What it is compared with, as measured in the same run.
    pub(crate) anchor: String,
    /// The one divided by the other, so that more is better.
    pub(crate) ratio: Option<f64>,
    pub(crate) verdict: Verdict,
    /// What the original came to, where it was measured.
    pub(crate) original: Option<String>,
    /// What a reader must know to understand the figure.
    pub(crate) note: String,
    /// Which measured limit stands in the way, shown where the target is missed; empty while nobody knows.
    pub(crate) limit: String,
    /// Every figure, in the unit that its name ends in.
    pub(crate) values: BTreeMap<String, f64>,
}

/// So many measurements have a p99 that is not just the largest.
const LATENCIES_LEAST: usize = 100;

/// Whether a target was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// There is no target: the row explains another.
    Information,
    /// It could not be measured.
    Failed,
}

impl Verdict {
    pub(crate) fn of(met: bool) -> Self {
        if met { Self::Met } else { Self::Missed }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "**missed**",
            Self::Information => "–",
            Self::Failed => "**not measured**",
        }
    }
}

impl Row {
    /// A row that only tells.
    pub(crate) fn tells(what: impl Into<String>, measured: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            target: String::new(),
            measured: measured.into(),
            anchor: String::new(),
            ratio: None,
            verdict: Verdict::Information,
            original: None,
            note: String::new(),
            limit: String::new(),
            values: BTreeMap::new(),
        }
    }

    /// A row whose target was met or not.
    pub(crate) fn judged(
        what: impl Into<String>,
        target: impl Into<String>,
        measured: impl Into<String>,
        met: bool,
    ) -> Self {
        Self { target: target.into(), verdict: Verdict::of(met), ..Self::tells(what, measured) }
    }

    /// Rates in one unit: ours must be at least `least` times the anchor's.
    pub(crate) fn rates(what: impl Into<String>, least: f64, ours: &Sample, anchor: &str, theirs: &Sample) -> Self {
        let ratio = ours.median() / theirs.median();
        let row = Self::judged(what, format!("≥ {least}×"), rates(ours), ratio >= least);
        row.beside(anchor, &rates(theirs), ratio)
            .value("measured_per_s", ours.median())
            .value("anchor_per_s", theirs.median())
    }

    /// Times in seconds of the same work: ours must be at least `least` times as fast as the anchor.
    pub(crate) fn speed(what: impl Into<String>, least: f64, ours: &Sample, anchor: &str, theirs: &Sample) -> Self {
        let ratio = theirs.median() / ours.median();
        let row = Self::judged(what, format!("≥ {least}×"), spread(ours), ratio >= least);
        row.beside(anchor, &spread(theirs), ratio).value("measured_s", ours.median()).value("anchor_s", theirs.median())
    }

    /// What it is compared with, without a target for the ratio.
    pub(crate) fn beside(mut self, anchor: &str, measured: &str, ratio: f64) -> Self {
        self.anchor = format!("{anchor}: {measured}");
        self.ratio = Some(ratio);
        self
    }

    pub(crate) fn original(mut self, measured: &str) -> Self {
        self.original = Some(measured.to_owned());
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Why the target may be missed: what stands in the way, with figures, in whole sentences.
    pub(crate) fn limit(mut self, reason: impl Into<String>) -> Self {
        self.limit = reason.into();
        self
    }

    pub(crate) fn value(mut self, name: &str, value: f64) -> Self {
        self.values.insert(name.to_owned(), value);
        self
    }
}

/// A rate with its spread.
pub(crate) fn rates(sample: &Sample) -> String {
    let spread = || format!(" ({}–{})", number(sample.min()), number(sample.max()));
    format!("{}/s{}", number(sample.median()), if sample.len() > 1 { spread() } else { String::new() })
}

/// Times in seconds: what many of them come to as latencies, of few the one in the middle and their spread.
pub(crate) fn spread(sample: &Sample) -> String {
    match sample.len() {
        1 => time(sample.median()),
        few if few < LATENCIES_LEAST => {
            format!("{} ({}–{})", time(sample.median()), time(sample.min()), time(sample.max()))
        }
        _ => latency(sample),
    }
}

/// A rate.
pub(crate) fn rate(per_second: f64) -> String {
    format!("{}/s", number(per_second))
}

/// A number with as many digits as mean something, thousands apart.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        small if small < 1.0 => 3,
        small if small < 10.0 => 2,
        small if small < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), ""), |(whole, fraction)| (whole, fraction));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && digit.is_ascii_digit() && (whole.len() - place).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() { grouped } else { format!("{grouped}.{fraction}") }
}

/// A time in the unit in which it is short.
pub(crate) fn time(seconds: f64) -> String {
    match seconds {
        short if short < 0.001 => format!("{} µs", number(short * 1e6)),
        short if short < 1.0 => format!("{} ms", number(short * 1e3)),
        long => format!("{} s", number(long)),
    }
}

/// p50 and p99 of latencies in seconds.
pub(crate) fn latency(sample: &Sample) -> String {
    format!("p50 {}, p99 {}", time(sample.median()), time(sample.p99()))
}

/// A size in the unit in which it is short.
pub(crate) fn bytes(count: f64) -> String {
    match count {
        few if few < 1e3 => format!("{} B", number(few)),
        some if some < 1e6 => format!("{} kB", number(some / 1e3)),
        many if many < 1e9 => format!("{} MB", number(many / 1e6)),
        most => format!("{} GB", number(most / 1e9)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_their_thousands_apart() {
        let texts = [0.0, 0.0123, 3.456, 34.56, 345.6, 3_456.0, 1_234_567.8, -1_234.0].map(number);
        assert_eq!(texts, ["0", "0.012", "3.46", "34.6", "346", "3,456", "1,234,568", "-1,234"]);
    }

    #[test]
    fn times_and_sizes_have_a_unit_that_fits() {
        assert_eq!([0.000_012, 0.0123, 12.3].map(time), ["12.0 µs", "12.3 ms", "12.3 s"]);
        assert_eq!([12.0, 12_300.0, 12.3e6, 12.3e9].map(bytes), ["12.0 B", "12.3 kB", "12.3 MB", "12.3 GB"]);
    }

    #[test]
    fn a_ratio_decides() {
        let (ours, theirs) = (Sample::of([200.0]), Sample::of([100.0]));
        assert_eq!(Row::rates("x", 2.0, &ours, "y", &theirs).verdict, Verdict::Met);
        assert_eq!(Row::rates("x", 2.1, &ours, "y", &theirs).verdict, Verdict::Missed);
        assert_eq!(Row::speed("x", 1.0, &ours, "y", &theirs).verdict, Verdict::Missed);
    }
}
