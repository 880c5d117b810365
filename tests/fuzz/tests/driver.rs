//! The driver is outside the workspace, and must try what is inside.

use std::collections::BTreeSet;
use std::path::Path;

/// What only the driver has: itself, the fuzzer, and what the fuzzer needs.
const OWN: &[&str] = &["knit-fuzz-driver", "libfuzzer-sys", "arbitrary"];

/// Names and versions of the packages in a lock file.
fn locked(path: &str) -> BTreeSet<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let value = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        line.unwrap_or_else(|| panic!("a package without {name}")).trim_matches('"').to_owned()
    };
    let blocks = text.split("[[package]]").skip(1);
    blocks.map(|block| (value(block, "name"), value(block, "version"))).collect()
}

#[test]
fn what_is_fuzzed_is_what_is_shipped() {
    let (workspace, driver) = (locked("../../Cargo.lock"), locked("driver/Cargo.lock"));
    assert!(driver.iter().any(|(name, _)| name == "knit-domain"), "the lock file was read");
    let strange: Vec<_> = driver.difference(&workspace).filter(|(name, _)| !OWN.contains(&name.as_str())).collect();
    assert!(strange.is_empty(), "the driver builds versions that the workspace does not: {strange:?}");
}
