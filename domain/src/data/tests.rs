use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use uuid::Uuid;

use super::*;
use crate::event::data::DiscardReason;

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

fn set(texts: &[&str]) -> BTreeSet<Tag> {
    texts.iter().map(|text| tag(text)).collect()
}

fn keys(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn knit_id() -> KnitId {
    KnitId(Uuid::from_u128(1))
}

fn reserved(tags: &[&str]) -> DataEvent {
    DataEvent::DataReserved {
        knit_id: knit_id(),
        volume_ref: VolumeRef::of(knit_id()),
        run_id: RunId(Uuid::from_u128(2)),
        attempt: 1,
        plan_id: PlanId(Uuid::from_u128(3)),
        path: "/out".to_owned(),
        log: false,
        tags: set(tags).into_iter().collect(),
    }
}

fn discarded() -> DataEvent {
    DataEvent::DataDiscarded { reason: DiscardReason::Delete, volume_ref: VolumeRef::of(knit_id()) }
}

fn given(events: Vec<DataEvent>) -> AggregateTestExecutor<Data> {
    TestFramework::<Data>::with(()).given(events)
}

/// The Data of the rows TAG-11 to TAG-17.
fn tagged() -> AggregateTestExecutor<Data> {
    given(vec![reserved(&["tag-a:value 1", "tag-a:value 2", "tag-b:value 1"])])
}

fn change(remove: &[&str], remove_key: &[&str], add: &[&str]) -> DataCommand {
    DataCommand::ChangeTags(TagChange { remove: set(remove), remove_key: keys(remove_key), add: set(add) })
}

fn changed(added: &[&str], removed: &[&str]) -> Vec<DataEvent> {
    vec![DataEvent::DataTagsChanged { added: set(added), removed: set(removed) }]
}

#[test]
fn tag_07_system_keys_are_refused_wherever_they_occur() {
    for key in ["knit#id", "knit#transient", "knit#anything"] {
        let text = format!("{key}:x");
        let refused = || DataRefused::SystemKey { key: key.to_owned() };
        tagged().when(change(&[], &[], &["a:b", &text])).then_expect_error(refused());
        tagged().when(change(&[&text], &[], &["a:b"])).then_expect_error(refused());
        tagged().when(change(&[], &[key], &["a:b"])).then_expect_error(refused());
    }
    tagged().when(change(&[], &[], &["Knit#id:x"])).then_expect_events(changed(&["Knit#id:x"], &[]));
}

#[test]
fn tag_11_a_tag_is_added() {
    tagged().when(change(&[], &[], &["tag-c:value 1"])).then_expect_events(changed(&["tag-c:value 1"], &[]));
}

#[test]
fn tag_14_every_tag_of_a_key_is_removed() {
    let removed = changed(&[], &["tag-a:value 1", "tag-a:value 2"]);
    tagged().when(change(&[], &["tag-a"], &[])).then_expect_events(removed);
}

#[test]
fn tag_15_removing_what_is_absent_changes_nothing() {
    tagged().when(change(&["tag-c:value 1"], &[], &[])).then_expect_events(vec![]);
    tagged().when(change(&[], &["tag-c"], &[])).then_expect_events(vec![]);
    tagged().when(change(&[], &[], &["tag-a:value 1"])).then_expect_events(vec![]);
}

#[test]
fn tag_16_one_change_may_add_and_remove() {
    let command = change(&["tag-a:value 1"], &["tag-b"], &["tag-c:value 1"]);
    let expected = changed(&["tag-c:value 1"], &["tag-a:value 1", "tag-b:value 1"]);
    tagged().when(command.clone()).then_expect_events(expected.clone());
    let mut data = Data::default();
    data.apply(&reserved(&["tag-a:value 1", "tag-a:value 2", "tag-b:value 1"]));
    expected.iter().for_each(|event| data.apply(event));
    let tags: Vec<String> = data.living().unwrap().tags.iter().map(ToString::to_string).collect();
    assert_eq!(tags, ["tag-a:value 2", "tag-c:value 1"]);
}

#[test]
fn tag_17_a_tag_that_is_added_and_removed_is_there_afterwards() {
    let new = change(&["tag-a:value 3"], &[], &["tag-a:value 3"]);
    tagged().when(new).then_expect_events(changed(&["tag-a:value 3"], &[]));
    let present = change(&["tag-a:value 2"], &[], &["tag-a:value 2"]);
    tagged().when(present).then_expect_events(vec![]);
    let by_key = change(&[], &["tag-a"], &["tag-a:value 2"]);
    tagged().when(by_key).then_expect_events(changed(&[], &["tag-a:value 1"]));
}

#[test]
fn tag_18_tag_19_an_unknown_or_discarded_data_is_missing() {
    for gone in [vec![], vec![reserved(&["a:b"]), discarded()]] {
        given(gone.clone()).when(change(&[], &[], &["a:c"])).then_expect_error(DataRefused::Missing);
        given(gone).when(change(&["a:b"], &[], &[])).then_expect_error(DataRefused::Missing);
    }
}

#[test]
fn unwritable_tags_are_not_added_but_may_be_removed() {
    let poison = "say:\"hi\"";
    let refused = tagged().when(change(&[], &[], &[poison])).inspect_result().unwrap_err();
    assert!(matches!(refused, DataRefused::Unwritable(MalformedTag::ForbiddenCharacter { character: '"', .. })));
    given(vec![reserved(&[poison])]).when(change(&[poison], &[], &[])).then_expect_events(changed(&[], &[poison]));
}

#[test]
fn a_volume_is_reclaimed_once_and_only_of_a_discarded_data() {
    let reclaimed = DataEvent::VolumeReclaimed { volume_ref: VolumeRef::of(knit_id()) };
    let (living, dead) = (vec![reserved(&[])], vec![reserved(&[]), discarded()]);
    let refused = DataRefused::StillLiving { knit_id: knit_id() };
    given(living).when(DataCommand::ReclaimVolume).then_expect_error(refused);
    given(dead.clone()).when(DataCommand::ReclaimVolume).then_expect_events(vec![reclaimed.clone()]);
    given(dead).and(vec![reclaimed]).when(DataCommand::ReclaimVolume).then_expect_events(vec![]);
    given(vec![]).when(DataCommand::ReclaimVolume).then_expect_error(DataRefused::Missing);
}
