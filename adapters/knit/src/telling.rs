//! Answers that are told in sentences to people and as JSON to programs.

use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};

use chrono::Local;
use clap::{Args, ValueEnum};
use knit_schemas::api::{Moment, Tag};
use knit_schemas::instant::Instant;
use serde::Serialize;

use crate::error::Error;
use crate::output;

/// How an answer without ids is printed; where there are some, and fields to choose from, it is told in a
/// [`Form`](crate::form::Form).
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Telling {
    /// How to print the answer [default: text on a terminal, otherwise json]
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For people, one line for each fact
    #[value(alias = "table")]
    Text,
    /// For programs
    Json,
    /// The same, as YAML
    Yaml,
}

impl Telling {
    /// What is wanted, or what is usual where standard output goes.
    fn format(self) -> Format {
        let usual = || if std::io::stdout().is_terminal() { Format::Text } else { Format::Json };
        self.output.unwrap_or_else(usual)
    }

    /// Prints `value`, as the lines it is in words, as JSON or as YAML.
    pub(crate) fn tell<T: Serialize>(self, value: &T, lines: impl FnOnce(&T) -> Vec<String>) -> Result<(), Error> {
        self.show(value, |value| print(&lines(value)))
    }

    /// The same, where `to_people` prints it for people.
    pub(crate) fn show<T: Serialize>(
        self,
        value: &T,
        to_people: impl FnOnce(&T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self.format() {
            Format::Text => to_people(value),
            Format::Json => Ok(output::json(value)?),
            Format::Yaml => Ok(output::yaml(value)?),
        }
    }
}

/// `text` with what a terminal would obey, and what would end its line, written as escapes: `\u{1b}`, `\n`. Users write
/// commands of several lines, and anything may stand in them.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    visible_but(text, &[])
}

/// The same, where some of these characters are meant.
pub(crate) fn visible_but<'t>(text: &'t str, meant: &[char]) -> Cow<'t, str> {
    let is_obeyed = |c: char| is_obeyed(c) && !meant.contains(&c);
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// Control characters, and those by which a text is shown in another order than it is written in.
fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Prints lines for people, broken to the width of their terminal.
pub(crate) fn print(lines: &[String]) -> Result<(), Error> {
    let mut out = output::stdout();
    let columns = output::terminal_width();
    for line in lines {
        let line = &*visible(line);
        match columns {
            Some(columns) => writeln!(out, "{}", wrapped(line, columns))?,
            None => writeln!(out, "{line}")?,
        }
    }
    Ok(out.flush()?)
}

/// Blanks before what goes on in the next row, beside those that its line begins with.
const HANGING_BLANKS: usize = 4;
/// Fewest columns for which lines are broken: on anything narrower, little more than an id stands in a row.
const COLUMNS_MIN: usize = 60;

/// A line broken between words so that its rows fit into `columns`, those but the first indented.
fn wrapped(line: &str, columns: usize) -> String {
    // What is to be pasted stays whole: terminals break rows without breaking what is copied from them.
    if columns < COLUMNS_MIN || line.starts_with("hint:") {
        return line.to_owned();
    }
    let blanks = line.len() - line.trim_start().len();
    let (mut text, mut width) = (" ".repeat(blanks), blanks);
    for (place, word) in unbroken(line.trim_start()).enumerate() {
        let chars = word.chars().count();
        if place > 0 && width + 1 + chars > columns {
            text.push('\n');
            text.push_str(&" ".repeat(blanks + HANGING_BLANKS));
            width = blanks + HANGING_BLANKS;
        } else if place > 0 {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += chars;
    }
    text
}

/// The words of a line; what stands between backquotes is one, as it may be to be pasted.
fn unbroken(line: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    line.split(move |char| {
        is_quoted ^= char == '`';
        char == ' ' && !is_quoted
    })
}

/// The lines of a text broken so that their rows fit into `columns`, but for what is to be pasted.
pub(crate) fn in_rows(text: &str, columns: usize) -> String {
    text.split('\n').map(|line| wrapped(line, columns)).collect::<Vec<_>>().join("\n")
}

/// So many of something, of which one has another name than several.
pub(crate) fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// Things of one kind that are told to people one by one: there may be hundreds, and these fit on a screen.
const TOLD_MAX: usize = 5;

/// A line for each of the first few, and how many there are beside them.
pub(crate) fn first<T>(all: &[T], line: impl Fn(&T) -> String) -> Vec<String> {
    let more = all.len().saturating_sub(TOLD_MAX);
    let more = (more > 0).then(|| format!("  and {more} more"));
    all.iter().take(TOLD_MAX).map(line).chain(more).collect()
}

/// Whether some of them are not told one by one.
pub(crate) fn is_too_many<T>(all: &[T]) -> bool {
    all.len() > TOLD_MAX
}

/// Tags as people write them.
pub(crate) fn tags<'a>(tags: impl IntoIterator<Item = &'a Tag>) -> String {
    let tags: Vec<String> = tags.into_iter().map(|tag| format!("`{tag}`")).collect();
    if tags.is_empty() { "none".to_owned() } else { tags.join(" ") }
}

/// How many Data fit an input.
pub(crate) fn fitting(count: u64) -> String {
    counted(count, "Data fits", "Data fit")
}

/// A moment in words: local time, who, and where in the log.
pub(crate) fn moment(moment: &Moment) -> String {
    format!("{} by {} (position {})", time(moment.at), moment.actor, moment.position)
}

/// The one form in which people are told a time.
pub(crate) const TIME: &str = "%Y-%m-%d %H:%M:%S";

/// A time as the clock on the wall has it.
pub(crate) fn time(at: Instant) -> String {
    at.as_date_time().with_timezone(&Local).format(TIME).to_string()
}

/// `text` with the times of the wire in it as the clock on the wall has them; what stands between backquotes is to be
/// pasted and stays.
pub(crate) fn at_home(text: &str) -> String {
    let quoted = text.split('`').enumerate().map(|(n, part)| if n % 2 == 0 { unquoted(part) } else { part.to_owned() });
    quoted.collect::<Vec<_>>().join("`")
}

fn unquoted(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let wire = word.trim_end_matches([',', ';', ':', ')', '.', '\n']);
        match Instant::parse(wire) {
            Ok(at) if wire.contains('T') => format!("{}{}", time(at), &word[wire.len()..]),
            _ => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Its day, as the calendar on the wall has it.
pub(crate) fn day(at: Instant) -> String {
    at.as_date_time().with_timezone(&Local).format("%Y-%m-%d").to_string()
}

/// Its time of day, as the clock on the wall has it.
pub(crate) fn clock(at: Instant) -> String {
    at.as_date_time().with_timezone(&Local).format("%H:%M:%S").to_string()
}

/// Who it was, unless it was a part of the server: what those do goes without saying.
pub(crate) fn person(moment: &Moment) -> Option<&str> {
    Some(moment.actor.as_str()).filter(|actor| !actor.starts_with("reactor:"))
}

/// A moment in words, without its place in the log: local time, and the person, if it was one.
pub(crate) fn when(moment: &Moment) -> String {
    let by = person(moment).map(|actor| format!(" by {actor}")).unwrap_or_default();
    format!("{}{by}", time(moment.at))
}

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// A span of time, as exactly as people say it.
pub(crate) fn span(ms: u64) -> String {
    match ms {
        DAY_MS.. => format!("{}d {}h", ms / DAY_MS, ms % DAY_MS / HOUR_MS),
        HOUR_MS.. => format!("{}h {}m", ms / HOUR_MS, ms % HOUR_MS / MINUTE_MS),
        MINUTE_MS.. => format!("{}m {}s", ms / MINUTE_MS, ms % MINUTE_MS / SECOND_MS),
        SECOND_MS.. => format!("{}.{} s", ms / SECOND_MS, ms % SECOND_MS / 100),
        _ => format!("{ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_told_as_several() {
        let told = |count| (counted(count, "Run", "Runs"), fitting(count));
        assert_eq!(told(1), ("1 Run".to_owned(), "1 Data fits".to_owned()));
        assert_eq!(told(0), ("0 Runs".to_owned(), "0 Data fit".to_owned()));
    }

    #[test]
    fn a_long_line_goes_on_indented_and_no_word_is_broken() {
        let id = "6cd03965-619d-4429-afcd-de2db9e7a326";
        let line = format!("  /in  Data {id}, made by Run {id}");
        assert_eq!(wrapped(&line, 80), format!("  /in  Data {id}, made by Run\n      {id}"));
        assert_eq!(wrapped(&line, 200), line);
        assert_eq!(wrapped(&line, 20), line);
    }

    #[test]
    fn what_stands_between_backquotes_is_not_broken_nor_is_a_hint() {
        let id = "6cd03965-619d-4429-afcd-de2db9e7a326";
        let text = format!("error: it was removed, as {id} says: `knit data tag --add 'a b' {id}` is too late now\n");
        let rows = format!(
            "error: it was removed, as {id} says:\n    `knit data tag --add 'a b' {id}`\n    is too late now\n"
        );
        assert_eq!(in_rows(&text, 70), rows);
        let hint = format!("hint: `knit data show --as-of 7 {id}` shows it as it was at that time\n");
        assert_eq!(in_rows(&hint, 70), hint);
    }

    #[test]
    fn times_of_the_wire_are_told_as_all_others_but_where_they_are_to_be_pasted() {
        let at = time(Instant::parse("2025-03-03T10:15:02.5+00:00").unwrap());
        let told = "it went at 2025-03-03T10:15:02.5+00:00, position 7: `--as-of 2025-03-03T10:15:02.5+00:00`";
        assert_eq!(at_home(told), format!("it went at {at}, position 7: `--as-of 2025-03-03T10:15:02.5+00:00`"));
    }

    #[test]
    fn nothing_that_a_terminal_obeys_reaches_it() {
        assert_eq!(
            visible("sh -c \u{1b}[31mRED\u{7}\n  é\u{9b}2J\u{202e}"),
            r"sh -c \u{1b}[31mRED\u{7}\n  é\u{9b}2J\u{202e}"
        );
        assert_eq!(visible_but("one\ntwo\r", &['\n']), "one\ntwo\\r");
        assert!(matches!(visible("plain `a:b` – ü"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_span_has_at_most_two_units() {
        for (ms, words) in [(0, "0 ms"), (999, "999 ms"), (1_250, "1.2 s"), (61_000, "1m 1s"), (90 * 60_000, "1h 30m")]
        {
            assert_eq!(span(ms), words);
        }
        assert_eq!(span(DAY_MS + HOUR_MS), "1d 1h");
    }
}
