//! Colours of a terminal, and lines that keep to its width.

use std::borrow::Cow;

use crate::telling;

/// Begins a colour, of which the code and an `m` follow.
const BEGIN: &str = "\u{1b}[";
/// Ends every colour.
const END: &str = "\u{1b}[0m";
/// The codes of the colours there are.
const CODES: [&str; 6] = ["1", "2", "31", "32", "33", "36"];

/// Colours, where they are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    pub(crate) is_coloured: bool,
}

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        let text = telling::visible(text);
        if self.is_coloured { format!("{BEGIN}{code}m{text}{END}") } else { text.into_owned() }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    pub(crate) fn status(self, status: &str) -> String {
        match status {
            "done" | "completing" => self.green(status),
            "failed" | "aborting" | "invalidated" => self.with("31", status),
            "running" | "starting" | "processing" => self.with("36", status),
            _ => self.faint(status),
        }
    }
}

/// `words` behind `first`, on as many lines as it takes to keep to `width`; all but the first line
/// begin with `next`. A word that is longer than a line is cut, unless next to nothing would be left of it.
pub(crate) fn folded(first: &str, next: &str, words: &[String], width: Option<usize>) -> String {
    let mut text = first.to_owned();
    let mut columns = visible_chars(first);
    for (i, word) in words.iter().map(|word| obeying_colours(word)).enumerate() {
        let word = &*word;
        let word_columns = visible_chars(word);
        let fits = width.is_none_or(|width| columns + 2 + word_columns <= width);
        if i > 0 && fits {
            text.push_str("  ");
            columns += 2;
        } else if i > 0 {
            text.push('\n');
            text.push_str(next);
            columns = visible_chars(next);
        }
        let room = width.map(|width| width.saturating_sub(columns)).filter(|room| *room >= WORD_CHARS_MIN);
        match room.filter(|room| *room < word_columns) {
            Some(room) => text.push_str(&cut(word, room)),
            None => text.push_str(word),
        }
        columns += word_columns;
    }
    text + "\n"
}

/// `word` with nothing in it that a terminal obeys but the colours that were given to it here.
fn obeying_colours(word: &str) -> Cow<'_, str> {
    if !word.contains('\u{1b}') {
        return telling::visible(word);
    }
    let mut parts = word.split(BEGIN);
    let mut text = telling::visible(parts.next().unwrap_or_default()).into_owned();
    for part in parts {
        let code = part.split_once('m').filter(|(code, _)| *code == "0" || CODES.contains(code));
        match code {
            Some((code, rest)) => text.extend([BEGIN, code, "m", &telling::visible(rest)]),
            None => text.extend([&*telling::visible(BEGIN), &telling::visible(part)]),
        }
    }
    Cow::Owned(text)
}

/// Fewer characters of a word would say nothing.
const WORD_CHARS_MIN: usize = 12;

/// So many columns of `word`, whose colours end where it does.
fn cut(word: &str, columns: usize) -> String {
    let (mut kept, mut is_escape, mut left) = (String::new(), false, columns.saturating_sub(1));
    for c in word.chars() {
        if is_escape {
            is_escape = c != 'm';
        } else if c == '\u{1b}' {
            is_escape = true;
        } else if left == 0 {
            break;
        } else {
            left -= 1;
        }
        kept.push(c);
    }
    let is_coloured = kept.contains('\u{1b}');
    kept.push('…');
    if is_coloured { kept + "\u{1b}[0m" } else { kept }
}

/// Characters that take a column: those between an escape and its `m` only change colours.
fn visible_chars(text: &str) -> usize {
    let mut is_escape = false;
    let visible = text.chars().filter(|&c| {
        let was_escape = is_escape;
        is_escape = if is_escape { c != 'm' } else { c == '\u{1b}' };
        !is_escape && !was_escape
    });
    visible.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_colours_of_ours_are_obeyed() {
        let paint = Paint { is_coloured: true };
        let words = [paint.bold("a\u{1b}[31mb"), "c\u{1b}]0;title\u{7}".to_owned()];
        let text = folded("", "", &words, None);
        assert_eq!(text, "\u{1b}[1ma\\u{1b}[31mb\u{1b}[0m  c\\u{1b}]0;title\\u{7}\n");
    }

    #[test]
    fn what_is_wider_than_the_terminal_goes_on_below_and_colours_take_no_columns() {
        let plain = ["Data a", "colour:green", "size:small"].map(str::to_owned);
        let text = "└─ Data a\n   │  colour:green\n   │  size:small\n";
        assert_eq!(folded("└─ ", "   │  ", &plain, Some(20)), text);
        let paint = Paint { is_coloured: true };
        let coloured = plain.map(|word| paint.green(&word));
        assert_eq!(folded("└─ ", "   │  ", &coloured, Some(20)).lines().count(), 3);
    }

    #[test]
    fn a_word_longer_than_a_line_is_cut_and_its_colour_ends() {
        let paint = Paint { is_coloured: true };
        let long = [paint.green("sh -c a-very-long-story")];
        assert_eq!(folded("└─ ", "   ", &long, Some(20)), "└─ \u{1b}[32msh -c a-very-lon…\u{1b}[0m\n");
        assert_eq!(folded("└─ ", "   ", &["6cd03965-619d".to_owned()], Some(8)), "└─ 6cd03965-619d\n");
    }

    #[test]
    fn colours_are_there_only_where_they_are_wanted() {
        assert_eq!(Paint { is_coloured: true }.status("done"), "\u{1b}[32mdone\u{1b}[0m");
        assert_eq!(Paint { is_coloured: false }.status("done"), "done");
    }
}
