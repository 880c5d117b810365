//! Where in the log a time lies.

use knit_domain::event::Position;

use crate::columns::unsigned;
use crate::error::ReadError;

/// Two positions between which the log passes a time: the event at the first, if it is one, was recorded by then, and
/// the one at the second, if it is there, was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Between {
    before: Position,
    behind: Position,
}

impl Between {
    /// From two columns.
    pub(crate) fn of(before: i64, behind: i64) -> Result<Self, sqlx::Error> {
        Ok(Self { before: unsigned(before)?, behind: unsigned(behind)? })
    }

    /// The last position that was recorded by the time.
    ///
    /// # Errors
    /// When they are not neighbours: halving ended at an event that is not there.
    pub(crate) fn found(self) -> Result<Position, ReadError> {
        if self.behind - self.before > 1 {
            return Err(ReadError::Missing { position: self.before + (self.behind - self.before) / 2 });
        }
        Ok(self.before)
    }
}
