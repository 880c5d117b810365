//! `knit data …`.

mod diff;
mod find;
mod lineage;
mod path;
mod pull;
mod push;
mod show;
mod tag;
mod wait;

use clap::Subcommand;

pub(crate) use self::find::pinned;

use crate::error::Error;
use crate::session::{Session, block_on};
pub(crate) use find::is_transient;

/// Push, find, await, tag and pull Data, and see where they come from
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Find(find::Arguments),
    Show(show::Arguments),
    Pull(pull::Arguments),
    Push(push::Arguments),
    Tag(tag::Arguments),
    Lineage(lineage::Arguments),
    Path(path::Arguments),
    Diff(diff::Arguments),
    Wait(wait::Arguments),
}

impl Command {
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::Find(_) => "data find",
            Self::Show(_) => "data show",
            Self::Pull(_) => "data pull",
            Self::Push(_) => "data push",
            Self::Tag(_) => "data tag",
            Self::Lineage(_) => "data lineage",
            Self::Path(_) => "data path",
            Self::Diff(_) => "data diff",
            Self::Wait(_) => "data wait",
        }
    }

    pub(crate) fn run(self, session: &Session) -> Result<(), Error> {
        match self {
            Self::Find(arguments) => block_on(find::run(arguments, session)),
            Self::Show(arguments) => block_on(show::run(arguments, session)),
            Self::Pull(arguments) => block_on(pull::run(arguments, session)),
            Self::Push(arguments) => block_on(push::run(arguments, session)),
            Self::Tag(arguments) => block_on(tag::run(arguments, session)),
            Self::Lineage(arguments) => block_on(lineage::run(arguments, session)),
            Self::Path(arguments) => block_on(path::run(arguments, session)),
            Self::Diff(arguments) => block_on(diff::run(arguments, session)),
            Self::Wait(arguments) => block_on(wait::run(arguments, session)),
        }
    }
}

/// Refuses tags that only the system may put on Data.
fn refuse_reserved<'a>(option: &str, tags: impl IntoIterator<Item = &'a knit_schemas::api::Tag>) -> Result<(), Error> {
    match tags.into_iter().find(|tag| tag.is_system()) {
        Some(tag) => Err(Error::Usage(format!("`{option} {tag}`: keys beginning with `knit#` are the system's"))),
        None => Ok(()),
    }
}

/// Refuses tags that no server takes, before anything is uploaded for them.
fn refuse_unwritable(tags: &[knit_schemas::api::Tag]) -> Result<(), Error> {
    let poisonous = |c: char| matches!(c, '"' | '\\') || c.is_control();
    match tags.iter().find(|tag| tag.key.chars().chain(tag.value.chars()).any(poisonous)) {
        Some(tag) => Err(Error::UnwritableTag { tag: tag.clone() }),
        None => Ok(()),
    }
}
