//! Names of volumes and Workers as names of files.

use crate::port::Fault;

/// Longer names would leave no room for the suffixes that temporary files get.
const NAME_BYTES_MAX: usize = 200;

/// The name as a file name. Names come from the log, also from imported histories, so one that would
/// lead elsewhere is possible and must not be used.
pub(super) fn file_name(name: &str) -> Result<&str, Fault> {
    let bad = name.is_empty()
        || name.len() > NAME_BYTES_MAX
        || name.starts_with('.')
        || name.bytes().any(|byte| byte == b'/' || byte == 0);
    if bad {
        return Err(Fault::new(format!("use `{}` as a name", name.escape_default()), "it is no safe file name"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_not_used() {
        for bad in ["", ".", "..", "a/b", "/a", "a\0", ".gone", &"x".repeat(201)] {
            assert!(file_name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(file_name("data-knitid-1").unwrap(), "data-knitid-1");
    }
}
