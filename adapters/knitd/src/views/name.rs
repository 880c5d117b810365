//! The projections by their names.

use std::fmt;
use std::str::FromStr;

use knit_domain::event::Position;
use knit_projections::matcher::Matcher;
use knit_projections::projection::Projection as _;
use knit_projections::store::Store;
use knit_projections::worklists::Worklists;
use tokio::sync::watch;

use super::{Reached, Views};

/// A projection, as administrators name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Name {
    /// Catalog and lineage.
    Store,
    /// Which Data fit which inputs.
    Matcher,
    /// What is due for each reactor.
    Worklists,
}

impl Name {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Store, Self::Matcher, Self::Worklists];

    /// Its name in snapshots and skips.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Store => Store::NAME,
            Self::Matcher => Matcher::NAME,
            Self::Worklists => Worklists::NAME,
        }
    }
}

impl FromStr for Name {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|name| name.as_str() == text).ok_or(())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Views {
    /// How far a projection has come, and a wake-up whenever it comes further.
    #[must_use]
    pub fn watch(&self, name: Name) -> watch::Receiver<Reached> {
        match name {
            Name::Store => self.store.watch(),
            Name::Matcher => self.matcher.watch(),
            Name::Worklists => self.worklists.watch(),
        }
    }

    /// How far a projection has come.
    #[must_use]
    pub fn reached(&self, name: Name) -> Reached {
        self.watch(name).borrow().clone()
    }

    /// Up to where the instance was folded that was kept at the last switch of a projection, if one was.
    #[must_use]
    pub fn kept_position(&self, name: Name) -> Option<Position> {
        match name {
            Name::Store => self.store.kept_position(),
            Name::Matcher => self.matcher.kept_position(),
            Name::Worklists => self.worklists.kept_position(),
        }
    }
}
