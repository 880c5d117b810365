//! Finding Data, Plans and Runs (domain.md 9.4).

use knit_domain::id::{KnitId, PlanId, RunId};
use knit_domain::plan::{Builtin, PlanChange};
use knit_domain::run::Status;
use knit_domain::run::ending::UploadOutcome;
use knit_domain::tag::Tag;
use knit_domain::time::Timestamp;
use knit_projections::store::{At, DataFilter, IdKind, IdPrefix, PlanFilter, RunFilter, Store};

use crate::world::acts::Sketch;
use crate::world::{World, tags};

fn data_with(store: &Store, texts: &[&str]) -> Vec<KnitId> {
    store.find_data(&DataFilter { tags: tags(texts.iter().copied()), ..DataFilter::default() }, At::Now)
}

fn plans_asking(store: &Store, texts: &[&str]) -> Vec<PlanId> {
    store.find_plans(&PlanFilter { in_tags: tags(texts.iter().copied()), ..PlanFilter::default() }, At::Now)
}

fn plans_giving(store: &Store, texts: &[&str]) -> Vec<PlanId> {
    store.find_plans(&PlanFilter { out_tags: tags(texts.iter().copied()), ..PlanFilter::default() }, At::Now)
}

fn runs(store: &Store, filter: &RunFilter) -> Vec<RunId> {
    store.find_runs(filter, At::Now)
}

fn sorted<T: Ord>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = all.into_iter().collect();
    all.sort();
    all
}

fn plan_ids(world: &World) -> Vec<PlanId> {
    world.plans.keys().copied().collect()
}

#[test]
fn fnd_01_all_plans_are_found_by_id_built_in_ones_included() {
    let mut world = World::new();
    world.register("b", &[("/in", &["a:1"])]);
    world.register("a", &[("/in", &["a:1"])]);
    let found = world.store().find_plans(&PlanFilter::default(), At::Now);
    assert_eq!(found, plan_ids(&world));
    assert_eq!(found.len(), 4);
}

#[test]
fn fnd_02_plans_are_found_by_activity_and_built_in_ones_are_active() {
    let mut world = World::new();
    let held = world.register("held", &[("/in", &["a:1"])]);
    let free = world.register("free", &[("/in", &["a:1"])]);
    world.set_active(held, false);
    let find =
        |active| world.store().find_plans(&PlanFilter { active: Some(active), ..PlanFilter::default() }, At::Now);
    assert_eq!(find(false), [held]);
    assert_eq!(find(true), sorted([free, Builtin::Uploaded.id(), Builtin::Imported.id()]));
}

#[test]
fn plans_are_found_by_image_with_or_without_its_tag() {
    let mut world = World::new();
    let plan = world.register("repo.invalid:5000/a/b", &[("/in", &["a:1"])]);
    let store = world.store();
    let find = |image: &str, image_tag: Option<&str>| {
        let (image, image_tag) = (Some(image.to_owned()), image_tag.map(str::to_owned));
        store.find_plans(&PlanFilter { image, image_tag, ..PlanFilter::default() }, At::Now)
    };
    assert_eq!(find("repo.invalid:5000/a/b", None), [plan]);
    assert_eq!(find("repo.invalid:5000/a/b", Some("1")), [plan]);
    assert_eq!(find("repo.invalid:5000/a/b", Some("2")), []);
    assert_eq!(find("a/b", None), []);
}

#[test]
fn fnd_04_all_input_tags_are_wanted_on_one_input() {
    let mut world = World::new();
    world.register("apart", &[("/in/1", &["key1:val2"]), ("/in/2", &["key2:val1"])]);
    let together = world.register("together", &[("/in/1", &["key1:val2", "key2:val1"])]);
    assert_eq!(plans_asking(&world.store(), &["key1:val2", "key2:val1"]), [together]);
    assert_eq!(plans_asking(&world.store(), &["key1:val2"]).len(), 2);
}

#[test]
fn fnd_05_plans_are_found_by_their_pins() {
    let mut world = World::new();
    let id = "knit#id:no-id-at-all";
    let by_id = world.register("by-id", &[("/in/1", &["a:1", id]), ("/in/2", &["b:2"])]);
    let by_time = world.register("by-time", &[("/in", &["knit#timestamp:2024-05-06T09:08:09.123+02:00"])]);
    let store = world.store();
    assert_eq!(plans_asking(&store, &[id]), [by_id]);
    assert_eq!(plans_asking(&store, &["knit#timestamp:2024-05-06T07:08:09.123Z"]), [by_time]);
    assert_eq!(plans_asking(&store, &[id, "a:1"]), [by_id]);
    // Q16: every condition on one input.
    assert_eq!(plans_asking(&store, &[id, "b:2"]), []);
    for nothing in ["knit#transient:failed", "knit#colour:red", "knit#timestamp:soon"] {
        assert_eq!(plans_asking(&store, &[nothing]), [], "{nothing}");
    }
    assert_eq!(plans_asking(&store, &[id, "knit#id:another"]), []);
}

#[test]
fn fnd_06_output_tags_are_wanted_on_one_output_or_on_the_log() {
    let mut world = World::new();
    let sketch = Sketch {
        image: "x",
        inputs: &[("/in", &["a:1"])],
        outputs: &[("/out/1", &["o:1", "p:1"]), ("/out/2", &["o:2"])],
        log: Some(&["type:log", "l:1"]),
    };
    let plan = world.try_register(&sketch).unwrap();
    let store = world.store();
    assert_eq!(plans_giving(&store, &["o:1", "p:1"]), [plan]);
    assert_eq!(plans_giving(&store, &["type:log", "l:1"]), [plan]);
    assert_eq!(plans_giving(&store, &["o:1", "o:2"]), []);
    assert_eq!(plans_giving(&store, &["o:1", "l:1"]), []);
    assert_eq!(plans_giving(&store, &["a:1"]), []);
    assert_eq!(plans_giving(&store, &["knit#id:x"]), []);
}

#[test]
fn fnd_08_a_tag_nobody_ever_used_finds_no_plan() {
    let mut world = World::new();
    world.register("x", &[("/in", &["a:1"])]);
    assert_eq!(plans_asking(&world.store(), &["no:such"]), []);
    assert_eq!(plans_giving(&world.store(), &["no:such"]), []);
}

/// One Run in each of the ten statuses, each with one output.
fn all_statuses(world: &mut World) -> Vec<(Status, RunId)> {
    let input = world.upload(&["type:raw"]);
    let statuses = Status::ALL.into_iter().map(|status| {
        let sketch = Sketch {
            image: &format!("in-{status}"),
            inputs: &[("/in", &["type:raw"])],
            outputs: &[("/out", &["made:yes"])],
            log: None,
        };
        let plan = world.try_register(&sketch).unwrap();
        let run = world.run_on(plan, &[("/in", input)]);
        match status {
            Status::Deactivated => world.set_active(plan, false),
            Status::Waiting => {}
            Status::Ready => world.steps(run, 1),
            Status::Starting => world.steps(run, 3),
            Status::Running => world.steps(run, 4),
            Status::Completing => world.steps(run, 5),
            Status::Aborting => world.abort(run),
            Status::Done => world.finish(run),
            Status::Failed => {
                world.abort(run);
                world.finish(run);
            }
            Status::Invalidated => {
                world.finish(run);
                world.delete(run);
            }
        }
        assert_eq!(world.status(run), status);
        (status, run)
    });
    statuses.collect()
}

#[test]
fn fnd_09_data_are_found_by_what_their_runs_are_doing() {
    let mut world = World::new();
    let all = all_statuses(&mut world);
    let store = world.store();
    let of = |wanted: &[Status]| {
        let runs = all.iter().filter(|(status, _)| wanted.contains(status));
        sorted(runs.map(|(_, run)| world.output(*run, "/out")))
    };
    use Status::{Aborting, Completing, Deactivated, Failed, Ready, Running, Starting, Waiting};
    let processing = of(&[Deactivated, Waiting, Ready, Starting, Running, Completing, Aborting]);
    assert_eq!(sorted(data_with(&store, &["knit#transient:processing"])), processing);
    assert_eq!(processing.len(), 7);
    assert_eq!(data_with(&store, &["knit#transient:failed"]), of(&[Failed]));
    assert_eq!(data_with(&store, &["knit#transient:failed", "knit#transient:processing"]), []);
    assert_eq!(data_with(&store, &["knit#transient:purged"]), []);
}

#[test]
fn fnd_12_two_ids_or_two_timestamps_find_nothing() {
    let mut world = World::new();
    let (first, second) = (world.upload(&[]), world.upload(&[]));
    let store = world.store();
    let id = |id: KnitId| format!("knit#id:{id}");
    assert_eq!(data_with(&store, &[&id(first)]), [first]);
    assert_eq!(data_with(&store, &[&id(first), &id(first)]), [first]);
    assert_eq!(data_with(&store, &[&id(first), &id(second)]), []);
    assert_eq!(data_with(&store, &["knit#id:none"]), []);
    let timestamp = |id: KnitId| {
        let tags = store.data(id, At::Now).unwrap().tags;
        tags.iter().find(|tag| tag.key == "knit#timestamp").unwrap().to_string()
    };
    // Q3: a timestamp copied from an answer matches.
    assert_eq!(data_with(&store, &[&timestamp(first)]), [first]);
    assert_eq!(data_with(&store, &[&timestamp(first), &timestamp(second)]), []);
    assert_eq!(data_with(&store, &["knit#colour:red"]), []);
}

#[test]
fn fnd_13_data_are_found_by_all_user_tags_together() {
    let mut world = World::new();
    let both = world.upload(&["a:1", "b:2"]);
    let one = world.upload(&["a:1"]);
    let back = world.upload(&["a:1"]);
    world.tag(back, &[], &["a:1"]);
    world.tag(back, &["a:1", "b:2"], &[]);
    let lost = world.upload(&["a:1", "b:2"]);
    world.tag(lost, &[], &["b:2"]);
    let store = world.store();
    assert_eq!(data_with(&store, &["a:1", "b:2"]), [both, back]);
    assert_eq!(data_with(&store, &["a:1"]), [both, one, back, lost]);
    assert_eq!(data_with(&store, &["a:1", "no:such"]), []);
}

#[test]
fn fnd_14_time_is_the_timestamp_or_the_last_change_of_the_run() {
    let mut world = World::new();
    world.wait_until("2025-01-01T00:00:00Z");
    let early = world.upload(&[]);
    world.wait_until("2025-01-02T00:00:00Z");
    let (_, unfinished) = world.start_upload();
    world.wait_until("2025-01-03T00:00:00Z");
    let late = world.upload(&[]);
    let store = world.store();
    let between = |since: &str, until: Option<&str>| {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let (since, until) = (Some(at(since)), until.map(at));
        store.find_data(&DataFilter { since, until, ..DataFilter::default() }, At::Now)
    };
    assert_eq!(between("2025-01-01T12:00:00Z", None), [late, unfinished]);
    assert_eq!(between("2025-01-01T12:00:00Z", Some("2025-01-02T12:00:00Z")), [unfinished]);
    assert_eq!(between("0001-01-01T00:00:00Z", Some("2025-01-01T12:00:00Z")), [early]);
    // Both ends: the beginning is in, the end is not.
    assert_eq!(between("2025-01-02T00:00:00Z", Some("2025-01-02T00:00:00.001Z")), [unfinished]);
    assert_eq!(between("2025-01-01T00:00:00Z", Some("2025-01-02T00:00:00Z")), [early]);
    assert_eq!(between("2025-01-03T00:00:00Z", Some("2025-01-01T00:00:00Z")), []);
}

#[test]
fn q30_a_timestamp_finds_no_unfinished_data() {
    let mut world = World::new();
    world.wait_until("2025-01-02T00:00:00Z");
    world.start_upload();
    assert_eq!(data_with(&world.store(), &["knit#timestamp:2025-01-02T00:00:00Z"]), []);
}

#[test]
fn fnd_16_data_come_by_timestamp_then_those_without_then_by_id() {
    let mut world = World::new();
    let unfinished = sorted([world.start_upload().1, world.start_upload().1]);
    let (late_run, late) = world.start_upload();
    let early = world.upload(&[]);
    world.conclude_upload(late_run, UploadOutcome::Failed { reason: "no gzip".to_owned() });
    let found = world.store().find_data(&DataFilter::default(), At::Now);
    assert_eq!(found, [early, late, unfinished[0], unfinished[1]]);
}

#[test]
fn fnd_17_all_runs_are_found_by_their_last_change_deleted_ones_included() {
    let mut world = World::new();
    all_statuses(&mut world);
    let store = world.store();
    let found = runs(&store, &RunFilter::default());
    let keys: Vec<_> = found.iter().map(|id| (store.run(*id, At::Now).unwrap().updated_at, *id)).collect();
    assert!(keys.is_sorted());
    assert_eq!(sorted(found), world.runs.keys().copied().collect::<Vec<_>>());
}

#[test]
fn fnd_18_runs_are_found_by_any_of_their_inputs() {
    let mut world = World::new();
    let data: Vec<KnitId> = (0..3).map(|_| world.upload(&["a:1"])).collect();
    let plan = world.register("x", &[("/in", &["a:1"])]);
    let made: Vec<RunId> = data.iter().map(|data| world.run_on(plan, &[("/in", *data)])).collect();
    let inputs = Some(vec![data[0], data[2]]);
    assert_eq!(runs(&world.store(), &RunFilter { inputs, ..RunFilter::default() }), [made[0], made[2]]);
}

#[test]
fn fnd_19_a_run_must_fit_in_every_respect() {
    let mut world = World::new();
    let data = world.upload(&["a:1"]);
    let plan = world.register("x", &[("/in", &["a:1"])]);
    let other = world.register("y", &[("/in", &["a:1"])]);
    let run = world.done_on(plan, &[("/in", data)]);
    world.done_on(other, &[("/in", data)]);
    let (store, log) = (world.store(), world.output(run, "/log"));
    let full = RunFilter {
        plans: Some(vec![plan]),
        inputs: Some(vec![data]),
        outputs: Some(vec![log]),
        statuses: Some(vec![Status::Done, Status::Waiting]),
        ..RunFilter::default()
    };
    assert_eq!(runs(&store, &full), [run]);
    assert_eq!(runs(&store, &RunFilter { plans: Some(vec![other]), ..full.clone() }), []);
    assert_eq!(runs(&store, &RunFilter { inputs: Some(vec![log]), ..full.clone() }), []);
    assert_eq!(runs(&store, &RunFilter { outputs: Some(vec![data]), ..full.clone() }), []);
    assert_eq!(runs(&store, &RunFilter { statuses: Some(vec![Status::Failed]), ..full.clone() }), []);
    assert_eq!(runs(&store, &RunFilter { statuses: Some(vec![]), ..full.clone() }), []);
    assert_eq!(runs(&store, &RunFilter { since: Some(Timestamp(i64::MAX)), ..full.clone() }), []);
    assert_eq!(runs(&store, &RunFilter { until: Some(Timestamp(0)), ..full }), []);
}

#[test]
fn held_runs_are_found_as_deactivated_and_not_as_waiting() {
    let mut world = World::new();
    let data = world.upload(&["a:1"]);
    let plan = world.register("x", &[("/in", &["a:1"])]);
    let run = world.run_on(plan, &[("/in", data)]);
    world.change(plan, PlanChange::SetActive(false));
    let find = |status| runs(&world.store(), &RunFilter { statuses: Some(vec![status]), ..RunFilter::default() });
    assert_eq!(find(Status::Deactivated), [run]);
    assert_eq!(find(Status::Waiting), []);
}

#[test]
fn fnd_21_what_does_not_exist_is_not_found() {
    let mut world = World::new();
    let data = world.upload(&[]);
    let store = world.store();
    let none = uuid::Uuid::nil();
    assert!(store.data(data, At::Now).is_some());
    assert_eq!(store.data(KnitId(none), At::Now), None);
    assert_eq!(store.run(RunId(none), At::Now), None);
    assert_eq!(store.plan(PlanId(none), At::Now), None);
    assert_eq!(store.attempts(RunId(none), At::Now), None);
    let inputs = Some(vec![KnitId(none)]);
    assert_eq!(runs(&store, &RunFilter { inputs, ..RunFilter::default() }), []);
}

#[test]
fn ids_are_found_by_how_they_begin_as_long_as_they_are_there() {
    let mut world = World::new();
    let uploads: Vec<KnitId> = (0..40).map(|_| world.upload(&["a:1"])).collect();
    let store = world.store();
    let beginning = |id: KnitId, digits: usize| {
        let prefix = IdPrefix::parse(&id.to_string()[..digits]).unwrap();
        store.ids_beginning(IdKind::Data, prefix, At::Now, uploads.len())
    };
    for id in &uploads {
        for digits in [1, 4, 12, 36] {
            let mut plainly: Vec<_> = uploads.iter().map(|id| id.0).collect();
            plainly.retain(|other| other.to_string().starts_with(&id.to_string()[..digits]));
            plainly.reverse();
            assert_eq!(beginning(*id, digits), plainly);
        }
    }
    let every = store.ids_beginning(IdKind::Data, IdPrefix::parse("").unwrap(), At::Now, 3);
    assert_eq!(every, uploads.iter().rev().take(3).map(|id| id.0).collect::<Vec<_>>());
}

#[test]
fn tags_are_found_by_how_they_begin_keys_first_and_then_values() {
    let mut world = World::new();
    world.upload(&["project:hello", "project:other", "type:text", "at:2025-03-03T10:15"]);
    world.register("x", &[("/in", &["project:asked"])]);
    let store = world.store();
    let beginning = |typed: &str| store.tags_beginning(typed, 10);
    assert_eq!(beginning(""), ["at:", "knit#id:", "knit#timestamp:", "made-by:", "project:", "type:"]);
    assert_eq!(beginning("type:"), ["type:log", "type:text"], "what a Plan gives and what a Data has");
    assert_eq!(beginning("pro"), ["project:"]);
    assert_eq!(beginning("project"), ["project:"]);
    assert_eq!(beginning("project:"), ["project:asked", "project:hello", "project:other"]);
    assert_eq!(beginning("project:o"), ["project:other"]);
    assert_eq!(beginning("at:2025-03-03T10:"), ["at:2025-03-03T10:15"], "a value may hold colons");
    assert_eq!(store.tags_beginning("", 2), ["at:", "knit#id:"]);
    assert_eq!(store.tags_beginning("project:", 2), ["project:asked", "project:hello"]);
    for nothing in ["x", "project:x", "pro:", "knit#id:", "text"] {
        assert_eq!(beginning(nothing), Vec::<String>::new(), "{nothing}");
    }
}

#[test]
fn a_tag_is_told_that_another_was_meant_to_be() {
    let mut world = World::new();
    world.upload(&["type:metric", "step:7", "is:b", "lang:en"]);
    world.register("x", &[("/in", &["type:metirc", "asked:only"])]);
    let store = world.store();
    let meant = |key: &str, value: &str| store.tag_meant(&Tag::new(key, value)).map(|tag| tag.to_string());
    for (key, value) in [("type", "metirc"), ("type", "metrics"), ("typ", "metric"), ("Type", "metric")] {
        assert_eq!(meant(key, value).as_deref(), Some("type:metric"), "{key}:{value}");
    }
    for (key, value) in
        [("step", "8"), ("is", "a"), ("lang", "de"), ("asked", "onyl"), ("type", "model"), ("type", "log")]
    {
        assert_eq!(meant(key, value), None, "{key}:{value}");
    }
}

#[test]
fn a_tag_that_nothing_has_any_more_is_not_found() {
    let mut world = World::new();
    let (kept, gone) = (world.upload(&["a:1", "a:wrong"]), world.upload(&["a:2", "b:2"]));
    world.tag(kept, &[], &["a:wrong"]);
    world.delete(world.run_that_made(gone));
    let store = world.store();
    assert_eq!(store.tags_beginning("a:", 10), ["a:1"]);
    assert_eq!(store.tags_beginning("b", 10), Vec::<String>::new());
}
