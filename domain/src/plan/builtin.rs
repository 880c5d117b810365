//! The built-in Plans. Their ids are the same everywhere, so that two installers cannot make two of
//! them (X15): both append to the same stream and expect it not to exist.

use uuid::Uuid;

use super::Plan;
use crate::decision::{Decision, Versioned};
use crate::event::StreamId;
use crate::event::plan::PlanEvent;
use crate::id::PlanId;

/// A Plan that every installation has. Always active; no image, no inputs, no log, one output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Builtin {
    /// Its Runs are uploads.
    Uploaded,
    /// Its Runs are imports of volumes that somebody else filled.
    Imported,
}

impl Builtin {
    /// Both, in the order in which they are installed.
    pub const ALL: [Self; 2] = [Self::Uploaded, Self::Imported];

    /// The fixed id: `knit` in ASCII, then a number. It is stored in every installation and never changes.
    #[must_use]
    pub const fn id(self) -> PlanId {
        PlanId(Uuid::from_u128(match self {
            Self::Uploaded => 0x6b6e_6974_0000_8000_8000_0000_0000_0001,
            Self::Imported => 0x6b6e_6974_0000_8000_8000_0000_0000_0002,
        }))
    }

    /// The name shown instead of an image.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uploaded => "knit#uploaded",
            Self::Imported => "knit#imported",
        }
    }

    /// Where its one output is mounted.
    #[must_use]
    pub const fn output_path(self) -> &'static str {
        match self {
            Self::Uploaded => "/upload",
            Self::Imported => "/imported",
        }
    }

    pub(super) fn define(self, plan: &Plan) -> Option<PlanEvent> {
        plan.kind.is_none().then(|| PlanEvent::BuiltinPlanDefined {
            name: self.name().to_owned(),
            output_path: self.output_path().to_owned(),
        })
    }
}

/// Defines a built-in Plan; nothing when it is defined already.
pub fn define_builtin(builtin: Builtin, plan: &Versioned<Plan>) -> Decision {
    Decision::write(StreamId::plan(builtin.id()), plan.version, builtin.define(&plan.state))
}
