//! The hash of a Plan, as the original computes it.
//!
//! It is shown and kept for compatibility. It is an index and not an identity: its parts are joined
//! without separators, so different Plans can share one, and equivalence compares definitions (Q2).

use sha2::{Digest, Sha256};

use super::LOG_PATH;
use crate::event::plan::PlanDefinition;
use crate::tag::{KEY_TIMESTAMP, Tag, TagSet};
use crate::time::Timestamp;

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
    match Timestamp::parse(&tag.value) {
        Ok(instant) if tag.key == KEY_TIMESTAMP => instant.to_string(),
        Ok(_) | Err(_) => tag.value.clone(),
    }
}

fn hash_words(hasher: &mut Sha256, title: &str, words: &[String]) {
    if !words.is_empty() {
        hasher.update(title);
        words.iter().for_each(|word| hasher.update(word));
    }
}
