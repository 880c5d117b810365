//! How many Runs a Plan would have had, had it always been registered.
//!
//! For every input, each Data that ever fitted it did so for some spans of the log. A combination would have become a
//! Run at the first position at which all its members fit together. Combinations are not walked through: when a Data
//! fits an input for the first time, it makes a Run with every combination of the Data that fit the others at that
//! moment, and those are counted by multiplying. Only a Data that comes back, after it had lost a tag, may meet
//! combinations that had their Run before; there each is looked at, a bounded number of them.

use knit_domain::event::Position;
use knit_domain::event::plan::PlanDefinition;
use knit_domain::matching::Requirement;

use super::column::{DataRow, TagRow};
use super::data::NEVER;
use super::{At, Limit, Store};

/// Combinations that are looked at one by one for one answer: some hundred milliseconds.
pub const LOOKED_AT_MAX: u64 = 1_000_000;

/// How many Runs there would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRuns {
    /// Before the first boundary, between each two, and after the last.
    pub counts: Vec<u64>,
    /// Whether the counts are exact; otherwise there would have been at least so many.
    pub exact: bool,
}

/// A Data on an input, with the spans in which it fits: from the first position to before the second.
#[derive(Debug, Clone)]
struct Fit {
    input: usize,
    spans: Vec<(Position, Position)>,
}

/// What happens to a fit at a position. Ends come before beginnings at the same one: what a Data loses by an event it
/// has not while it gains something else by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Ends,
    Begins,
}

impl Store {
    /// How many Runs a Plan would have had, by the part of the log in which each would have been made. `boundaries`
    /// are the last positions of the parts but the last, ascending. At most `looks` combinations are looked at.
    #[must_use]
    pub fn past_runs(&self, plan: &PlanDefinition, boundaries: &[Position], at: At, looks: u64) -> PastRuns {
        let limit = at.limit();
        let inputs = plan.inputs.iter().enumerate();
        let fits: Vec<Fit> =
            inputs.flat_map(|(input, point)| self.fits_of(input, &Requirement::of(&point.tags), limit)).collect();
        let mut replay = Replay::new(&fits, plan.inputs.len(), boundaries, looks);
        let mut turns: Vec<(Position, Turn, usize, usize)> = Vec::new();
        for (fit, Fit { spans, .. }) in fits.iter().enumerate() {
            for (span, (from, until)) in spans.iter().enumerate() {
                turns.push((*from, Turn::Begins, fit, span));
                turns.extend(limit.covers(*until).then_some((*until, Turn::Ends, fit, span)));
            }
        }
        turns.sort_unstable();
        for (position, turn, fit, span) in turns {
            match turn {
                Turn::Begins => replay.begin(fit, span, position),
                Turn::Ends => replay.end(fit),
            }
        }
        replay.past
    }

    /// Every Data that ever fitted what `requirement` asks for.
    fn fits_of(&self, input: usize, requirement: &Requirement, limit: Limit) -> Vec<Fit> {
        let asked = requirement.tags().iter().map(|tag| self.tags.row(tag)).collect::<Option<Vec<TagRow>>>();
        let Some(asked) = asked else { return Vec::new() };
        let candidates: Vec<DataRow> = match requirement.id_pin() {
            Some(pin) => {
                pin.parse().ok().and_then(|pin: knit_domain::id::KnitId| self.data.ids.row(pin.0)).into_iter().collect()
            }
            None if asked.is_empty() => self.data.ids.rows().collect(),
            None => self.ever_with_all(&asked),
        };
        let fit = |data| {
            let spans = self.spans(data, &asked, requirement, limit);
            (!spans.is_empty()).then_some(Fit { input, spans })
        };
        candidates.into_iter().filter_map(fit).collect()
    }

    fn ever_with_all(&self, asked: &[TagRow]) -> Vec<DataRow> {
        let sets = self.tags.sets_with_all(asked).into_iter();
        let mut rows: Vec<DataRow> = sets.flat_map(|set| self.data.ever_with.of(set)).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// When a Data fitted, oldest first; spans that touch are one.
    fn spans(
        &self,
        data: DataRow,
        asked: &[TagRow],
        requirement: &Requirement,
        limit: Limit,
    ) -> Vec<(Position, Position)> {
        let Some(available) = self.available_since(data, limit) else { return Vec::new() };
        if !self.is_asked_for(data, requirement, limit) {
            return Vec::new();
        }
        let record = &self.data.records[data];
        // Newest first: until where, and which tags before that.
        let mut until = record.gone;
        let mut spans: Vec<(Position, Position)> = Vec::new();
        let (mut tags, mut next) = (record.tags, record.retagged);
        loop {
            let change = next.map(|row| self.data.retags[row]);
            let from = change.map_or(available, |change| change.position.max(available));
            if self.tags.has_all(tags, asked) && from < until && limit.covers(from) {
                match spans.last_mut() {
                    Some(later) if later.0 == until => later.0 = from,
                    Some(_) | None => spans.push((from, until)),
                }
            }
            let Some(change) = change else { break };
            (until, tags, next) = (change.position.min(until), change.before, change.previous);
        }
        spans.reverse();
        spans
    }

    /// Whether a Data is what the pins say, and anything can be what is asked for.
    fn is_asked_for(&self, data: DataRow, requirement: &Requirement, limit: Limit) -> bool {
        let tags = requirement.tags().iter().cloned().collect();
        let (knit_id, timestamp) = (self.data.id(data), self.timestamp(data, limit));
        requirement.admits(&knit_domain::matching::Candidate { knit_id, tags: &tags, timestamp, done: true })
    }
}

/// The log as the Plan would have seen it, event after event.
struct Replay<'a> {
    fits: &'a [Fit],
    boundaries: &'a [Position],
    /// The fits that hold now, for each input.
    live: Vec<Vec<usize>>,
    looks: u64,
    past: PastRuns,
}

impl<'a> Replay<'a> {
    fn new(fits: &'a [Fit], inputs: usize, boundaries: &'a [Position], looks: u64) -> Self {
        let past = PastRuns { counts: vec![0; boundaries.len() + 1], exact: true };
        Self { fits, boundaries, live: vec![Vec::new(); inputs], looks, past }
    }

    fn begin(&mut self, fit: usize, span: usize, position: Position) {
        let input = self.fits[fit].input;
        let made = if span == 0 { self.with_all_others(input) } else { self.with_new_others(fit, position) };
        let part = self.boundaries.partition_point(|boundary| *boundary < position);
        let count = &mut self.past.counts[part];
        self.past.exact &= count.checked_add(made).is_some();
        *count = count.saturating_add(made);
        self.live[input].push(fit);
    }

    fn end(&mut self, fit: usize) {
        self.live[self.fits[fit].input].retain(|live| *live != fit);
    }

    /// How many combinations of the other inputs there are now.
    fn with_all_others(&mut self, input: usize) -> u64 {
        let others = self.live.iter().enumerate().filter(|(other, _)| *other != input);
        let product = others.map(|(_, live)| live.len() as u128).try_fold(1_u128, u128::checked_mul);
        let made = product.and_then(|product| u64::try_from(product).ok());
        self.past.exact &= made.is_some();
        made.unwrap_or(u64::MAX)
    }

    /// How many of them never fitted together with `fit` before `position`.
    fn with_new_others(&mut self, fit: usize, position: Position) -> u64 {
        let input = self.fits[fit].input;
        let all = self.with_all_others(input);
        if all > self.looks {
            self.past.exact = false;
            return 0;
        }
        self.looks -= all;
        let others: Vec<&Vec<usize>> =
            self.live.iter().enumerate().filter(|(other, _)| *other != input).map(|(_, live)| live).collect();
        let earlier = before(&self.fits[fit].spans, position);
        new_combinations(self.fits, &others, &earlier, position)
    }
}

/// How many combinations of one of each of `others` never fitted together within `earlier`.
fn new_combinations(fits: &[Fit], others: &[&Vec<usize>], earlier: &[(Position, Position)], position: Position) -> u64 {
    let Some((first, rest)) = others.split_first() else { return u64::from(earlier.is_empty()) };
    let with = |fit: &usize| {
        let common = common(earlier, &before(&fits[*fit].spans, position));
        new_combinations(fits, rest, &common, position)
    };
    first.iter().map(with).sum()
}

/// The parts of `spans` before `position`.
fn before(spans: &[(Position, Position)], position: Position) -> Vec<(Position, Position)> {
    let begun = spans.iter().filter(|(from, _)| *from < position);
    begun.map(|(from, until)| (*from, (*until).min(position))).collect()
}

/// The parts that two lists of spans have in common.
fn common(some: &[(Position, Position)], others: &[(Position, Position)]) -> Vec<(Position, Position)> {
    let both =
        some.iter().flat_map(|(from, until)| others.iter().map(move |(f, u)| ((*from).max(*f), (*until).min(*u))));
    both.filter(|(from, until)| from < until).collect()
}

/// The end of what has none is behind every position that can be asked about.
const _: () = assert!(NEVER == Position::MAX);
