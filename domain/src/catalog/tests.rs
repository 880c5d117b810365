use cqrs_es::test::TestFramework;

use super::*;
use crate::event::plan::{Image, PlanEvent};
use crate::plan::Plan;
use crate::plan::draft::samples::{at, draft, log, plan_id};

mod random;

/// The catalog after these drafts were registered under the ids 1, 2, 3, …
fn catalog(drafts: &[PlanDraft]) -> Versioned<Catalog> {
    let mut catalog = Versioned::<Catalog>::default();
    for (index, draft) in drafts.iter().enumerate() {
        let decision = register(&catalog, order(index as u128 + 1, draft)).expect("the draft is admissible");
        append(&mut catalog, &decision);
    }
    catalog
}

fn order(number: u128, draft: &PlanDraft) -> RegisterPlan {
    RegisterPlan { plan_id: plan_id(number), draft: draft.clone() }
}

/// What the log does with the catalog's part of a decision.
fn append(catalog: &mut Versioned<Catalog>, decision: &Decision) {
    for event in decision.events() {
        if let crate::event::Event::Catalog(event) = event {
            catalog.state.apply(event);
            catalog.version += 1;
        }
    }
}

fn refusal(drafts: &[PlanDraft], new: &PlanDraft) -> RegistrationRefused {
    register(&catalog(drafts), order(99, new)).expect_err("a rule stands against it")
}

#[track_caller]
fn assert_admitted(drafts: &[PlanDraft], new: &PlanDraft) {
    let decision = register(&catalog(drafts), order(99, new)).expect("no rule stands against it");
    assert_eq!(decision.events().count(), 2);
}

fn named(mut draft: PlanDraft, name: &str) -> PlanDraft {
    draft.image = Image { repository: format!("repo.invalid/{name}"), tag: "v1".to_owned() };
    draft
}

fn cyclic(through: &[u128]) -> RegistrationRefused {
    RegistrationRefused::Cyclic { through: through.iter().map(|&number| plan_id(number)).collect() }
}

#[test]
fn a_registered_plan_is_admitted_and_begins_its_stream_in_one_decision() {
    let before = catalog(&[draft(&["a:1"], &["b:1"])]);
    let new = draft(&["c:1"], &["d:1"]);
    let decision = register(&before, order(2, &new)).unwrap();
    let streams: Vec<_> = decision.writes.iter().map(|write| (write.stream.clone(), write.expected)).collect();
    assert_eq!(streams, [(StreamId::catalog(), 1), (StreamId::plan(plan_id(2)), 0)]);
    let registered: Vec<PlanEvent> = decision
        .events()
        .filter_map(|event| if let crate::event::Event::Plan(event) = event { Some(event.clone()) } else { None })
        .collect();
    let plan = Versioned::fold(&registered, Plan::apply).state;
    assert_eq!(plan.definition(), Some(&validate(&new).unwrap()));
}

#[test]
fn pid_02_an_equivalent_plan_is_refused_and_the_existing_one_named() {
    let existing = PlanDraft { log: log(&["type:log"]), ..draft(&["a:1"], &["b:1"]) };
    let same = PlanDraft { outputs: vec![at("/out/", &["b:1", "b:1"])], ..existing.clone() };
    let drafts = [draft(&["x:1"], &["y:1"]), existing];
    assert_eq!(refusal(&drafts, &same), RegistrationRefused::Equivalent { existing: plan_id(2) });
}

#[test]
fn pid_03_a_plan_with_the_same_hash_but_another_definition_is_admitted() {
    let image = |repository: &str, tag: &str| Image { repository: repository.to_owned(), tag: tag.to_owned() };
    let (one, other) = (
        PlanDraft { image: image("repo.invalid/name", "v1"), ..draft(&["a:1"], &["b:1"]) },
        PlanDraft { image: image("repo.invalid/namev", "1"), ..draft(&["a:1"], &["b:1"]) },
    );
    let hash = |draft: &PlanDraft| crate::plan::hash(&validate(draft).unwrap());
    assert_eq!(hash(&one), hash(&other));
    assert_admitted(&[one], &other);
}

#[test]
fn q2_plans_that_differ_only_in_where_a_separator_is_missing_are_two() {
    let node = |key: &str, value: &str| crate::event::plan::OnNode {
        mode: crate::event::plan::NodeMode::May,
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let with = |nodes: &[_], args: &[&str]| PlanDraft {
        on_node: nodes.to_vec(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        ..draft(&["a:1"], &["b:1"])
    };
    assert_admitted(&[with(&[node("k", "v")], &[])], &with(&[node("k", "w")], &[]));
    assert_admitted(&[with(&[node("k", "v")], &[])], &with(&[], &[]));
    assert_admitted(&[with(&[], &["ab", "c"])], &with(&[], &["a", "bc"]));
}

#[test]
fn pid_04_attributes_do_not_make_another_plan() {
    let existing = PlanDraft { active: Some(false), ..draft(&["a:1"], &["b:1"]) };
    let other = PlanDraft {
        active: Some(true),
        resources: [("cpu".to_owned(), "8".to_owned())].into(),
        annotations: [("owner".to_owned(), "bob".to_owned())].into(),
        service_account: Some("trainer".to_owned()),
        ..existing.clone()
    };
    assert_eq!(refusal(&[existing], &other), RegistrationRefused::Equivalent { existing: plan_id(1) });
}

#[test]
fn pid_05_the_order_of_args_and_where_the_entrypoint_ends_matter() {
    let with = |entrypoint: &[&str], args: &[&str]| {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        PlanDraft { entrypoint: words(entrypoint), args: words(args), ..draft(&["a:1"], &["b:1"]) }
    };
    assert_admitted(&[with(&[], &["a", "b"])], &with(&[], &["b", "a"]));
    assert_admitted(&[with(&["a"], &["b"])], &with(&["a", "b"], &[]));
}

#[test]
fn pid_06_a_plan_does_not_feed_itself() {
    assert_eq!(refusal(&[], &draft(&["a:1"], &["a:1", "b:1"])), cyclic(&[]));
    let by_log = PlanDraft { log: log(&["a:1"]), ..draft(&["a:1"], &["b:1"]) };
    assert_eq!(refusal(&[], &by_log), cyclic(&[]));
}

/// Plan 1 feeds Plan 2 by its log, Plan 2 feeds Plan 3 by its output; Plan 2 is inactive.
fn chain() -> [PlanDraft; 3] {
    let first = PlanDraft { log: log(&["p1:log"]), ..draft(&["p0:out"], &[]) };
    let second = PlanDraft { active: Some(false), ..draft(&["p1:log"], &["p2:out"]) };
    [first, second, draft(&["p2:out"], &["p3:out"])]
}

#[test]
fn pid_07_no_cycle_is_closed_through_logs_and_inactive_plans() {
    assert_eq!(refusal(&chain(), &draft(&["p3:out"], &["p0:out"])), cyclic(&[1, 2, 3]));
}

#[test]
fn pid_08_a_pinned_input_closes_no_cycle() {
    for pin in ["knit#id:x", "knit#timestamp:2021-10-11T12:13:14+00:00"] {
        assert_admitted(&chain(), &draft(&["p3:out", pin], &["p0:out"]));
    }
}

#[test]
fn pid_09_plans_may_feed_each_other_in_one_direction() {
    assert_admitted(&chain(), &draft(&["p3:out"], &["p4:out"]));
    assert_admitted(&chain(), &draft(&["user:tag"], &["p0:out"]));
}

#[test]
fn pid_10_an_invalid_plan_is_refused_before_it_is_compared() {
    let invalid = PlanDraft { inputs: vec![], ..draft(&["a:1"], &["a:1"]) };
    assert_eq!(refusal(&[], &invalid), RegistrationRefused::Invalid(InvalidPlan::Unreachable));
}

#[test]
fn equivalence_is_told_before_a_cycle() {
    // Admitted by an older program, say, that did not look for cycles.
    let looped = draft(&["a:1"], &["a:1"]);
    let definition = validate(&looped).unwrap();
    let admitted = CatalogEvent::PlanAdmitted { plan_id: plan_id(1), definition };
    let catalog = Versioned::fold(&[admitted], Catalog::apply);
    let refusal = register(&catalog, order(2, &looped)).unwrap_err();
    assert_eq!(refusal, RegistrationRefused::Equivalent { existing: plan_id(1) });
    assert!(register(&catalog, order(2, &draft(&["b:1"], &["a:1"]))).is_ok());
}

#[test]
fn x1_x2_both_of_two_registrations_in_a_hurry_expect_the_same_version() {
    let before = catalog(&[]);
    let (one, other) = (draft(&["a:1"], &["b:1"]), draft(&["b:1"], &["a:1"]));
    let first = register(&before, order(1, &one)).unwrap();
    let second = register(&before, order(2, &other)).unwrap();
    // The log takes one of them, because both write the catalog's stream at one version …
    assert_eq!(
        (&first.writes[0].stream, first.writes[0].expected),
        (&second.writes[0].stream, second.writes[0].expected)
    );
    // … and the other, decided again, sees the first.
    assert_eq!(refusal(std::slice::from_ref(&one), &other), cyclic(&[1]));
    assert_eq!(refusal(std::slice::from_ref(&one), &one), RegistrationRefused::Equivalent { existing: plan_id(1) });
}

#[test]
fn the_aggregate_admits_and_refuses_as_register_does() {
    let draft = draft(&["a:1"], &["b:1"]);
    let admitted = CatalogEvent::PlanAdmitted { plan_id: plan_id(1), definition: validate(&draft).unwrap() };
    let catalog = || TestFramework::<Catalog>::with(());
    catalog().given_no_previous_events().when(order(1, &draft)).then_expect_events(vec![admitted.clone()]);
    let equivalent = RegistrationRefused::Equivalent { existing: plan_id(1) };
    catalog().given(vec![admitted]).when(order(2, &draft)).then_expect_error(equivalent);
}

#[test]
fn a_refused_cycle_names_the_plans_on_the_way() {
    let text = cyclic(&[1, 2]).to_string();
    assert_eq!(
        text,
        format!(
            "the Plan would feed itself through the Plans {} -> {}: narrow the tags of an input, or pin one by knit#id",
            plan_id(1),
            plan_id(2)
        )
    );
}

#[test]
fn a_refused_long_cycle_is_told_in_short() {
    let all: Vec<u128> = (1..=4_000).collect();
    let text = cyclic(&all).to_string();
    assert!(text.contains(&format!("{} -> … (3992 more) -> {}", plan_id(7), plan_id(4_000))), "{text}");
    assert!(!cyclic(&all[..8]).to_string().contains('…'));
}

#[test]
fn the_shortest_of_several_cycles_is_reported() {
    let detour = named(draft(&["p0:out"], &["p1:out"]), "detour");
    let shortcut = named(draft(&["p0:out"], &["p2:out"]), "shortcut");
    let last = draft(&["p1:out"], &["p2:out"]);
    assert_eq!(refusal(&[detour, last, shortcut], &draft(&["p2:out"], &["p0:out"])), cyclic(&[3]));
}

fn prospect(runs: u64) -> Prospect {
    Prospect { position: 7, runs, candidates: vec![("/in".to_owned(), runs)] }
}

#[test]
fn a_plan_that_would_get_more_runs_than_are_wanted_is_not_registered() {
    let draft = draft(&["a:1"], &["b:1"]);
    let refused = register_within(&Versioned::default(), order(1, &draft), &prospect(3), 2).unwrap_err();
    let told = RegistrationRefused::TooManyRuns { runs: 3, runs_max: 2, candidates: vec![("/in".to_owned(), 3)] };
    assert_eq!(refused, told);
    assert!(refused.to_string().contains("would get 3 Runs and at most 2 are wanted"), "{refused}");
}

#[test]
fn a_plan_within_what_is_wanted_is_registered_if_nothing_was_said_since_it_was_counted() {
    let draft = draft(&["a:1"], &["b:1"]);
    let decision = register_within(&Versioned::default(), order(1, &draft), &prospect(2), 2).unwrap();
    let plain = register(&Versioned::default(), order(1, &draft)).unwrap();
    assert_eq!(decision, plain.given(Condition::LogAt { position: 7 }));
}
