//! Labels of nodes, as `on_node` asks for them. Stricter than Kubernetes, as the original is: the
//! name of a key has neither `_` nor `.`.

use super::InvalidPlan;
use crate::event::plan::OnNode;

/// The form of a key, for refusals.
pub(super) const KEY_FORM: &str = "write NAME or PREFIX/NAME; NAME is 1 to 63 letters, digits and inner hyphens, \
     PREFIX at most 253 characters of such words joined by dots";
/// The form of a value, for refusals.
pub(super) const VALUE_FORM: &str =
    "write 1 to 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit";
/// Longest name, word of a prefix, and value, in characters (the limit of Kubernetes labels).
const WORD_CHARS_MAX: usize = 63;
/// Longest prefix, in characters (the limit of Kubernetes labels).
const PREFIX_CHARS_MAX: usize = 253;

/// In the order of mode, key and value, without repeats (Q25).
pub(super) fn sorted(on_node: &[OnNode]) -> Vec<OnNode> {
    let mut sorted = on_node.to_vec();
    sorted.sort();
    sorted.dedup();
    sorted
}

pub(super) fn check(node: &OnNode) -> Result<(), InvalidPlan> {
    if !is_key(&node.key) {
        return Err(InvalidPlan::OnNodeKey { key: node.key.clone() });
    }
    if !is_word(&node.value, |inner| matches!(inner, b'-' | b'_' | b'.')) {
        return Err(InvalidPlan::OnNodeValue { key: node.key.clone(), value: node.value.clone() });
    }
    Ok(())
}

fn is_key(key: &str) -> bool {
    let hyphenated = |word: &str| is_word(word, |inner| inner == b'-');
    match key.split_once('/') {
        None => hyphenated(key),
        Some((prefix, name)) => {
            prefix.len() <= PREFIX_CHARS_MAX && prefix.split('.').all(hyphenated) && hyphenated(name)
        }
    }
}

/// Whether `text` is 1 to 63 letters and digits, with others only inside.
fn is_word(text: &str, may_be_inside: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let ends_well = |end: Option<&u8>| end.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= WORD_CHARS_MAX
        && ends_well(bytes.first())
        && ends_well(bytes.last())
        && bytes.iter().all(|&byte| byte.is_ascii_alphanumeric() || may_be_inside(byte))
}
