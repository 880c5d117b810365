//! The head of the log and its last event say the same, or nothing is appended (D15).

use knit_log::{AppendError, Fault, Log, OtherEnd};

use crate::fixture::{Place, fill, journal, remarks, whole};
use crate::on_both_databases;

on_both_databases!(
    d15_nothing_is_appended_on_a_head_that_was_changed,
    d15_nothing_is_appended_beside_events_that_the_head_does_not_know,
    d15_a_log_whose_head_was_changed_is_opened_and_read,
);

/// How long each log is.
const EVENTS: usize = 5;
/// Puts the head where it was.
const MEND: &str = "UPDATE head SET position = 5, chain = (SELECT chain FROM events WHERE position = 5), \
                    recorded_at = (SELECT recorded_at FROM events WHERE position = 5)";

/// What is done to a head behind the log, and how that is told.
const CHANGES: [(&str, OtherEnd); 4] = [
    (
        "UPDATE head SET position = 3, chain = (SELECT chain FROM events WHERE position = 3), \
         recorded_at = (SELECT recorded_at FROM events WHERE position = 3)",
        OtherEnd::Behind { position: 4, head: 3 },
    ),
    ("UPDATE head SET position = 9", OtherEnd::Missing { position: 6, head: 9 }),
    ("UPDATE head SET chain = (SELECT chain FROM events WHERE position = 1)", OtherEnd::Chain { position: 5 }),
    ("UPDATE head SET chain = (SELECT salt FROM events WHERE position = 1)", OtherEnd::Chain { position: 5 }),
];

#[track_caller]
fn is_told(outcome: Result<impl Sized, Fault>, expected: OtherEnd) {
    let fault = outcome.err().expect("a head that was changed is found");
    assert!(matches!(fault, Fault::OtherEnd(found) if found == expected), "{fault}");
    assert!(fault.is_damage() && fault.flaw() == Some(expected.position()), "{fault}");
}

async fn append(log: &Log) -> Result<(), Fault> {
    match log.append(remarks(&journal("later"), 0, 1)).await {
        Ok(_) => Ok(()),
        Err(AppendError::Fault(fault)) => Err(fault),
        Err(other) => panic!("the world broke, and nothing else: {other}"),
    }
}

async fn d15_nothing_is_appended_on_a_head_that_was_changed(place: Place) {
    let log = place.open().await;
    fill(&log, EVENTS).await;
    for (change, told) in CHANGES {
        place.tamper(change).await;
        is_told(append(&log).await, told);
        is_told(log.head().await, told);
        place.tamper(MEND).await;
    }
    append(&log).await.unwrap();
    assert_eq!(whole(&log).await.len(), EVENTS + 1);
}

async fn d15_nothing_is_appended_beside_events_that_the_head_does_not_know(place: Place) {
    let log = place.open().await;
    fill(&log, EVENTS).await;
    place.tamper("UPDATE events SET position = 6 WHERE position = 5").await;
    is_told(append(&log).await, OtherEnd::Behind { position: 6, head: 5 });
    place.tamper("UPDATE events SET position = 5 WHERE position = 6").await;
    append(&log).await.unwrap();
}

async fn d15_a_log_whose_head_was_changed_is_opened_and_read(place: Place) {
    let log = place.open().await;
    fill(&log, EVENTS).await;
    log.close().await;
    for (change, told) in CHANGES {
        place.tamper(change).await;
        let log = place.open().await;
        assert_eq!(log.read(0, EVENTS).await.unwrap().len(), EVENTS, "{change}");
        assert_eq!(log.ends_unchecked().await.unwrap().1, 5, "{change}");
        is_told(append(&log).await, told);
        place.tamper(MEND).await;
        assert_eq!(log.head().await.unwrap().position, 5, "what was refused has left nothing behind");
        log.close().await;
    }
}
