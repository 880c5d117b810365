//! Plan files: YAML (so also JSON) that describes a Plan.

use knit_schemas::api::PlanSpec;
use knit_schemas::slip::is_slip_of;
use serde::Deserialize;
use serde_yaml_ng::{Deserializer, Value};

/// Keys that mean something, by where they stand.
const PLAN_KEYS: &[&str] = &[
    "image",
    "entrypoint",
    "args",
    "inputs",
    "outputs",
    "log",
    "active",
    "resources",
    "on_node",
    "service_account",
    "annotations",
];
const MOUNTPOINT_KEYS: &[&str] = &["path", "tags"];
const LOG_KEYS: &[&str] = &["tags"];
const NODE_KEYS: &[&str] = &["may", "prefer", "must"];
/// What every machine has. Other resources are the cluster's business, and have names such as `nvidia.com/gpu`.
const RESOURCES: &[&str] = &["cpu", "memory"];

/// What a file says, what in it is misspelt, and what else has no effect.
#[derive(Debug)]
pub(crate) struct PlanFile {
    pub(crate) spec: PlanSpec,
    /// Each says which key, and what is meant most likely. A Plan must not be registered without what was
    /// meant: it could never be corrected.
    pub(crate) misspelt: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// Reads the first document of `text`. Keys that mean nothing are reported: a misspelt one would silently
/// change what the Plan is.
pub(crate) fn parse(text: &str) -> Result<PlanFile, serde_yaml_ng::Error> {
    let mut documents = Deserializer::from_str(text);
    let spec = match documents.next() {
        Some(document) => Option::<PlanSpec>::deserialize(document)?.unwrap_or_default(),
        None => PlanSpec::default(),
    };
    let mut file = PlanFile { spec, misspelt: Vec::new(), warnings: Vec::new() };
    if let Some(document) = Deserializer::from_str(text).next() {
        check_keys(&Value::deserialize(document)?, &mut file);
    }
    if documents.next().is_some() {
        file.warnings.push("only the first document is read".to_owned());
    }
    Ok(file)
}

/// Whether nothing is written there, or nothing but comments.
pub(crate) fn is_blank(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

fn check_keys(plan: &Value, file: &mut PlanFile) {
    check(plan, "", PLAN_KEYS, file);
    for list in ["inputs", "outputs"] {
        let mountpoints = plan.get(list).and_then(Value::as_sequence);
        for (i, mountpoint) in mountpoints.into_iter().flatten().enumerate() {
            check(mountpoint, &format!("{list}[{i}]."), MOUNTPOINT_KEYS, file);
        }
    }
    for (part, known) in [("log", LOG_KEYS), ("on_node", NODE_KEYS)] {
        if let Some(value) = plan.get(part) {
            check(value, &format!("{part}."), known, file);
        }
    }
    if let Some(limits) = plan.get("resources") {
        check_resources(limits, file);
    }
}

/// A limit of something that is nearly `cpu` or `memory` would not be that limit.
fn check_resources(limits: &Value, file: &mut PlanFile) {
    for name in limits.as_mapping().into_iter().flat_map(|limits| limits.keys()).filter_map(Value::as_str) {
        if let Some(meant) = RESOURCES.iter().find(|known| is_slip_of(name, known)) {
            file.misspelt.push(format!("`resources.{name}`: did you mean `{meant}`?"));
        }
    }
}

fn check(value: &Value, place: &str, known: &[&str], file: &mut PlanFile) {
    for key in value.as_mapping().into_iter().flat_map(|mapping| mapping.keys()) {
        let key = key.as_str().unwrap_or("(not a text)");
        match known.iter().find(|known| is_slip_of(key, known)) {
            _ if known.contains(&key) => {}
            Some(meant) => file.misspelt.push(format!("`{place}{key}`: did you mean `{meant}`?")),
            None => file.warnings.push(format!("`{place}{key}` has no effect")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_plan_is_read() {
        let file = parse(
            "image: \"registry.example.com:5000/harbor/unet-train:2025.02\"\n\
             entrypoint: [python, -m, unet.train]\n\
             inputs:\n  - path: /in/frames\n    tags: [\"project:harbor\", {key: type, value: dataset}]\n\
             outputs:\n\
             log:\n  tags: [type:log]\n\
             active: true\n\
             resources: {cpu: 4, memory: 12Gi, share: 0.5}\n\
             on_node:\n  must: [accelerator=a100]\n\
             annotations: [\"owner = harbor-vision\"]\n",
        )
        .unwrap();
        assert_eq!((file.misspelt, file.warnings), (Vec::new(), Vec::new()));
        assert_eq!(file.spec.inputs[0].tags.len(), 2);
        assert_eq!(file.spec.resources["share"].to_string(), "500m");
        assert_eq!(file.spec.annotations[0].to_string(), "owner=harbor-vision");
        assert_eq!(file.spec.outputs, []);
    }

    #[test]
    fn keys_without_effect_are_warned_about_and_misspelt_ones_told_apart() {
        let file = parse(
            "image: a\nlogs: [x]\nresource: {}\nserviceAccount: x\ninputs: [{path: /in, tag: []}]\n\
             resources: {Memory: 1Gi, nvidia.com/gpu: 1}\n\
             log: {tags: [], keep: 1}\nversion: 3\n",
        )
        .unwrap();
        assert_eq!(
            file.misspelt,
            [
                "`logs`: did you mean `log`?",
                "`resource`: did you mean `resources`?",
                "`serviceAccount`: did you mean `service_account`?",
                "`inputs[0].tag`: did you mean `tags`?",
                "`resources.Memory`: did you mean `memory`?",
            ]
        );
        assert_eq!(file.warnings, ["`version` has no effect", "`log.keep` has no effect"]);
    }

    #[test]
    fn only_the_first_document_counts_and_that_is_said() {
        let file = parse("image: ab\n---\nimage: cd\n").unwrap();
        assert_eq!(file.spec.image, "ab");
        assert_eq!(file.warnings, ["only the first document is read"]);
    }

    #[test]
    fn a_repeated_key_is_an_error() {
        assert!(parse("image: ab\nimage: cd\n").unwrap_err().to_string().contains("duplicate"));
    }

    #[test]
    fn comments_alone_are_blank() {
        assert!(["", "\n", "# nothing\n", "---\n  # nothing\n"].into_iter().all(is_blank));
        assert!(!is_blank("# a Plan\nimage: ab\n"));
    }
}
