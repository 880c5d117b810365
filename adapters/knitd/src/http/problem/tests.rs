use super::*;
use http_body_util::BodyExt as _;
use knit_domain::id::{PlanId, RunId};
use knit_domain::run::Status;

const ID: &str = "3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11";

fn run_problem(operation: RunOperation, refused: RunRefused) -> (u16, String) {
    let problem = Problem::of_run(operation, CommandError::Refused(refused.into()));
    (problem.status().as_u16(), problem.message())
}

#[track_caller]
fn check_run(operation: RunOperation, refused: &RunRefused, status: u16, begins: &str) {
    let (answered, message) = run_problem(operation, refused.clone());
    assert_eq!(answered, status, "{operation:?} {refused:?}");
    assert!(message.starts_with(begins), "{operation:?} {refused:?}: {message}");
}

#[test]
fn each_operation_upon_a_run_has_the_reasons_of_the_wire() {
    use RunOperation::{Abort, Delete, Retry, TearOff};
    let downstreams = RunRefused::HasDownstreams { runs: vec![ID.parse().unwrap()] };
    let change = RunRefused::InvalidStateChange { from: Status::Done, to: Status::Aborting };
    let in_use = "output of the run is in use\n";
    for operation in [Abort, TearOff, Retry, Delete] {
        check_run(operation, &RunRefused::Missing, 404, "not found\n");
    }
    for operation in [Abort, TearOff] {
        check_run(operation, &change, 409, "prohibited operation\nit has ended: nothing is left to stop\n caused by:");
        check_run(operation, &RunRefused::Unfinished, 409, "prohibited operation\n caused by:");
    }
    check_run(Retry, &RunRefused::WorkerActive, 409, "the run may not be finished\n");
    check_run(Retry, &downstreams, 409, &format!("{in_use}delete all downstreams first\n caused by:"));
    check_run(Retry, &RunRefused::Protected, 409, "prohibited operation\nroot Run cannot be retried\n");
    check_run(Retry, &change, 409, "the run have not finished yet\n");
    for refused in [RunRefused::WorkerActive, downstreams, RunRefused::Protected, change] {
        check_run(Delete, &refused, 409, in_use);
    }
}

#[test]
fn what_cannot_be_stopped_or_retried_yet_says_what_can_be_done() {
    let from = |from, to| RunRefused::InvalidStateChange { from, to };
    let stop = from(Status::Waiting, Status::Completing);
    check_run(
        RunOperation::TearOff,
        &stop,
        409,
        "prohibited operation\nit has not started, so there is nothing to keep",
    );
    for (status, advice) in [
        (Status::Deactivated, "it has not started, because its Plan is switched off: `knit plan active yes`"),
        (Status::Waiting, "it has not started yet"),
        (Status::Running, "wait for its end, or stop it first"),
        (Status::Aborting, "it is ending"),
    ] {
        let begins = format!("the run have not finished yet\n{advice}");
        check_run(RunOperation::Retry, &from(status, Status::Waiting), 409, &begins);
    }
}

#[test]
fn what_only_reactors_can_meet_is_an_unexpected_error() {
    check_run(RunOperation::Abort, &RunRefused::NotSpawned, 500, "unexpected error\n caused by:");
}

#[test]
fn an_equivalent_plan_is_named_in_advice_and_header() {
    let existing: PlanId = ID.parse().unwrap();
    let problem = Problem::from(RegistrationRefused::Equivalent { existing });
    assert!(problem.message().starts_with(&format!("there are equiverent plan\nPlan {ID} is equivalent")));
    let response = problem.into_response();
    assert_eq!((response.status(), &response.headers()["x-knit-see"]), (StatusCode::CONFLICT, &ID.parse().unwrap()));
}

#[test]
fn tags_of_an_unknown_data_have_a_reason_of_their_own() {
    let missing = || CommandError::Refused(DataRefused::Missing.into());
    assert!(Problem::of_tagging(missing()).message().starts_with("correspontind data is missing\n"));
    let elsewhere = Problem::from(missing());
    assert_eq!((elsewhere.status(), &elsewhere.message()[..10]), (StatusCode::NOT_FOUND, "not found\n"));
}

#[test]
fn a_lost_race_may_be_tried_again_and_a_fault_is_unexpected() {
    let lost = Problem::from(CommandError::Conflict { tries: 16 });
    assert_eq!(lost.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(lost.message().contains("others changed the same things 16 times in a row"), "{}", lost.message());
    let fault = Problem::from(CommandError::Fault("the database is gone".to_owned()));
    assert_eq!(fault.message(), "unexpected error\n caused by:the database is gone");
}

#[test]
fn a_fault_tells_every_cause_and_a_full_disk_what_to_do() {
    let full = Fault::new("write a file", std::io::Error::from(std::io::ErrorKind::StorageFull));
    let message = Problem::from(ReceiveError::Fault(full)).message();
    assert!(message.starts_with("unexpected error\nthe disk of the server is full"), "{message}");
    assert!(message.contains(" caused by:cannot write a file: "), "{message}");
}

#[tokio::test]
async fn an_error_is_an_object_with_one_string_and_a_newline() {
    let response = Problem::not_found("Run", ID).into_response();
    assert_eq!(response.headers()["content-type"], "application/json");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, format!("{{\"message\":\"not found\\nthere is no Run `{ID}`\"}}\n"));
}

#[test]
fn a_wrong_method_names_the_right_ones() {
    let response = Problem::no_method("OPTIONS, GET").into_response();
    assert_eq!(response.headers()["allow"], "OPTIONS, GET");
}

#[test]
fn a_run_that_is_named_in_a_refusal_is_named_to_the_user() {
    let run: RunId = ID.parse().unwrap();
    let (_, message) = run_problem(RunOperation::Delete, RunRefused::HasDownstreams { runs: vec![run] });
    assert!(message.contains(ID), "{message}");
}

#[test]
fn every_status_of_a_problem_is_in_the_description() {
    let problems = [
        Problem::bad_request(""),
        Problem::malformed("", ""),
        Problem::wrong_checksum("", ""),
        Problem::not_found("", ""),
        Problem::untaggable(),
        Problem::absent(""),
        Problem::no_route(),
        Problem::exists_already(),
        Problem::too_large(0),
        Problem::forbidden(&Stranger::NoHost),
        Problem::unexpected(""),
        Problem::unavailable(""),
    ];
    for problem in problems {
        let described = super::super::openapi::PROBLEMS.iter().any(|(status, _)| *status == problem.status());
        assert!(described, "{}", problem.status());
    }
}

#[test]
fn every_problem_is_of_one_family_of_errors() {
    let lost = Problem::from(CommandError::Conflict { tries: 16 });
    assert_eq!((lost.family, lost.status()), (ErrorFamily::Conflict, StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(Problem::from(CommandError::Fault("gone".to_owned())).family, ErrorFamily::Fault);
    assert_eq!(Problem::unavailable("folding").family, ErrorFamily::Fault);
    let refused = Problem::from(CommandError::from(RunRefused::HasDownstreams { runs: Vec::new() }));
    assert_eq!((refused.family, refused.status()), (ErrorFamily::Refused, StatusCode::CONFLICT));
    assert_eq!(Problem::no_route().family, ErrorFamily::Refused);
}
