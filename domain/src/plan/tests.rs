use cqrs_es::test::TestFramework;

use super::draft::samples::{draft, log, plan_id};
use super::limits::TooLong;
use super::*;
use crate::decision::{Decision, Versioned};
use crate::event::StreamId;

fn registered(active: bool) -> PlanEvent {
    let draft = PlanDraft { active: Some(active), ..draft(&["in:1"], &["out:1"]) };
    let definition = validate(&draft).unwrap();
    draft.registered(definition)
}

fn limited() -> PlanEvent {
    resources(&[("cpu", "1"), ("memory", "1Gi"), ("example.com/fpga", "2")], &[])
}

fn resources(set: &[(&str, &str)], unset: &[&str]) -> PlanEvent {
    let ResourceChange { set, unset } = resource_change(set, unset);
    PlanEvent::PlanResourcesChanged { set, unset }
}

fn resource_change(set: &[(&str, &str)], unset: &[&str]) -> ResourceChange {
    ResourceChange { set: pairs(set).into_iter().collect(), unset: unset.iter().map(|&name| name.to_owned()).collect() }
}

fn pairs(given: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    given.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn annotated(added: &[(&str, &str)], removed: &[(&str, &str)]) -> PlanEvent {
    PlanEvent::PlanAnnotationsChanged { added: pairs(added), removed: pairs(removed) }
}

fn annotate(add: &[(&str, &str)], remove: &[(&str, &str)], remove_key: &[&str]) -> PlanChange {
    let remove_key = remove_key.iter().map(|&key| key.to_owned()).collect();
    PlanChange::Annotations(AnnotationChange { add: pairs(add), remove: pairs(remove), remove_key })
}

fn account(name: &str) -> PlanEvent {
    PlanEvent::PlanServiceAccountSet { name: name.to_owned() }
}

fn ask(change: PlanChange) -> PlanCommand {
    PlanCommand::Change { plan_id: plan_id(1), change }
}

/// What the change comes to, for a Plan with this history.
#[track_caller]
fn assert_change(history: Vec<PlanEvent>, change: PlanChange, expected: Vec<PlanEvent>) {
    TestFramework::<Plan>::with(()).given(history).when(ask(change)).then_expect_events(expected);
}

#[track_caller]
fn assert_refused(history: Vec<PlanEvent>, change: PlanChange, expected: PlanRefused) {
    TestFramework::<Plan>::with(()).given(history).when(ask(change)).then_expect_error(expected);
}

fn after(history: &[PlanEvent]) -> Plan {
    Versioned::fold(history, Plan::apply).state
}

fn builtin_defined(builtin: Builtin) -> PlanEvent {
    PlanEvent::BuiltinPlanDefined { name: builtin.name().to_owned(), output_path: builtin.output_path().to_owned() }
}

#[test]
fn pln_22_a_plan_is_active_unless_said_otherwise() {
    let silent = draft(&["in:1"], &["out:1"]);
    let definition = validate(&silent).unwrap();
    assert!(after(&[silent.registered(definition)]).active);
    assert!(!after(&[registered(false)]).active);
}

#[test]
fn pln_23_each_limit_that_is_not_given_has_its_default() {
    for (given, expected) in [
        (&[][..], [("cpu", "1"), ("memory", "1Gi")]),
        (&[("cpu", "4")], [("cpu", "4"), ("memory", "1Gi")]),
        (&[("memory", "2Gi")], [("cpu", "1"), ("memory", "2Gi")]),
    ] {
        let draft = PlanDraft { resources: pairs(given).into_iter().collect(), ..draft(&["in:1"], &["out:1"]) };
        let definition = validate(&draft).unwrap();
        let plan = after(&[draft.registered(definition)]);
        assert_eq!(plan.resources.into_iter().collect::<BTreeSet<_>>(), pairs(&expected));
    }
}

#[test]
fn pid_11_an_inactive_plan_is_activated_and_an_active_one_held() {
    assert_change(vec![registered(false)], PlanChange::SetActive(true), vec![PlanEvent::PlanActivated {}]);
    assert_change(vec![registered(true)], PlanChange::SetActive(false), vec![PlanEvent::PlanDeactivated {}]);
}

#[test]
fn pid_13_a_plan_in_the_wanted_state_stays_as_it_is() {
    assert_change(vec![registered(true)], PlanChange::SetActive(true), vec![]);
    let held = vec![registered(true), PlanEvent::PlanDeactivated {}];
    assert_change(held, PlanChange::SetActive(false), vec![]);
}

#[test]
fn pid_14_unknown_and_builtin_plans_cannot_be_held() {
    let plan_id = plan_id(1);
    assert_refused(vec![], PlanChange::SetActive(false), PlanRefused::Missing { plan_id });
    for wanted in [true, false] {
        let history = vec![builtin_defined(Builtin::Uploaded)];
        assert_refused(history, PlanChange::SetActive(wanted), PlanRefused::AlwaysActive { plan_id });
    }
}

#[test]
fn pid_15_limits_are_replaced_or_added_and_others_stay() {
    let history = vec![registered(true), limited()];
    let change = resource_change(&[("cpu", "2"), ("new", "1"), ("memory", "1Gi")], &[]);
    let event = resources(&[("cpu", "2"), ("new", "1")], &[]);
    assert_change(history.clone(), PlanChange::Resources(change), vec![event.clone()]);
    let plan = after(&[history, vec![event]].concat());
    let expected = pairs(&[("cpu", "2"), ("example.com/fpga", "2"), ("memory", "1Gi"), ("new", "1")]);
    assert_eq!(plan.resources.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn pid_16_limits_are_unset_and_absent_ones_are_no_error() {
    let history = vec![registered(true), limited()];
    let change = |unset| PlanChange::Resources(resource_change(&[], unset));
    assert_change(history.clone(), change(&["cpu", "absent"]), vec![resources(&[], &["cpu"])]);
    assert_change(history.clone(), change(&["absent"]), vec![]);
    assert!(!after(&[history, vec![resources(&[], &["cpu"])]].concat()).resources.contains_key("cpu"));
}

#[test]
fn pid_17_an_unknown_plan_cannot_be_changed() {
    let changes = [
        PlanChange::Resources(resource_change(&[("cpu", "1")], &[])),
        annotate(&[("k", "v")], &[], &[]),
        PlanChange::SetServiceAccount("trainer".to_owned()),
        PlanChange::ClearServiceAccount,
    ];
    for change in changes {
        assert_refused(vec![], change, PlanRefused::Missing { plan_id: plan_id(1) });
    }
}

#[test]
fn pid_18_what_is_both_set_and_unset_ends_up_unset() {
    let both = PlanChange::Resources(resource_change(&[("cpu", "2"), ("new", "1")], &["cpu", "new"]));
    assert_change(vec![registered(true), limited()], both, vec![resources(&[], &["cpu"])]);
}

#[test]
fn pid_19_present_annotations_are_not_added_and_absent_ones_not_removed() {
    let history = vec![registered(true), annotated(&[("owner", "alice")], &[])];
    assert_change(history.clone(), annotate(&[("owner", "alice")], &[], &[]), vec![]);
    assert_change(history, annotate(&[], &[("owner", "bob")], &["absent"]), vec![]);
}

#[test]
fn annotations_are_removed_by_key_and_by_pair_before_they_are_added() {
    let history = vec![registered(true), annotated(&[("k", "1"), ("k", "2"), ("l", "1"), ("m", "1")], &[])];
    let change = annotate(&[("k", "2"), ("k", "3")], &[("l", "1"), ("k", "3")], &["k"]);
    let event = annotated(&[("k", "3")], &[("k", "1"), ("l", "1")]);
    assert_change(history.clone(), change, vec![event.clone()]);
    let plan = after(&[history, vec![event]].concat());
    assert_eq!(plan.annotations, pairs(&[("k", "2"), ("k", "3"), ("m", "1")]));
}

#[test]
fn pid_22_a_service_account_is_replaced_or_inserted() {
    let set = |name: &str| PlanChange::SetServiceAccount(name.to_owned());
    assert_change(vec![registered(true)], set("trainer"), vec![account("trainer")]);
    assert_change(vec![registered(true), account("trainer")], set("other"), vec![account("other")]);
    assert_change(vec![registered(true), account("trainer")], set("trainer"), vec![]);
}

#[test]
fn a_service_account_is_cleared_also_by_the_empty_name() {
    for clear in [PlanChange::ClearServiceAccount, PlanChange::SetServiceAccount(String::new())] {
        let cleared = vec![PlanEvent::PlanServiceAccountCleared {}];
        assert_change(vec![registered(true), account("trainer")], clear.clone(), cleared);
        assert_change(vec![registered(true)], clear, vec![]);
    }
}

#[test]
fn attributes_of_builtin_plans_can_be_changed() {
    let change = PlanChange::Resources(resource_change(&[("cpu", "2")], &[]));
    assert_change(vec![builtin_defined(Builtin::Imported)], change, vec![resources(&[("cpu", "2")], &[])]);
}

#[test]
fn changes_that_storage_could_not_hold_are_refused() {
    let long = "x".repeat(2_000);
    let changes = [
        PlanChange::Resources(resource_change(&[(&long, "1")], &[])),
        annotate(&[(&long, "")], &[], &[]),
        PlanChange::SetServiceAccount(long.clone()),
    ];
    for change in changes {
        let refusal = change.decide(plan_id(1), &after(&[registered(true)])).unwrap_err();
        assert!(matches!(refusal, PlanRefused::TooLong(TooLong { chars: 2_000, .. })), "{refusal}");
    }
}

#[test]
fn a_change_is_written_at_the_version_it_was_decided_on() {
    let plan = Versioned::fold(&[registered(true), limited()], Plan::apply);
    let decision = change(plan_id(1), &plan, PlanChange::SetActive(false)).unwrap();
    let expected = Decision::write(StreamId::plan(plan_id(1)), 2, [PlanEvent::PlanDeactivated {}]);
    assert_eq!(decision, expected);
    assert!(change(plan_id(1), &plan, PlanChange::SetActive(true)).unwrap().is_nothing());
}

#[test]
fn x15_a_builtin_plan_is_defined_once_under_an_id_of_its_own() {
    let [first, second] = Builtin::ALL.map(|builtin| define_builtin(builtin, &Versioned::default()));
    assert_ne!(first.writes[0].stream, second.writes[0].stream);
    for builtin in Builtin::ALL {
        let define = PlanCommand::DefineBuiltin(builtin);
        let fresh = TestFramework::<Plan>::with(()).given_no_previous_events();
        fresh.when(define.clone()).then_expect_events(vec![builtin_defined(builtin)]);
        let defined = TestFramework::<Plan>::with(()).given(vec![builtin_defined(builtin)]);
        defined.when(define).then_expect_events(vec![]);
        // Two installers at once both expect that there is no such stream; the log lets one of them win.
        assert_eq!(define_builtin(builtin, &Versioned::default()).writes[0].expected, 0);
    }
}

#[test]
fn the_output_points_of_a_plan_are_its_outputs_then_its_log() {
    let draft = PlanDraft { log: log(&[]), ..draft(&["in:1"], &["out:1"]) };
    let definition = validate(&draft).unwrap();
    let plan = after(&[draft.registered(definition)]);
    let points: Vec<_> = plan.output_points().iter().map(|point| (point.path, point.log)).collect();
    assert_eq!(points, [("/out", false), (LOG_PATH, true)]);
    let upload = after(&[builtin_defined(Builtin::Uploaded)]);
    assert_eq!(upload.output_points(), [OutputPoint { path: "/upload", log: false, tags: None }]);
}
