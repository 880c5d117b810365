use super::PlanDraft;
use crate::event::plan::{Image, LogPoint, Mountpoint};
use crate::id::PlanId;
use crate::tag::{Tag, TagSet};

pub(crate) fn image() -> Image {
    Image { repository: "repo.invalid/image-name".to_owned(), tag: "v0.0-alpha".to_owned() }
}

pub(crate) fn tags(texts: &[&str]) -> TagSet {
    texts.iter().map(|text| Tag::parse(text).unwrap()).collect()
}

pub(crate) fn at(path: &str, texts: &[&str]) -> Mountpoint {
    Mountpoint { path: path.to_owned(), tags: tags(texts) }
}

pub(crate) fn log(texts: &[&str]) -> Option<LogPoint> {
    Some(LogPoint { tags: tags(texts) })
}

pub(crate) fn plan_id(number: u128) -> PlanId {
    PlanId(uuid::Uuid::from_u128(number))
}

/// Reads Data tagged `asked`, makes Data tagged `made`.
pub(crate) fn draft(asked: &[&str], made: &[&str]) -> PlanDraft {
    PlanDraft { outputs: vec![at("/out", made)], ..PlanDraft::new(image(), vec![at("/in", asked)]) }
}
