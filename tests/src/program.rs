//! Where the two programs are: beside the test that wants them, built with the same profile.

use std::path::PathBuf;

/// The path of `knitd` or `knit`.
///
/// # Panics
/// When it is not built: the tests never build it themselves, so that what they test is what was built.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let built = test.ancestors().nth(2).expect("a test lies in target/<profile>/deps").join(name);
    assert!(built.is_file(), "{} is not built: run `cargo build -p knitd -p knit` first", built.display());
    built
}
