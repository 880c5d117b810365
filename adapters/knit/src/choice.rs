//! Options that ask for one half of the things, the other, or both.

use clap::ValueEnum;

/// Which things to keep by a yes-or-no property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// All
    Both,
    /// Only those that are so
    #[value(alias = "true")]
    Yes,
    /// Only those that are not so
    #[value(alias = "false")]
    No,
}

impl Choice {
    /// The property that is asked for; `None` when it does not matter.
    pub(crate) fn wanted(self) -> Option<bool> {
        match self {
            Self::Both => None,
            Self::Yes => Some(true),
            Self::No => Some(false),
        }
    }

    /// Whether a thing is kept that has the property, or not.
    pub(crate) fn admits(self, property: bool) -> bool {
        self.wanted().is_none_or(|wanted| wanted == property)
    }
}
