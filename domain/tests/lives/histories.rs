//! Random histories: whatever is asked in whatever order, and however late a decision is appended, the
//! invariants hold after every step.

use knit_histories::play::{Play, step};
use knit_histories::{chance, invariants};
use proptest::prelude::*;

/// Histories are long enough for a Run to be made, run, used, deleted and erased.
const STEPS_MAX: usize = 160;
const CASES: u32 = 128;

proptest! {
    #![proptest_config(chance::cases(CASES))]

    #[test]
    fn i2_to_i24_and_x1_to_x15_hold_in_every_history(steps in prop::collection::vec(step(), STEPS_MAX / 4..STEPS_MAX)) {
        let mut play = Play::new();
        for step in steps {
            play.take(step);
            invariants::check(&play.world.log);
        }
    }
}
