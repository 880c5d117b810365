//! The projections against histories: small ones that tell one story each, and random ones that are
//! compared with the plainest possible reckoning over the domain's own states.
//!
//! Every history is made by the decisions of the domain in a [`world::World`], so none of them is
//! impossible.

#[cfg(test)]
mod comparison;
#[cfg(test)]
mod due;
#[cfg(test)]
mod due_random;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod explaining;
#[cfg(test)]
mod nomination;
#[cfg(test)]
mod random;
#[cfg(test)]
mod store;
#[cfg(test)]
mod worklists;
#[cfg(test)]
mod worklists_random;
#[cfg(test)]
mod world;
