//! Between the columns of the tables and the values they stand for.
//!
//! Databases have signed 64-bit integers and byte strings of any length. What does not convert was
//! not written by this program, and is reported as damage instead of being bent into shape.

use knit_domain::event::{Entity, Position};
use knit_domain::reservation::Holder;
use uuid::Uuid;

use crate::chain::Hash;

/// A position or sequence, for a column. No log reaches 2⁶³ events.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A position, sequence or fencing number, from a column.
pub(crate) fn unsigned(number: i64) -> Result<u64, sqlx::Error> {
    u64::try_from(number).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// A SHA-256, from a column.
pub(crate) fn hash(bytes: &[u8]) -> Result<Hash, sqlx::Error> {
    Hash::try_from(bytes).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// An event was to be emptied that is not the one that was meant, or not as it was recorded.
pub(crate) fn not_as_recorded(position: Position) -> sqlx::Error {
    sqlx::Error::Decode(format!("event {position} is not the one that its redaction names, or was changed").into())
}

/// A holder, from a column.
pub(crate) fn holder(text: &str) -> Result<Holder, sqlx::Error> {
    Holder::parse(text).ok_or_else(|| sqlx::Error::Decode(format!("`{text}` is no holder of a reservation").into()))
}

/// An entity, for the columns of its kind and id. The words are stored and never change.
pub(crate) fn entity(entity: Entity) -> (&'static str, Uuid) {
    match entity {
        Entity::Plan(id) => ("plan", id.0),
        Entity::Run(id) => ("run", id.0),
        Entity::Data(id) => ("data", id.0),
    }
}
