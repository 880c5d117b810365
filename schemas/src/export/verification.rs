//! What all batches together prove.

use std::collections::BTreeMap;

use super::check::{Checked, Redaction};
use super::parts::Broken;
use super::record::{Begin, End};
use crate::chain::{GENESIS, Hash};

/// The history is not whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("position {position}: {wrong}")]
pub struct Flaw {
    /// The first position that is not in order.
    pub position: u64,
    /// What is wrong there.
    pub wrong: Wrong,
}

/// What is wrong at a position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// The content was changed; which part of it, its one hash cannot tell.
    #[error("payload, metadata, salt or names are not those that were recorded: they do not give the leaf")]
    Content,
    /// The leaf was changed; content and chain agree on another one.
    #[error("the leaf is not the one that was recorded: content and chain give another one")]
    Leaf,
    /// The stamp was changed, or the content together with its leaf.
    #[error(
        "recorded_at is not the one that was recorded, or the content was changed together with its leaf: they do not give the chain"
    )]
    Time,
    /// Stamps go back.
    #[error("recorded_at goes back: {ms} ms, after {before_ms} ms at the position before")]
    TimeGoesBack {
        /// The stamp.
        ms: i64,
        /// The one before.
        before_ms: i64,
    },
    /// The chain value was changed.
    #[error("the chain value is not the one that was recorded: what follows continues another one")]
    Chain,
    /// Chain, stamp and leaf do not fit together.
    #[error("recorded_at, leaf or chain is not the one that was recorded: they do not fit together")]
    Link,
    /// Two events stand in each other's place.
    #[error("this event and that of position {with} have changed places")]
    Swapped {
        /// The position of the other one.
        with: u64,
    },
    /// There is no event.
    #[error("the event is missing: {}", next.map_or("the log goes on to a later position, but nothing is there".to_owned(), |next| format!("the next one has position {next}")))]
    Missing {
        /// The next position that is there.
        next: Option<u64>,
    },
    /// An earlier position is told again.
    #[error("an event of position {found} stands in its place")]
    OutOfOrder {
        /// The position that is told.
        found: u64,
    },
    /// Emptied without an admission.
    #[error("the content was taken out, and no later EventRedacted names this position and its leaf")]
    NotAdmitted,
    /// What stays of a redacted event was changed; which part of it, its one hash cannot tell.
    #[error(
        "metadata or names of the redacted event are not those that were left of it: they do not give the hash that event {redacted_at} has of them"
    )]
    Envelope {
        /// The position of the redaction.
        redacted_at: u64,
    },
    /// There is an event that the head of the log does not know.
    #[error("the event lies behind the head of the log")]
    BehindTheHead,
    /// The head of the log holds another chain value, or another position with the same.
    #[error("the head of the log holds another position or chain value than its last event")]
    OtherHead,
    /// The database holds something that is no event.
    #[error("the event cannot be read: {why}")]
    Unreadable {
        /// What the database said.
        why: String,
    },
    /// The file ends too early.
    #[error("the export ends here, before its end record: it was cut off")]
    CutOff,
    /// Something is not as an export is written.
    #[error("the export is damaged at byte {at_byte}: {why}")]
    NoRecord {
        /// Bytes before it.
        at_byte: u64,
        /// Why.
        why: String,
    },
    /// The file does not begin as an export does.
    #[error("the export has no begin record: it is damaged, or no export")]
    NoBegin,
    /// The file says that it is written in another way.
    #[error("the export is of format {format}, which this program does not know")]
    OtherFormat {
        /// Which.
        format: u32,
    },
    /// The first chain value is not that of an empty log, or only that.
    #[error("the chain that the export begins with is none of the position it begins with")]
    OtherBeginning,
    /// A second begin record.
    #[error("the export begins a second time")]
    SecondBeginning,
    /// Records behind the end record.
    #[error("the export goes on behind its end record")]
    MoreBehindTheEnd,
    /// The parts of a history do not go together, or one is damaged.
    #[error(transparent)]
    Broken(Broken),
}

/// What is wrong with a history whose reading has ended with `broken`, after `verified` had been found in what came
/// before.
#[must_use]
pub fn flaw_of_parts(verified: Result<Verified, Flaw>, broken: &Broken) -> Flaw {
    let here = match verified {
        // That the history ends is only what the damage has made of it.
        Err(Flaw { position, wrong: Wrong::CutOff | Wrong::NoBegin }) => position,
        Err(earlier) => return earlier,
        Ok(whole) => whole.position.saturating_add(1),
    };
    let position = match broken {
        Broken::Overlap { from: position, .. } | Broken::OtherName { position, .. } => *position,
        Broken::Gap { .. } | Broken::OtherHistory { .. } | Broken::NoBegin { .. } | Broken::Damaged { .. } => here,
    };
    Flaw { position, wrong: Wrong::Broken(broken.clone()) }
}

/// Emptied events by their positions, each with the hash of its envelope as it is, in hexadecimal.
pub type Envelopes = BTreeMap<u64, String>;

/// That the history is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many events there are.
    pub events: u64,
    /// The position before the first.
    pub after: u64,
    /// The last position.
    pub position: u64,
    /// The chain at that position.
    pub chain: Hash,
    /// How many of the events were redacted, each with an event that admits it.
    pub redacted: u64,
    /// How many of those were redacted by an older program, which took no hash of their envelopes: that they were there,
    /// and when, is proved, but not who caused them and in which stream they are.
    pub without_envelope: u64,
    /// The chain at each watched position that there is.
    pub chains: BTreeMap<u64, Hash>,
}

/// Puts together what was found in the batches of one export.
#[derive(Debug, Default)]
pub struct Verification {
    begin: Option<Begin>,
    events: u64,
    /// Where the events end that are in order, and the chain there.
    reached: (u64, Hash),
    end: Option<End>,
    /// All emptied events by their positions.
    emptied: BTreeMap<u64, Emptied>,
    chains: BTreeMap<u64, Hash>,
}

/// An emptied event, and what has been said of it since.
#[derive(Debug)]
struct Emptied {
    leaf: String,
    /// The hash of its envelope as it is.
    envelope: String,
    is_admitted: bool,
    /// Whether an admission has this hash of its envelope.
    is_proved: bool,
    /// The position of an admission that has another.
    contradicted_at: Option<u64>,
}

impl Emptied {
    /// Takes note of an admission that stands `at` a position.
    fn admit(&mut self, at: u64, envelope: Option<&str>) {
        self.is_admitted = true;
        match envelope {
            Some(envelope) if envelope == self.envelope => self.is_proved = true,
            Some(_) => self.contradicted_at = self.contradicted_at.or(Some(at)),
            None => {}
        }
    }

    fn wrong(&self) -> Option<Wrong> {
        self.contradicted_at.map(|redacted_at| Wrong::Envelope { redacted_at })
    }
}

impl Verification {
    /// Takes what was found in the next batch; they must come in order.
    ///
    /// # Errors
    /// When something is wrong in it, which nothing before was.
    pub fn take(&mut self, checked: Checked) -> Result<(), Flaw> {
        let Checked { events, begin, reached, chains, emptied, admitted, end, flaw } = checked;
        self.begin = begin.or(self.begin.take());
        self.events += events;
        if let Some(reached) = reached {
            self.reached = (reached.position, reached.chain);
        }
        self.chains.extend(chains);
        for Redaction { position, leaf, envelope } in emptied {
            let envelope = envelope.unwrap_or_default();
            let (is_admitted, is_proved, contradicted_at) = (false, false, None);
            self.emptied.insert(position, Emptied { leaf, envelope, is_admitted, is_proved, contradicted_at });
        }
        for (at, Redaction { position, leaf, envelope }) in admitted {
            if let Some(emptied) = self.emptied.get_mut(&position)
                && at > position
                && emptied.leaf == leaf
            {
                emptied.admit(at, envelope.as_deref());
            }
        }
        self.end = end.or(self.end.take());
        // What was changed of a redacted event is seen behind it; it is still the first that is wrong.
        flaw.map_or(Ok(()), |flaw| {
            Err(self.changed().filter(|changed| changed.position < flaw.position).unwrap_or(flaw))
        })
    }

    /// The first redacted event of which something was changed that was to stay.
    fn changed(&self) -> Option<Flaw> {
        self.emptied.iter().find_map(|(position, emptied)| Some(Flaw { position: *position, wrong: emptied.wrong()? }))
    }

    /// The events that were in order so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The position before the first event, once it is known.
    #[must_use]
    pub fn after(&self) -> Option<u64> {
        self.begin.as_ref().map(|begin| begin.after)
    }

    /// What is proved of a part of a history when nothing more comes, and its emptied events by their positions, each with
    /// the hash of its envelope in hexadecimal: what admits them may lie behind it, and is for the caller to know. All of
    /// them are counted as redacted.
    ///
    /// # Errors
    /// When something is missing, or was changed.
    pub fn finish_part(mut self) -> Result<(Verified, Envelopes), Flaw> {
        let emptied = self.emptied.iter().map(|(position, emptied)| (*position, emptied.envelope.clone())).collect();
        self.emptied.values_mut().for_each(|emptied| emptied.is_admitted = true);
        Ok((self.finish()?, emptied))
    }

    /// What is proved when nothing more comes.
    ///
    /// # Errors
    /// When something is missing.
    pub fn finish(self) -> Result<Verified, Flaw> {
        let (position, chain) = self.reached;
        let wrong = |emptied: &Emptied| if emptied.is_admitted { emptied.wrong() } else { Some(Wrong::NotAdmitted) };
        let mut flaws = self.emptied.iter().filter_map(|(position, emptied)| Some((*position, wrong(emptied)?)));
        if let Some((position, wrong)) = flaws.next() {
            return Err(Flaw { position, wrong });
        }
        let redacted = self.emptied.len() as u64;
        let without_envelope = self.emptied.values().filter(|emptied| !emptied.is_proved).count() as u64;
        let (Some(begin), Some(_)) = (self.begin, self.end) else {
            return Err(Flaw { position: position.saturating_add(1), wrong: Wrong::CutOff });
        };
        let chain = if position == 0 { GENESIS } else { chain };
        let Self { events, chains, .. } = self;
        Ok(Verified { events, after: begin.after, position, chain, redacted, without_envelope, chains })
    }
}
