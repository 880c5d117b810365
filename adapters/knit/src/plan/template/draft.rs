//! A Plan file to begin with: what is known is filled in, what is guessed is told, and what may be said as well
//! stands there as comments.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use knit_schemas::api::Tag;

use super::image::Image;
use crate::knitenv::Knitenv;

/// Limits that the server would fill in; they stand there so that people see what they get.
const LIMITS: [(&str, &str); 2] = [("cpu", "1"), ("memory", "1Gi")];
/// What an input, and an output, is called where nothing better is known. They must differ: a Plan whose output
/// has all tags of its input would feed itself, and is refused.
const TYPES: [&str; 2] = ["input", "output"];
/// How an image is named whose archive does not say it.
const UNNAMED: &str = "IMAGE:TAG";

/// What will be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Draft {
    image: String,
    entrypoint: Vec<String>,
    args: Vec<String>,
    inputs: Vec<Mountpoint>,
    outputs: Vec<Mountpoint>,
    log_tags: Vec<String>,
    limits: BTreeMap<String, String>,
    /// What a person should know who reads the file.
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mountpoint {
    path: String,
    tags: Vec<String>,
}

impl Draft {
    /// A skeleton.
    pub(super) fn from_scratch(knitenv: &Knitenv) -> Self {
        let [input, output] = TYPES.map(|what| typed(tags_of(knitenv), what));
        let at = |path: &str, tags| vec![Mountpoint { path: path.to_owned(), tags }];
        Self {
            image: "image:version".to_owned(),
            entrypoint: Vec::new(),
            args: Vec::new(),
            inputs: at("/in", input),
            outputs: at("/out", output),
            log_tags: typed(tags_of(knitenv), "log"),
            limits: limits(knitenv),
            notes: Vec::new(),
        }
    }

    /// What the image lets one guess.
    pub(super) fn of_image(image: &Image, knitenv: &Knitenv) -> Self {
        let mut draft = Self {
            image: image.name.clone().unwrap_or_else(|| UNNAMED.to_owned()),
            entrypoint: image.entrypoint.clone(),
            args: image.command.clone(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            log_tags: typed(tags_of(knitenv), "log"),
            limits: limits(knitenv),
            notes: Vec::new(),
        };
        let words = image.entrypoint.iter().chain(&image.command).map(|word| named_by(word));
        for path in words.chain(image.volumes.iter().map(String::as_str)) {
            draft.guess(&absolute(path, &image.working_directory), tags_of(knitenv));
        }
        if draft.inputs.is_empty() {
            let note = "no input could be guessed from the image: a Plan needs at least one, so correct the example";
            draft.notes.push(note.to_owned());
            draft.inputs.push(Mountpoint { path: "/in".to_owned(), tags: typed(tags_of(knitenv), TYPES[0]) });
        }
        draft
    }

    /// Takes `path` for an input or output if one of its parts says so.
    fn guess(&mut self, path: &str, tags: Vec<String>) {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let mut kinds = ["in", "out"].into_iter().zip(TYPES);
        let Some((kind, fallback)) = kinds.find(|(kind, _)| parts.contains(kind)) else { return };
        if let Some(other) = self.overlapping(path) {
            if other != path {
                self.notes.push(format!("`{path}` overlaps `{other}` and is left out"));
            }
            return;
        }
        let what = parts.iter().rfind(|part| **part != kind).unwrap_or(&fallback);
        let mountpoints = if kind == "in" { &mut self.inputs } else { &mut self.outputs };
        mountpoints.push(Mountpoint { path: path.to_owned(), tags: typed(tags, what) });
    }

    /// A mountpoint of which the server would say that it overlaps `path`: one is the beginning of the other.
    fn overlapping(&self, path: &str) -> Option<String> {
        let mut all = self.inputs.iter().chain(&self.outputs).map(|mountpoint| &mountpoint.path);
        all.find(|other| other.starts_with(path) || path.starts_with(other.as_str())).cloned()
    }
}

/// What a word of a command names: the value of an option such as `--from=/in/a`, else itself.
fn named_by(word: &str) -> &str {
    match word.split_once('=') {
        Some((option, value)) if option.starts_with('-') => value,
        _ => word,
    }
}

/// The path without `.`, `..` and doubled slashes, below `directory` if it is relative.
fn absolute(path: &str, directory: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("/{directory}/{path}") };
    let mut parts = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn tags_of(knitenv: &Knitenv) -> Vec<String> {
    knitenv.data_tags().map(Tag::to_string).collect()
}

fn typed(mut tags: Vec<String>, what: &str) -> Vec<String> {
    tags.push(format!("type:{what}"));
    tags
}

fn limits(knitenv: &Knitenv) -> BTreeMap<String, String> {
    let mut limits: BTreeMap<_, _> =
        LIMITS.iter().map(|(kind, limit)| ((*kind).to_owned(), (*limit).to_owned())).collect();
    limits.extend(knitenv.resource.iter().flatten().map(|(kind, limit)| (kind.clone(), limit.to_string())));
    limits
}

impl fmt::Display for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { image, entrypoint, args, inputs, outputs, log_tags, limits, notes: _ } = self;
        write!(
            f,
            "# A Plan: Knitfab starts a Run of the image for every combination of Data that fits the inputs.\n\
             # Register it with `knit plan apply FILE`.\n\n\
             # Notes for people, as \"key=value\".\nannotations: []\n\n\
             # What runs. It cannot be changed later.\nimage: {}\n\n\
             # The command, where it is to differ from the image's.\nentrypoint: {}\nargs: {}\n",
            Text(image),
            List(entrypoint),
            List(args)
        )?;
        f.write_str("\n# Where Data are mounted, and the tags that a Data must have to be taken there.\n")?;
        mountpoints(f, "inputs", inputs)?;
        f.write_str("\n# Directories that become Data when the Run is done, and the tags they get.\n")?;
        mountpoints(f, "outputs", outputs)?;
        write!(f, "\n# The tags of the log. Without this part, none is kept.\nlog:\n  tags:\n{}", Tags(log_tags, 4))?;
        f.write_str("\n# Whether Runs start; `knit plan active` changes it.\nactive: true\n")?;
        f.write_str("\n# What one Run may use at most; `knit plan resource` changes it.\nresources:\n")?;
        for (kind, limit) in limits {
            writeln!(f, "  {}: {}", Text(kind), Text(limit))?;
        }
        f.write_str(ON_A_CLUSTER)
    }
}

/// What may be said on a cluster, to be uncommented.
const ON_A_CLUSTER: &str = r#"
# On a cluster: nodes whose taint is tolerated, preferred, or required, as "label=value".
#on_node:
#  may:
#    - "dedicated=training"
#  prefer:
#    - "disk=nvme"
#  must:
#    - "accelerator=gpu"

# On a cluster: the account of the Worker; `knit plan serviceaccount` changes it.
#service_account: "name"
"#;

fn mountpoints(f: &mut fmt::Formatter<'_>, key: &str, all: &[Mountpoint]) -> fmt::Result {
    if all.is_empty() {
        return writeln!(f, "{key}: []");
    }
    writeln!(f, "{key}:")?;
    for Mountpoint { path, tags } in all {
        write!(f, "  - path: {}\n    tags:\n{}", Text(path), Tags(tags, 6))?;
    }
    Ok(())
}

/// A text in double quotes, in which YAML and JSON agree.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", serde_json::Value::from(self.0))
    }
}

/// Texts on one line.
struct List<'a>(&'a [String]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for (i, text) in self.0.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, Text(text))?;
        }
        f.write_char(']')
    }
}

/// Texts on lines of their own, indented.
struct Tags<'a>(&'a [String], usize);

impl fmt::Display for Tags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(tags, indent) = self;
        tags.iter().try_for_each(|tag| writeln!(f, "{:indent$}- {}", "", Text(tag)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::file;

    fn knitenv(text: &str) -> Knitenv {
        serde_yaml_ng::from_str(text).unwrap()
    }

    fn image(command: &[&str], volumes: &[&str]) -> Image {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Image {
            command: texts(command),
            volumes: texts(volumes),
            working_directory: "/app".to_owned(),
            ..Image::default()
        }
    }

    fn paths(mountpoints: &[Mountpoint]) -> Vec<&str> {
        mountpoints.iter().map(|mountpoint| mountpoint.path.as_str()).collect()
    }

    #[test]
    fn whatever_is_drafted_is_a_plan_file_without_mistakes() {
        let harbor = knitenv("tag: ['project:a\"b\\c']\nresource: {cpu: 2, nvidia.com/gpu: 1}");
        let drafts = [
            Draft::from_scratch(&Knitenv::default()),
            Draft::from_scratch(&harbor),
            Draft::of_image(&image(&["train", "--from=/in/frames", "\u{e9}\n\"", "/out"], &[]), &harbor),
            Draft::of_image(&image(&[], &[]), &Knitenv::default()),
        ];
        for draft in drafts {
            let file = file::parse(&draft.to_string()).unwrap();
            assert_eq!((file.misspelt, file.warnings), (Vec::new(), Vec::new()), "{draft}");
            assert_eq!((file.spec.image, file.spec.args), (draft.image, draft.args));
            assert_eq!(file.spec.inputs.len(), draft.inputs.len());
            let feeds = |input: &knit_schemas::api::Mountpoint, output: &knit_schemas::api::Mountpoint| {
                input.tags.iter().all(|tag| output.tags.contains(tag))
            };
            let (inputs, outputs) = (file.spec.inputs, file.spec.outputs);
            assert!(!inputs.iter().any(|input| outputs.iter().any(|output| feeds(input, output))), "it feeds itself");
            assert_eq!(file.spec.resources.len(), draft.limits.len());
        }
    }

    #[test]
    fn parts_of_paths_tell_inputs_from_outputs() {
        let command = ["train", "--from=/data/in/out", "in/frames", "--to", "/out/weights/../model", "inner"];
        let draft = Draft::of_image(&image(&command, &["/logs", "/out"]), &knitenv("tag: ['project:x']"));
        assert_eq!(paths(&draft.inputs), ["/data/in/out", "/app/in/frames"]);
        assert_eq!(draft.inputs[0].tags, ["project:x", "type:out"]);
        assert_eq!(paths(&draft.outputs), ["/out/model"]);
        assert_eq!(draft.outputs[0].tags, ["project:x", "type:model"]);
        assert_eq!(draft.notes, ["`/out` overlaps `/out/model` and is left out"]);
        assert_eq!(draft.image, UNNAMED);
    }
}
