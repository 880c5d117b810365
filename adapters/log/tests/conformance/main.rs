//! One contract, two databases: every test of this suite runs on PostgreSQL and on SQLite, but for
//! those that concern what only one of them has.

#![expect(clippy::unwrap_used, reason = "tests prove their unwraps by running, and so do the functions they share")]

mod fixture;

mod ahead;
mod appending;
mod conditions;
mod connections;
mod ends;
mod importing;
mod leases;
mod observing;
mod opening;
mod reading;
mod redacting;
mod remembering;
mod snapshots;
mod statistics;
mod stock;
mod stock_paths;
mod tailing;

/// Makes each `async fn(Place)` of the module a test on both databases.
macro_rules! on_both_databases {
    ($($test:ident),+ $(,)?) => {
        mod on_postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::fixture::Place::postgres()).await;
            }
        )+}
        mod on_sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::fixture::Place::sqlite()).await;
            }
        )+}
    };
}
pub(crate) use on_both_databases;
