//! Names and link targets of entries: what is safe, and what it means.

use super::{BadArchive, EntryName, Limits};

/// The kernel's bound of one part of a path.
const PART_BYTES_MAX: usize = 255;

/// The clean form of an entry's name, relative to the root: no empty or `.` parts. The root itself is
/// the empty name.
pub(super) fn clean(name: &[u8], limits: &Limits) -> Result<Vec<u8>, BadArchive> {
    let shown = || EntryName::of(name);
    if name.len() > limits.name_bytes_max || parts(name).any(|part| part.len() > PART_BYTES_MAX) {
        return Err(BadArchive::NameTooLong { name: shown(), bytes_max: limits.name_bytes_max });
    }
    if name.is_empty() || name.contains(&0) {
        return Err(BadArchive::ImpossibleName { name: shown() });
    }
    if name.starts_with(b"/") {
        return Err(BadArchive::AbsoluteName { name: shown() });
    }
    if parts(name).any(|part| part == b"..") {
        return Err(BadArchive::ParentInName { name: shown() });
    }
    Ok(parts(name).collect::<Vec<_>>().join(&b'/'))
}

/// Whether the target of a symbolic link stays inside the Data, wherever the Data is mounted.
///
/// The directories above a link are real ones, because nothing is written through links; so `..` at the
/// start of a target climbs exactly that many of them. Behind a name it could climb from wherever
/// another link leads, so there it is refused. By induction every link of the Data stays inside.
pub(super) fn check_target(name: &[u8], target: &[u8], limits: &Limits) -> Result<(), BadArchive> {
    if target.len() > limits.name_bytes_max {
        return Err(BadArchive::NameTooLong { name: EntryName::of(name), bytes_max: limits.name_bytes_max });
    }
    if target.is_empty() || target.contains(&0) {
        return Err(BadArchive::ImpossibleName { name: EntryName::of(target) });
    }
    let depth = parts(name).count().saturating_sub(1);
    let climbs = parts(target).take_while(|part| *part == b"..").count();
    let climbs_later = parts(target).skip(climbs).any(|part| part == b"..");
    if target.starts_with(b"/") || climbs > depth || climbs_later {
        return Err(BadArchive::LinkLeaves { name: EntryName::of(name), target: EntryName::of(target) });
    }
    Ok(())
}

fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}

/// The directory part (empty = the root) and the last part of a clean name.
pub(super) fn split(clean: &[u8]) -> (&[u8], &[u8]) {
    match clean.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&clean[..slash], &clean[slash + 1..]),
        None => (b"", clean),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { unpacked_bytes_max: 0, entries_max: 0, name_bytes_max: 300 };

    #[test]
    fn a_clean_name_is_relative_and_says_everything_once() {
        assert_eq!(clean(b"./a//b/./c/", &LIMITS).unwrap(), b"a/b/c");
        assert_eq!(clean(b"./", &LIMITS).unwrap(), b"");
        assert_eq!(clean(b"\xff\xfe/..x", &LIMITS).unwrap(), b"\xff\xfe/..x");
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        assert!(matches!(clean(b"/etc/passwd", &LIMITS), Err(BadArchive::AbsoluteName { .. })));
        for bad in [&b".."[..], b"a/../b", b"a/.."] {
            assert!(matches!(clean(bad, &LIMITS), Err(BadArchive::ParentInName { .. })), "{bad:?}");
        }
        assert!(matches!(clean(b"", &LIMITS), Err(BadArchive::ImpossibleName { .. })));
        assert!(matches!(clean(b"a\0b", &LIMITS), Err(BadArchive::ImpossibleName { .. })));
        assert!(matches!(clean(&[b'a'; 256], &LIMITS), Err(BadArchive::NameTooLong { .. })));
        assert!(matches!(clean(&b"a/".repeat(200), &LIMITS), Err(BadArchive::NameTooLong { .. })));
    }

    #[test]
    fn a_link_may_point_anywhere_inside() {
        for (name, target) in [("a", "b/c"), ("a/b/c", "../../d"), ("a/b", "."), ("a/b/c", "../..")] {
            assert_eq!(check_target(name.as_bytes(), target.as_bytes(), &LIMITS), Ok(()), "{name} -> {target}");
        }
    }

    #[test]
    fn a_link_that_could_leave_is_refused() {
        for (name, target) in [("a", "/etc"), ("a", ".."), ("a/b", "../../c"), ("m", "a/b/c/up/.."), ("a", "./../x")] {
            let refused = check_target(name.as_bytes(), target.as_bytes(), &LIMITS);
            assert!(matches!(refused, Err(BadArchive::LinkLeaves { .. })), "{name} -> {target}");
        }
    }
}
