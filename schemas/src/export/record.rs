//! What an export is made of.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::chain::{self, GENESIS, Hash};

/// The version of the description that [`Begin`] names.
pub const VERSION: u32 = 1;
/// Stream type and name of the event that admits a redaction.
pub(super) const REDACTION: (&str, &str) = ("journal", "EventRedacted");

/// One record. A whole export is [`Begin`], events, [`End`].
#[expect(clippy::large_enum_variant, reason = "all but a few are events; a box would be an allocation for each")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Record {
    /// The first.
    Begin(Begin),
    /// One event.
    Event(Event),
    /// The last.
    End(End),
    /// The last, where the database holds something that is no event.
    Unreadable(Unreadable),
}

/// What the export continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Begin {
    /// [`VERSION`].
    pub format: u32,
    /// The first event is the one behind this position.
    pub after: u64,
    /// The chain at that position.
    #[serde(with = "hash_text")]
    pub chain: Hash,
}

impl Begin {
    /// The beginning of an export of what lies behind `after`, where the chain is `chain`.
    #[must_use]
    pub fn behind(after: u64, chain: Hash) -> Self {
        Self { format: VERSION, after, chain }
    }

    /// The beginning of an export of the whole log.
    #[must_use]
    pub fn of_the_log() -> Self {
        Self::behind(0, GENESIS)
    }
}

/// One event, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Event {
    /// Place in the total order.
    pub position: u64,
    /// Identity.
    #[serde(with = "uuid_text")]
    pub event_id: Uuid,
    /// Stored name of the kind of stream.
    pub stream_type: String,
    /// Which stream.
    pub stream_id: String,
    /// Place in the stream.
    pub sequence: u64,
    /// Stored name of the event.
    pub event_type: String,
    /// Stored version of the event.
    pub event_version: String,
    /// JSON, as it was hashed.
    pub payload: String,
    /// JSON, as it was hashed.
    pub metadata: String,
    /// Milliseconds since 1970.
    pub recorded_at_ms: i64,
    /// Random bytes; none where the event was redacted.
    #[serde(with = "bytes_text")]
    pub salt: Vec<u8>,
    /// Hash of the content.
    #[serde(with = "hash_text")]
    pub leaf: Hash,
    /// Hash of the log up to here.
    #[serde(with = "hash_text")]
    pub chain: Hash,
}

impl Event {
    /// The leaf that the content has now.
    #[must_use]
    pub fn leaf_of_content(&self) -> Hash {
        chain::leaf([
            &self.salt,
            self.event_id.as_bytes(),
            self.stream_type.as_bytes(),
            self.stream_id.as_bytes(),
            &self.sequence.to_be_bytes(),
            self.event_type.as_bytes(),
            self.event_version.as_bytes(),
            self.payload.as_bytes(),
            self.metadata.as_bytes(),
        ])
    }

    /// The hash of the envelope that the event has now: of all but salt and payload.
    #[must_use]
    pub fn envelope(&self) -> Hash {
        chain::envelope([
            self.event_id.as_bytes(),
            self.stream_type.as_bytes(),
            self.stream_id.as_bytes(),
            &self.sequence.to_be_bytes(),
            self.event_type.as_bytes(),
            self.event_version.as_bytes(),
            self.metadata.as_bytes(),
        ])
    }

    /// Whether it admits a redaction, and says so still.
    #[must_use]
    pub fn is_redaction(&self) -> bool {
        (self.stream_type.as_str(), self.event_type.as_str()) == REDACTION && !self.is_emptied()
    }

    /// Whether content and salt were taken out, as a redaction does. PostgreSQL keeps JSON there, so an empty object
    /// says the same as an empty text.
    #[must_use]
    pub fn is_emptied(&self) -> bool {
        self.salt.is_empty() && matches!(self.payload.as_str(), "" | "{}")
    }
}

/// That the export is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct End {
    /// Up to which position events were asked for.
    pub position: u64,
    /// The chain that must be reached there.
    #[serde(with = "hash_text")]
    pub chain: Hash,
}

/// That the rest cannot be read, and where it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unreadable {
    /// The first position that cannot be read.
    pub position: u64,
    /// What was said about it.
    pub why: String,
}

/// Bytes in lower-case hexadecimal. Nothing else is read: a flipped bit must not make another text of the same bytes.
mod bytes_text {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let is_lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let bytes = hex::decode(text.as_bytes()).ok().filter(|_| is_lower);
        bytes.ok_or_else(|| serde::de::Error::custom("bytes are written in lower-case hexadecimal"))
    }
}

/// A hash in hexadecimal.
mod hash_text {
    use serde::{Deserializer, Serializer};

    use super::{Hash, bytes_text};

    pub(super) fn serialize<S: Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
        bytes_text::serialize(hash, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        let bytes = bytes_text::deserialize(deserializer)?;
        Hash::try_from(bytes).map_err(|_| serde::de::Error::custom("a hash has 32 bytes"))
    }
}

/// An id as people know it, and in no other of its notations.
mod uuid_text {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer};
    use uuid::Uuid;

    pub(super) fn serialize<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let id = Uuid::try_parse(&text).ok().filter(|id| {
            let mut buffer = Uuid::encode_buffer();
            *id.hyphenated().encode_lower(&mut buffer) == *text
        });
        id.ok_or_else(|| serde::de::Error::custom("an id is written in lower case, with hyphens"))
    }
}
