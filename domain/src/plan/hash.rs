//! The hash of a Plan, as the original computes it.
//!
//! It is shown and kept for compatibility. It is an index and not an identity: its parts are joined
//! without separators, so different Plans can share one, and equivalence compares definitions (Q2).

use sha2::{Digest, Sha256};

use super::LOG_PATH;
use crate::event::plan::PlanDefinition;
use crate::tag::{Tag, TagSet};

/// SHA-256 of domain.md 1.5 in lower-case hex. `definition` is sorted, as every validated one is.
#[must_use]
pub fn hash(definition: &PlanDefinition) -> String {
    let mut hasher = Sha256::new();
    hasher.update(&definition.image.repository);
    hasher.update(&definition.image.tag);
    for node in &definition.on_node {
        hasher.update(format!("{}={}:{}", node.key, node.value, node.mode.as_str()));
    }
    for at in definition.inputs.iter().chain(&definition.outputs) {
        hasher.update(&at.path);
        hash_tags(&mut hasher, &at.tags);
    }
    if let Some(log) = &definition.log {
        hasher.update(LOG_PATH);
        hash_tags(&mut hasher, &log.tags);
    }
    hash_words(&mut hasher, "[entrypoint]", &definition.entrypoint);
    hash_words(&mut hasher, "[args]", &definition.args);
    hex::encode(hasher.finalize())
}

fn hash_tags(hasher: &mut Sha256, tags: &TagSet) {
    for tag in tags {
        hasher.update(&tag.key);
        hasher.update(":");
        hasher.update(canonical_value(tag));
    }
}

/// An instant is hashed in one way however its tag is written.
fn canonical_value(tag: &Tag) -> String {
    tag.instant().map_or_else(|| tag.value.clone(), |instant| instant.to_string())
}

fn hash_words(hasher: &mut Sha256, title: &str, words: &[String]) {
    if !words.is_empty() {
        hasher.update(title);
        words.iter().for_each(|word| hasher.update(word));
    }
}

#[cfg(test)]
mod tests {
    use super::super::draft::samples::{at, image, log};
    use super::super::{PlanDraft, validate};
    use super::*;
    use crate::event::plan::{Mountpoint, NodeMode, OnNode};

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn common(outputs: Vec<Mountpoint>) -> PlanDraft {
        let inputs = vec![at("/in/data/2", &["foo:bar"]), at("/in/data/1", &["some:tag"])];
        PlanDraft { outputs, ..PlanDraft::new(image(), inputs) }
    }

    fn hash_of(draft: &PlanDraft) -> String {
        hash(&validate(draft).unwrap())
    }

    /// The draft as it is, and with inputs, outputs and placement the other way round.
    fn assert_hash(draft: &PlanDraft, expected: &str) {
        let mut reversed = draft.clone();
        reversed.inputs.reverse();
        reversed.outputs.reverse();
        reversed.on_node.reverse();
        assert_eq!([hash_of(draft), hash_of(&reversed)], [expected, expected]);
    }

    #[test]
    fn pid_01_everything() {
        let on_node = |mode, key: &str, value: &str| OnNode { mode, key: key.to_owned(), value: value.to_owned() };
        let draft = PlanDraft {
            log: log(&["fizz:bazz", "type:log"]),
            on_node: vec![
                on_node(NodeMode::Prefer, "my-cluster.example.com/prefixed-label", "value._-prefixed"),
                on_node(NodeMode::May, "simple-label", "simple-value"),
            ],
            entrypoint: words(&["entry", "point"]),
            args: words(&["arg1", "arg2"]),
            ..common(vec![at("/out/result/1", &["fizz:bazz"]), at("/out/result/2", &["another:tag"])])
        };
        assert_hash(&draft, "6ea85c4e9ad0d7dc7c6b3691a841f0a97a4887f9dcc5a99bc94ba159d9d2d564");
    }

    #[test]
    fn pid_01_untagged_output_and_log() {
        let outputs = vec![at("/out/result/1", &["fizz:bazz"]), at("/out/result/2", &[])];
        let draft = PlanDraft { log: log(&[]), ..common(outputs) };
        assert_hash(&draft, "dd70b65d6a039976ccd75269355d2601b6c462038b18c38e2ba553932e6f2266");
    }

    #[test]
    fn pid_01_no_log() {
        let draft = common(vec![at("/out/result/1", &["fizz:bazz"]), at("/out/result/2", &["another:tag"])]);
        assert_hash(&draft, "15ae640efbab95a49beab13491040fd49450cfb359ff6dccd08c8802e070c0fc");
    }

    #[test]
    fn pid_01_pinned_input_in_any_offset() {
        for instant in ["2021-10-11T12:13:14+00:00", "2021-10-11T21:13:14.000+09:00", "2021-10-11T12:13:14Z"] {
            let mut draft = PlanDraft { log: log(&["fizz:bazz", "type:log"]), ..common(vec![]) };
            let timestamp = format!("knit#timestamp:{instant}");
            draft.inputs[0] = at("/in/data/2", &["foo:bar", "knit#id:some-knit-id", &timestamp]);
            assert_hash(&draft, "ab6325efe324bbcb7e7ae09e6548c17696d6e736dcb970dc1b74c920828b10f1");
        }
    }
}
