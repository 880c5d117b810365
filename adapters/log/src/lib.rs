//! The event log: the only durable truth of Knitfab, on PostgreSQL or SQLite.
//!
//! Every event has a position: 1, 2, 3 … without gaps, in the order of the commits. Whoever has read
//! up to a position has read everything up to it, for ever. Events are appended by decisions
//! ([`Request`]), all of one decision or none, and only if the streams and reservations it was taken
//! on have not moved. Each event's content is hashed into a leaf and the leaves are linked into a
//! chain, so that a change of the past shows.
//!
//! This crate knows how events are kept, not what they mean. It decides nothing that the domain
//! decides, folds nothing, and starts nothing but its own tasks: one that appends ([`Log::append`]),
//! one that looks at the head for all who ask ([`Log::head`]), and one that listens for other
//! processes ([`Log::subscribe`]).
//!
//! The modules, in reading order.

mod database;
mod error;
mod log;
mod request;

mod alone;
mod appender;
mod batch;
pub mod chain;
mod ends;
mod import;
mod observer;
mod reader;
mod recent;
mod redacted;
mod tail;

mod lease;
mod snapshot;
mod statistics;
mod stock;

mod backend;
mod columns;
mod migration;
mod postgres;
mod sqlite;

pub use alone::Alone;
pub use database::{Clock, Database, Options};
pub use ends::OtherEnd;
pub use error::{AppendError, Conflict, Fault, OpenError, ReadError, Refusal};
pub use import::{IMPORT_PAUSE_MAX, Import, ImportError, ImportPage};
pub use lease::Lease;
pub use log::Log;
pub use observer::{BatchWritten, Observer};
pub use reader::{ReadAhead, StoredEvent};
pub use recent::Recalled;
pub use redacted::{Redaction, Remaining};
pub use request::{Appended, EVENT_BYTES_MAX, EVENTS_PER_REQUEST_MAX, NAME_BYTES_MAX, REQUEST_BYTES_MAX, Request};
pub use snapshot::{KeptSnapshot, Snapshot, SnapshotMeta};
pub use statistics::{Size, StreamLength};
pub use stock::{EventRepository, Upcaster};
pub use tail::Head;
