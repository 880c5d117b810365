//! How what was found is printed: a table for people, and JSON, YAML or names for programs.
//!
//! Where nothing is said, a terminal gets a table and everything else the JSON array of the original. That is
//! decoded and written element by element, so that a long listing never exists as values.

mod table;

use std::io::{self, Write as _};
use std::marker::PhantomData;

use clap::Args;
use knit_schemas::api::{PlanSummary, Tag};
use knit_schemas::instant::Instant;
use serde::Serialize;
use serde::Serializer as _;
use serde::de::{DeserializeOwned, DeserializeSeed, SeqAccess, Visitor};
use serde::ser::SerializeSeq as _;
use serde_json::ser::PrettyFormatter;
use serde_json::value::RawValue;

pub(crate) use table::{Column, cut};

use crate::error::{Ask, Error};
use crate::form::{Form, Format};
use crate::number;
use crate::output::{self, INDENT};

/// What is printed of each thing found, and how.
#[derive(Debug, Args)]
pub(crate) struct Shape {
    #[command(flatten)]
    form: Form,
    /// Print at most so many, from the first on
    #[arg(long, value_name = "NUMBER", value_parser = number::parse::<usize>)]
    limit: Option<usize>,
}

/// In which order what was found is printed.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Order {
    /// Print the newest first; with `--limit` only so many of the newest
    #[arg(long)]
    newest: bool,
}

/// Something that can be listed.
pub(crate) trait Listed: DeserializeOwned + Serialize {
    /// Its fields in JSON.
    const FIELDS: &'static [&'static str];
    /// The columns of a table.
    const COLUMNS: &'static [Column];

    /// Its id.
    fn id(&self) -> &str;

    /// One cell for each column.
    fn cells(&self) -> Vec<String>;
}

impl Shape {
    /// Refuses fields that `T` does not have, before anything is asked of the server.
    pub(crate) fn check<T: Listed>(&self) -> Result<(), Error> {
        self.form.check(T::FIELDS)
    }

    /// Prints the elements of the JSON array `body`, the answer to `ask`, that `keep` wants. Of a short answer that
    /// cannot be decoded nothing is printed.
    pub(crate) fn print<T: Listed>(
        &self,
        body: &[u8],
        ask: Ask,
        order: Order,
        keep: impl Fn(&T) -> bool,
    ) -> Result<(), Error> {
        let decoded = match self.form.format() {
            Format::Json => self.json_array(body, order, keep)?,
            format @ (Format::Yaml | Format::Table | Format::Name) => {
                let mut found = Vec::new();
                let decoded = each(body, order, |element: T| {
                    if self.has_room_after(found.len()) && keep(&element) {
                        found.push(element);
                    }
                });
                if decoded.is_ok() && found.is_empty() && format == Format::Table {
                    output::say(if self.limit == Some(0) {
                        "nothing is printed: `--limit 0`"
                    } else {
                        "nothing found"
                    });
                } else if decoded.is_ok() {
                    let mut out = output::stdout();
                    out.write_all(text(format, &found)?.as_bytes())?;
                    out.flush()?;
                }
                decoded
            }
        };
        decoded.map_err(|source| Error::Unintelligible { ask, source })
    }

    fn has_room_after(&self, printed: usize) -> bool {
        self.limit.is_none_or(|limit| printed < limit)
    }

    /// The outer error is of the output, the inner one of the decoding.
    fn json_array<T: Listed>(
        &self,
        body: &[u8],
        order: Order,
        keep: impl Fn(&T) -> bool,
    ) -> Result<Result<(), serde_json::Error>, Error> {
        let mut out = output::stdout();
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, PrettyFormatter::with_indent(INDENT));
        let mut sequence = serializer.serialize_seq(None).map_err(io::Error::from)?;
        let (mut printed, mut failed_output) = (0, None);
        let decoded = each(body, order, |element: T| {
            if failed_output.is_none() && self.has_room_after(printed) && keep(&element) {
                printed += 1;
                failed_output = self.form.picked(&element).and_then(|one| sequence.serialize_element(&one)).err();
            }
        });
        if let Some(error) = failed_output {
            return Err(Error::Output(error.into()));
        }
        if let Err(error) = decoded {
            // What was not written yet would only be the beginning of something.
            drop(out.into_parts());
            return Ok(Err(error));
        }
        sequence.end().map_err(io::Error::from)?;
        out.write_all(b"\n")?;
        out.flush()?;
        Ok(Ok(()))
    }
}

fn text<T: Listed>(format: Format, found: &[T]) -> io::Result<String> {
    match format {
        Format::Json => output::pretty(&found),
        Format::Yaml => serde_yaml_ng::to_string(found).map_err(io::Error::other),
        Format::Name => Ok(found.iter().map(|found| format!("{}\n", found.id())).collect()),
        Format::Table => Ok(table::table(T::COLUMNS, found.iter().map(T::cells).collect(), output::terminal_width())),
    }
}

/// A time of the wire as people here read it; what is none stays as it is.
pub(crate) fn local(time: &str) -> String {
    let here =
        |made: Instant| made.as_date_time().with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S").to_string();
    Instant::parse(time).map_or_else(|_| time.to_owned(), here)
}

/// The first digits of an id: by so many it is known in a list, and can be typed.
pub(crate) fn first_digits(id: &str) -> &str {
    id.get(..table::FIRST_DIGITS).unwrap_or(id)
}

/// Tags in a cell: those of users first, since what does not fit is cut.
pub(crate) fn tags(tags: &[Tag]) -> String {
    let (system, users): (Vec<&Tag>, Vec<&Tag>) = tags.iter().partition(|tag| tag.is_system());
    users.into_iter().chain(system).map(Tag::to_string).collect::<Vec<_>>().join(" ")
}

/// What a Plan runs in a few words: its command, or else its image or its name.
pub(crate) fn command(of: &PlanSummary) -> String {
    of.command_line().unwrap_or_else(|| plan(of))
}

/// A Plan in a word: its image, or the name of a built-in one.
pub(crate) fn plan(plan: &PlanSummary) -> String {
    plan.image.clone().or_else(|| plan.name.clone()).unwrap_or_default()
}

/// Hands over the elements of the JSON array `body` one by one, which is in the order of the wire: oldest first.
fn each<T: DeserializeOwned>(body: &[u8], order: Order, mut take: impl FnMut(T)) -> Result<(), serde_json::Error> {
    if order.newest {
        // Where each begins has to be known first; their texts stay where they are.
        let elements: Vec<&RawValue> = serde_json::from_slice(body)?;
        return elements.into_iter().rev().try_for_each(|element| {
            take(serde_json::from_str(element.get())?);
            Ok(())
        });
    }
    Elements { each: take, of: PhantomData }.deserialize(&mut serde_json::Deserializer::from_slice(body))
}

struct Elements<T, F> {
    each: F,
    of: PhantomData<T>,
}

impl<'de, T: DeserializeOwned, F: FnMut(T)> DeserializeSeed<'de> for Elements<T, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: DeserializeOwned, F: FnMut(T)> Visitor<'de> for Elements<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<(), A::Error> {
        while let Some(element) = sequence.next_element()? {
            (self.each)(element);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_from_its_end_is_the_same_the_other_way_round() {
        let listed = |newest: bool| {
            let mut listed = Vec::new();
            each(b"[1, 2,\n3]", Order { newest }, |number: u32| listed.push(number)).unwrap();
            listed
        };
        assert_eq!((listed(false), listed(true)), (vec![1, 2, 3], vec![3, 2, 1]));
        assert!(each(b"[1, 2", Order { newest: true }, |_: u32| {}).is_err());
    }
}
