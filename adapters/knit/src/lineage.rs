//! Lineage graphs: fetching them node by node where a server cannot do better, and drawing them for people.
//! The other drawings are [`knit_schemas::lineage`]'s.

mod beside;
pub(crate) mod limit;
pub(crate) mod print;
pub(crate) mod reach;
pub(crate) mod trace;
mod tree;
pub(crate) mod walk;
mod way;
mod words;
