//! What else may change of a Plan.

use knit_domain::plan::{AnnotationChange, PlanChange, ResourceChange};
use proptest::prelude::*;

/// What may change of a Plan beside whether it is active. Numbers choose among few values, so that much is as wanted
/// already.
#[derive(Debug, Clone)]
pub enum Adjustment {
    /// A limit is set, another is unset, or the same.
    Resources(u8, u8),
    /// An annotation comes, another goes, and all of one key.
    Annotations(u8, u8, u8),
    /// Its Workers run under another account, or under none.
    ServiceAccount(Option<u8>),
}

/// Values of one kind, so few that they are met again.
pub(super) const FEW: std::ops::Range<u8> = 0..3;

pub(super) fn adjustment() -> impl Strategy<Value = Adjustment> {
    prop_oneof![
        (FEW, FEW).prop_map(|(set, unset)| Adjustment::Resources(set, unset)),
        (FEW, FEW, FEW).prop_map(|(add, remove, key)| Adjustment::Annotations(add, remove, key)),
        prop::option::of(FEW).prop_map(Adjustment::ServiceAccount),
    ]
}

impl Adjustment {
    pub(super) fn as_change(&self) -> PlanChange {
        let resource = |number: u8| ["cpu", "memory", "example.org/gpu"][usize::from(number)].to_owned();
        let pair = |number: u8| (format!("key-{}", number % 2), number.to_string());
        match *self {
            Self::Resources(set, unset) => PlanChange::Resources(ResourceChange {
                set: [(resource(set), unset.to_string())].into(),
                unset: [resource(unset)].into(),
            }),
            Self::Annotations(add, remove, key) => PlanChange::Annotations(AnnotationChange {
                remove_key: [pair(key).0].into(),
                remove: [pair(remove)].into(),
                add: [pair(add)].into(),
            }),
            Self::ServiceAccount(name) => name.map_or(PlanChange::ClearServiceAccount, |name| {
                PlanChange::SetServiceAccount(format!("account-{name}"))
            }),
        }
    }
}
