//! The archives of the wire: tar in gzip, in both directions, streaming.

mod refusal;

pub use refusal::{BadArchive, Limits};
