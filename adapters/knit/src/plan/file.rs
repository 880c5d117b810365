//! Plan files: YAML (so also JSON) that describes a Plan.

use knit_schemas::api::PlanSpec;
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

/// What a file says, and what in it has no effect.
#[derive(Debug)]
pub(crate) struct PlanFile {
    pub(crate) spec: PlanSpec,
    pub(crate) warnings: Vec<String>,
}

/// Reads the first document of `text`. Keys that mean nothing are warned about: a misspelt one
/// would silently change what the Plan is.
pub(crate) fn parse(text: &str) -> Result<PlanFile, serde_yaml_ng::Error> {
    let mut documents = Deserializer::from_str(text);
    let spec = match documents.next() {
        Some(document) => Option::<PlanSpec>::deserialize(document)?.unwrap_or_default(),
        None => PlanSpec::default(),
    };
    let mut warnings = match Deserializer::from_str(text).next() {
        Some(document) => unknown_keys(&Value::deserialize(document)?),
        None => Vec::new(),
    };
    if documents.next().is_some() {
        warnings.push("only the first document is read".to_owned());
    }
    Ok(PlanFile { spec, warnings })
}

/// Whether nothing is written there, or nothing but comments.
pub(crate) fn is_blank(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

fn unknown_keys(plan: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    check(plan, "", PLAN_KEYS, &mut warnings);
    for list in ["inputs", "outputs"] {
        let mountpoints = plan.get(list).and_then(Value::as_sequence);
        for (i, mountpoint) in mountpoints.into_iter().flatten().enumerate() {
            check(mountpoint, &format!("{list}[{i}]."), MOUNTPOINT_KEYS, &mut warnings);
        }
    }
    for (part, known) in [("log", LOG_KEYS), ("on_node", NODE_KEYS)] {
        if let Some(value) = plan.get(part) {
            check(value, &format!("{part}."), known, &mut warnings);
        }
    }
    warnings
}

fn check(value: &Value, place: &str, known: &[&str], warnings: &mut Vec<String>) {
    for key in value.as_mapping().into_iter().flat_map(|mapping| mapping.keys()) {
        let key = key.as_str().unwrap_or("(not a text)");
        if !known.contains(&key) {
            let instead = known.iter().find(|known| is_slip_of(key, known));
            let meant = instead.map(|known| format!("; did you mean `{known}`?")).unwrap_or_default();
            warnings.push(format!("`{place}{key}` has no effect{meant}"));
        }
    }
}

/// Whether one is the other's beginning, give or take case, dashes and a plural.
fn is_slip_of(key: &str, known: &str) -> bool {
    let key = key.to_lowercase().replace('-', "_");
    key.len().abs_diff(known.len()) <= 2 && (key.starts_with(known) || known.starts_with(&key))
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
        assert_eq!(file.warnings, [""; 0]);
        assert_eq!(file.spec.inputs[0].tags.len(), 2);
        assert_eq!(file.spec.resources["share"].to_string(), "500m");
        assert_eq!(file.spec.annotations[0].to_string(), "owner=harbor-vision");
        assert_eq!(file.spec.outputs, []);
    }

    #[test]
    fn keys_without_effect_are_warned_about() {
        let file =
            parse("image: a\nlogs: [x]\nresource: {}\ninputs: [{path: /in, tag: []}]\nlog: {tags: [], keep: 1}\n")
                .unwrap();
        assert_eq!(
            file.warnings,
            [
                "`logs` has no effect; did you mean `log`?",
                "`resource` has no effect; did you mean `resources`?",
                "`inputs[0].tag` has no effect; did you mean `tags`?",
                "`log.keep` has no effect",
            ]
        );
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
