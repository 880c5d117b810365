use knit_domain::event::plan::PlanEvent;
use knit_domain::event::run::{Assignment, RunEvent, SuccessCause};
use knit_domain::event::{Event, Metadata, StreamId};
use knit_domain::id::{EventId, KnitId, PlanId, WorkerName};
use uuid::Uuid;

use super::*;

const EARLIER: RunId = RunId(Uuid::from_u128(1));
const LATER: RunId = RunId(Uuid::from_u128(2));

fn recorded(number: u128, at_ms: i64, run: RunId, event: impl Into<Event>, causation: Option<EventId>) -> Recorded {
    Recorded {
        position: 1,
        event_id: EventId(Uuid::from_u128(number)),
        stream: StreamId::run(run),
        sequence: 1,
        recorded_at: Timestamp(at_ms),
        event: event.into(),
        metadata: Metadata { causation, ..Metadata::default() },
        leaf: [0; 32],
        chain: [0; 32],
    }
}

/// The Worker of one Run ends at 1,000 ms, and because of it another Run is made.
fn a_hop(cause: SuccessCause) -> [Recorded; 3] {
    let decided = RunEvent::RunSuccessDecided { attempt: 1, exit: None, cause };
    let succeeded = RunEvent::RunSucceeded { attempt: 1, log_sha256: None };
    let made = RunEvent::RunProjected {
        run_id: LATER,
        plan_id: PlanId(Uuid::nil()),
        inputs: Vec::new(),
        outputs: Vec::new(),
        worker_name: WorkerName::of(LATER, 1),
        trigger: Assignment { path: "/in".to_owned(), knit_id: KnitId(Uuid::nil()) },
    };
    [
        recorded(11, 1_000, EARLIER, decided, None),
        recorded(12, 1_004, EARLIER, succeeded, None),
        recorded(13, 1_007, LATER, made, Some(EventId(Uuid::from_u128(12)))),
    ]
}

/// Hops that were measured, and their seconds in all.
fn hops(metrics: &Metrics) -> (String, String) {
    let mut text = String::new();
    encode(&mut text, &metrics.registry).unwrap();
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    (value("knitd_hop_seconds_count"), value("knitd_hop_seconds_sum"))
}

#[test]
fn a_hop_lasts_from_a_workers_end_to_the_request_for_the_next_worker() {
    let metrics = Metrics::default();
    metrics.recorded(a_hop(SuccessCause::WorkerSucceeded).iter());
    metrics.worker_requested(LATER, Timestamp(1_016));
    assert_eq!(hops(&metrics), ("1".to_owned(), "0.016".to_owned()));
    // A retry is no hop: nothing has just ended.
    metrics.worker_requested(LATER, Timestamp(9_000));
    assert_eq!(hops(&metrics).0, "1");
}

#[test]
fn what_an_upload_sets_off_or_a_plan_had_held_is_no_hop() {
    let metrics = Metrics::default();
    metrics.recorded(a_hop(SuccessCause::UploadStored).iter());
    metrics.worker_requested(LATER, Timestamp(1_016));
    metrics.recorded(a_hop(SuccessCause::WorkerSucceeded).iter());
    metrics.recorded([recorded(14, 5_000, EARLIER, PlanEvent::PlanActivated {}, None)].iter());
    metrics.worker_requested(LATER, Timestamp(5_010));
    assert_eq!(hops(&metrics).0, "0");
}

#[test]
fn whatever_a_client_calls_its_method_there_are_few_of_them() {
    let metrics = Metrics::default();
    for number in 0..100 {
        let method = Method::from_bytes(format!("X{number}").as_bytes()).unwrap();
        metrics.request_answered(&method, None, StatusCode::NOT_FOUND, Duration::ZERO);
    }
    let mut text = String::new();
    encode(&mut text, &metrics.registry).unwrap();
    let counted: Vec<&str> = text.lines().filter(|line| line.starts_with("knitd_http_requests_total")).collect();
    assert_eq!(counted, [r#"knitd_http_requests_total{method="other",route="unmatched",status="404"} 100"#]);
}
