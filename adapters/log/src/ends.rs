//! The end of the log, which is told twice: by the head row, and by the last event.
//!
//! Both are written in one transaction, so that they contradict each other only where somebody changed one of them behind
//! the log. A head that was moved back would hide events, and one with another chain would let the next event continue
//! what was never there; so whoever takes an end that he has not written himself holds the two against each other.

use knit_domain::event::Position;
use knit_domain::time::Timestamp;
use uuid::Uuid;

use crate::batch::End;
use crate::chain::GENESIS;
use crate::columns::{hash, unsigned};
use crate::tail::Head;

/// Head row and last event, at one instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) head: Head,
    /// As the last event says; of an empty log, how every log begins.
    pub(crate) last: End,
}

/// Three columns of a head or an event: position, chain and stamp.
pub(crate) type EndRow<'r> = (i64, &'r [u8], i64);

/// The head of the log and its last event contradict each other: one of them was changed behind the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OtherEnd {
    /// There are fewer events than the head knows.
    #[error("event {position} is missing from the log, whose head says that the last one is {head}")]
    Missing {
        /// The first that is not there, as far as the last one tells.
        position: Position,
        /// What the head says.
        head: Position,
    },
    /// There are more events than the head knows.
    #[error(
        "event {position} lies behind the head of the log, which says that the last one is {head}: it was moved back"
    )]
    Behind {
        /// The first that the head does not know.
        position: Position,
        /// What the head says.
        head: Position,
    },
    /// The head holds another chain value than the last event.
    #[error("the head of the log has another chain value than its last event, {position}: one of them was changed")]
    Chain {
        /// The last event.
        position: Position,
    },
}

impl OtherEnd {
    /// The first position that is not in order.
    #[must_use]
    pub fn position(&self) -> Position {
        match self {
            Self::Missing { position, .. } | Self::Behind { position, .. } | Self::Chain { position } => *position,
        }
    }
}

impl Ends {
    /// From the columns of the head row and of the last event, if there is one. Whatever the head row says is no failure
    /// here, since a log is to be opened and looked at also then: what cannot be a position or a chain becomes what no
    /// last event has.
    pub(crate) fn of(head: EndRow<'_>, log: Uuid, last: Option<EndRow<'_>>) -> Result<Self, sqlx::Error> {
        let (position, chain, recorded_at) = (unsigned(head.0).unwrap_or(0), hash(head.1), Timestamp(head.2));
        let head = Head { position, chain: chain.unwrap_or(GENESIS), recorded_at, log };
        let last = match last {
            Some((position, chain, recorded_at)) => {
                End { position: unsigned(position)?, chain: hash(chain)?, recorded_at: Timestamp(recorded_at) }
            }
            None => End { position: 0, chain: GENESIS, recorded_at: Timestamp(0) },
        };
        Ok(Self { head, last })
    }

    /// The head, if the last event says the same.
    pub(crate) fn agreed(self) -> Result<Head, OtherEnd> {
        let Self { head, last } = self;
        if last.position < head.position {
            Err(OtherEnd::Missing { position: last.position + 1, head: head.position })
        } else if last.position > head.position {
            Err(OtherEnd::Behind { position: head.position + 1, head: head.position })
        } else if last.chain != head.chain {
            Err(OtherEnd::Chain { position: last.position })
        } else {
            // The chain covers the stamp of the event, and not that of the head, which is no part of the history.
            Ok(Head { recorded_at: last.recorded_at, ..head })
        }
    }

    /// The end on which is appended, if both say the same.
    pub(crate) fn end(self) -> Result<End, sqlx::Error> {
        self.agreed().map(|_| self.last).map_err(|other| sqlx::Error::Decode(Box::new(other)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: [u8; 32] = [7; 32];

    fn agreed(head: EndRow<'_>, last: Option<EndRow<'_>>) -> Result<Position, OtherEnd> {
        Ends::of(head, Uuid::nil(), last).unwrap().agreed().map(|head| head.position)
    }

    #[test]
    fn a_head_that_contradicts_the_last_event_is_told_with_the_first_position_that_is_not_in_order() {
        let last = Some((5, &CHAIN[..], 90));
        assert_eq!(agreed((5, &CHAIN, 90), last), Ok(5));
        assert_eq!(agreed((0, &GENESIS, 0), None), Ok(0));
        assert_eq!(agreed((3, &CHAIN, 90), last), Err(OtherEnd::Behind { position: 4, head: 3 }));
        assert_eq!(agreed((-3, &CHAIN, 90), last), Err(OtherEnd::Behind { position: 1, head: 0 }));
        assert_eq!(agreed((8, &CHAIN, 90), last), Err(OtherEnd::Missing { position: 6, head: 8 }));
        assert_eq!(agreed((5, &[8; 32], 90), last), Err(OtherEnd::Chain { position: 5 }));
        assert_eq!(agreed((5, b"short", 90), last), Err(OtherEnd::Chain { position: 5 }));
    }

    #[test]
    fn a_stamp_of_the_head_that_was_changed_counts_for_nothing() {
        let ends = Ends::of((5, &CHAIN, i64::MAX), Uuid::nil(), Some((5, &CHAIN, 90))).unwrap();
        assert_eq!(ends.agreed().unwrap().recorded_at, Timestamp(90));
        assert_eq!(ends.end().unwrap().recorded_at, Timestamp(90));
    }
}
