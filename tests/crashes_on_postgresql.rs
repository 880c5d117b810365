//! The crash matrix on PostgreSQL.

use knit_tests::postgres::TestDatabase;

use super::crash_matrix;

/// Cases at once. Most of their time is waiting for the leases of the server that died.
const AT_ONCE: usize = 12;

#[test]
fn a_server_on_postgresql_may_die_between_any_two_steps() {
    crash_matrix::hold(Some(TestDatabase::new), AT_ONCE);
}
