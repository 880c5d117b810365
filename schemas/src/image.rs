//! References of container images, `[registry/]name[:tag]` (web-api 4.4).

use std::fmt;

/// Characters of a name without its registry.
pub const NAME_CHARS_MIN: usize = 2;
/// Characters of a name without its registry.
pub const NAME_CHARS_MAX: usize = 255;
/// Characters of a tag.
pub const TAG_CHARS_MAX: usize = 128;
/// What a missing tag means.
pub const DEFAULT_TAG: &str = "latest";

/// A checked and normalised reference. Both parts are what is stored and compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    /// Registry, if any, and name.
    pub repository: String,
    /// Never empty.
    pub tag: String,
}

/// The text is no reference that Knitfab takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedImage {
    /// Nothing where the name should be.
    #[error("image `{text}` has no name: write [REGISTRY/]NAME[:TAG]")]
    Nameless {
        /// What was given.
        text: String,
    },
    /// The reference is by digest.
    #[error("image `{text}` names a digest, which is not supported: write [REGISTRY/]NAME[:TAG]")]
    Digest {
        /// What was given.
        text: String,
    },
    /// The name is too short or too long.
    #[error("the name in image `{text}` must have {NAME_CHARS_MIN} to {NAME_CHARS_MAX} characters")]
    NameLength {
        /// What was given.
        text: String,
    },
    /// The name holds another character than those allowed.
    #[error("the name in image `{text}` holds {character:?}: only a-z 0-9 _ - . / are allowed")]
    NameCharacter {
        /// What was given.
        text: String,
        /// The first offending character.
        character: char,
    },
    /// The tag is too long or holds another character than those allowed.
    #[error("the tag in image `{text}` must be at most {TAG_CHARS_MAX} letters, digits, _ - and .")]
    Tag {
        /// What was given.
        text: String,
    },
}

impl ImageReference {
    /// Parses, checks and normalises; a missing or empty tag becomes `latest`.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn parse(text: &str) -> Result<Self, MalformedImage> {
        let given = || text.to_owned();
        if text.contains('@') {
            return Err(MalformedImage::Digest { text: given() });
        }
        let (repository, tag) = split_tag(text);
        let (registry, name) = split_registry(repository);
        if name.is_empty() {
            return Err(MalformedImage::Nameless { text: given() });
        }
        check_name(text, name)?;
        let tag = tag.filter(|tag| !tag.is_empty()).unwrap_or(DEFAULT_TAG);
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if tag.len() > TAG_CHARS_MAX || !tag.chars().all(allowed) {
            return Err(MalformedImage::Tag { text: given() });
        }
        Ok(Self { repository: normalised(registry, name), tag: tag.to_owned() })
    }
}

/// Cuts at the first colon after the last slash: a registry's port stays with the repository.
///
/// For searches, where nothing is checked or normalised: `None` means no colon was there.
#[must_use]
pub fn split_tag(text: &str) -> (&str, Option<&str>) {
    let name_start = text.rfind('/').map_or(0, |slash| slash + 1);
    match text[name_start..].find(':') {
        Some(colon) => (&text[..name_start + colon], Some(&text[name_start + colon + 1..])),
        None => (text, None),
    }
}

fn split_registry(repository: &str) -> (Option<&str>, &str) {
    match repository.split_once('/') {
        Some((first, name)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), name),
        _ => (None, repository),
    }
}

fn check_name(text: &str, name: &str) -> Result<(), MalformedImage> {
    let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.' | '/');
    if let Some(character) = name.chars().find(|c| !allowed(c)) {
        return Err(MalformedImage::NameCharacter { text: text.to_owned(), character });
    }
    if !(NAME_CHARS_MIN..=NAME_CHARS_MAX).contains(&name.len()) {
        return Err(MalformedImage::NameLength { text: text.to_owned() });
    }
    Ok(())
}

/// `docker.io` is another name of the hub, whose single-segment names live under `library/`.
fn normalised(registry: Option<&str>, name: &str) -> String {
    const HUB: &str = "index.docker.io";
    match registry {
        None => name.to_owned(),
        Some("docker.io" | HUB) if name.contains('/') => format!("{HUB}/{name}"),
        Some("docker.io" | HUB) => format!("{HUB}/library/{name}"),
        Some(registry) => format!("{registry}/{name}"),
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}
