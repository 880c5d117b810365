//! Which nodes of a walk are shown, and how many of them in one answer.

use std::fmt;
use std::str::FromStr;

use knit_domain::event::Position;
use knit_domain::id::PlanId;
use knit_domain::run::Status;
use knit_domain::tag::Tag;

use super::super::column::{DataRow, RunRow};
use super::super::find::Wanted;
use super::super::{Limit, Store};
use super::{Seen, Start, Walked};

/// What to show of a walk; the default is all of it. It goes through everything, whatever is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Show {
    /// Data that have all of these, user and system tags; already trimmed.
    pub tags: Vec<Tag>,
    /// Runs that carry out one of these.
    pub plans: Option<Vec<PlanId>>,
    /// Runs in one of these statuses.
    pub statuses: Option<Vec<Status>>,
    /// Nodes that earlier answers have shown: Data count before Runs.
    pub behind: usize,
    /// Nodes in this answer at most.
    pub nodes_max: Option<usize>,
    /// Whether the answer says which position it is about.
    pub is_dated: bool,
}

/// Where an answer ended, so that another goes on there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continuation {
    /// What it was about. The rest must be about the same.
    pub position: Position,
    /// Nodes shown.
    pub behind: usize,
}

impl fmt::Display for Continuation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.position, self.behind)
    }
}

impl FromStr for Continuation {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (position, behind) = text.split_once('-').ok_or(())?;
        Ok(Self { position: position.parse().map_err(|_| ())?, behind: behind.parse().map_err(|_| ())? })
    }
}

impl Store {
    /// What of `walked` is to be shown, and how many nodes are behind then, if there are more.
    pub(super) fn shown(&self, start: Start, mut walked: Walked, show: &Show, limit: Limit) -> (Walked, Option<usize>) {
        self.sift(start, &mut walked, show, limit);
        let all = walked.data.len() + walked.runs.len();
        let end = show.nodes_max.map_or(all, |nodes_max| all.min(show.behind.saturating_add(nodes_max)));
        if show.behind > 0 || end < all {
            let of_data = walked.data.len();
            let page = |from: usize, len: usize| {
                let at = |node: usize| node.saturating_sub(from).min(len);
                at(show.behind)..at(end).max(at(show.behind))
            };
            walked.data = walked.data[page(0, of_data)].to_vec();
            walked.runs = walked.runs[page(of_data, walked.runs.len())].to_vec();
        }
        if walked.data.len() < all {
            let shown: std::collections::HashSet<DataRow> = walked.data.iter().copied().collect();
            walked.cut.retain(|data| shown.contains(data));
        }
        (walked, (end < all).then_some(end))
    }

    /// Leaves out what does not fit; the start stays. Where Runs are left out, so are the Data that none of those that stay
    /// takes or makes: who asks for the Runs of a Plan wants to see what these are about.
    fn sift(&self, start: Start, walked: &mut Walked, show: &Show, limit: Limit) {
        if !show.tags.is_empty() {
            let wanted = Wanted::of(&show.tags, &self.tags);
            let fits = |row: DataRow| wanted.as_ref().is_some_and(|wanted| self.fits(row, wanted, limit));
            walked.data.retain(|row| start == Start::Data(self.data.id(*row)) || fits(*row));
        }
        if show.plans.is_some() || show.statuses.is_some() {
            walked.runs.retain(|row| start == Start::Run(self.runs.id(*row)) || self.run_fits(*row, show, limit));
            let touched = self.touched(&walked.runs, limit);
            walked.data.retain(|row| start == Start::Data(self.data.id(*row)) || touched.contains(*row));
        }
    }

    /// The Data that these Runs take or make.
    fn touched(&self, runs: &[RunRow], limit: Limit) -> Seen<DataRow> {
        let mut touched = Seen::with_room_for(self.data.ids.len());
        for &run in runs {
            self.runs.inputs(run).for_each(|(_, edge)| {
                touched.insert(edge.data);
            });
            self.outputs(run, limit).into_iter().for_each(|data| {
                touched.insert(data);
            });
        }
        touched
    }

    fn run_fits(&self, row: RunRow, show: &Show, limit: Limit) -> bool {
        let plan = self.plans.id(self.runs.records[row].plan);
        let status = || self.seen_status(row, limit);
        show.plans.as_ref().is_none_or(|plans| plans.contains(&plan))
            && show.statuses.as_ref().is_none_or(|statuses| status().is_some_and(|status| statuses.contains(&status)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_continuation_is_read_as_it_is_written() {
        let token = Continuation { position: 12, behind: 345 };
        assert_eq!((token.to_string().as_str(), token.to_string().parse()), ("12-345", Ok(token)));
        for bad in ["", "12", "12-", "-3", "a-b", "1-2-3"] {
            assert_eq!(bad.parse::<Continuation>(), Err(()), "{bad}");
        }
    }
}
