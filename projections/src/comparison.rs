//! Where two folds of the same events differ, although they must not.

use std::hash::{DefaultHasher, Hasher as _};

use prost::Message;

use crate::projection::Projection;

/// Letters of an entry that are told: enough to see what it is, and a Plan may be very long.
const TOLD_CHARS_MAX: usize = 400;

/// The first record that two projections do not share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its place among the records: 1, 2, ….
    pub record: u64,
    /// The first entry in it that differs, as the one has it; none if it has fewer records.
    pub left: Option<String>,
    /// What the other has there.
    pub right: Option<String>,
}

/// The first difference between the contents of two projections; none if they are equal.
///
/// It walks through both of them twice and keeps eight bytes for each record, not the records.
pub fn first_difference<P: Projection>(left: &P, right: &P) -> Option<Difference> {
    let prints = prints_of(left);
    let (mut place, mut differs_at) = (0, None);
    right.records(&mut |record| {
        if differs_at.is_none() && prints.get(place) != Some(&print_of(&record)) {
            differs_at = Some(place);
        }
        place += 1;
    });
    let place = differs_at.or((place < prints.len()).then_some(place))?;
    let (left, right) = match (told(left, place), told(right, place)) {
        (Some(left), Some(right)) => {
            let (left, right) = first_entry(&left, &right);
            (Some(left), Some(right))
        }
        // All of it is more than the other has.
        (left, right) => (left.as_deref().map(in_one_line), right.as_deref().map(in_one_line)),
    };
    Some(Difference { record: place as u64 + 1, left, right })
}

fn prints_of<P: Projection>(projection: &P) -> Vec<u64> {
    let mut prints = Vec::new();
    projection.records(&mut |record| prints.push(print_of(&record)));
    prints
}

fn print_of(record: &impl Message) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(&record.encode_to_vec());
    hasher.finish()
}

/// The record at `place`, as text with a line for everything in it.
fn told<P: Projection>(projection: &P, place: usize) -> Option<String> {
    let (mut at, mut text) = (0, None);
    projection.records(&mut |record| {
        if at == place {
            text = Some(format!("{record:#?}"));
        }
        at += 1;
    });
    text
}

/// The first entry in which two records differ, as each has it, behind the names of what it is in: a record may hold
/// thousands.
fn first_entry(left: &str, right: &str) -> (String, String) {
    let [left, right]: [Vec<&str>; 2] = [left, right].map(|text| text.lines().collect());
    let shared = left.iter().zip(&right).take_while(|(one, other)| one == other).count();
    let [of_left, of_right] = [&left[shared..], &right[shared..]];
    // Where one of the two has no more entries, what it is in is closed, which is less deep.
    let depth = [of_left, of_right].iter().filter_map(|lines| lines.first()).map(|line| depth_of(line)).max();
    let path = path_to(&left[..shared], depth.unwrap_or_default());
    let told = |lines: &[&str]| shortened(&format!("{path}{}", entry_at(lines)));
    (told(of_left), told(of_right))
}

/// The names of what is open behind `lines` and less deep than `depth`; of a list, the place in it, from 0.
fn path_to(lines: &[&str], depth: usize) -> String {
    let mut open: Vec<(&str, usize)> = Vec::new();
    for line in lines {
        open.truncate(depth_of(line));
        if !is_closing(line) {
            open.last_mut().into_iter().for_each(|(_, entries)| *entries += 1);
            open.push((line.trim(), 0));
        }
    }
    open.truncate(depth);
    let (mut path, innermost) = (Vec::new(), open.len());
    for (place, (text, entries)) in open.into_iter().enumerate() {
        let name = text.split([':', ' ', '(', '{', '[']).next().unwrap_or_default();
        // The wire's options and oneofs are in each other.
        if !matches!(name, "" | "Some") && path.last().is_none_or(|last| last != name) {
            path.push(name.to_owned());
        }
        if text.ends_with('[') {
            // The entry that something deeper is in was counted already.
            let entry = if place + 1 == innermost { entries } else { entries - 1 };
            path.push(format!("[{entry}]"));
        }
    }
    if path.is_empty() { String::new() } else { format!("{}: ", path.join(".").replace(".[", "[")) }
}

/// The entry that begins with the first of `lines`.
fn entry_at(lines: &[&str]) -> String {
    let Some(first) = lines.first().filter(|line| !is_closing(line)) else { return "nothing".to_owned() };
    let within = lines[1..].iter().take_while(|line| depth_of(line) > depth_of(first)).count();
    let end = lines.get(within + 1).filter(|line| depth_of(line) == depth_of(first) && is_closing(line));
    let entry = in_one_line(&lines[..=within + usize::from(end.is_some())].join("\n"));
    entry.trim_end_matches(',').to_owned()
}

/// How deep something is, as `{:#?}` indents it.
fn depth_of(line: &str) -> usize {
    (line.len() - line.trim_start().len()) / 4
}

fn is_closing(line: &str) -> bool {
    line.trim_start().starts_with(['}', ')', ']'])
}

fn in_one_line(text: &str) -> String {
    shortened(&text.lines().map(str::trim).collect::<Vec<_>>().join(" "))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(TOLD_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shaped as records are.
    #[derive(Debug)]
    #[expect(dead_code, reason = "it is only printed")]
    enum Block {
        Words(Vec<&'static str>),
        Spans(Vec<Span>),
    }

    #[derive(Debug)]
    #[expect(dead_code, reason = "it is only printed")]
    struct Span {
        from: u64,
        until: Option<u64>,
    }

    fn entries(left: Block, right: Block) -> (String, String) {
        let [left, right] = [left, right].map(|block| format!("{:#?}", Some(block)));
        first_entry(&left, &right)
    }

    #[test]
    fn of_many_entries_the_one_that_differs_is_told() {
        let told =
            entries(Block::Words(vec!["a", "b: [", "wrong", "d"]), Block::Words(vec!["a", "b: [", "right", "d"]));
        assert_eq!(told, (r#"Words[2]: "wrong""#.to_owned(), r#"Words[2]: "right""#.to_owned()));
        let told = entries(Block::Words(vec!["a"]), Block::Words(vec!["a", "b"]));
        assert_eq!(told, ("Words[1]: nothing".to_owned(), r#"Words[1]: "b""#.to_owned()));
        let spans = |until| Block::Spans(vec![Span { from: 1, until: Some(2) }, Span { from: 3, until }]);
        let told = entries(spans(None), spans(Some(7)));
        assert_eq!(told, ("Spans[1].Span: until: None".to_owned(), "Spans[1].Span: until: Some( 7, )".to_owned()));
        let told = entries(spans(Some(5)), spans(Some(7)));
        assert_eq!(told, ("Spans[1].Span.until: 5".to_owned(), "Spans[1].Span.until: 7".to_owned()));
        assert_eq!(entries(Block::Words(vec!["a"]), spans(None)).0, r#"Words( [ "a", ], )"#);
    }

    #[test]
    fn what_is_told_has_a_bounded_length() {
        let long: &'static str = Box::leak("x".repeat(3_000).into_boxed_str());
        let (left, right) = entries(Block::Words(vec![long]), Block::Words(vec!["y"]));
        assert_eq!((left.chars().count(), right.as_str()), (TOLD_CHARS_MAX + 1, r#"Words[0]: "y""#));
    }
}
