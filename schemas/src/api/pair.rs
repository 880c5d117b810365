//! `key=value` texts: annotations of Plans and labels of nodes.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text_schema;

/// A key and a value, written `key=value`. Ordered by key, then value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// Before the first `=`.
    pub key: String,
    /// After it; may hold `=`.
    pub value: String,
}

/// The text has no `=`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a pair: write KEY=VALUE")]
pub struct MalformedPair {
    /// What was given.
    pub text: String,
}

impl Pair {
    /// A pair of exactly this key and value.
    #[must_use]
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }

    /// Parses `KEY=VALUE`: split at the first `=`, white space around both parts dropped.
    ///
    /// # Errors
    /// There is no `=`.
    pub fn parse(text: &str) -> Result<Self, MalformedPair> {
        match text.split_once('=') {
            Some((key, value)) => Ok(Self::new(key.trim(), value.trim())),
            None => Err(MalformedPair { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

impl Serialize for Pair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

text_schema!(Pair, "owner=alice", "=", "KEY=VALUE");
