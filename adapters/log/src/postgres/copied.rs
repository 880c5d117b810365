//! Rows as `COPY … (FORMAT binary)` sends and takes them.
//!
//! Those that are read come one to a message. They say the same as the rows of a `SELECT`, and sqlx hands them out as they come, where it makes a vector of
//! columns of each row of a `SELECT` and asks of each column whether its type is the one that is wanted. In a profile
//! of reading, both together weighed as much as decoding.

use knit_domain::id::EventId;
use knit_domain::time::Timestamp;
use knit_schemas::export::Event;
use uuid::Uuid;

use crate::batch::Place;
use crate::columns::{hash, signed, unsigned};
use crate::import::IndexRow;
use crate::reader::EventRow;

/// What the first message begins with; flags and the length of an extension follow.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const FLAGS_BYTES: usize = 4;
/// What stands in the place of the number of columns at the end.
const END: i16 = -1;
/// Columns of [`sql::copy_events`](super::sql::copy_events), and of [`sql::COPY_EVENTS`](super::sql::COPY_EVENTS).
const COLUMNS: i16 = 13;
/// Columns of [`sql::COPY_INDEX`](super::sql::COPY_INDEX).
const INDEX_COLUMNS: i16 = 3;
/// Columns of [`sql::COPY_PLACES`](super::sql::COPY_PLACES).
const PLACE_COLUMNS: i16 = 2;

/// The event in a message; none in the last one.
pub(super) fn event(message: &[u8]) -> Result<Option<EventRow<'_>>, sqlx::Error> {
    let mut row = Row(message);
    if let Some(after) = message.strip_prefix(SIGNATURE) {
        row.0 = after.get(FLAGS_BYTES..).ok_or_else(damaged)?;
        row.field()?;
    }
    match i16::from_be_bytes(row.array()?) {
        COLUMNS => row.event().map(Some),
        END => Ok(None),
        _ => Err(damaged()),
    }
}

/// What is left of a row.
struct Row<'r>(&'r [u8]);

impl<'r> Row<'r> {
    /// In the order of the columns.
    fn event(&mut self) -> Result<EventRow<'r>, sqlx::Error> {
        Ok(EventRow {
            position: unsigned(self.number()?)?,
            event_id: EventId(Uuid::from_slice(self.field()?).map_err(|_| damaged())?),
            stream_type: self.text()?,
            stream_id: self.text()?,
            sequence: unsigned(self.number()?)?,
            event_type: self.text()?,
            event_version: self.text()?,
            payload: self.text()?,
            metadata: self.text()?,
            recorded_at: Timestamp(self.number()?),
            salt: self.field()?,
            leaf: hash(self.field()?)?,
            chain: hash(self.field()?)?,
        })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], sqlx::Error> {
        let (array, rest) = self.0.split_first_chunk().ok_or_else(damaged)?;
        self.0 = rest;
        Ok(*array)
    }

    /// The bytes of a column, behind their number. No column is null, which would be a negative one.
    fn field(&mut self) -> Result<&'r [u8], sqlx::Error> {
        let bytes = usize::try_from(i32::from_be_bytes(self.array()?)).map_err(|_| damaged())?;
        let (field, rest) = self.0.split_at_checked(bytes).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(field)
    }

    fn number(&mut self) -> Result<i64, sqlx::Error> {
        self.field()?.try_into().map(i64::from_be_bytes).map_err(|_| damaged())
    }

    fn text(&mut self) -> Result<&'r str, sqlx::Error> {
        str::from_utf8(self.field()?).map_err(|_| damaged())
    }
}

/// Rows that are written down, to be copied into a table.
pub(super) struct Rows(Vec<u8>);

impl Rows {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        let mut rows = Vec::with_capacity(bytes);
        rows.extend_from_slice(SIGNATURE);
        // No flags, and no extension.
        rows.extend_from_slice(&[0; 2 * FLAGS_BYTES]);
        Self(rows)
    }

    /// In the order of the columns.
    pub(super) fn event(&mut self, event: &Event) {
        self.0.extend_from_slice(&COLUMNS.to_be_bytes());
        self.field(&signed(event.position).to_be_bytes());
        self.field(event.event_id.as_bytes());
        self.field(event.stream_type.as_bytes());
        self.field(event.stream_id.as_bytes());
        self.field(&signed(event.sequence).to_be_bytes());
        self.field(event.event_type.as_bytes());
        self.field(event.event_version.as_bytes());
        self.field(event.payload.as_bytes());
        self.field(event.metadata.as_bytes());
        self.field(&event.recorded_at_ms.to_be_bytes());
        self.field(&event.salt);
        self.field(&event.leaf);
        self.field(&event.chain);
    }

    pub(super) fn entry(&mut self, (kind, id, position): &IndexRow) {
        self.0.extend_from_slice(&INDEX_COLUMNS.to_be_bytes());
        self.field(kind.as_bytes());
        self.field(id.as_bytes());
        self.field(&position.to_be_bytes());
    }

    pub(super) fn place(&mut self, (scope, holder): &Place) {
        self.0.extend_from_slice(&PLACE_COLUMNS.to_be_bytes());
        self.field(scope.to_string().as_bytes());
        self.field(holder.to_string().as_bytes());
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&END.to_be_bytes());
        self.0
    }

    /// The bytes of a column, behind their number. No record of an export has as many as the number could not say.
    fn field(&mut self, bytes: &[u8]) {
        let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes);
    }
}

fn damaged() -> sqlx::Error {
    sqlx::Error::Protocol("a copied row of the event log is not of the form that was asked for".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Vec<u8> {
        let number = |number: i64| number.to_be_bytes().to_vec();
        let text = |text: &str| text.as_bytes().to_vec();
        let mut columns = vec![number(7), vec![0x10; 16], text("data"), text(""), number(3), text("DataDiscarded")];
        columns.extend([text("1"), text("{}"), text("{\"actor\":\"zoë\"}"), number(-5)]);
        columns.extend([vec![], vec![0xab; 32], vec![0x0f; 32]]);
        let mut row = COLUMNS.to_be_bytes().to_vec();
        for column in columns {
            row.extend(i32::try_from(column.len()).unwrap().to_be_bytes());
            row.extend(column);
        }
        row
    }

    #[test]
    fn the_first_row_follows_the_header_and_the_last_message_is_no_row() {
        let row = row();
        for message in [row.clone(), [SIGNATURE, &[0; 8], &row].concat()] {
            let event = event(&message).unwrap().expect("an event");
            assert_eq!((event.position, event.sequence, event.recorded_at), (7, 3, Timestamp(-5)));
            assert_eq!((event.stream_type, event.stream_id, event.event_type), ("data", "", "DataDiscarded"));
            assert_eq!((event.payload, event.metadata), ("{}", "{\"actor\":\"zoë\"}"));
            assert_eq!((event.salt.len(), event.leaf, event.chain), (0, [0xab; 32], [0x0f; 32]));
        }
        let end = END.to_be_bytes();
        assert!(event(&end).unwrap().is_none());
        assert!(event(&[SIGNATURE, &[0; 8], &end].concat()).unwrap().is_none(), "an empty answer");
    }

    #[test]
    fn what_is_written_down_is_read_again() {
        let mut rows = Rows::with_capacity(0);
        let event = Event {
            position: 7,
            event_id: Uuid::from_u128(3),
            stream_type: "data".to_owned(),
            stream_id: "d-1".to_owned(),
            sequence: 2,
            event_type: "DataDiscarded".to_owned(),
            event_version: "1".to_owned(),
            payload: "{}".to_owned(),
            metadata: r#"{"actor":"zoë"}"#.to_owned(),
            recorded_at_ms: -5,
            salt: vec![1; 16],
            leaf: [2; 32],
            chain: [3; 32],
        };
        rows.event(&event);
        let written = rows.finish();
        let read = super::event(&written).unwrap().expect("an event").stored();
        assert_eq!((read.position, read.event_id.0, read.sequence), (7, event.event_id, 2));
        assert_eq!((read.stream_type, read.stream_id), (event.stream_type, event.stream_id));
        assert_eq!((read.event_type, read.event_version), (event.event_type, event.event_version));
        assert_eq!((read.payload, read.metadata, read.recorded_at), (event.payload, event.metadata, Timestamp(-5)));
        assert_eq!((read.salt, read.leaf, read.chain), (event.salt, event.leaf, event.chain));
    }

    #[test]
    fn what_ends_too_early_is_damage() {
        let row = row();
        for end in 0..row.len() {
            assert!(event(&row[..end]).is_err(), "cut off at {end}");
        }
    }
}
