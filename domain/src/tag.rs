//! Tags: the (key, value) pairs by which Data are found and matched to the inputs of Plans.
//!
//! A key that starts with `knit#` makes a system tag. Of these only `knit#id`, `knit#timestamp` and
//! `knit#transient` mean something, and none is ever stored on a Data: they are derived.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Timestamp;

/// Keys that begin so are reserved for the system.
pub const SYSTEM_PREFIX: &str = "knit#";
/// Key of the tag that names a Data.
pub const KEY_ID: &str = "knit#id";
/// Key of the tag that tells when the producing Run ended.
pub const KEY_TIMESTAMP: &str = "knit#timestamp";
/// Key of the tag of Data that are not, or never will be, usable.
pub const KEY_TRANSIENT: &str = "knit#transient";
/// Longest key, in characters (the original's storage limit, web-api 1.10).
pub const KEY_CHARS_MAX: usize = 1_024;
/// Longest value, in characters (the original's storage limit, web-api 1.10).
pub const VALUE_CHARS_MAX: usize = 1_048_576;

/// One tag. Ordered by key, then value, in byte order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// Before the first colon of the text form.
    pub key: String,
    /// After it; may hold colons.
    pub value: String,
}

/// Why a tag cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedTag {
    /// The text has no colon.
    #[error("`{text}` is not a tag: write KEY:VALUE")]
    NoColon {
        /// What was given.
        text: String,
    },
    /// The key or value holds a character that poisons the wire (web-api 1.7).
    #[error("tag `{tag}` holds {character:?}: quotes, backslashes and control characters are not allowed in tags")]
    ForbiddenCharacter {
        /// The offending tag in text form.
        tag: String,
        /// The first offending character.
        character: char,
    },
    /// The key or value is too long.
    #[error(
        "tag key is limited to {KEY_CHARS_MAX} characters and tag value to {VALUE_CHARS_MAX}; got {key_chars} and {value_chars}"
    )]
    TooLong {
        /// Characters of the key.
        key_chars: usize,
        /// Characters of the value.
        value_chars: usize,
    },
}

impl Tag {
    /// A tag of exactly this key and value; nothing is trimmed or checked.
    #[must_use]
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }

    /// Parses `KEY:VALUE`: split at the first colon, white space around both parts removed.
    ///
    /// # Errors
    /// [`MalformedTag::NoColon`] when there is no colon.
    pub fn parse(text: &str) -> Result<Self, MalformedTag> {
        match text.split_once(':') {
            Some((key, value)) => Ok(Self::new(key.trim(), value.trim())),
            None => Err(MalformedTag::NoColon { text: text.to_owned() }),
        }
    }

    /// Refuses what may be searched for but must not be written: poisonous characters, excess length.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check_writable(&self) -> Result<(), MalformedTag> {
        let (key_chars, value_chars) = (self.key.chars().count(), self.value.chars().count());
        if key_chars > KEY_CHARS_MAX || value_chars > VALUE_CHARS_MAX {
            return Err(MalformedTag::TooLong { key_chars, value_chars });
        }
        let poisonous = |c: &char| matches!(c, '"' | '\\') || c.is_control();
        match self.key.chars().chain(self.value.chars()).find(poisonous) {
            Some(character) => Err(MalformedTag::ForbiddenCharacter { tag: self.to_string(), character }),
            None => Ok(()),
        }
    }

    /// Whether the key is reserved.
    #[must_use]
    pub fn is_system(&self) -> bool {
        is_system_key(&self.key)
    }

    /// The instant that a `knit#timestamp` tag names, if it names one; other tags name none.
    #[must_use]
    pub fn instant(&self) -> Option<Timestamp> {
        (self.key == KEY_TIMESTAMP).then(|| Timestamp::parse(&self.value).ok()).flatten()
    }
}

/// Whether `key` is reserved (starts with exactly `knit#`).
#[must_use]
pub fn is_system_key(key: &str) -> bool {
    key.starts_with(SYSTEM_PREFIX)
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.key, self.value)
    }
}

/// Stored as the pair `["key","value"]`: a key may hold a colon, so the text form would not come back.
impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.key, &self.value).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (key, value) = <(String, String)>::deserialize(deserializer)?;
        Ok(Self { key, value })
    }
}

/// A normalised set of tags: no duplicates, sorted by key, then by the raw value.
///
/// Of several `knit#timestamp` tags that denote one instant only the first given is kept; those that
/// cannot be parsed are compared as text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct TagSet(Vec<Tag>);

impl TagSet {
    /// Normalises `tags`.
    #[must_use]
    pub fn new(tags: impl IntoIterator<Item = Tag>) -> Self {
        let mut kept: Vec<Tag> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let mut instants = std::collections::HashSet::new();
        for tag in tags {
            let fresh_instant = match tag.instant() {
                Some(instant) => instants.insert(instant),
                None => true,
            };
            if fresh_instant && seen.insert(tag.clone()) {
                kept.push(tag);
            }
        }
        kept.sort();
        Self(kept)
    }

    /// All tags, sorted.
    #[must_use]
    pub fn as_slice(&self) -> &[Tag] {
        &self.0
    }

    /// Iterates in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Tag> {
        self.0.iter()
    }

    /// Number of tags.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether exactly this tag is in the set.
    #[must_use]
    pub fn contains(&self, tag: &Tag) -> bool {
        self.0.binary_search(tag).is_ok()
    }

    /// The tags whose key is not reserved, sorted.
    pub fn user(&self) -> impl Iterator<Item = &Tag> {
        self.0.iter().filter(|tag| !tag.is_system())
    }

    /// The tags whose key is reserved, sorted.
    pub fn system(&self) -> impl Iterator<Item = &Tag> {
        self.0.iter().filter(|tag| tag.is_system())
    }
}

impl FromIterator<Tag> for TagSet {
    fn from_iter<I: IntoIterator<Item = Tag>>(tags: I) -> Self {
        Self::new(tags)
    }
}

impl<'a> IntoIterator for &'a TagSet {
    type Item = &'a Tag;
    type IntoIter = std::slice::Iter<'a, Tag>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'de> Deserialize<'de> for TagSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Tag>::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> TagSet {
        texts.iter().map(|text| Tag::parse(text).unwrap()).collect()
    }

    fn texts<'a>(tags: impl IntoIterator<Item = &'a Tag>) -> Vec<String> {
        tags.into_iter().map(ToString::to_string).collect()
    }

    #[test]
    fn tag_01_a_set_is_sorted_and_has_no_duplicates() {
        let set = set(&["foo:bar", "fizz:quux", "foo:bar", "fizz:baz"]);
        assert_eq!(texts(&set), ["fizz:baz", "fizz:quux", "foo:bar"]);
    }

    #[test]
    fn tag_02_the_first_text_of_an_instant_wins() {
        let given = [
            "2022-08-15T04:11:22+03:00",
            "2022-08-15T00:11:22+00:00",
            "2022-08-15T05:11:22+02:00",
            "flying lightspeed",
            "2022-08-15T01:11:22+01:00",
            "2022-08-15T01:11:22+00:00",
        ];
        let set: TagSet = given.iter().map(|value| Tag::new(KEY_TIMESTAMP, *value)).collect();
        let values: Vec<&str> = set.iter().map(|tag| tag.value.as_str()).collect();
        assert_eq!(
            values,
            [
                "2022-08-15T00:11:22+00:00",
                "2022-08-15T04:11:22+03:00",
                "2022-08-15T05:11:22+02:00",
                "flying lightspeed"
            ]
        );
    }

    #[test]
    fn tag_03_system_and_user_tags_are_told_apart_and_sorted() {
        let set = set(&["c:3", "a:1", "knit#timestamp:2022-08-15T04:11:22+03:00", "b:2", "knit#id:x"]);
        assert_eq!(texts(set.system()), ["knit#id:x", "knit#timestamp:2022-08-15T04:11:22+03:00"]);
        assert_eq!(texts(set.user()), ["a:1", "b:2", "c:3"]);
    }

    #[test]
    fn tag_04_the_first_colon_splits_and_white_space_goes() {
        for text in ["aaa:bbb:ccc", "aaa :bbb:ccc", "aaa: bbb:ccc"] {
            assert_eq!(Tag::parse(text).unwrap(), Tag::new("aaa", "bbb:ccc"));
        }
    }

    #[test]
    fn tag_05_key_and_value_may_be_empty() {
        assert_eq!(Tag::parse("k2:").unwrap(), Tag::new("k2", ""));
        assert_eq!(Tag::parse(":v3").unwrap(), Tag::new("", "v3"));
        assert_eq!(Tag::parse(":").unwrap(), Tag::new("", ""));
    }

    #[test]
    fn tag_06_a_text_without_colon_is_no_tag() {
        assert!(Tag::parse("").is_err());
        assert!(Tag::parse("foo").is_err());
    }

    #[test]
    fn poisonous_characters_and_excess_length_are_refused_when_written() {
        assert!(Tag::new("a", "say \"hi\"").check_writable().is_err());
        assert!(Tag::new("a\\n", "").check_writable().is_err());
        assert!(Tag::new("a", "b\nc").check_writable().is_err());
        assert!(Tag::new("k".repeat(KEY_CHARS_MAX + 1), "").check_writable().is_err());
        assert!(Tag::new("名前", "値").check_writable().is_ok());
    }

    #[test]
    fn a_tag_survives_storage_whatever_its_key() {
        let tag = Tag::new("a:b", "c");
        let stored = serde_json::to_string(&tag).unwrap();
        assert_eq!(stored, r#"["a:b","c"]"#);
        assert_eq!(serde_json::from_str::<Tag>(&stored).unwrap(), tag);
    }
}
