//! What is said of Data and Runs, for people.

use knit_schemas::lineage::Index;
use knit_schemas::lineage::graph::{Data, Run, Tag};

use crate::tree::{Paint, Style, digits_of, shortened};

/// What is said of Data and Runs in a line.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    index: &'a Index<'a>,
    pub(super) paint: Paint,
    /// Of ids; of the thing that was asked about, all.
    digits: usize,
}

impl<'a> Words<'a> {
    pub(super) fn new(index: &'a Index<'a>, style: Style) -> Self {
        let (data, runs) = (&index.graph.data, &index.graph.runs);
        let ids = data.iter().map(|data| data.knit_id.as_str()).chain(runs.iter().map(|run| run.run_id.as_str()));
        Self { index, paint: Paint { is_coloured: style.is_coloured }, digits: digits_of(ids, style) }
    }

    fn id<'i>(&self, id: &'i str) -> &'i str {
        if id == self.index.graph.start.as_str() { id } else { shortened(id, self.digits) }
    }

    /// The words about a Data; each stays on one line.
    pub(super) fn data(&self, data: &Data<'_>) -> Vec<String> {
        let mut words = vec![format!("{} {}", self.paint.green("Data"), self.id(data.knit_id.as_str()))];
        let users = data.tags.iter().filter(|tag| !tag.is_system()).map(Tag::parts);
        words.extend(users.map(|(key, value)| format!("{}:{value}", self.paint.bold(key))));
        let transient = data.tags.iter().map(Tag::parts).find(|(key, _)| *key == "knit#transient");
        words.extend(transient.map(|(_, value)| format!("({})", self.paint.status(value))));
        words.extend(self.index.is_cut(data).then(|| "(more: -n all)".to_owned()));
        words
    }

    /// The words about a Run; each stays on one line.
    pub(super) fn run(&self, run: &Run<'_>) -> Vec<String> {
        let status = self.paint.status(run.status.as_str());
        let exit = run.exit.as_ref().filter(|exit| exit.code != 0).map(|exit| format!(" (exit code {})", exit.code));
        let mut words = vec![format!("{} {}", self.paint.yellow("Run"), self.id(run.run_id.as_str()))];
        words.push(format!("{status}{}", exit.unwrap_or_default()));
        // Together, so that no line is only the command.
        let command = self.index.command_line(run).map(|command| format!("  {}", self.paint.faint(command)));
        words.push(format!("{}{}", self.index.what_runs(run), command.unwrap_or_default()));
        words
    }
}
