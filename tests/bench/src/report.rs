//! The results: a table for people, JSON for programs, a plot for each comparison.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::args::Family;
use crate::machine::Machine;
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

/// Everything of one run, or of a whole one in which some families were measured again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    results: Results,
    /// Plots that were drawn in this run, under the names of their files.
    plots: Vec<(String, Plot)>,
}

/// What programs read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    machine: Machine,
    quick: bool,
    seconds: f64,
    families: Vec<Told>,
}

/// One family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Told {
    family: Family,
    rows: Vec<Row>,
    remarks: Vec<String>,
    /// Titles of its plots.
    #[serde(default)]
    plots: Vec<String>,
    /// When it was measured again, by itself.
    #[serde(default)]
    again: Option<Again>,
}

/// A run that measured some families again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Again {
    machine: Machine,
    seconds: f64,
}

const HEAD: &str = "# Performance

Every target of the design, measured beside its anchor in one run by `make bench`. Run it again to get the \
figures of another machine; `BENCH_ARGS=--quick` gives a look in minutes, and `BENCH_ARGS=\"--only append,read\"` \
measures some families, and \
with `--within docs` puts them into this page. `--workflows DIR` takes the shapes of large graphs from recorded \
workflows, files of WfFormat such as those of WfInstances.

A ratio is ours beside the anchor, so that more is better: rates are divided, times the other way round. \
Rates and times are medians of rounds in which ours and the anchor take turns; what stands in parentheses is \
the lowest and the highest of them. Where a request is repeated often enough, p50 and p99 stand instead. The machine-readable form of this page is [results.json](performance/results.json).
";
/// What stands beside a missed target whose reason nobody has written down.
const NOT_EXPLAINED: &str = "Not yet explained.";
const COLUMNS: &str = "| What | Target | Measured | Anchor in the same run | Ratio | |\n|---|---|---|---|---|---|\n";
const COLUMNS_BESIDE_ORIGINAL: &str = "| What, through the HTTP API | The original, as measured | Target | Measured | Anchor in the same run | Ratio | |\n\
     |---|---|---|---|---|---|---|\n";

impl Report {
    pub(crate) fn new(machine: Machine, quick: bool, seconds: f64, outcomes: Vec<(Family, Outcome)>) -> Self {
        let (mut families, mut plots) = (Vec::new(), Vec::new());
        for (family, Outcome { rows, plots: drawn, remarks }) in outcomes {
            let titles = drawn.iter().map(|plot| plot.title.clone()).collect();
            families.push(Told { family, rows, remarks, plots: titles, again: None });
            plots.extend((0..).map(|at| file(family, at)).zip(drawn));
        }
        Self { results: Results { machine, quick, seconds, families }, plots }
    }

    /// Puts what was measured into an earlier run, in the place of what that has of these families.
    pub(crate) fn within(self, mut earlier: Results) -> Self {
        let Results { machine, seconds, families, quick: _ } = self.results;
        for family in families {
            let again = Some(Again { machine: machine.clone(), seconds });
            earlier.families.retain(|other| other.family != family.family);
            earlier.families.push(Told { again, ..family });
        }
        earlier.families.sort_by_key(|told| told.family);
        Self { results: earlier, plots: self.plots }
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.results.families.iter().flat_map(|told| &told.rows)
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
            &self.results.machine;
        let size = if self.results.quick {
            "**a quick look at small sizes, which says little about the targets**"
        } else {
            "whole"
        };
        format!(
            "\n| Circumstance | |\n|---|---|\n\
             | run | {size}, {} minutes |\n| commit | {commit} |\n| machine | {cores} × {processor}, {} of memory, Linux {kernel} |\n\
             | disk | {disk}; a write of 4 KiB with fdatasync takes {} ms |\n| beside it | {postgres}; {rust} |\n\
             | load of the machine before | {load_before} |\n{}",
            number(self.results.seconds / 60.0),
            bytes(*memory_bytes as f64),
            number(*sync_ms),
            self.measured_again()
        )
    }

    /// Which families are of another run.
    fn measured_again(&self) -> String {
        let again = |told: &Told| {
            let Again { machine, seconds } = told.again.as_ref()?;
            let Machine { commit, sync_ms, load_before, .. } = machine;
            let (minutes, sync_ms) = (number(seconds / 60.0), number(*sync_ms));
            Some(format!(
                "| `{}`, measured again | {minutes} minutes; commit {commit}; a write with fdatasync takes {sync_ms} ms; \
                 load before {load_before} |\n",
                told.family.word()
            ))
        };
        self.results.families.iter().filter_map(again).collect()
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
        for remark in self.results.families.iter().flat_map(|told| &told.remarks) {
            writeln!(text, "- {remark}").expect("a text grows");
        }
        text
    }

    fn pictures(&self) -> String {
        let mut text = "\n## Plots\n".to_owned();
        for told in &self.results.families {
            for (title, at) in told.plots.iter().zip(0..) {
                writeln!(text, "\n![{title}](performance/{}.svg)", file(told.family, at)).expect("a text grows");
            }
        }
        text
    }

    /// Writes the page, and beside it a folder with the rest.
    ///
    /// # Errors
    /// When something cannot be written.
    pub(crate) fn write(&self, out: &Path) -> io::Result<()> {
        let folder = out.join("performance");
        fs::create_dir_all(&folder)?;
        fs::write(out.join("performance.md"), self.markdown())?;
        let json = serde_json::to_string_pretty(&self.results)?;
        fs::write(folder.join("results.json"), json + "\n")?;
        self.plots.iter().try_for_each(|(name, plot)| fs::write(folder.join(format!("{name}.svg")), plot.svg()))
    }
}

impl Results {
    /// Those that [`Report::write`] has left in a folder.
    ///
    /// # Errors
    /// When there are none, or not such as can be read.
    pub(crate) fn of(out: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(out.join("performance/results.json"))?)?)
    }
}

/// The name of the file of a plot, counted from 0.
fn file(family: Family, at: usize) -> String {
    if at == 0 { family.word().to_owned() } else { format!("{}-{}", family.word(), at + 1) }
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
        Report::new(machine, false, 90.0, vec![(Family::Transfer, outcome)])
    }

    #[test]
    fn families_that_are_measured_again_take_the_place_of_theirs_and_say_so() {
        let out = tempfile::tempdir().unwrap();
        report().write(out.path()).unwrap();
        let quick = Row::judged("push", "≥ 0.8×", "0.9×", true);
        let other = Row::judged("append", "≥ 0.8×", "0.7×", false);
        let again = [(Family::Transfer, quick), (Family::Append, other)];
        let again = again.map(|(family, row)| (family, Outcome { rows: vec![row], ..Outcome::default() }));
        let machine = Machine { commit: "4567".to_owned(), ..report().results.machine };
        let again = Report::new(machine, false, 60.0, again.to_vec()).within(Results::of(out.path()).unwrap());
        let page = again.markdown();
        assert!(!page.contains("pull") && page.contains("| push | ≥ 0.8× | 0.9× |"), "{page}");
        assert!(page.find("| append |") < page.find("| push |"), "in the order of a whole run: {page}");
        assert!(
            page.contains("| commit | 0123 |")
                && page.contains("| `append`, measured again | 1.00 minutes; commit 4567;"),
            "{page}"
        );
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
        let json: serde_json::Value =
            serde_json::from_slice(&fs::read(out.path().join("performance/results.json")).unwrap()).unwrap();
        assert_eq!(json["families"][0]["rows"][0]["verdict"], "missed");
    }
}
