//! One program for all targets: `KNIT_FUZZ_TARGET` names the one to try.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<knit_fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("KNIT_FUZZ_TARGET").unwrap_or_default();
    let names: Vec<&str> = knit_fuzz::TARGETS.iter().map(|target| target.name).collect();
    knit_fuzz::target(&name).unwrap_or_else(|| panic!("set KNIT_FUZZ_TARGET to one of {}", names.join(", ")))
});

fuzz_target!(|bytes: &[u8]| (TARGET.read)(bytes));
