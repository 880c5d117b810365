//! Finding Plans by activity, image and tags (web-api 2.3.1).

use knit_domain::id::PlanId;
use knit_domain::tag::{KEY_ID, KEY_TIMESTAMP, Tag};
use knit_domain::time::Timestamp;

use super::super::column::TagRow;
use super::super::plans::{Input, PlanRecord};
use super::super::tags::Tags;
use super::super::{At, Store};

/// Which Plans to find; the default is all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlanFilter {
    /// Whether they are active; built-in Plans are.
    pub active: Option<bool>,
    /// Their image's name, registry included; compared exactly.
    pub image: Option<String>,
    /// Their image's tag; any if absent. It says nothing without an image.
    pub image_tag: Option<String>,
    /// One input asks for all of these; already trimmed.
    pub in_tags: Vec<Tag>,
    /// One output, or the log, gives all of these; already trimmed.
    pub out_tags: Vec<Tag>,
}

/// What one input must ask for, taken apart.
#[derive(Debug, Default)]
struct Asked {
    tags: Vec<TagRow>,
    ids: Vec<String>,
    instants: Vec<Timestamp>,
}

impl Asked {
    /// `None` if no input can ask for all of `given`.
    fn of(given: &[Tag], tags: &Tags) -> Option<Self> {
        let mut asked = Self::default();
        for tag in given {
            match tag.key.as_str() {
                KEY_ID => asked.ids.push(tag.value.clone()),
                KEY_TIMESTAMP => asked.instants.push(Timestamp::parse(&tag.value).ok()?),
                _ if tag.is_system() => return None,
                _ => asked.tags.push(tags.row(tag)?),
            }
        }
        Some(asked)
    }

    fn by(&self, input: &Input) -> bool {
        self.tags.iter().all(|tag| input.tags.binary_search(tag).is_ok())
            && self.ids.iter().all(|id| input.id_pin.as_ref() == Some(id))
            && self.instants.iter().all(|instant| input.instant_pin == Some(*instant))
    }
}

impl Store {
    /// The Plans that fit, by id.
    #[must_use]
    pub fn find_plans(&self, filter: &PlanFilter, at: At) -> Vec<PlanId> {
        let limit = at.limit();
        let Some(asked) = Asked::of(&filter.in_tags, &self.tags) else { return Vec::new() };
        let given: Option<Vec<TagRow>> = filter.out_tags.iter().map(|tag| self.tags.row(tag)).collect();
        let Some(given) = given.filter(|_| !filter.out_tags.iter().any(Tag::is_system)) else { return Vec::new() };
        let fits = |record: &PlanRecord| {
            filter.active.is_none_or(|active| record.at(limit).active == active)
                && filter.fits_image(record)
                && (filter.in_tags.is_empty() || record.inputs.iter().any(|input| asked.by(input)))
                && (given.is_empty() || record.outputs.iter().any(|output| self.tags.has_all(*output, &given)))
        };
        let existing = self.plans.rows().filter(|row| self.plans.exists(*row, limit));
        let mut found: Vec<PlanId> =
            existing.filter(|row| fits(self.plans.record(*row))).map(|row| self.plans.id(row)).collect();
        found.sort_unstable();
        found
    }
}

impl PlanFilter {
    fn fits_image(&self, record: &PlanRecord) -> bool {
        let Some(repository) = &self.image else { return true };
        let tag_fits = |tag: &String| self.image_tag.as_ref().is_none_or(|wanted| wanted == tag);
        record.definition().is_some_and(|plan| plan.image.repository == *repository && tag_fits(&plan.image.tag))
    }
}
