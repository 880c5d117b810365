//! The two notations of an export.

use prost::Message as _;
use prost::bytes::Buf as _;
use uuid::Uuid;

use super::record::{Begin, End, Event, Record, Unreadable};
use super::{JSON_LINES_TYPE, PROTOBUF_TYPE};
use crate::chain::Hash;
use crate::proto::export as proto;

/// The longest record, in bytes. An event has at most a megabyte, of which JSON may make six; whoever reads keeps no
/// more than this of what may be no export at all.
pub const RECORD_BYTES_MAX: usize = 16 << 20;
/// The most bytes of a length in front of a message.
const LENGTH_BYTES_MAX: usize = 10;

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A JSON object a line.
    JsonLines,
    /// Messages with their length in front of each.
    Protobuf,
}

/// What stands there is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Format {
    /// The format of an export whose first byte this is: a message [`Begin`] is shorter than `{` would say.
    #[must_use]
    pub fn of_first_byte(first: u8) -> Self {
        if first == b'{' { Self::JsonLines } else { Self::Protobuf }
    }

    /// The content type of an export in this format.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::JsonLines => JSON_LINES_TYPE,
            Self::Protobuf => PROTOBUF_TYPE,
        }
    }

    /// How many bytes of `bytes` are the first record; none if its end has not come yet.
    ///
    /// # Errors
    /// When what stands there is none, however it goes on.
    pub fn first_record_bytes(self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let end = match self {
            Self::JsonLines => bytes.iter().position(|byte| *byte == b'\n').map(|end| end + 1),
            Self::Protobuf => message_bytes(bytes)?,
        };
        match end {
            Some(end) if end > RECORD_BYTES_MAX => Err(too_long()),
            Some(end) if end <= bytes.len() => Ok(Some(end)),
            _ if bytes.len() > RECORD_BYTES_MAX => Err(too_long()),
            _ => Ok(None),
        }
    }

    /// Writes a record behind what is in `out`.
    pub fn encode(self, record: &Record, out: &mut Vec<u8>) {
        match self {
            Self::JsonLines => {
                serde_json::to_writer(&mut *out, record).expect("a record is made of texts and numbers");
                out.push(b'\n');
            }
            Self::Protobuf => {
                message_of(record).encode_length_delimited(out).expect("a vector has room for whatever comes");
            }
        }
    }

    /// Reads a record, given with what frames it.
    ///
    /// # Errors
    /// When it is none.
    pub fn decode(self, framed: &[u8]) -> Result<Record, Malformed> {
        match self {
            Self::JsonLines => serde_json::from_slice(framed).map_err(|error| Malformed(error.to_string())),
            Self::Protobuf => {
                let message = proto::Record::decode_length_delimited(framed);
                record_of(message.map_err(|error| Malformed(error.to_string()))?)
            }
        }
    }
}

fn too_long() -> Malformed {
    Malformed(format!("a record is not longer than {} MiB", RECORD_BYTES_MAX >> 20))
}

/// How many bytes the first message has with its length; none if the length has not come yet.
fn message_bytes(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let mut rest = bytes;
    match prost::decode_length_delimiter(&mut rest) {
        Ok(length) if length <= RECORD_BYTES_MAX => Ok(Some(bytes.len() - rest.remaining() + length)),
        Ok(_) => Err(too_long()),
        Err(_) if bytes.len() < LENGTH_BYTES_MAX => Ok(None),
        Err(error) => Err(Malformed(error.to_string())),
    }
}

fn message_of(record: &Record) -> proto::Record {
    use proto::record::Kind;
    let kind = match record {
        Record::Begin(Begin { format, after, chain }) => {
            Kind::Begin(proto::Begin { format: *format, after: *after, chain: chain.to_vec() })
        }
        Record::Event(event) => Kind::Event(message_of_event(event)),
        Record::End(End { position, chain }) => Kind::End(proto::End { position: *position, chain: chain.to_vec() }),
        Record::Unreadable(Unreadable { position, why }) => {
            Kind::Unreadable(proto::Unreadable { position: *position, why: why.clone() })
        }
    };
    proto::Record { kind: Some(kind) }
}

fn message_of_event(event: &Event) -> proto::Event {
    proto::Event {
        position: event.position,
        event_id: event.event_id.as_bytes().to_vec(),
        stream_type: event.stream_type.clone(),
        stream_id: event.stream_id.clone(),
        sequence: event.sequence,
        event_type: event.event_type.clone(),
        event_version: event.event_version.clone(),
        payload: event.payload.clone(),
        metadata: event.metadata.clone(),
        recorded_at_ms: event.recorded_at_ms,
        salt: event.salt.clone(),
        leaf: event.leaf.to_vec(),
        chain: event.chain.to_vec(),
    }
}

fn record_of(message: proto::Record) -> Result<Record, Malformed> {
    use proto::record::Kind;
    Ok(match message.kind.ok_or_else(|| Malformed("a record of no known kind".to_owned()))? {
        Kind::Begin(begin) => {
            Record::Begin(Begin { format: begin.format, after: begin.after, chain: hash(&begin.chain)? })
        }
        Kind::Event(event) => Record::Event(event_of(event)?),
        Kind::End(end) => Record::End(End { position: end.position, chain: hash(&end.chain)? }),
        Kind::Unreadable(proto::Unreadable { position, why }) => Record::Unreadable(Unreadable { position, why }),
    })
}

fn event_of(message: proto::Event) -> Result<Event, Malformed> {
    let event_id = Uuid::from_slice(&message.event_id).map_err(|_| Malformed("an id has 16 bytes".to_owned()))?;
    Ok(Event {
        position: message.position,
        event_id,
        sequence: message.sequence,
        recorded_at_ms: message.recorded_at_ms,
        leaf: hash(&message.leaf)?,
        chain: hash(&message.chain)?,
        stream_type: message.stream_type,
        stream_id: message.stream_id,
        event_type: message.event_type,
        event_version: message.event_version,
        payload: message.payload,
        metadata: message.metadata,
        salt: message.salt,
    })
}

fn hash(bytes: &[u8]) -> Result<Hash, Malformed> {
    Hash::try_from(bytes).map_err(|_| Malformed("a hash has 32 bytes".to_owned()))
}
