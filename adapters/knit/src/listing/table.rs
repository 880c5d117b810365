//! Tables for people, which keep to the width of their terminal.
//!
//! Where not everything has room, ids give way first: their first digits are accepted wherever an id is. Then goes what
//! is the same in every line and matters little, and then what matters least is cut, a column never to less than what it
//! can still be known by. Of cells that begin alike it is their beginning that is cut.

mod cells;

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use crate::telling;

/// Digits of an id that tell it apart among some thousands, and are not wide.
pub(super) const FIRST_DIGITS: usize = 8;
/// More digits than these, by which some millions are told apart, would fill the line again.
const DIGITS_MAX: usize = 13;
/// Blanks between two columns: one could be part of a cell.
const GAP: &str = "  ";
/// What stands where something is cut.
const CUT: char = '…';
/// So much is left of a cell that is cut, or it could as well not be there.
const CELL_CHARS_MIN: usize = 8;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    name: &'static str,
    holds: Holds,
}

/// What becomes of cells for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Their first digits do.
    Ids,
    /// They say nothing unless they are whole.
    Words,
    /// They are cut, those of the greatest rank first.
    Text { rank: u8 },
}

impl Column {
    /// A column of ids.
    pub(crate) const fn ids(name: &'static str) -> Self {
        Self { name, holds: Holds::Ids }
    }

    /// A column of what is short, and worth nothing when it is cut.
    pub(crate) const fn words(name: &'static str) -> Self {
        Self { name, holds: Holds::Words }
    }

    /// A column of what may be long. Of rank 1 is what people look for; the greater the rank, the sooner it is cut.
    pub(crate) const fn text(name: &'static str, rank: u8) -> Self {
        Self { name, holds: Holds::Text { rank } }
    }
}

/// The columns below their names, fitted into `width`; without one, whole. Ids in the first column are told apart also
/// from `others`, which are not shown.
pub(super) fn table(
    columns: &[Column],
    mut lines: Vec<Vec<String>>,
    others: &[String],
    width: Option<usize>,
) -> String {
    lines.iter_mut().flatten().for_each(|cell| *cell = telling::visible(cell).into_owned());
    let mut columns = columns.to_vec();
    let mut widths = natural(&columns, &lines);
    if let Some(width) = width.filter(|width| whole(&widths) > *width) {
        shorten_ids(&columns, &mut lines, others);
        widths = natural(&columns, &lines);
        leave_out_alike(&mut columns, &mut lines, &mut widths, width);
        narrow(&columns, &mut widths, width);
        shorten_texts(&columns, &mut lines, &widths);
    }
    let heading: Vec<String> = columns.iter().map(|column| column.name.to_owned()).collect();
    let mut text = String::new();
    for line in std::iter::once(&heading).chain(&lines) {
        text.push_str(&cut(&in_columns(line, &widths), width));
        text.push('\n');
    }
    text
}

/// The cells of a line below their headings. One that is wider than its column takes of the room behind it.
fn in_columns(line: &[String], widths: &[usize]) -> String {
    let (mut text, mut begins) = (String::new(), 0);
    for (cell, width) in line.iter().zip(widths) {
        if !cell.is_empty() {
            let _ = write!(text, "{}{cell}", " ".repeat(begins.max(room_taken(&text)) - chars(&text)));
        }
        begins += width + GAP.len();
    }
    text
}

/// Where the next cell may begin at the earliest.
fn room_taken(text: &str) -> usize {
    if text.is_empty() { 0 } else { chars(text) + GAP.len() }
}

/// As much of `line` as has room.
pub(crate) fn cut(line: &str, width: Option<usize>) -> String {
    match width {
        Some(width) if chars(line) > width => {
            line.chars().take(width.saturating_sub(1)).chain(std::iter::once(CUT)).collect()
        }
        _ => line.to_owned(),
    }
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

/// Each column as wide as its widest cell; an id that has to stay whole among shortened ones makes it no wider.
fn natural(columns: &[Column], lines: &[Vec<String>]) -> Vec<usize> {
    let width = |(at, column): (usize, &Column)| {
        let wide = |line: &&Vec<String>| column.holds != Holds::Ids || chars(&line[at]) <= DIGITS_MAX;
        let has_short = lines.iter().any(|line| wide(&line));
        let cells = lines.iter().filter(|line| !has_short || wide(line)).map(|line| chars(&line[at]));
        cells.max().unwrap_or_default().max(chars(column.name))
    };
    columns.iter().enumerate().map(width).collect()
}

fn whole(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
}

/// Leaves of ids as many first digits as tell those of their column apart; those that differ only at their ends whole.
fn shorten_ids(columns: &[Column], lines: &mut [Vec<String>], others: &[String]) {
    for (at, _) in columns.iter().enumerate().filter(|(_, column)| column.holds == Holds::Ids) {
        let cells: Vec<String> = {
            let others = if at == 0 { others } else { &[] };
            let shown = lines.iter().map(|line| line[at].as_str());
            let ids: HashSet<&str> = shown.chain(others.iter().map(String::as_str)).collect();
            let short = shortest(&ids);
            lines.iter().map(|line| short(&line[at])).collect()
        };
        lines.iter_mut().zip(cells).for_each(|(line, cell)| line[at] = cell);
    }
}

/// What to write for each of `ids` so that it means no other of them.
fn shortest<'a>(ids: &HashSet<&'a str>) -> impl Fn(&str) -> String + use<'a> {
    let beginnings = |digits: usize| {
        let mut beginnings: HashMap<&'a str, usize> = HashMap::new();
        ids.iter().for_each(|id| *beginnings.entry(id.get(..digits).unwrap_or(id)).or_default() += 1);
        beginnings
    };
    let alike = |digits: usize| beginnings(digits).into_values().filter(|ids| *ids > 1).sum::<usize>();
    let fewest = alike(DIGITS_MAX);
    let digits = (FIRST_DIGITS..=DIGITS_MAX).find(|digits| alike(*digits) == fewest).unwrap_or(DIGITS_MAX);
    let beginnings = beginnings(digits);
    move |id| {
        let beginning = id.get(..digits).unwrap_or(id);
        if beginnings.get(beginning).is_some_and(|ids| *ids > 1) { id.to_owned() } else { beginning.to_owned() }
    }
}

/// How many first digits no two of `ids` have in common, and not fewer than people know an id by. Some differ only at
/// their ends, as those of the built-in Plans: for their sake the others do not stay long.
pub(crate) fn distinct_digits(ids: &HashSet<&str>) -> usize {
    let are_distinct = |digits: &usize| {
        let beginnings: HashSet<&str> = ids.iter().map(|id| id.get(..*digits).unwrap_or(id)).collect();
        beginnings.len() == ids.len()
    };
    (FIRST_DIGITS..=DIGITS_MAX).find(are_distinct).unwrap_or(FIRST_DIGITS)
}

/// Leaves out columns, those of the greatest rank first, that say the same of everything, until all fits. What people
/// look for stays.
fn leave_out_alike(columns: &mut Vec<Column>, lines: &mut [Vec<String>], widths: &mut Vec<usize>, width: usize) {
    while whole(widths) > width {
        let says_nothing = |at: &usize| {
            rank(&columns[*at]).is_some_and(|rank| rank > 1)
                && lines.len() > 1
                && lines.iter().all(|line| line[*at] == lines[0][*at])
        };
        let Some(at) = (0..columns.len()).filter(says_nothing).max_by_key(|at| rank(&columns[*at])) else { break };
        columns.remove(at);
        widths.remove(at);
        lines.iter_mut().for_each(|line| drop(line.remove(at)));
    }
}

fn rank(column: &Column) -> Option<u8> {
    if let Holds::Text { rank } = column.holds { Some(rank) } else { None }
}

/// Leaves of cells what has room in their columns.
fn shorten_texts(columns: &[Column], lines: &mut [Vec<String>], widths: &[usize]) {
    for at in (0..columns.len()).filter(|at| columns[*at].holds != Holds::Ids) {
        let texts: Vec<&str> = lines.iter().map(|line| line[at].as_str()).collect();
        let cells = cells::shortened(&texts, widths[at]);
        lines.iter_mut().zip(cells).for_each(|(line, cell)| line[at] = cell);
    }
}

/// Makes columns narrower until all fit into `width`: rank by rank, and within one the widest first.
fn narrow(columns: &[Column], widths: &mut [usize], width: usize) {
    let mut ranks: Vec<u8> = columns.iter().filter_map(rank).collect();
    ranks.sort_unstable();
    ranks.dedup();
    for of_rank in ranks.into_iter().rev() {
        while whole(widths) > width {
            let cuttable = |at: &usize| {
                rank(&columns[*at]) == Some(of_rank) && widths[*at] > CELL_CHARS_MIN.max(chars(columns[*at].name))
            };
            let Some(widest) = (0..columns.len()).filter(cuttable).max_by_key(|at| widths[*at]) else { break };
            widths[widest] -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] =
        [Column::ids("RUN"), Column::text("COMMAND", 2), Column::text("TAGS", 1), Column::words("SINCE")];

    fn drawn(width: Option<usize>) -> String {
        let line = |id: &str, command: &str| {
            vec![id.to_owned(), command.to_owned(), "type:model of:cats".to_owned(), "10:15:30".to_owned()]
        };
        let lines = vec![
            line("6cd03965-619d-4429-afcd-de2db9e7a326", "sh -c a-long-story"),
            line("6cd03965-7000-4429-afcd-de2db9e7a326", "sh -c é"),
        ];
        table(&COLUMNS, lines, &[], width)
    }

    #[test]
    fn where_there_is_room_everything_is_whole() {
        let text = drawn(None);
        assert_eq!(drawn(Some(90)), text);
        assert!(text.starts_with("RUN                                   COMMAND             TAGS "), "{text}");
        assert!(
            text.contains("6cd03965-619d-4429-afcd-de2db9e7a326  sh -c a-long-story  type:model of:cats  10"),
            "{text}"
        );
    }

    #[test]
    fn ids_give_way_first_and_are_still_told_apart() {
        let expected = "\
RUN         COMMAND             TAGS                SINCE
6cd03965-6  sh -c a-long-story  type:model of:cats  10:15:30
6cd03965-7  sh -c é             type:model of:cats  10:15:30
";
        assert_eq!(drawn(Some(80)), expected);
    }

    #[test]
    fn ids_that_differ_only_at_their_ends_do_not_keep_the_others_long() {
        let alike = ["6b6e6974-0000-8000-8000-000000000001", "6b6e6974-0000-8000-8000-000000000002"];
        assert_eq!(distinct_digits(&alike.into_iter().collect()), FIRST_DIGITS);
    }

    #[test]
    fn an_id_that_differs_from_another_only_at_its_end_stays_whole_and_the_rest_does_not() {
        let line = |id: &str| vec![id.to_owned(), "sh".to_owned(), "type:model".to_owned(), "10:15".to_owned()];
        let alike = ["6b6e6974-0000-8000-8000-000000000001", "6b6e6974-0000-8000-8000-000000000002"];
        let lines = vec![line(alike[0]), line("6cd03965-619d-4429-afcd-de2db9e7a326")];
        let expected = "\
RUN       COMMAND  TAGS        SINCE
6b6e6974-0000-8000-8000-000000000001  sh  type:model  10:15
6cd03965  sh       type:model  10:15
";
        assert_eq!(table(&COLUMNS, lines, &[alike[1].to_owned()], Some(59)), expected);
    }

    #[test]
    fn what_is_the_same_everywhere_and_matters_little_goes_before_anything_is_cut() {
        let line = |tag: &str| vec!["r1".to_owned(), "sh -c a-story".to_owned(), tag.to_owned(), "10:15".to_owned()];
        let expected = "RUN  TAGS         SINCE\nr1   type:model   10:15\nr1   type:sample  10:15\n";
        assert_eq!(table(&COLUMNS, vec![line("type:model"), line("type:sample")], &[], Some(30)), expected);
    }

    #[test]
    fn then_what_matters_least_is_cut_and_never_what_means_nothing_when_cut() {
        let expected = "\
RUN         COMMAND   TAGS               SINCE
6cd03965-6  sh -c a…  type:model of:ca…  10:15:30
6cd03965-7  sh -c é   type:model of:ca…  10:15:30
";
        assert_eq!(drawn(Some(49)), expected);
    }

    #[test]
    fn where_even_that_has_no_room_lines_end_at_the_edge() {
        assert!(drawn(Some(20)).lines().all(|line| line.chars().count() <= 20));
    }
}
