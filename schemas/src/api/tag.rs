//! Tags on the wire: one notation out, two in (web-api 1.7).

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text_schema;

/// A (key, value) pair. Written as `"key:value"`; read from that or from `{"key": …, "value": …}`.
///
/// In the text form white space around both parts is dropped; in the object form nothing is. Which
/// keys and values are allowed where is not decided here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// Before the first colon.
    pub key: String,
    /// After it; may hold colons.
    pub value: String,
}

/// The text has no colon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a tag: write KEY:VALUE")]
pub struct MalformedTag {
    /// What was given.
    pub text: String,
}

impl Tag {
    /// A tag of exactly this key and value.
    #[must_use]
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }

    /// Parses `KEY:VALUE`.
    ///
    /// # Errors
    /// There is no colon.
    pub fn parse(text: &str) -> Result<Self, MalformedTag> {
        match text.split_once(':') {
            Some((key, value)) => Ok(Self::new(key.trim(), value.trim())),
            None => Err(MalformedTag { text: text.to_owned() }),
        }
    }

    /// Whether the key is reserved for the system (`knit#…`).
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.key.starts_with("knit#")
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.key, self.value)
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TagVisitor)
    }
}

struct TagVisitor;

impl<'de> Visitor<'de> for TagVisitor {
    type Value = Tag;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tag: \"KEY:VALUE\" or {\"key\": …, \"value\": …}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tag, E> {
        Tag::parse(text).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tag, A::Error> {
        let (mut key, mut value) = (None, None);
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "key" => key = Some(map.next_value()?),
                "value" => value = Some(map.next_value()?),
                _ => {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
            }
        }
        match (key, value) {
            (Some(key), Some(value)) => Ok(Tag { key, value }),
            // In YAML an unquoted `type: corpus` arrives here as an object of another kind.
            _ => Err(A::Error::custom("a tag as an object needs `key` and `value`; as a text write \"KEY:VALUE\"")),
        }
    }
}

text_schema!(Tag, "type:corpus", ":", "A tag, KEY:VALUE; requests may also give an object with `key` and `value`");

/// Writes tags as objects: a key that holds a colon survives only so.
pub(super) fn as_objects<S: Serializer>(tags: &[Tag], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Object<'a> {
        key: &'a str,
        value: &'a str,
    }
    serializer.collect_seq(tags.iter().map(|tag| Object { key: &tag.key, value: &tag.value }))
}
