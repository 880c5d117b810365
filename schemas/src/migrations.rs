//! The tables of the event log, as steps from nothing to now, one list for each database.
//!
//! Steps are only ever added: a step that was released is never edited, because databases that took
//! it will not take it again. The file of each step says what its tables are for.

/// One step of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The version that the tables have after this step: 1, 2, 3 …
    pub version: i64,
    /// What the step is called.
    pub name: &'static str,
    /// The statements.
    pub sql: &'static str,
}

/// The steps for PostgreSQL, in order.
pub const POSTGRES: &[Migration] = &[
    Migration { version: 1, name: "event_log", sql: include_str!("../migrations/postgres/0001_event_log.sql") },
    Migration {
        version: 2,
        name: "generations_of_snapshots",
        sql: include_str!("../migrations/postgres/0002_generations_of_snapshots.sql"),
    },
    Migration {
        version: 3,
        name: "generations_that_outlast_snapshots",
        sql: include_str!("../migrations/postgres/0003_generations_that_outlast_snapshots.sql"),
    },
];

/// The steps for SQLite, in order.
pub const SQLITE: &[Migration] = &[
    Migration { version: 1, name: "event_log", sql: include_str!("../migrations/sqlite/0001_event_log.sql") },
    Migration {
        version: 2,
        name: "generations_of_snapshots",
        sql: include_str!("../migrations/sqlite/0002_generations_of_snapshots.sql"),
    },
    Migration {
        version: 3,
        name: "generations_that_outlast_snapshots",
        sql: include_str!("../migrations/sqlite/0003_generations_that_outlast_snapshots.sql"),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_without_gaps() {
        for steps in [POSTGRES, SQLITE] {
            let versions: Vec<i64> = steps.iter().map(|step| step.version).collect();
            let expected: Vec<i64> = (1..).take(steps.len()).collect();
            assert_eq!(versions, expected);
        }
    }
}
