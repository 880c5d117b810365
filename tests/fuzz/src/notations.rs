//! The small notations of the wire: a text that is understood is understood the same when it is written and
//! read again.

use knit_domain::matching::Requirement;
use knit_domain::tag::{Tag, TagSet};
use knit_domain::time::{Timestamp, parse_exact};
use knit_schemas::api;
use knit_schemas::duration::GoDuration;
use knit_schemas::image::{ImageReference, split_tag};
use knit_schemas::instant::Instant;
use knit_schemas::quantity::Quantity;

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Tags, one a line, alone and as a set.
pub(crate) fn tags(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let tags: Vec<Tag> = text.lines().filter_map(tag).collect();
    let set = TagSet::new(tags.iter().cloned());
    assert_eq!(TagSet::new(set.iter().cloned()), set, "a set of tags is normalised once and for all");
    let stored = serde_json::to_string(&set).unwrap();
    assert_eq!(serde_json::from_str::<TagSet>(&stored).unwrap(), set, "what is stored comes back");
    for tag in &set {
        assert!(set.contains(tag));
    }
    let required = Requirement::of(&set);
    assert!(!required.fed_by(&TagSet::default()), "nothing feeds an input without having a tag");
    assert!(required.tags().iter().all(|tag| set.contains(tag) && !tag.is_system()));
}

fn tag(line: &str) -> Option<Tag> {
    let (parsed, wire) = (Tag::parse(line), api::Tag::parse(line));
    assert_eq!(parsed.is_ok(), wire.is_ok(), "the domain and the wire know the same tags");
    let (tag, wire) = (parsed.ok()?, wire.ok()?);
    assert_eq!((&tag.key, &tag.value), (&wire.key, &wire.value));
    assert_eq!(Tag::parse(&tag.to_string()).as_ref(), Ok(&tag));
    let json = serde_json::to_string(&wire).unwrap();
    assert_eq!(serde_json::from_str::<api::Tag>(&json).unwrap(), wire);
    if tag.check_writable().is_ok() {
        assert!(!tag.to_string().contains(['"', '\\', '\n', '\0']), "what is written does not poison the wire");
    }
    Some(tag)
}

/// Times: of the wire, of the domain, and as people write them.
pub(crate) fn timestamps(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let (stamp, instant) = (Timestamp::parse(text), Instant::parse(text));
    assert_eq!(stamp.is_ok(), instant.is_ok(), "the domain and the wire know the same times");
    if let (Ok(stamp), Ok(instant)) = (stamp, instant) {
        assert_eq!(stamp.0, instant.unix_ms());
        assert_eq!(Timestamp::parse(&stamp.to_string()), Ok(stamp), "written as {stamp}");
        assert_eq!(Instant::parse(&instant.to_string()).unwrap().unix_ms(), instant.unix_ms(), "written as {instant}");
        let exact = parse_exact(text).unwrap();
        assert_eq!(exact.timestamp_millis(), stamp.0);
        assert_eq!(knit::doors::since(text), Ok(exact), "people may write what the wire has");
    }
    if let Ok(time) = knit::doors::since(text) {
        let written = time.to_rfc3339();
        assert!(parse_exact(&written).is_ok_and(|again| again == time), "written as {written}");
    }
}

/// Durations in Go's notation.
pub(crate) fn durations(bytes: &[u8]) {
    let Some(duration) = text(bytes).and_then(|text| GoDuration::parse(text).ok()) else { return };
    assert_eq!(GoDuration::parse(&duration.to_string()), Ok(duration), "written as {duration}");
    assert_eq!(duration.as_ms(), duration.ns / 1_000_000);
}

/// Quantities in Kubernetes' notation.
pub(crate) fn quantities(bytes: &[u8]) {
    let Some(quantity) = text(bytes).and_then(|text| Quantity::parse(text).ok()) else { return };
    let written = quantity.to_string();
    let again = Quantity::parse(&written).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.to_string(), written, "the canonical form is its own");
    assert_eq!((again.milli(), again.units()), (quantity.milli(), quantity.units()), "written as {written}");
    let json = serde_json::to_string(&quantity).unwrap();
    assert_eq!(serde_json::from_str::<Quantity>(&json).unwrap().to_string(), written);
}

/// References of images.
pub(crate) fn images(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let (name, tag) = split_tag(text);
    assert_eq!(tag.map_or(name.to_owned(), |tag| format!("{name}:{tag}")), text);
    if let Ok(image) = ImageReference::parse(text) {
        assert_eq!(ImageReference::parse(&image.to_string()).as_ref(), Ok(&image), "written as {image}");
        assert_eq!(split_tag(&image.to_string()), (image.repository.as_str(), Some(image.tag.as_str())));
    }
}
