//! Where the two programs are: beside the test or program that wants them, built with the same profile.

use std::path::PathBuf;

/// The path of `knitd` or `knit`.
///
/// # Panics
/// When it is not built: the tests never build it themselves, so that what they test is what was built.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a program knows where it is");
    let folder = own.parent().expect("a program lies in a folder");
    // Tests lie in target/<profile>/deps, programs in target/<profile>.
    let profile = if folder.ends_with("deps") { folder.parent().expect("deps lies below a profile") } else { folder };
    let built = profile.join(name);
    assert!(built.is_file(), "{} is not built: run `cargo build -p knitd -p knit` first", built.display());
    built
}
