//! The crash matrix on the embedded default.

use super::crash_matrix;

/// Cases at once: most of their time is waiting for processes to start and to end.
const AT_ONCE: usize = 4;

#[test]
fn a_server_on_sqlite_may_die_between_any_two_steps() {
    crash_matrix::hold(None, AT_ONCE);
}
