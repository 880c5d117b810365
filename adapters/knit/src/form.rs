//! In which form things are printed, lists and single ones alike: the words of `--output`, and `--json`.

use std::io::{self, IsTerminal as _};

use clap::{Args, ValueEnum};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::error::Error;
use crate::listing::Listed;
use crate::output;
use crate::telling;

/// The form in which something is printed.
///
/// Verbs whose `-o` the original has not taken for something else give it to `--output`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Form {
    /// How to print [default: table on a terminal, otherwise json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
    #[command(flatten)]
    fields: Fields,
}

/// Which fields of an answer are printed, where its form has an `--output` of its own too.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Fields {
    /// Print only these fields, as JSON; several are separated by commas
    #[arg(long, value_name = "FIELDS", value_delimiter = ',', conflicts_with = "output")]
    json: Vec<String>,
}

/// The words of `--output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: a table of many, sentences about one
    #[value(alias = "text")]
    Table,
    /// For programs
    Json,
    /// The same, as YAML
    Yaml,
    /// Ids alone, one a line
    Name,
}

/// An answer about things that have ids.
pub(crate) trait Told: Serialize {
    /// Its fields in JSON.
    const FIELDS: &'static [&'static str];

    /// The ids of what it is about.
    fn ids(&self) -> Vec<String>;
}

impl<T: Listed> Told for T {
    const FIELDS: &'static [&'static str] = T::FIELDS;

    fn ids(&self) -> Vec<String> {
        vec![self.id().to_owned()]
    }
}

impl Form {
    /// Refuses fields that are not among `known`, before anything is asked of the server.
    ///
    /// # Errors
    /// [`Error::Usage`], which names those that there are.
    pub(crate) fn check(&self, known: &[&str]) -> Result<(), Error> {
        self.fields.check(known)
    }

    /// Whether a form was named, and not left to what is usual.
    pub(crate) fn is_named(&self) -> bool {
        self.output.is_some() || self.picks()
    }

    /// What is wanted, or what is usual where standard output goes.
    pub(crate) fn format(&self) -> Format {
        match self.output {
            Some(format) => format,
            None if !self.picks() && io::stdout().is_terminal() => Format::Table,
            None => Format::Json,
        }
    }

    /// Whether people read it.
    pub(crate) fn is_for_people(&self) -> bool {
        self.format() == Format::Table
    }

    /// Whether only some fields are wanted.
    pub(crate) fn picks(&self) -> bool {
        self.fields.are_wanted()
    }

    /// `value` as JSON is to show it: whole, or only the fields that are wanted.
    pub(crate) fn picked<'a, T: Serialize>(&'a self, value: &'a T) -> Result<Picked<'a, T>, serde_json::Error> {
        self.fields.of(value)
    }

    /// Prints one thing, to people as the `lines` that it is in words.
    pub(crate) fn tell<T: Told>(&self, value: &T, lines: impl FnOnce(&T) -> Vec<String>) -> Result<(), Error> {
        match self.format() {
            Format::Table => telling::print(&lines(value)),
            Format::Json => Ok(output::json(&self.picked(value).map_err(io::Error::from)?)?),
            Format::Yaml => Ok(output::yaml(value)?),
            Format::Name => Ok(output::text(&value.ids().iter().map(|id| format!("{id}\n")).collect::<String>())?),
        }
    }
}

impl Fields {
    /// Refuses fields that are not among `known`, before anything is asked of the server.
    ///
    /// # Errors
    /// [`Error::Usage`], which names those that there are.
    pub(crate) fn check(&self, known: &[&str]) -> Result<(), Error> {
        let unknown = self.json.iter().find(|field| !known.contains(&field.as_str()));
        unknown.map_or(Ok(()), |field| {
            Err(Error::Usage(format!("`--json {field}`: there is no such field, but {}", known.join(", "))))
        })
    }

    /// Whether only some are wanted.
    pub(crate) fn are_wanted(&self) -> bool {
        !self.json.is_empty()
    }

    /// `value` as JSON is to show it: whole, or only the fields that are wanted.
    pub(crate) fn of<'a, T: Serialize>(&'a self, value: &'a T) -> Result<Picked<'a, T>, serde_json::Error> {
        if self.json.is_empty() {
            return Ok(Picked::Whole(value));
        }
        Ok(Picked::Fields(serde_json::to_value(value)?, &self.json))
    }
}

/// A value as it is written.
pub(crate) enum Picked<'a, T> {
    /// With all that it has.
    Whole(&'a T),
    /// The value of each field that is wanted, `null` where it has none.
    Fields(Value, &'a [String]),
}

impl<T: Serialize> Serialize for Picked<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Whole(value) => value.serialize(serializer),
            Self::Fields(value, fields) => serializer.collect_map(fields.iter().map(|field| (field, &value[field]))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use knit_schemas::api::{
        Attempt, DataDetail, Difference, LogEvent, PlanDetail, PlanForecast, PlanGraph, PlanMatches, ProjectionState,
        RunDetail, RunExplanation, SavedSnapshot,
    };
    use knit_schemas::lineage::graph::Graph;
    use serde::de::value::Error as Unread;
    use serde::de::{Deserialize, Deserializer, Error as _, Visitor};

    use super::*;

    /// Learns of a structure that is to be read from it how its fields are called, which is the same when it is
    /// written, and gives nothing to read.
    struct Learning<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Learning<'_> {
        type Error = Unread;

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _name: &'static str,
            fields: &'static [&'static str],
            _visitor: V,
        ) -> Result<V::Value, Unread> {
            *self.0 = fields;
            Err(Unread::custom("there is nothing to read"))
        }

        fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Unread> {
            Err(Unread::custom("it is no structure"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    #[track_caller]
    fn names_all_fields<T: Told + Deserialize<'static>>() {
        let mut fields: &[&str] = &[];
        let _ = T::deserialize(Learning(&mut fields));
        let sorted = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(sorted(<T as Told>::FIELDS), sorted(fields), "{}", std::any::type_name::<T>());
    }

    #[test]
    fn every_field_of_an_answer_can_be_chosen_and_no_other() {
        names_all_fields::<Attempt>();
        names_all_fields::<DataDetail>();
        names_all_fields::<Difference>();
        names_all_fields::<Graph<'static>>();
        names_all_fields::<LogEvent>();
        names_all_fields::<PlanDetail>();
        names_all_fields::<PlanForecast>();
        names_all_fields::<PlanGraph>();
        names_all_fields::<PlanMatches>();
        names_all_fields::<ProjectionState>();
        names_all_fields::<RunDetail>();
        names_all_fields::<RunExplanation>();
        names_all_fields::<SavedSnapshot>();
    }
}
