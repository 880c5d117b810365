//! Verifying a batch by itself: every event is held against its own leaf and against the event before it.

use std::collections::BTreeSet;

use super::record::{Begin, End, Event, REDACTION, Record, VERSION};
use super::split::{Batch, Ending};
use super::verification::{Flaw, Wrong};
use crate::chain::{GENESIS, Hash, link};

/// Where a part of the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) position: u64,
    pub(super) recorded_at_ms: i64,
    pub(super) chain: Hash,
}

/// An event whose content was taken out, or the admission of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redaction {
    /// Of the emptied event.
    pub(super) position: u64,
    /// Its leaf in hexadecimal.
    pub(super) leaf: String,
    /// The hash of its envelope in hexadecimal: as it is, or as the admission has it. None where an older program
    /// redacted it, which wrote none down.
    pub(super) envelope: Option<String>,
}

/// What was found in a batch.
#[derive(Debug, Default)]
pub struct Checked {
    /// Events that are in order.
    pub(super) events: u64,
    pub(super) begin: Option<Begin>,
    /// Where the events end that are in order.
    pub(super) reached: Option<Place>,
    /// Watched positions, with the chain there.
    pub(super) chains: Vec<(u64, Hash)>,
    pub(super) emptied: Vec<Redaction>,
    /// Each with the position that admits it.
    pub(super) admitted: Vec<(u64, Redaction)>,
    pub(super) end: Option<End>,
    /// What is wrong behind those events.
    pub(super) flaw: Option<Flaw>,
}

/// Verifies a batch, and notes the chain at the `watched` positions.
///
/// The first event of a batch is held against the last of the batch before. If that one is in no order, neither is
/// what is told about this batch, but then the batch before says so.
#[must_use]
pub fn check(batch: &Batch, watched: &BTreeSet<u64>) -> Checked {
    let (records, unread) = decoded(batch);
    checked(batch, &records, unread, watched)
}

/// The same, and the events of the batch for whoever carries them on. They are worth nothing where a flaw is told.
#[must_use]
pub fn check_and_keep(batch: &Batch, watched: &BTreeSet<u64>) -> (Checked, Vec<Event>) {
    let (records, unread) = decoded(batch);
    let checked = checked(batch, &records, unread, watched);
    let event = |record| if let Record::Event(event) = record { Some(event) } else { None };
    (checked, records.into_iter().filter_map(event).collect())
}

fn checked(batch: &Batch, records: &[Record], unread: Option<Wrong>, watched: &BTreeSet<u64>) -> Checked {
    let (mut checked, mut records) = (Checked::default(), records);
    let before = if batch.before.is_empty() { None } else { batch.format.decode(&batch.before).ok() };
    let start = match &before {
        None if batch.before.is_empty() => match records.split_first() {
            Some((Record::Begin(begin), rest)) => {
                records = rest;
                checked.begin(begin.clone(), watched)
            }
            _ => Err(Flaw { position: 0, wrong: Wrong::NoBegin }),
        },
        None => return checked,
        Some(Record::Begin(begin)) => Ok(place_of(begin)),
        Some(Record::Event(event)) => Ok(place_at(event)),
        Some(Record::End(end)) if batch.records.is_empty() && matches!(batch.end, None | Some(Ending::Clean)) => {
            checked.end = Some(end.clone());
            return checked;
        }
        Some(Record::End(End { position, .. })) => {
            Err(Flaw { position: position.saturating_add(1), wrong: Wrong::MoreBehindTheEnd })
        }
        Some(Record::Unreadable(_)) => return checked,
    };
    match start.and_then(|start| checked.walk(start, records, watched)) {
        Err(flaw) => checked.flaw = Some(flaw),
        Ok(place) => checked.flaw = checked.flaw_at_the_end(place, batch, unread),
    }
    checked
}

/// The records of a batch up to the first that is none, and what is wrong with that one.
pub(super) fn decoded(batch: &Batch) -> (Vec<Record>, Option<Wrong>) {
    let (mut records, mut rest) = (Vec::new(), batch.records.as_slice());
    while !rest.is_empty() {
        let read = batch.format.first_record_bytes(rest).map(|bytes| bytes.unwrap_or(rest.len()));
        match read.and_then(|bytes| Ok((batch.format.decode(&rest[..bytes])?, bytes))) {
            Ok((record, bytes)) => {
                records.push(record);
                rest = &rest[bytes..];
            }
            Err(why) => {
                let at_byte = batch.offset + (batch.records.len() - rest.len()) as u64;
                return (records, Some(Wrong::NoRecord { at_byte, why: why.to_string() }));
            }
        }
    }
    (records, None)
}

fn place_of(begin: &Begin) -> Place {
    Place { position: begin.after, recorded_at_ms: i64::MIN, chain: begin.chain }
}

fn place_at(event: &Event) -> Place {
    Place { position: event.position, recorded_at_ms: event.recorded_at_ms, chain: event.chain }
}

impl Checked {
    fn begin(&mut self, begin: Begin, watched: &BTreeSet<u64>) -> Result<Place, Flaw> {
        let wrong = if begin.format != VERSION {
            Wrong::OtherFormat { format: begin.format }
        } else if (begin.after == 0) != (begin.chain == GENESIS) {
            Wrong::OtherBeginning
        } else {
            let place = place_of(&begin);
            self.begin = Some(begin);
            self.reach(place, watched);
            return Ok(place);
        };
        Err(Flaw { position: 0, wrong })
    }

    fn reach(&mut self, place: Place, watched: &BTreeSet<u64>) {
        self.reached = Some(place);
        if watched.contains(&place.position) {
            self.chains.push((place.position, place.chain));
        }
    }

    /// Goes over records, the first of which stands behind `place`; answers where that leads.
    fn walk(&mut self, mut place: Place, records: &[Record], watched: &BTreeSet<u64>) -> Result<Place, Flaw> {
        for (at, record) in records.iter().enumerate() {
            let position = place.position.saturating_add(1);
            match record {
                Record::Event(event) => {
                    let rest = &records[at + 1..];
                    self.take(place, event, rest).map_err(|wrong| Flaw { position, wrong })?;
                    place = place_at(event);
                    self.reach(place, watched);
                    self.events += 1;
                }
                Record::End(end) if at + 1 == records.len() => self.end = Some(end.clone()),
                Record::End(_) => return Err(Flaw { position, wrong: Wrong::MoreBehindTheEnd }),
                Record::Begin(_) => return Err(Flaw { position, wrong: Wrong::SecondBeginning }),
                Record::Unreadable(unreadable) => {
                    let wrong = Wrong::Unreadable { why: unreadable.why.clone() };
                    return Err(Flaw { position: unreadable.position, wrong });
                }
            }
        }
        Ok(place)
    }

    /// Holds an event against what is before it; those behind it only help to tell what is wrong.
    fn take(&mut self, before: Place, event: &Event, rest: &[Record]) -> Result<(), Wrong> {
        let position = before.position.saturating_add(1);
        if event.position != position {
            return Err(wrong_position(event.position, position, rest));
        }
        let content = event.leaf_of_content();
        let linked = link(&before.chain, position, event.recorded_at_ms, &event.leaf);
        if content == event.leaf {
            self.note_admission(event);
        } else if event.is_emptied() && linked == event.chain {
            let (leaf, envelope) = (hex::encode(event.leaf), Some(hex::encode(event.envelope())));
            self.emptied.push(Redaction { position, leaf, envelope });
        } else if linked == event.chain {
            return Err(Wrong::Content);
        } else if link(&before.chain, position, event.recorded_at_ms, &content) == event.chain {
            return Err(Wrong::Leaf);
        } else {
            return Err(swapped(&before, rest).unwrap_or(Wrong::Content));
        }
        if linked != event.chain
            && let Some(swapped) = swapped(&before, rest)
        {
            return Err(swapped);
        }
        if event.recorded_at_ms < before.recorded_at_ms {
            return Err(Wrong::TimeGoesBack { ms: event.recorded_at_ms, before_ms: before.recorded_at_ms });
        }
        if linked != event.chain { Err(unlinked(event, &linked, rest)) } else { Ok(()) }
    }

    fn note_admission(&mut self, event: &Event) {
        if !event.is_redaction() {
            return;
        }
        // An admission that says nothing admits nothing.
        let Ok(payload) = serde_json::from_str::<serde_json::Value>(&event.payload) else { return };
        let said = &payload[REDACTION.1];
        if let (Some(position), Some(leaf)) = (said["position"].as_u64(), said["leaf"].as_str()) {
            let envelope = said["envelope_sha256"].as_str().map(str::to_owned);
            self.admitted.push((event.position, Redaction { position, leaf: leaf.to_owned(), envelope }));
        }
    }

    /// What is wrong with how the batch ends, if its events are in order up to `place`.
    fn flaw_at_the_end(&self, place: Place, batch: &Batch, unread: Option<Wrong>) -> Option<Flaw> {
        let wrong = match (unread, &batch.end) {
            (Some(wrong), _) => wrong,
            (None, Some(Ending::Within)) => Wrong::CutOff,
            (None, Some(Ending::Malformed(why))) => {
                let at_byte = batch.offset + batch.records.len() as u64;
                Wrong::NoRecord { at_byte, why: why.to_string() }
            }
            (None, Some(Ending::Clean)) if self.end.is_none() => Wrong::CutOff,
            (None, Some(Ending::Clean) | None) => return self.flaw_of_the_head(place),
        };
        Some(Flaw { position: place.position.saturating_add(1), wrong })
    }

    fn flaw_of_the_head(&self, place: Place) -> Option<Flaw> {
        let end = self.end.as_ref()?;
        if end.chain == place.chain && end.position != place.position {
            return Some(Flaw { position: place.position, wrong: Wrong::OtherHead });
        }
        if end.position > place.position {
            return Some(Flaw { position: place.position.saturating_add(1), wrong: Wrong::Missing { next: None } });
        }
        if end.position < place.position {
            return Some(Flaw { position: end.position.saturating_add(1), wrong: Wrong::BehindTheHead });
        }
        (end.chain != place.chain).then_some(Flaw { position: place.position, wrong: Wrong::OtherHead })
    }
}

fn events(records: &[Record]) -> impl Iterator<Item = &Event> {
    records.iter().filter_map(|record| if let Record::Event(event) = record { Some(event) } else { None })
}

/// Something else stands where `expected` should.
fn wrong_position(found: u64, expected: u64, rest: &[Record]) -> Wrong {
    if found < expected {
        return Wrong::OutOfOrder { found };
    }
    let comes_later = events(rest).any(|event| event.position == expected);
    if comes_later { Wrong::Swapped { with: found } } else { Wrong::Missing { next: Some(found) } }
}

/// The event that was linked here, if it stands further on.
fn swapped(before: &Place, rest: &[Record]) -> Option<Wrong> {
    let position = before.position.saturating_add(1);
    events(rest)
        .find(|event| link(&before.chain, position, event.recorded_at_ms, &event.leaf) == event.chain)
        .map(|event| Wrong::Swapped { with: event.position })
}

/// Content and leaf agree, but the chain does not. The next event tells which of the two chains was there.
fn unlinked(event: &Event, linked: &Hash, rest: &[Record]) -> Wrong {
    let Some(next) = events(rest).next() else { return Wrong::Link };
    let continues =
        |chain| link(chain, event.position.saturating_add(1), next.recorded_at_ms, &next.leaf) == next.chain;
    if continues(linked) {
        Wrong::Chain
    } else if continues(&event.chain) {
        Wrong::Time
    } else {
        Wrong::Link
    }
}
