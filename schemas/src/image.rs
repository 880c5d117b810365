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
    #[error("{}: write [REGISTRY/]NAME[:TAG]", nameless(text))]
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

fn nameless(text: &str) -> String {
    if text.is_empty() { "no image is named".to_owned() } else { format!("image `{text}` has no name") }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_normalised() {
        for (given, stored) in [
            ("ubuntu:22.04", "ubuntu:22.04"),
            ("ubuntu", "ubuntu:latest"),
            ("ubuntu:", "ubuntu:latest"),
            ("docker.io/ubuntu:22.04", "index.docker.io/library/ubuntu:22.04"),
            ("docker.io/a/b", "index.docker.io/a/b:latest"),
            ("index.docker.io/ubuntu", "index.docker.io/library/ubuntu:latest"),
            ("registry.example.com:5000/nlp/train:v3", "registry.example.com:5000/nlp/train:v3"),
            ("repo.invalid:5000/image-name", "repo.invalid:5000/image-name:latest"),
            ("localhost/tool:A-1_b.c", "localhost/tool:A-1_b.c"),
            ("nlp/train:v3", "nlp/train:v3"),
            ("host:latest", "host:latest"),
        ] {
            assert_eq!(ImageReference::parse(given).unwrap().to_string(), stored);
        }
    }

    #[test]
    fn what_cannot_be_stored_is_refused_with_its_rule() {
        let digest = format!("ubuntu@sha256:{}", "0".repeat(64));
        let long_name = "a".repeat(NAME_CHARS_MAX + 1);
        let long_tag = format!("ubuntu:{}", "a".repeat(TAG_CHARS_MAX + 1));
        let refusal = |text: &str| ImageReference::parse(text).unwrap_err();
        assert!(matches!(refusal(&digest), MalformedImage::Digest { .. }));
        assert!(matches!(refusal(""), MalformedImage::Nameless { .. }));
        assert!(matches!(refusal(":v1"), MalformedImage::Nameless { .. }));
        assert!(matches!(refusal("example.com/"), MalformedImage::Nameless { .. }));
        assert!(matches!(refusal("a"), MalformedImage::NameLength { .. }));
        assert!(matches!(refusal(&long_name), MalformedImage::NameLength { .. }));
        assert!(matches!(refusal("Ubuntu"), MalformedImage::NameCharacter { character: 'U', .. }));
        assert!(matches!(refusal("a b"), MalformedImage::NameCharacter { character: ' ', .. }));
        assert!(matches!(refusal("ubuntu:a b"), MalformedImage::Tag { .. }));
        assert!(matches!(refusal("ubuntu:a:b"), MalformedImage::Tag { .. }));
        assert!(matches!(refusal(&long_tag), MalformedImage::Tag { .. }));
    }

    #[test]
    fn pln_25_a_search_is_cut_at_the_first_colon_after_the_last_slash() {
        for (given, cut) in [
            ("repo.invalid:5000/image-name:v0.0-alpha", ("repo.invalid:5000/image-name", Some("v0.0-alpha"))),
            ("repo.invalid:5000/image-name", ("repo.invalid:5000/image-name", None)),
            ("repo:5000/a/b:", ("repo:5000/a/b", Some(""))),
            ("image-name:v0.0-alpha", ("image-name", Some("v0.0-alpha"))),
        ] {
            assert_eq!(split_tag(given), cut);
        }
    }
}
