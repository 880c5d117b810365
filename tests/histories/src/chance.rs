//! What random tests begin with: a seed that they say, so that whatever fails can be repeated.

use proptest::test_runner::{Config, RngSeed, contextualize_config};
use uuid::Uuid;

/// So many cases, with a seed that is printed; the harness shows what is printed of a test that fails.
///
/// `PROPTEST_CASES`, `PROPTEST_RNG_SEED` and whatever else proptest knows of the environment win over this. Every test
/// that uses proptest begins here (`tests/architecture.rs` looks), since a failure that cannot be repeated is worth
/// little. The failures that proptest would keep in files are not kept: they would be files of ours, and the seed says
/// as much.
#[must_use]
#[expect(clippy::print_stdout, reason = "the harness keeps it, and shows it if the test fails")]
pub fn cases(cases: u32) -> Config {
    let config = contextualize_config(Config { cases, failure_persistence: None, ..Config::default() });
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => Uuid::new_v4().as_u64_pair().0,
    };
    println!("{} cases; PROPTEST_RNG_SEED={seed} repeats them", config.cases);
    Config { rng_seed: RngSeed::Fixed(seed), ..config }
}
