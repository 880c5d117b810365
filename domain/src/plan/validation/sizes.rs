//! What could not be stored, shown or handed to a process, although no rule of the original names it:
//! there the database or the cluster fails later.

use super::super::limits;
use super::{InvalidPlan, PlanDraft};
use crate::tag::TagSet;

pub(super) fn check(draft: &PlanDraft) -> Result<(), InvalidPlan> {
    limits::check("the name of the image", &draft.image.repository, limits::IMAGE_REPOSITORY_CHARS_MAX)?;
    limits::check("the tag of the image", &draft.image.tag, limits::IMAGE_TAG_CHARS_MAX)?;
    for at in draft.inputs.iter().chain(&draft.outputs) {
        limits::check("the path", &at.path, limits::PATH_CHARS_MAX)?;
        check_no_nul("a path", &at.path)?;
        check_tags(&at.path, &at.tags)?;
    }
    draft.log.iter().try_for_each(|log| check_tags("log", &log.tags))?;
    draft.entrypoint.iter().try_for_each(|word| check_no_nul("the entrypoint", word))?;
    draft.args.iter().try_for_each(|word| check_no_nul("an argument", word))?;
    draft.resources.keys().try_for_each(|name| limits::check_resource_name(name))?;
    draft.annotations.iter().try_for_each(limits::check_annotation)?;
    draft.service_account.iter().try_for_each(|name| limits::check_service_account(name))?;
    Ok(())
}

fn check_tags(place: &str, tags: &TagSet) -> Result<(), InvalidPlan> {
    let unwritable = |problem| InvalidPlan::UnwritableTag { place: place.to_owned(), problem };
    tags.iter().try_for_each(|tag| tag.check_writable().map_err(unwritable))
}

fn check_no_nul(part: &'static str, text: &str) -> Result<(), InvalidPlan> {
    if text.contains('\0') { Err(InvalidPlan::NulCharacter { part }) } else { Ok(()) }
}
