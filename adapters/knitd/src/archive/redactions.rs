//! What was redacted, and how far an archive has to go so that it says so itself.

use std::collections::{BTreeMap, BTreeSet};

use knit_domain::event::journal::JournalEvent;
use knit_domain::event::{Event, Position, StreamId};
use knit_log::{Log, ReadError};
use knit_schemas::export::{Envelopes, Segment};

/// The events that were redacted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Redactions(BTreeMap<Position, Admission>);

/// What is said of a redacted event.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Admission {
    /// The position of the last event that admits it.
    at: Position,
    /// The hash of its envelope in hexadecimal; none if an older program redacted it.
    envelope: Option<String>,
}

impl Redactions {
    /// Those of which the log says so.
    pub(crate) async fn of(log: &Log) -> Result<Self, ReadError> {
        let journal = log.load(&StreamId::journal()).await?;
        let admitted = journal.iter().filter_map(|recorded| {
            let Event::Journal(JournalEvent::EventRedacted { position, envelope_sha256, .. }) = &recorded.event else {
                return None;
            };
            Some((*position, Admission { at: recorded.position, envelope: envelope_sha256.clone() }))
        });
        // In the order of the log: an admission that was emptied itself is followed by another one.
        Ok(Self(admitted.collect()))
    }

    /// How far a history has to go that goes as far as `position` and admits itself whatever is redacted in it: what
    /// comes in with an admission may have been redacted, too.
    pub(super) fn admitted_from(&self, position: Position) -> Position {
        let (mut looked_at, mut reach) = (0, position);
        while looked_at < reach {
            let admissions = self.0.range(looked_at + 1..=reach).map(|(_, admission)| admission.at);
            (looked_at, reach) = (reach, admissions.fold(reach, Position::max));
        }
        reach
    }

    /// The redacted events of a segment.
    pub(super) fn within(&self, segment: Segment) -> BTreeSet<Position> {
        self.0.range(segment.first..=segment.last).map(|(position, _)| *position).collect()
    }

    /// The first of these emptied events, each with the hash of its envelope in hexadecimal, that is not as its redaction
    /// has left it, and the position of that.
    pub(super) fn contradicted(&self, emptied: &Envelopes) -> Option<(Position, Position)> {
        emptied.iter().find_map(|(position, envelope)| {
            let Admission { at, envelope: left } = self.0.get(position)?;
            left.as_ref().is_some_and(|left| left != envelope).then_some((*position, *at))
        })
    }

    pub(super) fn contains(&self, position: Position) -> bool {
        self.0.contains_key(&position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_goes_on_until_nothing_in_it_is_redacted_without_its_admission() {
        let admissions = [(5, 24), (22, 31), (26, 40), (45, 50)];
        let redactions =
            Redactions(admissions.map(|(position, at)| (position, Admission { at, envelope: None })).into());
        assert_eq!(redactions.admitted_from(4), 4);
        assert_eq!(redactions.admitted_from(5), 40, "24 brings in 22, whose admission at 31 brings in 26");
        assert_eq!(redactions.admitted_from(44), 44);
        assert_eq!(redactions.admitted_from(45), 50);
        assert_eq!(redactions.admitted_from(50), 50);
    }
}
