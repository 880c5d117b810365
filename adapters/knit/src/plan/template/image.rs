//! What an archive of images, as `docker save` writes it, says of one of them.

use std::collections::BTreeMap;
use std::io::{self, Read};

use serde::Deserialize;
use serde::de::IgnoredAny;
use tar::{Archive, Entry, EntryType};

/// A description of an image has some kilobytes. What is longer is no description, and layers are skipped.
const DESCRIPTION_BYTES_MAX: u64 = 4 << 20;
/// The member that says which image has which names.
const MANIFEST: &str = "manifest.json";

/// What of an image a Plan is made from.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Image {
    /// Its name with its tag; none if the archive gives it none.
    pub(crate) name: Option<String>,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) command: Vec<String>,
    /// Paths at which it wants something mounted.
    pub(crate) volumes: Vec<String>,
    pub(crate) working_directory: String,
}

/// Why no image can be told from the archive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    /// Not an archive, or it ends early.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The list of names is not what `docker save` writes.
    #[error("its {MANIFEST} is not understood")]
    Manifest(#[source] serde_json::Error),
    /// Nothing in it describes an image.
    #[error("there is no image in it")]
    None,
    /// Which one is meant cannot be told.
    #[error("it holds {} images: {}", names.len(), names.join(", "))]
    Several {
        /// Their names.
        names: Vec<String>,
    },
    /// None has the wanted name.
    #[error("there is no image `{wanted}` in it, but {}", if names.is_empty() { "only ones without names".to_owned() } else { names.join(", ") })]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// What there is.
        names: Vec<String>,
    },
}

/// The image `wanted`, or the only one, of an uncompressed tar.
pub(crate) fn find(archive: impl Read, wanted: Option<&str>) -> Result<Image, ImageError> {
    let mut found = Found::default();
    for entry in Archive::new(archive).entries()? {
        found.look(entry?)?;
    }
    let (member, name) = found.choose(wanted)?;
    let config = found.configs.remove(&member).ok_or(ImageError::None)?;
    Ok(Image { name, ..config.image() })
}

/// What was met in the archive, by the name of the member.
#[derive(Default)]
struct Found {
    configs: BTreeMap<String, Config>,
    names: BTreeMap<String, Vec<String>>,
}

impl Found {
    fn look(&mut self, mut entry: Entry<'_, impl Read>) -> Result<(), ImageError> {
        let is_file = matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous);
        if !is_file || entry.size() > DESCRIPTION_BYTES_MAX {
            return Ok(());
        }
        let member = entry.path()?.to_string_lossy().into_owned();
        let mut text = Vec::new();
        entry.read_to_end(&mut text)?;
        if member == MANIFEST {
            let manifest: Vec<Named> = serde_json::from_slice(&text).map_err(ImageError::Manifest)?;
            self.names = manifest.into_iter().map(|named| (named.config, named.names.unwrap_or_default())).collect();
        } else if let Ok(config) = serde_json::from_slice(&text) {
            self.configs.insert(member, config);
        }
        Ok(())
    }

    /// The member that describes what is wanted, and how that is named.
    fn choose(&self, wanted: Option<&str>) -> Result<(String, Option<String>), ImageError> {
        let names_of = |member: &String| self.names.get(member).into_iter().flatten();
        let all = || self.configs.keys().flat_map(names_of).cloned().collect::<Vec<_>>();
        if let Some(wanted) = wanted {
            let whole = with_tag(wanted);
            let member = self.configs.keys().find(|member| names_of(member).any(|name| *name == whole));
            let unknown = || ImageError::Unknown { wanted: whole.clone(), names: all() };
            return Ok((member.ok_or_else(unknown)?.clone(), Some(whole)));
        }
        let mut members = self.configs.keys();
        match (members.next(), members.next()) {
            (None, _) => Err(ImageError::None),
            (Some(only), None) => Ok((only.clone(), names_of(only).next().cloned())),
            (Some(_), Some(_)) => {
                let named =
                    |member| names_of(member).next().cloned().unwrap_or_else(|| "one without a name".to_owned());
                Err(ImageError::Several { names: self.configs.keys().map(named).collect() })
            }
        }
    }
}

/// The name as the archive has it: one without a tag means the latest.
fn with_tag(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains(':') { name.to_owned() } else { format!("{name}:latest") }
}

/// One image in the manifest of an archive.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "RepoTags")]
    names: Option<Vec<String>>,
}

/// The description of an image in the notation of OCI. Whatever lacks one of the first three describes something else.
#[derive(Deserialize)]
struct Config {
    #[serde(rename = "os")]
    _os: String,
    #[serde(rename = "architecture")]
    _architecture: String,
    #[serde(rename = "rootfs")]
    _root: BTreeMap<String, IgnoredAny>,
    #[serde(default)]
    config: Option<Execution>,
}

/// How a container of it is run.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Execution {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    volumes: Option<BTreeMap<String, IgnoredAny>>,
    working_dir: Option<String>,
}

impl Config {
    fn image(self) -> Image {
        let Execution { entrypoint, cmd, volumes, working_dir } = self.config.unwrap_or_default();
        Image {
            name: None,
            entrypoint: entrypoint.unwrap_or_default(),
            command: cmd.unwrap_or_default(),
            volumes: volumes.unwrap_or_default().into_keys().collect(),
            working_directory: working_dir.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn archive(members: &[(&str, Value)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in members {
            let text = content.to_string();
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            builder.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        // What `docker save` of today puts beside the descriptions.
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(EntryType::Symlink);
        link.set_size(0);
        builder.append_link(&mut link, "layer.tar", "../layer.tar").unwrap();
        let mut empty = tar::Header::new_gnu();
        empty.set_size(0);
        builder.append_data(&mut empty, "empty", &b""[..]).unwrap();
        builder.into_inner().unwrap()
    }

    fn config(command: &str) -> Value {
        json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers"},
               "config": {"Cmd": [command], "Entrypoint": null, "WorkingDir": "/app", "Volumes": {"/out": {}}}})
    }

    fn manifest(named: &[(&str, &[&str])]) -> Value {
        named.iter().map(|(config, names)| json!({"Config": config, "RepoTags": names, "Layers": []})).collect()
    }

    #[test]
    fn the_only_image_is_found_whatever_lies_beside_it() {
        let names = manifest(&[("blobs/sha256/a", &["trainer:1", "trainer:latest"])]);
        let members = [("blobs/sha256/a", config("train")), (MANIFEST, names), ("index.json", json!({"os": 1}))];
        let image = find(&archive(&members)[..], None).unwrap();
        assert_eq!(image.name.as_deref(), Some("trainer:1"));
        assert_eq!((&image.command[..], &image.volumes[..]), (&["train".to_owned()][..], &["/out".to_owned()][..]));
        assert_eq!(image.working_directory, "/app");
    }

    #[test]
    fn of_several_images_one_must_be_named() {
        let names = manifest(&[("a.json", &["a:1"]), ("b.json", &["b:latest"])]);
        let both = archive(&[(MANIFEST, names), ("a.json", config("a")), ("b.json", config("b"))]);
        assert_eq!(find(&both[..], Some("b")).unwrap().command, ["b"]);
        assert_eq!(find(&both[..], None).unwrap_err().to_string(), "it holds 2 images: a:1, b:latest");
        let unknown = find(&both[..], Some("c:2")).unwrap_err().to_string();
        assert_eq!(unknown, "there is no image `c:2` in it, but a:1, b:latest");
    }

    #[test]
    fn what_is_no_archive_of_an_image_is_refused() {
        assert!(matches!(find(&archive(&[("x.json", json!({}))])[..], None), Err(ImageError::None)));
        assert!(matches!(find(&b"no tar at all, but long enough".repeat(40)[..], None), Err(ImageError::Io(_))));
        let whole = archive(&[("a.json", config("a"))]);
        assert!(matches!(find(&whole[..600], None), Err(ImageError::Io(_))));
        let unnamed = find(&whole[..], None).unwrap();
        assert_eq!((unnamed.name, &unnamed.command[..]), (None, &["a".to_owned()][..]));
    }
}
