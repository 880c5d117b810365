use super::super::draft::samples::{at, draft, image, log, tags};
use super::super::limits;
use super::*;
use crate::event::plan::{Mountpoint, NodeMode, OnNode};
use crate::tag::KEY_TIMESTAMP;

fn plan() -> PlanDraft {
    draft(&["in:1"], &["out:1"])
}

fn with_inputs(inputs: Vec<Mountpoint>) -> PlanDraft {
    PlanDraft { inputs, ..plan() }
}

fn with_outputs(outputs: Vec<Mountpoint>) -> PlanDraft {
    PlanDraft { outputs, ..plan() }
}

fn with_input_tags(texts: &[&str]) -> PlanDraft {
    with_inputs(vec![at("/in", texts)])
}

fn with_on_node(key: &str, value: &str) -> PlanDraft {
    PlanDraft { on_node: vec![must(key, value)], ..plan() }
}

fn must(key: &str, value: &str) -> OnNode {
    OnNode { mode: NodeMode::Must, key: key.to_owned(), value: value.to_owned() }
}

fn refusal(draft: &PlanDraft) -> InvalidPlan {
    validate(draft).expect_err("the draft breaks a rule")
}

fn assert_unclean(draft: &PlanDraft, side: Side, path: &str) {
    assert_eq!(refusal(draft), InvalidPlan::UncleanPath { side, path: path.to_owned() });
}

fn assert_overlap(draft: &PlanDraft, side: Side, path: &str, other: &str) {
    let (path, other) = (path.to_owned(), other.to_owned());
    assert_eq!(refusal(draft), InvalidPlan::Overlap { side, path, other });
}

#[test]
fn pln_01_a_plan_without_inputs_is_unreachable() {
    assert_eq!(refusal(&with_inputs(vec![])), InvalidPlan::Unreachable);
}

#[test]
fn pln_02_an_image_needs_a_repository_and_a_tag() {
    for (repository, tag) in [("", "v1"), ("repo.invalid/name", ""), ("", "")] {
        let image = Image { repository: repository.to_owned(), tag: tag.to_owned() };
        let draft = PlanDraft { image: image.clone(), ..plan() };
        assert_eq!(refusal(&draft), InvalidPlan::NamelessImage { image });
    }
}

#[test]
fn pln_03_a_path_is_absolute_and_not_empty() {
    assert_unclean(&with_inputs(vec![at("relative/path", &["in:1"])]), Side::Input, "relative/path");
    assert_unclean(&with_outputs(vec![at("relative/path", &[])]), Side::Output, "relative/path");
    let empty = |side| InvalidPlan::EmptyPath { side };
    assert_eq!(refusal(&with_inputs(vec![at("", &["in:1"])])), empty(Side::Input));
    assert_eq!(refusal(&with_outputs(vec![at("", &[])])), empty(Side::Output));
}

#[test]
fn pln_04_a_path_is_clean() {
    for path in ["/in/../1", "/in/./1", "/in/..", "/in//1", "/in//", "//in"] {
        assert_unclean(&with_inputs(vec![at(path, &["in:1"])]), Side::Input, path);
    }
    assert_unclean(&with_outputs(vec![at("./out", &[])]), Side::Output, "./out");
}

#[test]
fn pln_05_an_input_asks_for_at_least_one_tag() {
    assert_eq!(refusal(&with_input_tags(&[])), InvalidPlan::UntaggedInput { path: "/in".to_owned() });
}

#[test]
fn pln_08_two_texts_of_one_instant_are_one_pin() {
    let draft = with_input_tags(&[
        "knit#timestamp:2021-10-11T12:13:14.5+00:00",
        "knit#timestamp:2021-10-11T14:13:14.500+02:00",
    ]);
    let pinned = validate(&draft).unwrap();
    assert_eq!(pinned.inputs[0].tags, tags(&["knit#timestamp:2021-10-11T12:13:14.5+00:00"]));
}

#[test]
fn two_pins_of_one_kind_are_refused() {
    let instants = ["knit#timestamp:2021-10-11T12:13:14+00:00", "knit#timestamp:2021-10-11T12:13:15+00:00"];
    for (texts, key) in [(["knit#id:a", "knit#id:b"], "knit#id"), (instants, KEY_TIMESTAMP)] {
        let problem = PinProblem::Repeated { key };
        assert_eq!(refusal(&with_input_tags(&texts)), InvalidPlan::InputSystemTag { path: "/in".to_owned(), problem });
    }
}

#[test]
fn pln_09_an_input_cannot_ask_for_transient_data() {
    for text in ["knit#transient:processing", "knit#transient:failed", "knit#transient:anything"] {
        assert_no_pin(text);
    }
}

#[test]
fn pln_10_an_input_cannot_ask_for_an_unknown_system_tag() {
    assert_no_pin("knit#unknwon:value");
}

fn assert_no_pin(text: &str) {
    let problem = PinProblem::NoPin { tag: Tag::parse(text).unwrap() };
    let expected = InvalidPlan::InputSystemTag { path: "/in".to_owned(), problem };
    assert_eq!(refusal(&with_input_tags(&["in:1", text])), expected);
}

#[test]
fn q26_a_pin_that_is_no_instant_is_refused() {
    let problem = PinProblem::NoInstant { value: "flying lightspeed".to_owned() };
    assert_eq!(
        refusal(&with_input_tags(&["knit#timestamp:flying lightspeed"])),
        InvalidPlan::InputSystemTag { path: "/in".to_owned(), problem }
    );
}

#[test]
fn q3_a_pinned_instant_is_kept_as_data_display_theirs() {
    let draft = with_input_tags(&["knit#timestamp:2021-10-11T21:13:14.123999+09:00"]);
    let definition = validate(&draft).unwrap();
    assert_eq!(definition.inputs[0].tags, tags(&["knit#timestamp:2021-10-11T12:13:14.123+00:00"]));
}

#[test]
fn outputs_and_log_get_no_system_tags() {
    let tag = Tag::parse("knit#id:x").unwrap();
    let (path, other) = ("/out".to_owned(), tag.clone());
    assert_eq!(
        refusal(&with_outputs(vec![at("/out", &["knit#id:x"])])),
        InvalidPlan::OutputSystemTag { path, tag: other }
    );
    assert_eq!(refusal(&PlanDraft { log: log(&["knit#id:x"]), ..plan() }), InvalidPlan::LogSystemTag { tag });
}

#[test]
fn pln_12_no_input_lies_in_another() {
    let draft = with_inputs(vec![at("/in/data/1", &["in:1"]), at("/in/data", &["in:2"])]);
    assert_overlap(&draft, Side::Input, "/in/data", "/in/data/1");
}

#[test]
fn pln_13_no_output_lies_in_another() {
    let draft = with_outputs(vec![at("/out/data", &[]), at("/out/data/1", &[])]);
    assert_overlap(&draft, Side::Output, "/out/data", "/out/data/1");
}

#[test]
fn pln_14_inputs_and_outputs_lie_apart_whatever_their_slashes() {
    let in_around_out =
        PlanDraft { outputs: vec![at("/path/data/1", &[])], ..with_inputs(vec![at("/path/data/", &["a:"])]) };
    assert_overlap(&in_around_out, Side::Input, "/path/data", "/path/data/1");
    let out_around_in = PlanDraft { outputs: vec![at("/path", &[])], ..with_inputs(vec![at("/path/data/", &["a:"])]) };
    assert_overlap(&out_around_in, Side::Input, "/path/data", "/path");
}

#[test]
fn no_path_occurs_twice() {
    let inputs = with_inputs(vec![at("/in", &["in:1"]), at("/in/", &["in:2"])]);
    assert_overlap(&inputs, Side::Input, "/in", "/in");
    let outputs = with_outputs(vec![at("/out", &[]), at("/out", &[])]);
    assert_overlap(&outputs, Side::Output, "/out", "/out");
    let both = PlanDraft { outputs: vec![at("/in", &[])], ..plan() };
    assert_overlap(&both, Side::Input, "/in", "/in");
}

#[test]
fn q1_siblings_whose_names_begin_alike_stand_together() {
    let inputs =
        vec![at("/in/1", &["a:"]), at("/in/10", &["a:"]), at("/in/data", &["a:"]), at("/in/data-set", &["a:"])];
    assert!(validate(&with_inputs(inputs)).is_ok());
}

#[test]
fn pln_17_the_root_is_no_mountpoint() {
    assert_unclean(&PlanDraft { outputs: vec![], ..with_inputs(vec![at("/", &["in:1"])]) }, Side::Input, "/");
}

#[test]
fn pln_18_the_log_overlaps_nothing() {
    assert!(validate(&PlanDraft { log: log(&[]), ..with_outputs(vec![at("/log/x", &[])]) }).is_ok());
}

#[test]
fn pln_19_outputs_and_log_may_be_untagged_or_missing() {
    for (outputs, log) in [(vec![at("/out", &[])], log(&[])), (vec![], None), (vec![], log(&["type:log"]))] {
        assert!(validate(&PlanDraft { outputs, log, ..plan() }).is_ok());
    }
}

#[test]
fn pln_20_an_on_node_key_is_a_name_with_an_optional_prefix() {
    let label = "a".repeat(64);
    let long_prefix = format!("{}.aa", vec!["abc"; 63].join("."));
    assert_eq!(long_prefix.len(), 254);
    let bad = [
        label.clone(),
        format!("{label}/name"),
        format!("{long_prefix}/name"),
        ".example.com/name".to_owned(),
        "example.com/".to_owned(),
        "/name".to_owned(),
        "a/b/c".to_owned(),
        "gpu.product".to_owned(),
        "under_score".to_owned(),
        "-name".to_owned(),
        "name-".to_owned(),
        String::new(),
    ];
    for key in bad {
        assert_eq!(refusal(&with_on_node(&key, "value")), InvalidPlan::OnNodeKey { key });
    }
    for key in ["name", "a", "my-cluster.example.com/prefixed-label", &format!("{}/x", &long_prefix[..253])] {
        assert!(validate(&with_on_node(key, "value")).is_ok(), "{key}");
    }
}

#[test]
fn an_on_node_value_is_a_label_value() {
    for value in ["", "-a", "a.", "a b", &"v".repeat(64)] {
        let (key, value) = ("key".to_owned(), value.to_owned());
        assert_eq!(refusal(&with_on_node("key", &value)), InvalidPlan::OnNodeValue { key, value });
    }
    assert!(validate(&with_on_node("key", "value._-prefixed")).is_ok());
}

#[test]
fn q25_repeated_on_node_entries_are_one() {
    let draft = PlanDraft { on_node: vec![must("b", "1"), must("a", "1"), must("b", "1")], ..plan() };
    assert_eq!(validate(&draft).unwrap().on_node, [must("a", "1"), must("b", "1")]);
}

/// Every rule broken at once, then mended one by one in the order of the table.
#[test]
fn the_first_broken_rule_is_told_in_the_order_of_the_table() {
    let mut draft = PlanDraft {
        on_node: vec![must("k_", ""), must("z", "-")],
        outputs: vec![at("", &["knit#id:o"])],
        log: log(&["knit#id:l"]),
        ..PlanDraft::new(Image { repository: String::new(), ..image() }, vec![])
    };
    let is = |draft: &PlanDraft, expected: fn(&InvalidPlan) -> bool| {
        let refusal = refusal(draft);
        assert!(expected(&refusal), "{refusal:?}");
    };
    is(&draft, |refusal| matches!(refusal, InvalidPlan::OnNodeKey { .. }));
    draft.on_node[0].key = "k".to_owned();
    is(&draft, |refusal| matches!(refusal, InvalidPlan::OnNodeValue { .. }));
    draft.on_node.clear();
    is(&draft, |refusal| matches!(refusal, InvalidPlan::NamelessImage { .. }));
    draft.image = image();
    is(&draft, |refusal| matches!(refusal, InvalidPlan::Unreachable));
    draft.inputs = vec![at("/b/./", &[]), at("", &[])];
    is(&draft, |refusal| matches!(refusal, InvalidPlan::EmptyPath { side: Side::Input }));
    draft.inputs[1].path = "/a".to_owned();
    is(&draft, |refusal| matches!(refusal, InvalidPlan::EmptyPath { side: Side::Output }));
    draft.outputs = vec![at("/a/x", &["knit#id:o"]), at("/p/../o", &["knit#id:o"])];
    is(&draft, |refusal| matches!(refusal, InvalidPlan::UntaggedInput { path } if path == "/a"));
    draft.inputs[1].tags = tags(&["knit#transient:failed"]);
    is(&draft, |refusal| matches!(refusal, InvalidPlan::InputSystemTag { path, .. } if path == "/a"));
    draft.inputs[1].tags = tags(&["a:1"]);
    is(&draft, |refusal| matches!(refusal, InvalidPlan::Overlap { side: Side::Input, path, .. } if path == "/a"));
    draft.outputs[0].path = "/o".to_owned();
    is(&draft, |refusal| matches!(refusal, InvalidPlan::UncleanPath { side: Side::Input, path } if path == "/b/./"));
    draft.inputs[0] = at("/b", &["b:1"]);
    is(&draft, |refusal| matches!(refusal, InvalidPlan::OutputSystemTag { path, .. } if path == "/o"));
    draft.outputs[0].tags = tags(&[]);
    is(&draft, |refusal| matches!(refusal, InvalidPlan::UncleanPath { side: Side::Output, .. }));
    draft.outputs[1].path = "/o/1".to_owned();
    is(&draft, |refusal| matches!(refusal, InvalidPlan::Overlap { side: Side::Output, .. }));
    draft.outputs.truncate(1);
    is(&draft, |refusal| matches!(refusal, InvalidPlan::LogSystemTag { .. }));
    draft.log = None;
    assert!(validate(&draft).is_ok());
}

#[test]
fn what_storage_could_not_hold_is_refused() {
    let long = |chars_max: usize| "x".repeat(chars_max + 1);
    let image = |repository: String, tag: String| PlanDraft { image: Image { repository, tag }, ..plan() };
    let annotations = |key: String, value: String| PlanDraft { annotations: [(key, value)].into(), ..plan() };
    let overlong = [
        image(long(limits::IMAGE_REPOSITORY_CHARS_MAX), "v1".to_owned()),
        image("name".to_owned(), long(limits::IMAGE_TAG_CHARS_MAX)),
        with_outputs(vec![at(&format!("/{}", "x".repeat(limits::PATH_CHARS_MAX)), &[])]),
        PlanDraft { resources: [(long(limits::RESOURCE_NAME_CHARS_MAX), "1".to_owned())].into(), ..plan() },
        PlanDraft { service_account: Some(long(limits::SERVICE_ACCOUNT_CHARS_MAX)), ..plan() },
        annotations(long(limits::ANNOTATION_KEY_CHARS_MAX), String::new()),
        annotations("key".to_owned(), long(limits::ANNOTATION_VALUE_CHARS_MAX)),
    ];
    for draft in overlong {
        assert!(matches!(refusal(&draft), InvalidPlan::TooLong(_)));
    }
    let fitting = "é".repeat(limits::SERVICE_ACCOUNT_CHARS_MAX);
    assert!(validate(&PlanDraft { service_account: Some(fitting), ..plan() }).is_ok());
}

#[test]
fn tags_that_poison_the_wire_are_refused_wherever_they_are() {
    let quote = "say:\"hi\"";
    let drafts = [
        with_input_tags(&[quote]),
        with_outputs(vec![at("/out", &[quote])]),
        PlanDraft { log: log(&[quote]), ..plan() },
    ];
    for (draft, place) in drafts.iter().zip(["/in", "/out", "log"]) {
        assert!(matches!(refusal(draft), InvalidPlan::UnwritableTag { place: at, .. } if at == place));
    }
}

#[test]
fn what_no_process_can_be_given_is_refused() {
    let with_args = |args: &[&str]| PlanDraft { args: args.iter().map(|&arg| arg.to_owned()).collect(), ..plan() };
    assert_eq!(refusal(&with_args(&["a", "b\0c"])), InvalidPlan::NulCharacter { part: "an argument" });
    assert!(validate(&with_args(&["", "new\nline"])).is_ok());
}

#[test]
fn a_refusal_says_what_and_why() {
    let draft = PlanDraft { outputs: vec![at("/in/1", &[])], ..plan() };
    assert_eq!(
        refusal(&draft).to_string(),
        "path `/in` of an input and path `/in/1` overlap: neither may be the other or lie within it"
    );
    assert_eq!(
        refusal(&with_input_tags(&["knit#timestamp:soon"])).to_string(),
        "input `/in` is pinned to `soon`, which is not a time: write it like 2025-03-03T09:15:02.4+00:00"
    );
}
