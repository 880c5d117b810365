//! Rules about the directories of a Worker: their paths, their tags, and that none lies in another.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::{InvalidPlan, PinProblem, Side};
use crate::event::plan::Mountpoint;
use crate::tag::{KEY_ID, KEY_TIMESTAMP, Tag, TagSet};

/// The path as it is stored and compared: without one trailing slash.
fn trimmed(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// In the order of their stored paths.
pub(super) fn sorted(mountpoints: &[Mountpoint]) -> Vec<&Mountpoint> {
    let mut sorted: Vec<&Mountpoint> = mountpoints.iter().collect();
    sorted.sort_by_key(|at| trimmed(&at.path));
    sorted
}

/// Rule 5.
pub(super) fn check_no_path_is_empty(inputs: &[&Mountpoint], outputs: &[&Mountpoint]) -> Result<(), InvalidPlan> {
    for (side, mountpoints) in [(Side::Input, inputs), (Side::Output, outputs)] {
        if mountpoints.iter().any(|at| at.path.is_empty()) {
            return Err(InvalidPlan::EmptyPath { side });
        }
    }
    Ok(())
}

/// Rules 6 to 9.
pub(super) fn check_inputs(inputs: &[&Mountpoint], outputs: &[&Mountpoint]) -> Result<(), InvalidPlan> {
    let (input_paths, output_paths) = (Paths::of(inputs), Paths::of(outputs));
    for (index, input) in inputs.iter().enumerate() {
        check_path(Side::Input, &input.path)?;
        if input.tags.is_empty() {
            return Err(InvalidPlan::UntaggedInput { path: input.path.clone() });
        }
        check_pins(&input.tags).map_err(|problem| InvalidPlan::InputSystemTag { path: input.path.clone(), problem })?;
        let path = trimmed(&input.path);
        let other = twin(path, &inputs[index + 1..])
            .or_else(|| input_paths.within(path))
            .or_else(|| output_paths.equal_or_around(path))
            .or_else(|| output_paths.within(path));
        check_overlap(Side::Input, path, other)?;
    }
    Ok(())
}

/// Rules 10 to 12. That an output overlaps no input, [`check_inputs`] has seen already.
pub(super) fn check_outputs(outputs: &[&Mountpoint]) -> Result<(), InvalidPlan> {
    let paths = Paths::of(outputs);
    for (index, output) in outputs.iter().enumerate() {
        check_path(Side::Output, &output.path)?;
        if let Some(tag) = output.tags.system().next() {
            return Err(InvalidPlan::OutputSystemTag { path: output.path.clone(), tag: tag.clone() });
        }
        let path = trimmed(&output.path);
        check_overlap(Side::Output, path, twin(path, &outputs[index + 1..]).or_else(|| paths.within(path)))?;
    }
    Ok(())
}

fn check_path(side: Side, given: &str) -> Result<(), InvalidPlan> {
    let mut parts = trimmed(given).split('/');
    let absolute = parts.next() == Some("");
    let mut names = parts.peekable();
    if absolute && names.peek().is_some() && names.all(|name| !matches!(name, "" | "." | "..")) {
        return Ok(());
    }
    Err(InvalidPlan::UncleanPath { side, path: given.to_owned() })
}

fn check_pins(tags: &TagSet) -> Result<(), PinProblem> {
    let mut pinned_by = BTreeSet::new();
    for tag in tags.system() {
        let key = match tag.key.as_str() {
            KEY_ID => KEY_ID,
            KEY_TIMESTAMP if tag.instant().is_none() => {
                return Err(PinProblem::NoInstant { value: tag.value.clone() });
            }
            KEY_TIMESTAMP => KEY_TIMESTAMP,
            _ => return Err(PinProblem::NoPin { tag: tag.clone() }),
        };
        if !pinned_by.insert(key) {
            return Err(PinProblem::Repeated { key });
        }
    }
    Ok(())
}

fn check_overlap(side: Side, path: &str, other: Option<&str>) -> Result<(), InvalidPlan> {
    match other {
        Some(other) => Err(InvalidPlan::Overlap { side, path: path.to_owned(), other: other.to_owned() }),
        None => Ok(()),
    }
}

/// The same path again, if the next in order has it.
fn twin<'a>(path: &str, later: &[&'a Mountpoint]) -> Option<&'a str> {
    later.first().map(|next| trimmed(&next.path)).filter(|next| *next == path)
}

/// Paths that can be asked what overlaps, without comparing every pair. Paths are compared part by
/// part, so `/in/1` and `/in/10` may stand together (Q1).
struct Paths<'a>(BTreeSet<&'a str>);

impl<'a> Paths<'a> {
    fn of(mountpoints: &[&'a Mountpoint]) -> Self {
        Self(mountpoints.iter().map(|at| trimmed(&at.path)).collect())
    }

    /// One that `path` is or lies in.
    fn equal_or_around(&self, path: &str) -> Option<&'a str> {
        let around = path.match_indices('/').map(|(slash, _)| &path[..slash]);
        around.chain([path]).find_map(|candidate| self.0.get(candidate).copied())
    }

    /// One that lies in `path`.
    fn within(&self, path: &str) -> Option<&'a str> {
        let inside = format!("{path}/");
        let later = self.0.range::<str, _>((Bound::Excluded(inside.as_str()), Bound::Unbounded)).next();
        later.copied().filter(|other| other.starts_with(&inside))
    }
}

/// The stored form: the path trimmed, a pinned instant as Data display theirs.
pub(super) fn canonical(at: &Mountpoint) -> Mountpoint {
    Mountpoint { path: trimmed(&at.path).to_owned(), tags: at.tags.iter().map(canonical_tag).collect() }
}

fn canonical_tag(tag: &Tag) -> Tag {
    tag.instant().map_or_else(|| tag.clone(), |instant| Tag::new(KEY_TIMESTAMP, instant.to_string()))
}
