//! Files that people write: Plans and profiles.

use knit_schemas::api::{self, PlanSpec};

/// A Plan file. What was read of it is sent as JSON, and the server must read the same.
pub(crate) fn plan_files(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match knit::doors::plan_file(text) {
        Err(why) => assert!(!why.is_empty(), "a refusal says why"),
        Ok((spec, warnings)) => {
            let sent = serde_json::to_vec(&spec).unwrap();
            assert_eq!(api::decode::<PlanSpec>(&sent).unwrap(), spec);
            assert!(warnings.iter().all(|warning| !warning.is_empty()));
        }
    }
}

/// A profile.
pub(crate) fn profiles(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(root) = knit::doors::profile(text) {
        assert!(root.starts_with("http://") || root.starts_with("https://"), "{root} is a web address");
    }
}
