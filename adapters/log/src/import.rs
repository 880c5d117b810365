//! Importing: a history that was exported elsewhere becomes that of a log which has none yet.
//!
//! All of it is written in one transaction, which holds the head of the log: whoever wants to append meanwhile waits,
//! and whoever reads sees an empty log until everything is there at once. Positions, ids, stamps, salts, leaves and the
//! chain are written as they come; who imports has verified them. What the log keeps beside the events, reservations
//! and the index of entities, is derived from them again, as it was when they were appended.

mod beside;
mod emptied;
mod page;

use std::time::Duration;

use knit_domain::event::Position;
use knit_domain::reservation::{Holder, Scope};
use knit_domain::time::Timestamp;
use knit_failpoint::failpoint;
use knit_schemas::export::Event;

use crate::backend::Backend;
use crate::batch::End;
use crate::chain::{GENESIS, Hash};
use crate::error::{Fault, ReadError, Trouble};
use crate::log::Log;
use crate::postgres;
use crate::reader::patiently;
use crate::sqlite;

use beside::{Beside, ROWS_MAX};
pub(crate) use beside::{BesideRows, IndexRow};
use emptied::Emptied;
pub use page::ImportPage;
pub(crate) use page::Rows;

/// How long whoever imports may keep the log waiting between two pages. PostgreSQL ends the session of one that takes
/// longer, so that a process that stands still does not hold the head for ever.
pub const IMPORT_PAUSE_MAX: Duration = Duration::from_secs(120);

/// How long an import waits for the head of the log: many times what an append holds it. Another import holds it longer.
pub(crate) const HEAD_WAIT: Duration = Duration::from_secs(2);

/// Whether a stream has a hole, or does not begin at 1: one without has as many events as its last one counts.
pub(crate) const HAS_HOLES: &str = "
SELECT EXISTS (SELECT 1 FROM events GROUP BY aggregate_type, aggregate_id HAVING max(sequence) <> count(*))";

/// The first event before which its stream has a hole. It is asked for only where there is one: on its own, it looks for
/// the event before each.
pub(crate) const FIRST_HOLE: &str = "
SELECT min(e.position) FROM events e
 WHERE e.sequence > 1 AND NOT EXISTS (
       SELECT 1 FROM events p WHERE p.aggregate_type = e.aggregate_type AND p.aggregate_id = e.aggregate_id
                                AND p.sequence = e.sequence - 1)";

/// Why nothing was imported. The log is empty as before, or as full.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The log has a history of its own.
    #[error("a history is imported into an empty log only, and this one has come to position {position}")]
    NotEmpty {
        /// Its last position.
        position: Position,
    },
    /// Somebody else holds the head of the log.
    #[error("somebody else is writing to the log")]
    Occupied,
    /// An event cannot be read by this program.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// A place is taken that is taken already: no log has written this.
    #[error("event {position} takes for {holder} a place in {scope} that it has already")]
    TakenTwice {
        /// Where.
        position: Position,
        /// In which scope.
        scope: Scope,
        /// For whom.
        holder: Holder,
    },
    /// An event does not stand behind the one before it.
    #[error("an event of position {expected} should come, but {found} came")]
    OutOfOrder {
        /// The next position.
        expected: Position,
        /// What came.
        found: Position,
    },
    /// A stream has a hole, or does not begin at 1: whoever loads it would stop there.
    #[error("the stream of event {position} has none with the number before its own")]
    MissingInStream {
        /// Where it goes on behind the hole.
        position: Position,
    },
    /// The database does not take them: an id or a place in a stream comes twice, or a text cannot be stored.
    #[error("events {first} to {last} cannot be stored beside those before them")]
    Contradiction {
        /// The first of them.
        first: Position,
        /// The last of them.
        last: Position,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The world broke.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// An import under way. Dropped before its commit, it has never been.
#[derive(Debug)]
pub struct Import {
    log: Log,
    writing: Writing,
    end: End,
    beside: Beside,
    /// How many rows of that are put together before they are written.
    together: usize,
    /// The last event of which everything was written.
    written: Position,
    emptied: Emptied,
}

/// The transaction.
#[derive(Debug)]
enum Writing {
    Postgres(postgres::Importing),
    Sqlite(sqlite::Importing),
}

/// The same call on whichever it is.
macro_rules! on {
    ($writing:expr, $transaction:ident => $call:expr) => {
        match $writing {
            Writing::Postgres($transaction) => $call,
            Writing::Sqlite($transaction) => $call,
        }
    };
}

impl Log {
    /// Begins to import a history. Until it is committed or dropped, nothing can be appended.
    ///
    /// # Errors
    /// [`ImportError::NotEmpty`] when the log has events, [`ImportError::Occupied`] when its head is not to be had, and
    /// faults of the database.
    pub async fn import(&self) -> Result<Import, ImportError> {
        let begun = match self.backend() {
            Backend::Postgres(postgres) => postgres.import().await.map(|(to, at)| (Writing::Postgres(to), at)),
            Backend::Sqlite(sqlite) => sqlite.import().await.map(|(to, at)| (Writing::Sqlite(to), at)),
        };
        let (writing, position) = begun.map_err(|error| match Trouble::of(&error) {
            Trouble::Occupied => ImportError::Occupied,
            Trouble::Connection | Trouble::Race | Trouble::Content | Trouble::DiskFull | Trouble::Other => {
                Fault::of("beginning an import", error).into()
            }
        })?;
        let end = End { position: 0, chain: GENESIS, recorded_at: Timestamp(0) };
        let (beside, emptied) = (Beside::default(), Emptied::default());
        let import = Import { log: self.clone(), writing, end, beside, together: ROWS_MAX, written: 0, emptied };
        if position == 0 {
            return Ok(import);
        }
        import.cancel().await;
        Err(ImportError::NotEmpty { position })
    }

    /// Makes events ready for an import into this log: all that can be done beforehand and by many at once. None if
    /// there are none.
    ///
    /// # Errors
    /// [`ImportError::Unreadable`] for what this program does not know, [`ImportError::TakenTwice`].
    pub fn import_page(&self, events: Vec<Event>) -> Result<Option<ImportPage>, ImportError> {
        ImportPage::of(events, self.copies())
    }

    fn copies(&self) -> bool {
        match self.backend() {
            Backend::Postgres(_) => true,
            Backend::Sqlite(_) => false,
        }
    }
}

impl Import {
    /// Puts together no more than so many rows of what is kept beside the events before they are written: what takes
    /// less memory takes longer.
    #[must_use]
    pub fn together(mut self, rows: usize) -> Self {
        self.together = rows;
        self
    }

    /// Writes the next events.
    ///
    /// # Errors
    /// When they are not the next, or the database does not take them. The import is to be cancelled then.
    pub async fn write(&mut self, page: &ImportPage) -> Result<(), ImportError> {
        let (expected, found) = (self.end.position + 1, page.first);
        if found != expected {
            return Err(ImportError::OutOfOrder { expected, found });
        }
        let written = on!(&mut self.writing, transaction => transaction.write(&page.events).await);
        written.map_err(|error| not_taken(page.first, page.end.position, error))?;
        self.beside.add(&page.meaning)?;
        self.emptied.note(page);
        self.end = page.end;
        if self.beside.len() >= self.together {
            self.write_beside().await?;
        }
        failpoint("import.page-written");
        Ok(())
    }

    async fn write_beside(&mut self) -> Result<(), ImportError> {
        let beside = std::mem::take(&mut self.beside);
        let rows = tokio::task::spawn_blocking(move || beside.rows()).await;
        let rows = rows.map_err(|_| Fault::of("putting rows in order", sqlx::Error::WorkerCrashed))?;
        let written = on!(&mut self.writing, transaction => transaction.write_beside(rows).await);
        written.map_err(|error| not_taken(self.written + 1, self.end.position, error))?;
        self.written = self.end.position;
        Ok(())
    }

    /// Lets everything be there at once; answers the last position. Who follows the log hears of it.
    ///
    /// # Errors
    /// [`ImportError::Unreadable`] when it is not said what remains of an emptied event,
    /// [`ImportError::MissingInStream`], what [`Self::write`] may answer,
    /// [`Fault::OutcomeUnknown`] when the database went away over it and cannot be asked; after any other nothing is
    /// there.
    pub async fn commit(mut self) -> Result<Position, ImportError> {
        let (end, log) = (self.end, self.log.clone());
        self.beside.add(&self.emptied.meaning()?)?;
        self.write_beside().await?;
        let hole = on!(&mut self.writing, transaction => transaction.hole().await);
        if let Some(position) = hole.map_err(|error| Fault::of("looking for holes in streams", error))? {
            self.cancel().await;
            return Err(ImportError::MissingInStream { position });
        }
        let moved = on!(&mut self.writing, transaction => transaction.move_head(&end).await);
        moved.map_err(|error| Fault::of("importing events", error))?;
        failpoint("import.head-moved");
        if let Err(error) = on!(self.writing, transaction => transaction.commit().await) {
            log.tell_whether_imported(&end, error).await?;
        }
        failpoint("import.committed");
        log.took_over(end.position);
        Ok(end.position)
    }

    /// The last position that was written, and the chain there.
    #[must_use]
    pub fn reached(&self) -> (Position, Hash) {
        (self.end.position, self.end.chain)
    }

    /// Takes everything back; when this returns, the log can be appended to.
    pub async fn cancel(self) {
        on!(self.writing, transaction => transaction.cancel().await);
    }
}

fn not_taken(first: Position, last: Position, error: sqlx::Error) -> ImportError {
    match Trouble::of(&error) {
        Trouble::Content | Trouble::Race => ImportError::Contradiction { first, last, source: error },
        Trouble::Connection | Trouble::DiskFull | Trouble::Occupied | Trouble::Other => {
            Fault::of("importing events", error).into()
        }
    }
}

impl Log {
    /// Looks whether a commit without an answer has come about.
    async fn tell_whether_imported(&self, end: &End, error: sqlx::Error) -> Result<(), Fault> {
        match patiently("looking at the head of the log", || self.backend().ends()).await {
            Ok(ends) if (ends.head.position, ends.head.chain) == (end.position, end.chain) => Ok(()),
            Ok(_) => Err(Fault::of("importing events", error)),
            Err(_) => Err(Fault::OutcomeUnknown { source: error.into() }),
        }
    }
}
