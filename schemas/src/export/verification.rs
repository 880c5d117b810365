//! What all batches together prove.

use std::collections::{BTreeMap, BTreeSet};

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
    /// Leaves of emptied events that nothing has admitted yet.
    emptied: BTreeMap<u64, String>,
    /// Positions of all emptied events.
    gone: BTreeSet<u64>,
    redacted: u64,
    chains: BTreeMap<u64, Hash>,
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
        self.gone.extend(emptied.iter().map(|redaction| redaction.position));
        self.emptied.extend(emptied.into_iter().map(|Redaction { position, leaf }| (position, leaf)));
        for (at, Redaction { position, leaf }) in admitted {
            if at > position && self.emptied.get(&position) == Some(&leaf) {
                self.emptied.remove(&position);
                self.redacted += 1;
            }
        }
        self.end = end.or(self.end.take());
        flaw.map_or(Ok(()), Err)
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

    /// What is proved of a part of a history when nothing more comes, and the positions of its emptied events: what
    /// admits them may lie behind it, and is for the caller to know.
    ///
    /// # Errors
    /// When something is missing.
    pub fn finish_part(mut self) -> Result<(Verified, BTreeSet<u64>), Flaw> {
        let gone = std::mem::take(&mut self.gone);
        self.emptied.clear();
        Ok((self.finish()?, gone))
    }

    /// What is proved when nothing more comes.
    ///
    /// # Errors
    /// When something is missing.
    pub fn finish(self) -> Result<Verified, Flaw> {
        let (position, chain) = self.reached;
        if let Some(position) = self.emptied.into_keys().next() {
            return Err(Flaw { position, wrong: Wrong::NotAdmitted });
        }
        let (Some(begin), Some(_)) = (self.begin, self.end) else {
            return Err(Flaw { position: position.saturating_add(1), wrong: Wrong::CutOff });
        };
        let chain = if position == 0 { GENESIS } else { chain };
        let Self { events, redacted, chains, .. } = self;
        Ok(Verified { events, after: begin.after, position, chain, redacted, chains })
    }
}
