//! The results: a table for people, JSON for programs, a plot for each comparison.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use serde_json::{Value, json};

use crate::args::Family;
use crate::machine::{Machine, load};
use crate::plot::Plot;
use crate::row::{Row, Verdict, bytes, number};

/// What came of one family.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Outcome {
    pub(crate) rows: Vec<Row>,
    pub(crate) plots: Vec<Plot>,
    /// Sentences that belong below the table, such as how a history was made.
    pub(crate) remarks: Vec<String>,
}

impl Outcome {
    /// Puts what came of another part of the family behind this.
    pub(crate) fn add(&mut self, more: Self) {
        self.rows.extend(more.rows);
        self.plots.extend(more.plots);
        self.remarks.extend(more.remarks);
    }

    pub(crate) fn failed(family: Family, why: &str) -> Self {
        let row = Row::tells(format!("all of `{}`", family.word()), "nothing").note(why);
        Self { rows: vec![Row { verdict: Verdict::Failed, ..row }], ..Self::default() }
    }
}

/// Everything of one run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) quick: bool,
    pub(crate) seconds: f64,
    pub(crate) outcomes: Vec<(Family, Outcome)>,
}

const HEAD: &str = "# Performance

Every target of the design, measured beside its anchor in one run by `make bench`. Run it again to get the \
figures of another machine; `BENCH_ARGS=--quick` gives a look in minutes, and `BENCH_ARGS=\"--only append,read\"` \
measures some families.

A ratio is ours beside the anchor, so that more is better: rates are divided, times the other way round. \
Rates and times are medians of rounds in which ours and the anchor take turns; where a row shows a spread, it is \
that of the rounds. The machine-readable form of this page is [results.json](performance/results.json).
";
/// What stands beside a missed target whose reason nobody has written down.
const NOT_EXPLAINED: &str = "Not yet explained.";
const COLUMNS: &str = "| What | Target | Measured | Anchor in the same run | Ratio | |\n|---|---|---|---|---|---|\n";
const COLUMNS_BESIDE_ORIGINAL: &str = "| What, through the HTTP API | The original, as measured | Target | Measured | Anchor in the same run | Ratio | |\n\
     |---|---|---|---|---|---|---|\n";

impl Report {
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.outcomes.iter().flat_map(|(_, outcome)| &outcome.rows)
    }

    /// The page.
    pub(crate) fn markdown(&self) -> String {
        let mut page = HEAD.to_owned();
        page.push_str(&self.circumstances());
        let of_original: Vec<&Row> = self.rows().filter(|row| row.original.is_some()).collect();
        page.push_str("\n## Targets\n\n");
        page.push_str(COLUMNS);
        self.rows().filter(|row| row.original.is_none()).for_each(|row| page.push_str(&row.cells()));
        if !of_original.is_empty() {
            page.push_str("\n## Beside the original\n\n");
            page.push_str(COLUMNS_BESIDE_ORIGINAL);
            of_original.iter().for_each(|row| page.push_str(&row.cells()));
        }
        page.push_str(&self.missed());
        page.push_str(&self.notes());
        page.push_str(&self.pictures());
        page
    }

    fn circumstances(&self) -> String {
        let Machine { processor, cores, memory_bytes, kernel, disk, sync_ms, postgres, rust, commit, load_before } =
            &self.machine;
        let size =
            if self.quick { "**a quick look at small sizes, which says little about the targets**" } else { "whole" };
        format!(
            "\n| Circumstance | |\n|---|---|\n\
             | run | {size}, {} minutes |\n| commit | {commit} |\n| machine | {cores} × {processor}, {} of memory, Linux {kernel} |\n\
             | disk | {disk}; a write of 4 KiB with fdatasync takes {} ms |\n| beside it | {postgres}; {rust} |\n\
             | load of the machine before and after | {load_before}; {} |\n",
            number(self.seconds / 60.0),
            bytes(*memory_bytes as f64),
            number(*sync_ms),
            load()
        )
    }

    fn missed(&self) -> String {
        let mut text = "\n## Missed\n\n".to_owned();
        let missed: Vec<&Row> = self.rows().filter(|row| row.verdict == Verdict::Missed).collect();
        if missed.is_empty() {
            text.push_str("None.\n");
        }
        for row in missed {
            let limit = if row.limit.is_empty() { NOT_EXPLAINED } else { &row.limit };
            writeln!(text, "- {}: {} where {} was asked for. {limit}", row.what, row.measured, row.target)
                .expect("a text grows");
        }
        text
    }

    fn notes(&self) -> String {
        let mut text = "\n## What the rows mean\n\n".to_owned();
        for row in self.rows().filter(|row| !row.note.is_empty()) {
            writeln!(text, "- *{}*: {}", row.what, row.note).expect("a text grows");
        }
        for remark in self.outcomes.iter().flat_map(|(_, outcome)| &outcome.remarks) {
            writeln!(text, "- {remark}").expect("a text grows");
        }
        text
    }

    fn pictures(&self) -> String {
        let mut text = "\n## Plots\n".to_owned();
        for (name, plot) in self.plots() {
            writeln!(text, "\n![{}](performance/{name}.svg)", plot.title).expect("a text grows");
        }
        text
    }

    /// Every plot under the name of its file.
    fn plots(&self) -> impl Iterator<Item = (String, &Plot)> {
        self.outcomes.iter().flat_map(|(family, outcome)| {
            let name =
                |at: usize| if at == 0 { family.word().to_owned() } else { format!("{}-{}", family.word(), at + 1) };
            outcome.plots.iter().enumerate().map(move |(at, plot)| (name(at), plot))
        })
    }

    fn json(&self) -> Value {
        let families = self.outcomes.iter().map(
            |(family, outcome)| json!({"family": family.word(), "rows": outcome.rows, "remarks": outcome.remarks}),
        );
        json!({
            "machine": self.machine,
            "quick": self.quick,
            "seconds": self.seconds,
            "families": families.collect::<Vec<_>>(),
        })
    }

    /// Writes the page, and beside it a folder with the rest.
    ///
    /// # Errors
    /// When something cannot be written.
    pub(crate) fn write(&self, out: &Path) -> io::Result<()> {
        let folder = out.join("performance");
        fs::create_dir_all(&folder)?;
        fs::write(out.join("performance.md"), self.markdown())?;
        let json = serde_json::to_string_pretty(&self.json())?;
        fs::write(folder.join("results.json"), json + "\n")?;
        self.plots().try_for_each(|(name, plot)| fs::write(folder.join(format!("{name}.svg")), plot.svg()))
    }
}

impl Row {
    fn cells(&self) -> String {
        let ratio = self.ratio.map_or_else(String::new, |ratio| format!("{}×", number(ratio)));
        let cell = |text: &str| text.replace('|', "\\|");
        let original = self.original.as_ref().map_or_else(String::new, |original| format!(" {} |", cell(original)));
        let [what, target, measured, anchor] =
            [&self.what, &self.target, &self.measured, &self.anchor].map(|text| cell(text));
        format!("| {what} |{original} {target} | {measured} | {anchor} | {ratio} | {} |\n", self.verdict.word())
    }

    /// For whoever watches.
    pub(crate) fn line(&self) -> String {
        let ratio = self.ratio.map_or_else(String::new, |ratio| format!(" = {}×", number(ratio)));
        let Self { what, target, measured, anchor, verdict, .. } = self;
        format!("{:12} {what}: {measured} [{target}] beside {anchor}{ratio}", verdict.word().replace("**", ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let machine = Machine {
            processor: "abacus".to_owned(),
            cores: 2,
            memory_bytes: 1 << 34,
            kernel: "6".to_owned(),
            disk: "ext4".to_owned(),
            sync_ms: 1.0,
            postgres: "psql 17".to_owned(),
            rust: "rustc 1".to_owned(),
            commit: "0123".to_owned(),
            load_before: 0.1,
        };
        let slow = Row::judged("push", "≥ 0.8×", "0.5×", false).beside("tar | gzip", "3 s", 0.5);
        let late = Row::judged("pull", "≤ 1 s", "2 s", false).limit("The cable carries no more.");
        let found = Row::judged("find", "≤ 0.1 s", "10 ms", true).original("9.3 s").note("by tag").limit("No cable.");
        let group = crate::plot::Group { name: "push".to_owned(), bars: vec![("ours".to_owned(), 1.0)], target: None };
        let plots = vec![Plot::bars("transfers", "MB/s", vec![group])];
        let outcome = Outcome { rows: vec![slow, late, found], plots, remarks: vec!["a remark".to_owned()] };
        Report { machine, quick: false, seconds: 90.0, outcomes: vec![(Family::Transfer, outcome)] }
    }

    #[test]
    fn a_page_has_both_tables_and_names_what_was_missed_and_why() {
        let page = report().markdown();
        assert!(page.contains("| push | ≥ 0.8× | 0.5× | tar \\| gzip: 3 s | 0.500× | **missed** |"), "{page}");
        assert!(page.contains("| find | 9.3 s | ≤ 0.1 s | 10 ms |  |  | met |"), "{page}");
        assert!(page.contains("- push: 0.5× where ≥ 0.8× was asked for. Not yet explained.\n"), "{page}");
        assert!(page.contains("- pull: 2 s where ≤ 1 s was asked for. The cable carries no more.\n"), "{page}");
        assert!(!page.contains("No cable."), "the reason of a target that is met stands there: {page}");
        assert!(page.contains("- *find*: by tag") && page.contains("- a remark"), "{page}");
    }

    #[test]
    fn everything_that_a_page_refers_to_is_written() {
        let out = tempfile::tempdir().unwrap();
        report().write(out.path()).unwrap();
        for file in ["performance.md", "performance/results.json", "performance/transfer.svg"] {
            assert!(out.path().join(file).is_file(), "{file}");
        }
        let json: Value =
            serde_json::from_slice(&fs::read(out.path().join("performance/results.json")).unwrap()).unwrap();
        assert_eq!(json["families"][0]["rows"][0]["verdict"], "missed");
    }
}
