//! Cells of a column that has not room for all of them.

use super::{CUT, chars, cut};

/// The cells with at most `width` characters each. What is cut is the end; but where a cell would look like another
/// then, it is the beginning, which they have in common.
pub(super) fn shortened(texts: &[&str], width: usize) -> Vec<String> {
    if texts.iter().all(|text| chars(text) <= width) {
        return texts.iter().map(|text| (*text).to_owned()).collect();
    }
    let mut sorted: Vec<&str> = texts.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    texts.iter().map(|text| one(text, &sorted, width)).collect()
}

/// `text` among all that there are, in their order.
fn one(text: &str, sorted: &[&str], width: usize) -> String {
    let at = sorted.partition_point(|other| *other < text);
    // No other has more in common with it than those next to it.
    let next = [at.checked_sub(1), Some(at + 1)].into_iter().flatten().filter_map(|at| sorted.get(at));
    let common = next.map(|other| in_common(text, other)).max().unwrap_or_default();
    if chars(text) <= width || common + 1 < width {
        return cut(text, Some(width));
    }
    let begins = beginning(text, common, width);
    let rest: String = std::iter::once(CUT).chain(text.chars().skip(begins)).collect();
    cut(&rest, Some(width))
}

/// How many characters both begin with.
fn in_common(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count()
}

/// Where to begin so that what differs behind so many characters is seen: with the word in which it does, if that is
/// not too long, and further before it where there is room.
fn beginning(text: &str, common: usize, width: usize) -> usize {
    let all: Vec<char> = text.chars().collect();
    // With the mark in front, so many characters from the end have room.
    let last = all.len().saturating_sub(width - 1);
    let word = all[..common.min(all.len())].iter().rposition(|char| *char == ' ').map_or(0, |blank| blank + 1);
    let begins = if common - word < width / 2 { word } else { common.saturating_sub(width / 2) };
    begins.min(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_begin_alike_are_known_by_what_differs() {
        let texts = ["project:chain step:10", "project:chain step:11", "project:eye", "short"];
        assert_eq!(shortened(&texts, 14), ["…chain step:10", "…chain step:11", "project:eye", "short"]);
        assert_eq!(shortened(&texts, 8), ["…step:10", "…step:11", "…ect:eye", "short"]);
    }

    #[test]
    fn what_differs_in_the_midst_of_a_long_word_is_seen_too() {
        let texts = ["/a/very/long/way/to/one/file", "/a/very/long/way/to/two/file"];
        assert_eq!(shortened(&texts, 12), ["…ay/to/one/…", "…ay/to/two/…"]);
    }

    #[test]
    fn what_is_the_same_or_differs_at_once_is_cut_at_its_end() {
        assert_eq!(shortened(&["one and the same", "one and the same"], 8), ["one and…", "one and…"]);
        assert_eq!(shortened(&["a long story", "another one"], 8), ["a long …", "another…"]);
    }
}
