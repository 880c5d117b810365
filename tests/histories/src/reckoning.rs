//! What the projections must answer, computed in the plainest way from the states of all streams or from what
//! is rendered: every combination is tried, every edge is walked, nothing is indexed.

mod due;
mod past;
mod walk;
mod work;

pub use due::{check_due, check_usable, drain, naively_due, run_ids};
pub use past::{Answers, Questions};
pub use walk::{naive_distance, naive_walk, walks};
pub use work::check_lists;
