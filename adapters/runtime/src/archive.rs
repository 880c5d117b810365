//! The archives of the wire: tar in gzip, in both directions, streaming.
//!
//! Reading is suspicious: an archive comes from anybody, so each entry is checked before anything of it
//! is written, and writing never passes through a link. Writing is careful: an archive that could not
//! be completed ends in an error, never in an ordinary end.

mod body;
mod gzip;
mod header;
mod name;
mod pack;
mod refusal;
mod stream;
mod tar_reader;
mod unpack;

pub use pack::pack_stream;
pub use refusal::{BadArchive, EntryName, Limits};
pub(crate) use stream::receive_into;
pub use stream::unpack_gzip;
