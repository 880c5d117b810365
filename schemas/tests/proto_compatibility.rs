//! The messages of today can be read as those of yesterday: `.proto` files held against `schemas/proto/committed.txt`.
//!
//! A number means one thing for ever. A field keeps its name, type and label; one that goes leaves its number behind as
//! `reserved`; what is new is written down in the same commit. The file is only ever appended to.

#![expect(clippy::unwrap_used, reason = "tests prove their unwraps by running, and so do the functions they share")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use prost_types::field_descriptor_proto::Label;
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto};

/// What a number means in a message or enum.
type Meanings = BTreeMap<(String, i32), String>;

/// The messages as they are now.
#[derive(Debug, Default)]
struct Described {
    meanings: Meanings,
    /// Numbers that must not be used again: message or enum, first and last.
    reserved: Vec<(String, i32, i32)>,
}

#[test]
fn what_was_committed_still_means_what_it_meant() {
    let broken = broken(&committed(), &described());
    assert!(broken.is_empty(), "old snapshots and exports could not be read any more:\n{}", broken.join("\n"));
}

#[test]
fn what_is_new_is_written_down() {
    let committed = committed();
    let now = described().meanings;
    let new: Vec<String> = now.iter().filter(|(key, _)| !committed.contains_key(*key)).map(line).collect();
    assert!(new.is_empty(), "append to {}:\n{}", baseline().display(), new.join("\n"));
}

#[test]
fn a_number_that_is_used_again_changed_or_dropped_is_noticed() {
    let field = |number, meaning: &str| ((".m.Run".to_owned(), number), meaning.to_owned());
    let committed: Meanings = [field(1, "id optional bytes"), field(2, "plan optional uint32")].into();
    let now = |fields: Vec<((String, i32), String)>, reserved: &[(i32, i32)]| Described {
        meanings: fields.into_iter().collect(),
        reserved: reserved.iter().map(|(first, last)| (".m.Run".to_owned(), *first, *last)).collect(),
    };
    let (id, plan) = (field(1, "id optional bytes"), field(2, "plan optional uint32"));
    assert_eq!(broken(&committed, &now(vec![id.clone(), plan.clone(), field(3, "new optional bool")], &[])), [""; 0]);
    assert_eq!(broken(&committed, &now(vec![id.clone()], &[(2, 2)])), [""; 0], "it went, and nobody may come there");
    for (changed, reserved) in [
        (vec![id.clone(), field(2, "plan optional string")], &[][..]),
        (vec![id.clone(), field(2, "other optional uint32")], &[]),
        (vec![id.clone(), field(2, "plan repeated uint32")], &[]),
        (vec![id.clone()], &[]),
        (vec![id], &[(3, 9)]),
    ] {
        assert_eq!(broken(&committed, &now(changed.clone(), reserved)).len(), 1, "{changed:?}");
    }
}

/// Everything committed that does not hold any more.
fn broken(committed: &Meanings, now: &Described) -> Vec<String> {
    let complaint = |(key, meant): (&(String, i32), &String)| {
        let (name, number) = key;
        let is_reserved =
            || now.reserved.iter().any(|(of, first, last)| of == name && (first..=last).contains(&number));
        match now.meanings.get(key) {
            Some(means) if means == meant => None,
            Some(means) => Some(format!("{name} {number} was `{meant}` and is `{means}`")),
            None if is_reserved() => None,
            None => Some(format!("{name} {number} was `{meant}` and is gone: reserve its number")),
        }
    };
    committed.iter().filter_map(complaint).collect()
}

fn line(((name, number), meaning): (&(String, i32), &String)) -> String {
    format!("{name} {number} {meaning}")
}

fn baseline() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/committed.txt")
}

fn committed() -> Meanings {
    let text = fs::read_to_string(baseline()).unwrap();
    let meaning = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("half a line: {line}")).to_owned();
        ((word(), word().parse().unwrap()), word())
    };
    let meanings: Meanings = text.lines().map(meaning).collect();
    assert_eq!(meanings.len(), text.lines().count(), "every number has one line");
    meanings
}

fn described() -> Described {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let files: BTreeSet<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let files = files.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "proto"));
    let set = protox::compile(files, [&folder]).unwrap();
    let mut described = Described::default();
    for file in set.file {
        let package = format!(".{}", file.package());
        file.message_type.iter().for_each(|message| described.message(&package, message));
        file.enum_type.iter().for_each(|values| described.values(&package, values));
    }
    described
}

impl Described {
    fn message(&mut self, within: &str, message: &DescriptorProto) {
        let name = format!("{within}.{}", message.name());
        for field in &message.field {
            self.meanings.insert((name.clone(), field.number()), meaning(field, message));
        }
        // Ends are exclusive here, and inclusive in enums.
        let reserved = message.reserved_range.iter().map(|range| (name.clone(), range.start(), range.end() - 1));
        self.reserved.extend(reserved);
        message.nested_type.iter().for_each(|nested| self.message(&name, nested));
        message.enum_type.iter().for_each(|values| self.values(&name, values));
    }

    fn values(&mut self, within: &str, values: &EnumDescriptorProto) {
        let name = format!("{within}.{}", values.name());
        for value in &values.value {
            self.meanings.insert((name.clone(), value.number()), value.name().to_owned());
        }
        self.reserved.extend(values.reserved_range.iter().map(|range| (name.clone(), range.start(), range.end())));
    }
}

/// Name, label, type, and the choice that it belongs to.
fn meaning(field: &FieldDescriptorProto, message: &DescriptorProto) -> String {
    let label = match field.label() {
        Label::Repeated => "repeated",
        Label::Required => "required",
        Label::Optional if field.proto3_optional() => "explicit",
        Label::Optional => "optional",
    };
    // Messages and enums are named, everything else is known by its type.
    let of = match field.type_name() {
        "" => field.r#type().as_str_name().trim_start_matches("TYPE_").to_lowercase(),
        named => named.to_owned(),
    };
    let choice = field.oneof_index.filter(|_| !field.proto3_optional()).and_then(|at| usize::try_from(at).ok());
    let choice = choice.map(|at| format!(" in {}", message.oneof_decl[at].name())).unwrap_or_default();
    format!("{} {label} {of}{choice}", field.name())
}
