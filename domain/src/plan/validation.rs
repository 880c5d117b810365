//! The rules every user's Plan obeys by itself, in the fixed order in which the first broken one is told.

mod mountpoint;
mod node_label;
mod sizes;

use std::fmt;

use super::PlanDraft;
use super::limits::TooLong;
use crate::event::plan::{Image, LogPoint, PlanDefinition};
use crate::tag::{MalformedTag, Tag};

/// Why a draft is no Plan. The variants are in the order in which the rules are tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlan {
    /// Rule 1.
    #[error("on_node key `{key}` is malformed: {}", node_label::KEY_FORM)]
    OnNodeKey {
        /// As given.
        key: String,
    },
    /// Rule 2.
    #[error("on_node value `{value}` of key `{key}` is malformed: {}", node_label::VALUE_FORM)]
    OnNodeValue {
        /// The entry's key.
        key: String,
        /// As given.
        value: String,
    },
    /// Rule 3.
    #[error("image `{image}` is incomplete: a Plan needs an image with a name and a tag")]
    NamelessImage {
        /// As given.
        image: Image,
    },
    /// Rule 4.
    #[error("the Plan has no input: no Data would ever start a Run of it; add an input")]
    Unreachable,
    /// Rule 5.
    #[error("an {side} has an empty path: write an absolute path")]
    EmptyPath {
        /// Where it was found.
        side: Side,
    },
    /// Rule 6 for inputs, rule 10 for outputs.
    #[error(
        "path `{path}` of an {side} is not absolute and clean: it must begin with `/` and have no empty, `.` or `..` part"
    )]
    UncleanPath {
        /// Where it was found.
        side: Side,
        /// As given.
        path: String,
    },
    /// Rule 7.
    #[error("input `{path}` has no tag: every Data would fit; say which by at least one tag")]
    UntaggedInput {
        /// Which input.
        path: String,
    },
    /// Rule 8.
    #[error("input `{path}` {problem}")]
    InputSystemTag {
        /// Which input.
        path: String,
        /// What is wrong with its system tags.
        problem: PinProblem,
    },
    /// Rule 9 when `path` is an input's, rule 12 when it is an output's.
    #[error("path `{path}` of an {side} and path `{other}` overlap: neither may be the other or lie within it")]
    Overlap {
        /// Where the first of the two was found.
        side: Side,
        /// The first of the two.
        path: String,
        /// The second; an output's, or one of the same side.
        other: String,
    },
    /// Rule 11.
    #[error("output `{path}` has the tag `{tag}`: tags that begin with `knit#` are given by the system only")]
    OutputSystemTag {
        /// Which output.
        path: String,
        /// The offending tag.
        tag: Tag,
    },
    /// Rule 13.
    #[error("the log has the tag `{tag}`: tags that begin with `knit#` are given by the system only")]
    LogSystemTag {
        /// The offending tag.
        tag: Tag,
    },
    /// After all rules of the original: what its storage could not hold.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The same for tags, and for characters that would poison the wire.
    #[error("{place}: {problem}")]
    UnwritableTag {
        /// Path of the input or output, or `log`.
        place: String,
        /// What is wrong with it.
        problem: MalformedTag,
    },
    /// A process cannot be given such a text.
    #[error("{part} holds a NUL character: remove it")]
    NulCharacter {
        /// Which part, in words.
        part: &'static str,
    },
}

/// Which mountpoints of a Plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where Data are read.
    Input,
    /// Where Data are made.
    Output,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Output => "output",
        })
    }
}

/// What is wrong with the system tags of an input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PinProblem {
    /// Another system tag than the two that pin.
    #[error(
        "asks for `{tag}`: of the tags that begin with `knit#` only `knit#id` and `knit#timestamp` can be asked for"
    )]
    NoPin {
        /// The offending tag.
        tag: Tag,
    },
    /// Two different pins of one kind.
    #[error("is pinned by `{key}` more than once: no Data has two of it; keep one")]
    Repeated {
        /// `knit#id` or `knit#timestamp`.
        key: &'static str,
    },
    /// The pinned instant is none.
    #[error("is pinned to `{value}`, which is not a time: write it like 2025-03-03T09:15:02.4+00:00")]
    NoInstant {
        /// As given.
        value: String,
    },
}

/// Checks a draft and brings what makes it a Plan into the form in which equal Plans are equal values:
/// paths without a trailing slash, mountpoints and placement sorted, repeats gone, pinned instants in
/// UTC and whole milliseconds (Q3).
///
/// # Errors
/// The first broken rule of domain.md 1.4, then of the sizes of web-api 1.10.
pub fn validate(draft: &PlanDraft) -> Result<PlanDefinition, InvalidPlan> {
    let on_node = node_label::sorted(&draft.on_node);
    on_node.iter().try_for_each(node_label::check)?;
    check_image(&draft.image)?;
    if draft.inputs.is_empty() {
        return Err(InvalidPlan::Unreachable);
    }
    let (inputs, outputs) = (mountpoint::sorted(&draft.inputs), mountpoint::sorted(&draft.outputs));
    mountpoint::check_no_path_is_empty(&inputs, &outputs)?;
    mountpoint::check_inputs(&inputs, &outputs)?;
    mountpoint::check_outputs(&outputs)?;
    check_log(draft.log.as_ref())?;
    sizes::check(draft)?;
    Ok(PlanDefinition {
        image: draft.image.clone(),
        entrypoint: draft.entrypoint.clone(),
        args: draft.args.clone(),
        inputs: inputs.into_iter().map(mountpoint::canonical).collect(),
        outputs: outputs.into_iter().map(mountpoint::canonical).collect(),
        log: draft.log.clone(),
        on_node,
    })
}

fn check_image(image: &Image) -> Result<(), InvalidPlan> {
    if image.repository.is_empty() || image.tag.is_empty() {
        return Err(InvalidPlan::NamelessImage { image: image.clone() });
    }
    Ok(())
}

fn check_log(log: Option<&LogPoint>) -> Result<(), InvalidPlan> {
    match log.and_then(|log| log.tags.system().next()) {
        Some(tag) => Err(InvalidPlan::LogSystemTag { tag: tag.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
