//! The text of OpenMetrics, read strictly: what a scraper might forgive is an error here.

use std::collections::{BTreeMap, BTreeSet};

/// Suffixes that say in what unit figures are; Prometheus wants base units.
const OTHER_UNITS: [&str; 8] =
    ["_milliseconds", "_ms", "_microseconds", "_nanoseconds", "_minutes", "_kilobytes", "_megabytes", "_percent"];

/// Everything that one scrape tells.
#[derive(Debug, Clone)]
pub struct Exposition {
    families: Vec<Family>,
}

/// Figures of one name.
#[derive(Debug, Clone)]
pub struct Family {
    /// The name, without the suffixes of its samples.
    pub name: String,
    /// `counter`, `gauge`, `histogram` or `info`.
    pub kind: String,
    /// For people.
    pub help: String,
    /// Its figures.
    pub samples: Vec<Sample>,
}

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The whole name.
    pub name: String,
    /// What tells it from others of the name.
    pub labels: BTreeMap<String, String>,
    /// The figure.
    pub value: f64,
}

impl Exposition {
    /// Reads `text`.
    ///
    /// # Panics
    /// When it breaks a rule of OpenMetrics or of the naming of figures; the message says which.
    #[must_use]
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").expect("it ends with `# EOF`");
        let mut families: Vec<Family> = Vec::new();
        for line in body.lines() {
            match line.strip_prefix("# ") {
                Some(comment) => describe(&mut families, comment),
                None => families.last_mut().expect("samples follow a description").samples.push(sample(line)),
            }
        }
        families.iter().for_each(check);
        let names: BTreeSet<&str> = families.iter().map(|family| family.name.as_str()).collect();
        assert_eq!(names.len(), families.len(), "every name is described once");
        Self { families }
    }

    /// Every figure.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.families.iter().flat_map(|family| &family.samples)
    }

    /// The families.
    #[must_use]
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// The sum of the figures called `name` that have all of `labels`; none when there is no such figure.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |sample: &Sample| {
            labels.iter().all(|(name, value)| sample.labels.get(*name).is_some_and(|given| given == value))
        };
        let found: Vec<f64> =
            self.samples().filter(|sample| sample.name == name && has(sample)).map(|sample| sample.value).collect();
        (!found.is_empty()).then(|| found.iter().sum())
    }
}

/// A line of description: HELP, TYPE and UNIT of a family, in this order and before its samples.
fn describe(families: &mut Vec<Family>, comment: &str) {
    let mut words = comment.splitn(3, ' ');
    let mut word = || words.next().unwrap_or_else(|| panic!("half a description: {comment}")).to_owned();
    let (keyword, name, rest) = (word(), word(), word());
    match keyword.as_str() {
        "HELP" => families.push(Family { name, kind: String::new(), help: rest, samples: Vec::new() }),
        "TYPE" | "UNIT" => {
            let family = families.last_mut().expect("HELP comes first");
            assert!(family.name == name && family.samples.is_empty(), "{comment} is out of place");
            if keyword == "TYPE" {
                family.kind = rest;
            } else {
                assert!(name.ends_with(&format!("_{rest}")), "{name} does not end in its unit {rest}");
            }
        }
        _ => panic!("neither HELP, TYPE nor UNIT: {comment}"),
    }
}

fn sample(line: &str) -> Sample {
    let name_end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no figure: {line}"));
    let (name, rest) = line.split_at(name_end);
    assert!(is_name(name), "{name} is no name");
    let (labels, figure) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest),
        None => (BTreeMap::new(), rest),
    };
    let figure = figure.strip_prefix(' ').unwrap_or_else(|| panic!("one space before the figure: {line}"));
    let value = figure.replace("Inf", "inf").parse().unwrap_or_else(|_| panic!("{figure} is no figure: {line}"));
    Sample { name: name.to_owned(), labels, value }
}

/// The labels behind a brace, and what follows them.
fn labels(text: &str) -> (BTreeMap<String, String>, &str) {
    let (mut labels, mut rest) = (BTreeMap::new(), text);
    loop {
        let (name, quoted) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {rest}"));
        assert!(is_name(name) && !name.contains(':'), "{name} is no name of a label");
        let (mut value, mut end, mut escaped) = (String::new(), None, false);
        for (at, character) in quoted.char_indices() {
            match character {
                '"' if !escaped => {
                    end = Some(at);
                    break;
                }
                '\\' if !escaped => escaped = true,
                other => {
                    assert!(!escaped || matches!(other, '\\' | '"' | 'n'), "\\{other} is no escape");
                    value.push(if escaped && other == 'n' { '\n' } else { other });
                    escaped = false;
                }
            }
        }
        let end = end.unwrap_or_else(|| panic!("a label without an end: {quoted}"));
        assert!(labels.insert(name.to_owned(), value).is_none(), "{name} twice");
        rest = &quoted[end + 1..];
        match rest.split_at(1) {
            ("}", behind) => return (labels, behind),
            (",", next) => rest = next,
            _ => panic!("neither another label nor the end: {rest}"),
        }
    }
}

fn is_name(text: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    text.starts_with(is_first) && text.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

fn check(family: &Family) {
    let Family { name, kind, help, samples } = family;
    assert!(is_name(name) && *name == name.to_ascii_lowercase(), "{name} is no name of a figure");
    assert!(!help.trim().is_empty(), "{name} says nothing of itself");
    assert!(!OTHER_UNITS.iter().any(|unit| name.ends_with(unit)), "{name} is not in a base unit");
    assert!(!name.ends_with("_total"), "{name}: the suffix belongs to the samples");
    let suffixes: &[&str] = match kind.as_str() {
        "counter" => &["_total"],
        "gauge" => &[""],
        "info" => &["_info"],
        "histogram" => &["_bucket", "_sum", "_count"],
        other => panic!("{name} is of the unknown kind {other:?}"),
    };
    let mut seen = BTreeSet::new();
    for sample in samples {
        let suffix = sample.name.strip_prefix(name.as_str());
        assert!(suffix.is_some_and(|suffix| suffixes.contains(&suffix)), "{} is no sample of a {kind}", sample.name);
        assert!(seen.insert((&sample.name, &sample.labels)), "{} {:?} is told twice", sample.name, sample.labels);
        assert!(kind == "gauge" || sample.value >= 0.0, "{} goes down", sample.name);
    }
    if kind == "histogram" {
        check_histogram(family);
    }
}

/// Buckets in rising order, each with all of those before it, and the last with everything.
fn check_histogram(family: &Family) {
    let mut buckets: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in family.samples.iter().filter(|sample| sample.name.ends_with("_bucket")) {
        let mut labels = sample.labels.clone();
        let bound = labels.remove("le").expect("a bucket has a bound");
        let bound = bound.replace("Inf", "inf").parse().unwrap_or_else(|_| panic!("{bound} is no bound"));
        buckets.entry(labels).or_default().push((bound, sample.value));
    }
    for (labels, buckets) in buckets {
        let rises = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        assert!(rises, "the buckets of {} {labels:?} do not rise: {buckets:?}", family.name);
        let (bound, all) = *buckets.last().expect("there is one");
        let count = family.samples.iter().find(|sample| sample.name.ends_with("_count") && sample.labels == labels);
        assert!(bound.is_infinite(), "{} {labels:?} has no last bucket", family.name);
        assert_eq!(count.map(|count| count.value), Some(all), "{} {labels:?} is not counted whole", family.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_with_their_escapes() {
        let read = sample(r#"x_total{a="1",b="say \"no\" \\ yes\n"} 2.5"#);
        assert_eq!((read.name.as_str(), read.value), ("x_total", 2.5));
        assert_eq!(read.labels["b"], "say \"no\" \\ yes\n");
    }

    #[test]
    fn what_breaks_a_rule_is_not_read() {
        let described = "# HELP x Something.\n# TYPE x counter\n";
        for broken in [
            "x_total 1\n# EOF\n".to_owned(),
            format!("{described}x_total 1\n"),
            format!("{described}x 1\n# EOF\n"),
            format!("{described}x_total 1\nx_total 2\n# EOF\n"),
            format!("{described}x_total{{a=\"1}} 1\n# EOF\n"),
            format!("{described}x_total  1\n# EOF\n"),
            "# HELP x_ms Something.\n# TYPE x_ms gauge\nx_ms 1\n# EOF\n".to_owned(),
            "# HELP x S.\n# TYPE x histogram\nx_count 2\nx_bucket{le=\"+Inf\"} 1\n# EOF\n".to_owned(),
        ] {
            assert!(std::panic::catch_unwind(|| Exposition::parse(&broken)).is_err(), "{broken}");
        }
        assert_eq!(Exposition::parse(&format!("{described}x_total 1\n# EOF\n")).sum("x_total", &[]), Some(1.0));
    }
}
