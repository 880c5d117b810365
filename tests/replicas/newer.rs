//! A newer program has written to the log what the older replicas do not know. They stop (D8).

use knit_tests::server::Setup;
use knit_tests::wait::wait_until;

use super::{Replicas, elsewhere, named, register};

/// Appends an event as a newer program would: of a version that nobody knows today, in its place in the order, the
/// chain continued (D15). There is no newer program to run, and today's event log takes no event that the domain
/// does not know; so this stands in for it with the rules of the log, and nothing of today's code.
const BY_A_NEWER_PROGRAM: &str = "
WITH moved AS (
    UPDATE head SET position = position + 1, recorded_at = recorded_at + 1,
        chain = sha256(chain || int8send(position + 1) || int8send(recorded_at + 1) || sha256('leaf'))
    RETURNING position, recorded_at, chain)
INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                    position, event_id, recorded_at, salt, leaf, chain)
SELECT 'plan', gen_random_uuid()::text, 1, 'PlanRegistered', '99', '{\"new\": true}', '{}',
       position, gen_random_uuid(), recorded_at, '\\x00', sha256('leaf'), chain
  FROM moved;
SELECT pg_notify('knit_log', position::text) FROM head;";

#[test]
fn d8_replicas_stop_before_an_event_of_a_version_they_do_not_know() {
    let mut replicas = Replicas::start(2);
    register(replicas.others[0].http(), &named("known"));
    let _ = replicas.database.run(BY_A_NEWER_PROGRAM);
    let last = replicas.database.run("SELECT position FROM head");
    let mut other = replicas.others.remove(0);
    for server in [&mut replicas.shop.server, &mut other] {
        let ended = server.wait_for_end();
        assert!(!ended.success(), "it did not stop because all was well");
        let log = server.log();
        let why = log.lines().last().unwrap_or_default();
        assert!(why.contains(&format!("event {last}")) && why.contains("`99`"), "it says which event: {log}");
        assert!(why.contains("newer program"), "and what to do: {log}");
    }
    for setup in [Setup::new().database(replicas.database.url()), elsewhere(&replicas.database)] {
        let said = setup.refused();
        assert!(said.contains("newer program"), "it does not start again either: {said}");
    }
    assert_eq!(replicas.database.run("SELECT position FROM head"), last, "nobody has written behind it");
    // What stopped has given its roles back: nothing waits for the end of a lease.
    let held = || replicas.database.run("SELECT count(*) FROM leases WHERE expires_at > 0");
    wait_until("all leases to be given back", || held() == "0");
}
