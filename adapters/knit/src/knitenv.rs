//! The project's defaults: the file `knitenv`, meant to be kept with the project's sources.

use std::collections::BTreeMap;
use std::path::Path;

use knit_schemas::api::Tag;
use knit_schemas::quantity::Quantity;
use knit_schemas::slip::is_slip_of;
use serde::Deserialize;

use crate::error::Error;
use crate::output;
use crate::session::Session;

/// How such a file is written.
const EXAMPLE: &str =
    "a knitenv is written like `tag: [\"project:hello\"]` and `resource: {cpu: 2}`, each on a line of its own";

/// Keys that mean something.
const KEYS: &[&str] = &["tag", "resource"];

/// What a `knitenv` may say; unknown keys are left to later versions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub(crate) struct Knitenv {
    /// Put on every Data that is pushed, and on what a Plan that is drafted here takes and makes.
    #[serde(default)]
    pub(crate) tag: Option<Vec<Tag>>,
    /// What the Runs of a Plan that is drafted here may use.
    #[serde(default)]
    pub(crate) resource: Option<BTreeMap<String, Quantity>>,
}

impl Knitenv {
    /// The file of `--env`, or the nearest one; a missing file counts as empty.
    pub(crate) fn load(session: &Session) -> Result<Self, Error> {
        if let Some(named) = session.globals.env.as_ref().filter(|path| !path.exists()) {
            output::say(format_args!("warning: `{}` (--env) does not exist, so no defaults are used", named.display()));
        }
        match session.globals.env.clone().or_else(|| session.environment.nearest("knitenv")) {
            Some(path) => Self::read(&path),
            None => Ok(Self::default()),
        }
    }

    fn read(path: &Path) -> Result<Self, Error> {
        match std::fs::read_to_string(path) {
            Ok(text) if text.trim().is_empty() => Ok(Self::default()),
            Ok(text) => {
                let knitenv = serde_yaml_ng::from_str(&text).map_err(|source| Error::Yaml {
                    path: path.to_owned(),
                    example: EXAMPLE,
                    source,
                })?;
                for warning in without_effect(&text) {
                    output::say(format_args!("warning: {}: {warning}", path.display()));
                }
                Ok(knitenv)
            }
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(Error::file("read", path)(source)),
        }
    }

    /// The tags for new Data: reserved ones are for searching only and are left out.
    pub(crate) fn data_tags(&self) -> impl Iterator<Item = &Tag> {
        self.tag.iter().flatten().filter(|tag| !tag.is_system())
    }
}

/// Keys that mean nothing: the Tags of a misspelt one would be missed on every Data.
fn without_effect(text: &str) -> Vec<String> {
    let Ok(mapping) = serde_yaml_ng::from_str::<serde_yaml_ng::Mapping>(text) else { return Vec::new() };
    let unknown = mapping.keys().map(|key| key.as_str().unwrap_or("(not a text)")).filter(|key| !KEYS.contains(key));
    let warning = |key: &str| match KEYS.iter().find(|known| is_slip_of(key, known)) {
        Some(meant) => format!("`{key}` has no effect; did you mean `{meant}`?"),
        None => format!("`{key}` has no effect"),
    };
    unknown.map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_texts_or_maps_and_reserved_ones_are_left_out() {
        let text = "tag:\n  - project:harbor\n  - {key: owner, value: mika}\n  - knit#id:x\nresource: {cpu: 1}\n";
        let knitenv: Knitenv = serde_yaml_ng::from_str(text).unwrap();
        let tags: Vec<String> = knitenv.data_tags().map(ToString::to_string).collect();
        assert_eq!(tags, ["project:harbor", "owner:mika"]);
    }

    #[test]
    fn keys_without_effect_are_told() {
        let told = without_effect("tags: [a:b]\nresource: {cpu: 1}\nowner: mika\n");
        assert_eq!(told, ["`tags` has no effect; did you mean `tag`?", "`owner` has no effect"]);
    }

    #[test]
    fn an_empty_list_may_be_left_blank() {
        let knitenv: Knitenv = serde_yaml_ng::from_str("tag:\n").unwrap();
        assert_eq!(knitenv.data_tags().count(), 0);
    }
}
