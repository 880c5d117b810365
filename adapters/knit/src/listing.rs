//! How what was found is printed: a table for people, and JSON, YAML or names for programs.
//!
//! Where nothing is said, a terminal gets a table and everything else the JSON array of the original. That is
//! decoded and written element by element, so that a long listing never exists as values.

mod table;

use std::collections::VecDeque;
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

pub(crate) use table::{Column, cut, distinct_digits};

use crate::error::{Ask, Error};
use crate::form::{Form, Format};
use crate::number;
use crate::output::{self, INDENT};
use crate::telling;

/// What is printed of each thing found, and how.
#[derive(Debug, Args)]
pub(crate) struct Shape {
    #[command(flatten)]
    form: Form,
    /// Print at most so many, from the first on; 0 prints all [default: on a terminal what a screen holds, else all]
    #[arg(long, value_name = "NUMBER", value_parser = number::parse::<usize>)]
    limit: Option<usize>,
}

/// In which order what was found is printed.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Order {
    /// Print the newest first; with `--limit` only so many of the newest
    #[arg(long)]
    newest: bool,
    /// Whether what was found was put in the order of time here, which the server does not list it in.
    #[arg(skip)]
    is_by_time: bool,
}

impl Order {
    /// Whether the newest comes first.
    pub(crate) fn is_newest_first(self) -> bool {
        self.newest
    }

    /// The same of what has been put in the order of time.
    pub(crate) fn by_time(self) -> Self {
        Self { is_by_time: true, ..self }
    }
}

/// Something that can be listed.
pub(crate) trait Listed: DeserializeOwned + Serialize {
    /// Its fields in JSON.
    const FIELDS: &'static [&'static str];
    /// What several are called.
    const MANY: &'static str;
    /// Whether the server lists them oldest first.
    const IS_OLDEST_FIRST: bool;
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

    /// Whether people read it.
    pub(crate) fn is_for_people(&self) -> bool {
        self.form.is_for_people()
    }

    /// Whether a form was named, and not left to what is usual.
    pub(crate) fn is_named(&self) -> bool {
        self.form.is_named()
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
            Format::Table => self.table(body, order, keep)?,
            Format::Yaml => self.whole(body, order, keep, |found: &[T]| output::yaml(found))?,
            Format::Name => self.whole(body, order, keep, |found: &[T]| {
                output::text(&found.iter().map(|found| format!("{}\n", found.id())).collect::<String>())
            })?,
        };
        decoded.map_err(|source| Error::Unintelligible { ask, source })
    }

    /// What is printed where nothing else is said: as many as were asked for.
    fn first(&self) -> Extent {
        self.limit.filter(|limit| *limit > 0).map_or(Extent::All, Extent::First)
    }

    /// What can only be printed at once. The outer error is of the output, the inner one of the decoding.
    fn whole<T: Listed>(
        &self,
        body: &[u8],
        order: Order,
        keep: impl Fn(&T) -> bool,
        print: impl FnOnce(&[T]) -> io::Result<()>,
    ) -> Result<Result<(), serde_json::Error>, Error> {
        let (found, decoded) = Chosen::of(body, order, self.first(), keep);
        if decoded.is_ok() {
            print(&Vec::from(found.elements))?;
        }
        Ok(decoded)
    }

    /// What fits on a terminal, if nothing else is said: of what is in the order of time the newest, and these last,
    /// where a person looks first.
    fn table<T: Listed>(
        &self,
        body: &[u8],
        order: Order,
        keep: impl Fn(&T) -> bool,
    ) -> Result<Result<(), serde_json::Error>, Error> {
        let by_itself = output::terminal_height().filter(|_| self.limit.is_none()).map(screenful);
        let is_oldest_first = T::IS_OLDEST_FIRST || order.is_by_time;
        let extent = match by_itself {
            Some(lines) if is_oldest_first && !order.newest => Extent::Last(lines),
            Some(lines) => Extent::First(lines),
            None => self.first(),
        };
        let (found, decoded) = Chosen::of(body, order, extent, keep);
        if decoded.is_err() {
            return Ok(decoded);
        }
        let (all, shown) = (found.all, found.elements.len());
        if all == 0 {
            output::say("nothing found");
            return Ok(decoded);
        }
        if by_itself.is_some() && shown < all {
            let which = if is_oldest_first || order.newest { "newest" } else { "first" };
            let (all, many) = (grouped(all), T::MANY);
            output::say(format_args!(
                "{all} {many} in all; here are the {which} {shown}: `--limit N`, `--limit 0` for all"
            ));
        }
        let cells = found.elements.iter().map(T::cells).collect();
        output::text(&table::table(T::COLUMNS, cells, &found.left_out, output::terminal_width()))?;
        Ok(decoded)
    }

    fn has_room_after(&self, printed: usize) -> bool {
        self.limit.is_none_or(|limit| limit == 0 || printed < limit)
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

/// Lines that are always shown: they fit on the smallest of ordinary terminals.
const LINES_MIN: usize = 20;
/// Rows of a terminal beside these: the note, the heading, the next prompt, and the command that was typed.
const ROWS_BESIDE: usize = 4;

/// How many lines of a table a terminal of `rows` rows shows at once.
pub(crate) fn screenful(rows: usize) -> usize {
    rows.saturating_sub(ROWS_BESIDE).max(LINES_MIN)
}

/// A number of things as people write it: `1,166`.
fn grouped(number: usize) -> String {
    indicatif::HumanCount(number as u64).to_string()
}

/// How much of what is found is printed.
#[derive(Debug, Clone, Copy)]
enum Extent {
    All,
    First(usize),
    Last(usize),
}

/// What is printed of all that was found.
struct Chosen<T> {
    elements: VecDeque<T>,
    /// Ids of the others: what is printed must not be taken for one of them.
    left_out: Vec<String>,
    all: usize,
}

impl<T: Listed> Chosen<T> {
    /// Of the elements of `body` that `keep` wants.
    fn of(
        body: &[u8],
        order: Order,
        extent: Extent,
        keep: impl Fn(&T) -> bool,
    ) -> (Self, Result<(), serde_json::Error>) {
        let mut chosen = Self { elements: VecDeque::new(), left_out: Vec::new(), all: 0 };
        let decoded = each(body, order, |element: T| {
            if keep(&element) {
                chosen.take(element, extent);
            }
        });
        (chosen, decoded)
    }

    fn take(&mut self, element: T, extent: Extent) {
        self.all += 1;
        match extent {
            Extent::First(limit) if self.elements.len() >= limit => {
                self.left_out.push(element.id().to_owned());
                return;
            }
            Extent::Last(limit) if self.elements.len() >= limit => {
                self.left_out.extend(self.elements.pop_front().map(|oldest| oldest.id().to_owned()));
            }
            Extent::All | Extent::First(_) | Extent::Last(_) => {}
        }
        self.elements.push_back(element);
    }
}

/// A time of the wire as people here read it; what is none stays as it is.
pub(crate) fn local(time: &str) -> String {
    Instant::parse(time).map_or_else(|_| time.to_owned(), telling::time)
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
            each(b"[1, 2,\n3]", Order { newest, is_by_time: false }, |number: u32| listed.push(number)).unwrap();
            listed
        };
        assert_eq!((listed(false), listed(true)), (vec![1, 2, 3], vec![3, 2, 1]));
        assert!(each(b"[1, 2", Order { newest: true, is_by_time: false }, |_: u32| {}).is_err());
    }
}
