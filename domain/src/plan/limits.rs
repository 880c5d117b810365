//! How long the texts of a Plan may be, in characters: the limits of the original's storage
//! (web-api 1.10). Tags have theirs in [`crate::tag`].

/// Longest path of an input or output.
pub const PATH_CHARS_MAX: usize = 4_096;
/// Longest image repository, registry included.
pub const IMAGE_REPOSITORY_CHARS_MAX: usize = 512;
/// Longest image tag.
pub const IMAGE_TAG_CHARS_MAX: usize = 128;
/// Longest name of a resource.
pub const RESOURCE_NAME_CHARS_MAX: usize = 1_024;
/// Longest key of an annotation.
pub const ANNOTATION_KEY_CHARS_MAX: usize = 253;
/// Longest value of an annotation.
pub const ANNOTATION_VALUE_CHARS_MAX: usize = 1_048_576;
/// Longest name of a service account.
pub const SERVICE_ACCOUNT_CHARS_MAX: usize = 63;
/// How much of an overlong text a refusal quotes: enough to find it again.
const QUOTED_CHARS_MAX: usize = 40;

/// A text of a Plan is too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part} `{beginning}…` has {chars} characters; at most {chars_max} are allowed")]
pub struct TooLong {
    /// Which part, in words.
    pub part: &'static str,
    /// How the text begins.
    pub beginning: String,
    /// Its length.
    pub chars: usize,
    /// What is allowed.
    pub chars_max: usize,
}

pub(super) fn check(part: &'static str, text: &str, chars_max: usize) -> Result<(), TooLong> {
    // A text has at most as many characters as bytes, so most need no counting.
    if text.len() <= chars_max {
        return Ok(());
    }
    match text.chars().count() {
        chars if chars <= chars_max => Ok(()),
        chars => Err(TooLong { part, beginning: text.chars().take(QUOTED_CHARS_MAX).collect(), chars, chars_max }),
    }
}

pub(super) fn check_resource_name(name: &str) -> Result<(), TooLong> {
    check("the name of the resource", name, RESOURCE_NAME_CHARS_MAX)
}

pub(super) fn check_annotation((key, value): &(String, String)) -> Result<(), TooLong> {
    check("the key of the annotation", key, ANNOTATION_KEY_CHARS_MAX)?;
    check("the value of the annotation", value, ANNOTATION_VALUE_CHARS_MAX)
}

pub(super) fn check_service_account(name: &str) -> Result<(), TooLong> {
    check("the service account", name, SERVICE_ACCOUNT_CHARS_MAX)
}
