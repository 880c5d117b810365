//! Small numbers in place of ids and texts: the matcher holds millions of references.

/// A number given in order of first appearance, from 0; the place in a list.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(super) struct $name(pub(super) u32);

        impl $name {
            /// The number of what is put at `place` of its list.
            pub(super) fn at(place: usize) -> Self {
                Self(u32::try_from(place).expect("the memory is full before four billion of them are in it"))
            }

            /// Its place in its list.
            pub(super) fn place(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

numbers! {
    /// A tag.
    TagNo;
    /// A Data that is, or was, usable; in the order in which they became so.
    DataNo;
    /// A Plan, in the order of registration.
    PlanNo;
    /// An input of any Plan: those of one Plan are neighbours, sorted by path.
    InputNo;
}

/// The number of a pair among all pairs that its Plan ever had, in the order in which they came to be.
pub(super) type Arrival = u32;
